"""Figures of soft targets: softmax, entropy, loss and gradient are the ones worked out here."""

import math

import pytest
import torch

from tasnlib.course.plots import soft_targets

TEACHER, STUDENT = torch.tensor([4.0, 2.0, 0.0, -2.0]), torch.tensor([2.0, 4.0, 0.0, -2.0])
NAMES = ["red, along", "red, across", "blue, along", "blue, across"]


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_targets_show_their_probabilities():
    rows = {"label": torch.tensor([1.0, 0, 0, 0]), "teacher": (TEACHER / 2).softmax(0)}
    axes = {
        axes.get_title(loc="left"): axes for axes in soft_targets.targets([torch.rand(3, 8, 8)] * 4, NAMES, rows).axes
    }
    for name, values in rows.items():
        assert heights(axes[name]) == pytest.approx(values.tolist())


def test_curves_hold_softmax_and_entropy():
    left, right = soft_targets.temperature_curves(TEACHER, NAMES).axes
    temperatures = torch.as_tensor(left.lines[0].get_xdata())
    for place in (0, 50, 99):
        share = (TEACHER.double() / temperatures[place]).softmax(0)
        assert [float(line.get_ydata()[place]) for line in left.lines] == pytest.approx(share.tolist())
        assert float(right.lines[0].get_ydata()[place]) == pytest.approx(float(-(share * share.log()).sum()))
    assert right.lines[1].get_ydata()[0] == pytest.approx(math.log(4))


@pytest.mark.parametrize("temperature", [0.5, 2.0, 50.0])
def test_softened_shows_autograds_gradient(temperature):
    student = STUDENT.double().requires_grad_()
    target = (TEACHER.double() / temperature).softmax(0)
    torch.autograd.backward(-(target * (student / temperature).log_softmax(0)).sum())
    left, middle, right = soft_targets.softened(STUDENT, TEACHER, temperature, NAMES).axes
    squared, plain = heights(right)[:4], heights(right)[4:]
    assert plain == pytest.approx(student.grad.tolist(), abs=1e-9)
    assert squared == pytest.approx((temperature**2 * student.grad).tolist(), abs=1e-9)
    assert max(map(abs, plain + squared)) < right.get_ylim()[1]
    assert heights(left)[:4] == pytest.approx(target.tolist())
    assert f"teacher {-(target * target.log()).sum():.2f}" in middle.get_title()


def test_the_loss_is_lowest_at_the_teacher_and_equals_its_entropy_there():
    (axes,) = soft_targets.loss_along_the_way(STUDENT, TEACHER, 2.0).axes
    target = (TEACHER / 2).softmax(0)
    assert min(axes.lines[0].get_ydata()) == pytest.approx(float(-(target * target.log()).sum()), abs=1e-6)
    assert axes.texts[-1].get_text() == "KL 0.41"


def test_norms_are_multiplied_by_the_square_on_the_right():
    left, right = soft_targets.gradient_norms([1, 2, 10], {"start": [1.0, 0.5, 0.1], "end": [2.0, 1.0, 0.2]}).axes
    assert list(left.lines[1].get_ydata()) == [2.0, 1.0, 0.2]
    assert right.lines[1].get_ydata().tolist() == pytest.approx([2, 4, 20])
