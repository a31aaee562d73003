"""Figures of master and part net: the softmaxes of a bird, and the accuracies of a training run."""

import matplotlib.colors
import pytest
import torch

from tasnlib.course.plots import student_and_teacher
from tasnlib.course.plots.style import COLOURS

TEACHER, STUDENT = torch.tensor([4.0, 2.0, 0.0, -2.0]), torch.tensor([2.0, 4.0, 0.0, -2.0])
HISTORY = [{"epoch": n, "accuracy": {"master": n / 4, "part": n / 5, "attention": 0.1}} for n in (1, 2, 3)]


def test_soft_predictions_mark_the_true_class_and_keep_the_colours():
    image = torch.rand(3, 8, 8)
    axes = student_and_teacher.soft_predictions(image, image, STUDENT, TEACHER, 3, ["red", "blue"], (2.0,)).axes[2]
    expected = [*(TEACHER / 2).softmax(0).tolist(), *(STUDENT / 2).softmax(0).tolist()]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(expected)
    assert axes.lines[0].get_xdata()[0] == 3
    assert [text.get_text() for text in axes.get_xticklabels(minor=True)] == ["0", "1", "1", "2"]  # traits as class 3
    assert axes.patches[0].get_facecolor() == matplotlib.colors.to_rgba(COLOURS["part"])


@pytest.mark.parametrize("epoch", [0, 2])
def test_an_epoch_shows_the_accuracies_up_to_it(epoch):
    images = (255 * torch.rand(4, 3, 16, 16)).byte()
    run = images, torch.rand(4, 4, 6, 6), torch.rand(4, 4, 3, 8, 8), HISTORY
    curve = student_and_teacher.training_epoch(*run, epoch, boxes=torch.zeros(4, 1, 4)).axes[-1]
    assert list(curve.lines[0].get_xdata()) == list(range(1, epoch + 1))
    assert list(curve.lines[0].get_ydata()) == pytest.approx([25 * n for n in range(1, epoch + 1)])
