from dataclasses import replace
from unittest import mock

import matplotlib.colors
import pytest
import torch

from tasnlib.course.exercises.checking import examine
from tasnlib.course.exercises.distillation import EXERCISES
from tasnlib.course.plots import COLOURS
from tasnlib.course.plots import distillation as figures
from tasnlib.course.widgets import distillation as soften_widget
from tasnlib.course.widgets import epochs as epochs_widget

TEACHER, STUDENT = torch.tensor([4.0, 2.0, 0.0, -2.0]), torch.tensor([2.0, 4.0, 0.0, -2.0])
NAMES = ["red, along", "red, across", "blue, along", "blue, across"]
HISTORY = [{"epoch": n, "accuracy": {"master": n / 4, "part": n / 5, "attention": 0.1}} for n in (1, 2, 3)]


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def run():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 16, 16, generator=generator)
    return images, torch.rand(4, 4, 6, 6, generator=generator), torch.rand(4, 4, 3, 8, 8, generator=generator), HISTORY


def test_soft_answers_marks_the_truth_and_keeps_the_colours():
    image = torch.rand(3, 8, 8)
    figure = figures.soft_answers(image, image, STUDENT, TEACHER, 3, ["red", "blue"], (2.0,))
    bars = figure.axes[2]
    assert heights(bars) == pytest.approx([*(TEACHER / 2).softmax(0).tolist(), *(STUDENT / 2).softmax(0).tolist()])
    assert bars.lines[0].get_xdata()[0] == 3
    assert bars.patches[0].get_facecolor() == matplotlib.colors.to_rgba(COLOURS["part"])


def test_with_and_without_shows_one_line_a_seed():
    (axes,) = figures.with_and_without({0: (0.5, 0.6), 7: (0.4, 0.3)}, chance=0.1).axes
    assert axes.lines[1].get_ydata().tolist() == pytest.approx([40, 30])
    assert [text.get_text() for text in axes.texts] == ["seed 0", "seed 7", "chance"]


@pytest.mark.parametrize("epoch", range(4))
def test_an_epoch_shows_the_accuracies_up_to_it(epoch):
    curve = figures.training_epoch(*run(), epoch).axes[-1]
    assert list(curve.lines[0].get_xdata()) == list(range(1, epoch + 1))
    assert list(curve.lines[0].get_ydata()) == pytest.approx([25 * n for n in range(1, epoch + 1)])


def test_the_sliders_draw_every_value():
    with mock.patch.object(soften_widget, "explore") as explore:
        soften_widget.soften_logits([2, 4, 0, -2], TEACHER.int().tolist(), NAMES)
    draw, sliders, _ = explore.call_args.args
    start = {slider.argument: slider.start for slider in sliders}
    for slider in sliders:
        for value in (slider.values[0], slider.values[-1]):
            draw(**{**start, slider.argument: value})
    with mock.patch.object(epochs_widget, "explore") as explore:
        images, maps, sampled, history = run()
        epochs_widget.training_epochs((255 * images).byte(), maps, (255 * sampled).byte(), history)
    draw, (slider,), _ = explore.call_args.args
    assert slider.values == [0, 1, 2, 3]
    assert draw(epoch=slider.start).axes


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_every_mistake_is_refused_with_its_own_message(exercise):
    generator = torch.Generator().manual_seed(0)  # two mistakes may coincide by chance, once in ten thousand
    exercise = replace(exercise, inputs=lambda _, inputs=exercise.inputs: inputs(generator))
    assert examine(exercise, exercise.solution).passed
    for _ in range(10):
        for mistake in exercise.mistakes:
            report = examine(exercise, mistake.function)
            assert not report.passed
            assert mistake.message in report.message
