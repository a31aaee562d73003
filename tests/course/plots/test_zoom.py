"""Figures of the sampler along a line: what is drawn is where the sampler reads."""

import torch

from tasnlib.course.plots import zoom as figures
from tasnlib.sampler import sampling_positions


def test_the_inverse_is_read_off_where_the_sampler_reads():
    zoom = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.5, 1.0, 0.25, 0.25])
    x, _ = sampling_positions(torch.outer(zoom, zoom)[None], 8, 4)
    texts = [text.get_text() for text in figures.inverse_cumulative(zoom, 4).axes[0].texts]
    assert all(f"{place:.3g}" in texts for place in x[0].tolist())
