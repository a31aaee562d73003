"""Figures of the sampler along a line: what is drawn is where the sampler reads."""

import torch

from tasnlib.course.plots import zoom_lines
from tasnlib.sampler import sampling_positions


def test_the_inverse_ends_where_the_sampler_reads():
    zoom = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.5, 1.0, 0.25, 0.25])
    x, _ = sampling_positions(torch.outer(zoom, zoom)[None], 8, 4)
    texts = [text.get_text() for text in zoom_lines.inverse_cumulative(zoom, 4).axes[0].texts]
    assert all(f"{position:.3g}" in texts for position in x[0].tolist())


def test_marginals_have_mean_one_and_one_scale():
    attention = torch.zeros(4, 4)
    attention[1, 2] = 1.0
    figure = zoom_lines.marginals(attention)
    over = [axes for axes in figure.axes if "marginals" in axes.get_title()]
    for axes in over:
        assert sum(bar.get_height() for bar in axes.patches) == 4
    assert over[0].get_ylim() == over[1].get_ylim()


def test_bars_under_a_cap_carry_their_values():
    figure = zoom_lines.cap_bars([torch.tensor([2.2, 0.3]), torch.ones(2)], ["before", "after"], cap=1.5)
    assert [text.get_text() for text in figure.axes[0].texts] == ["2.2", "0.3"]
