"""The authors' operator: its deviations one by one, and all of them against a plain loop over one line."""

import pytest
import torch
from torch.nn import functional as F

from tasnlib.research.authors_sampler import (
    DEVIATIONS,
    authors_positions,
    authors_profiles,
    authors_sample,
    limit_in_rounds,
)
from tasnlib.sampler import attention_sample, sampling_positions


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def loop_over_one_line(masses, n):
    """Indices at which n output pixels read a line whose masses sum to n, as the operator walks over it."""
    total = [1.0]  # the first mass is replaced
    for mass in masses[1:]:
        total.append(total[-1] + mass)
    found, j = [], 0
    for i in range(n):
        level = i * total[-1] / n
        while total[j] < level:
            j += 1
        before = total[j - 1] if j else 0.0  # the number before the array
        found.append(j + (level - total[j]) / (total[j] - before))
    return found


def test_without_deviations_it_is_attention_sample(generator):
    images, attention = torch.rand(3, 2, 30, 22, generator=generator), torch.rand(3, 5, 7, generator=generator)
    ours = attention_sample(images, attention, (10, 12))
    assert torch.allclose(authors_sample(images, attention, (10, 12), deviations=()), ours, atol=1e-5)


def test_positions_against_a_loop(generator):
    attention = torch.rand(1, 24, 24, generator=generator, dtype=torch.float64) ** 3
    zoom_x, _ = authors_profiles(attention, (24, 24), (10, 10), deviations=["rounds"])
    x, _ = authors_positions(attention, (24, 24), (10, 10))
    indices = loop_over_one_line([mass * 10 / 24 for mass in zoom_x[0].tolist()], 10)
    assert (x[0] - 0.5).tolist() == pytest.approx(indices, abs=1e-9)  # index j is the centre of pixel j


def test_uniform_attention_reads_left_edges():
    ours, _ = sampling_positions(torch.ones(1, 2, 2), 24, 8)
    theirs, _ = authors_positions(torch.ones(1, 2, 2), (24, 24), (8, 8), deviations=["left_edges"])
    assert (theirs[0] - ours[0]).tolist() == pytest.approx([-1.5] * 8)  # half of an output pixel's three


def test_corners_are_half_an_image_pixel(generator):
    attention = torch.rand(1, 5, 5, generator=generator)
    ours, _ = authors_positions(attention, (24, 24), (8, 8), deviations=[])
    theirs, _ = authors_positions(attention, (24, 24), (8, 8), deviations=["corners"])
    assert (theirs - ours).unique().tolist() == pytest.approx([-0.5])


def rounds_by_loop(columns, rows, max_zoom):
    """Of one map's two lists of maxima: what five rounds make of them, number by number."""
    axes = [[value * len(axis) / sum(axis) for value in axis] for axis in (columns, rows)]
    for limit in (max_zoom, *[float("inf")] * 4):
        limit = min(limit, max(axes[0]), max(axes[1]))
        axes = [[min(value, limit) for value in axis] for axis in axes]
        axes = [[value + 1 - sum(axis) / len(axis) for value in axis] for axis in axes]
    return axes


@pytest.mark.parametrize("max_zoom", [1.5, 4.0, 100.0])
def test_rounds_against_a_loop(generator, max_zoom):
    attention = torch.rand(3, 6, 9, generator=generator, dtype=torch.float64) ** 3
    attention[:, 2] *= 4  # so that the axes have different peaks
    x, y = authors_profiles(attention, (6, 9), (3, 5), max_zoom, deviations=["rounds"])  # a pixel is a cell
    for one, found_x, found_y in zip(attention, x, y, strict=True):
        by_loop = rounds_by_loop(one.amax(0).tolist(), one.amax(1).tolist(), max_zoom)
        assert [found_x.tolist(), found_y.tolist()] == [pytest.approx(axis, abs=1e-12) for axis in by_loop]


def test_rounds_keep_the_mean_and_pass_the_cap(generator):
    zoom = torch.rand(4, 50, generator=generator, dtype=torch.float64) ** 12
    zoom = zoom / zoom.mean(1, keepdim=True)
    for limited in limit_in_rounds(zoom, zoom.flip(1), max_zoom=2.0):
        assert torch.allclose(limited.mean(1), torch.ones(4, dtype=torch.float64))
        assert (limited.amax(1) > 2.01).all()


def test_black_border():
    sampled = authors_sample(torch.ones(1, 1, 24, 24), torch.ones(1, 3, 3), 8)[0, 0]
    assert sampled[0].abs().max() < 1e-5
    assert sampled[:, 0].abs().max() < 1e-5
    assert sampled[1:, 1:].min() > 0.5


def test_not_equivariant_to_flips(generator):
    images, attention = torch.rand(1, 3, 48, 48, generator=generator), torch.rand(1, 6, 6, generator=generator)
    theirs = authors_sample(images, attention, 16)
    assert (authors_sample(images.flip(3), attention.flip(2), 16).flip(3) - theirs).abs().max() > 0.1


def test_uniform_attention_is_not_plain_resizing(generator):
    images = torch.rand(1, 3, 48, 48, generator=generator)
    plain = F.interpolate(images, size=(16, 16), mode="bilinear", align_corners=False)
    for name in DEVIATIONS[:2] + DEVIATIONS[3:4]:
        assert (authors_sample(images, torch.ones(1, 3, 3), 16, deviations=[name]) - plain).abs().max() > 0.1


def test_unknown_deviation():
    with pytest.raises(ValueError, match="deviations"):
        authors_sample(torch.rand(1, 3, 8, 8), torch.rand(1, 2, 2), 4, deviations=["edges"])
