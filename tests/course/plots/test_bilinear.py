"""Figures of notebook 01: the numbers they draw are the ones they were given, or can be worked out by hand."""

import pytest
import torch

from tasnlib.attention import bilinear_attention
from tasnlib.course.exercises import examine
from tasnlib.course.exercises.bilinear import EXERCISES
from tasnlib.course.plots import bilinear as figures
from tasnlib.course.widgets import bilinear as widgets

FEATURES = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0)) * 3
IMAGE = torch.rand(3, 24, 36, generator=torch.Generator().manual_seed(1))
SQUARE = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(2))


def test_number_tables_write_every_number():
    figure = figures.number_tables([torch.tensor([[1.0, 2.5]]), torch.eye(2)], ["a", "b"], digits=1, between="=")
    first, second = figure.axes
    assert [text.get_text() for text in first.texts] == ["1.0", "2.5"]
    assert [text.get_text() for text in second.texts] == ["1.0", "0.0", "0.0", "1.0", "="]


def test_channels_are_compared_by_one_scale_a_row():
    features = torch.stack([FEATURES, 2 * FEATURES])
    figure = figures.channel_maps(torch.stack([IMAGE, IMAGE]), features, [3])
    weak, strong = (axes.images[1].get_array() for axes in figure.axes[2:])
    assert strong.max() == pytest.approx(1)
    assert weak.max() == pytest.approx(0.5)


def test_a_silent_channel_can_be_drawn():
    figures.channel_gallery(SQUARE, torch.zeros(3, 4, 4), [0, 2])
    figures.where_and_who(SQUARE, torch.zeros(3, 4, 4), channel=1, scale=7.0)


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_the_slider_draws_the_row_of_r_and_the_softmax(scale):
    figure = figures.where_and_who(SQUARE, FEATURES, channel=2, scale=scale)
    row = bilinear_attention(FEATURES[None], scale)[0, 2]
    bars = [bar.get_height() / 100 for bar in figure.axes[2].patches]
    assert bars == pytest.approx(row.tolist(), abs=1e-5)
    where = (scale * FEATURES[2].flatten()).softmax(0).view(4, 6)
    drawn = torch.as_tensor(figure.axes[1].images[1].get_array())
    torch.testing.assert_close(drawn, where / where.max())
    assert figure.axes[3].get_title().startswith(f"most weight: channel {int(row.argmax())}\n")


def test_relations_draw_shares_of_rows_in_the_order_given():
    matrix, order = torch.tensor([[1.0, 3.0], [1.0, 1.0]]), torch.tensor([1, 0])
    drawn = figures.relations({"one": matrix}, order).axes[0].images[0].get_array()
    assert drawn.tolist() == [[50, 50], [75, 25]]


def test_shares_are_drawn_in_percent():
    axes = figures.shares_against([0, 2], {"X Xᵀ X": [0.5, 0.25]}, 0.1, "v", "even").axes[0]
    assert axes.lines[0].get_ydata() == pytest.approx([50, 25])
    assert axes.lines[1].get_ydata() == pytest.approx([10, 10])


def test_the_slider_steps_through_channels_and_scales(monkeypatch):
    seen = {}

    def explore(draw, sliders, alt):
        seen.update(draw=draw, sliders={slider.argument: slider for slider in sliders})

    monkeypatch.setattr(widgets, "explore", explore)
    widgets.explore_where_and_who(SQUARE, FEATURES, channel=3)
    assert list(seen["sliders"]["channel"].values) == [0, 1, 2, 3, 4]
    assert seen["sliders"]["channel"].start == 3
    assert seen["sliders"]["scale"].start == 7
    assert seen["draw"](channel=4, scale=20.0).axes


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_solutions_pass_and_each_mistake_is_told(exercise):
    assert examine(exercise, exercise.solution).passed
    for mistake in exercise.mistakes:
        report = examine(exercise, mistake.function)
        assert not report.passed
        assert mistake.message in report.message
