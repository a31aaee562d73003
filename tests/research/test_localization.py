"""Localisation measures against plain loops, and of the controls."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasnlib.data.birds import EASY, draw_birds
from tasnlib.research.localization import (
    area_share,
    attention_mass,
    coverage,
    diversity,
    magnification,
    pointing_game,
    random_attention,
    uniform_attention,
)
from tasnlib.sampler import sampling_positions

SIZE = (30, 40)  # height, width


def some_boxes(generator: torch.Generator, images: int, parts: int) -> torch.Tensor:
    """Boxes inside and partly outside of the image, in no relation to any cell."""
    corner = torch.rand(images, parts, 2, generator=generator) * torch.tensor([40.0, 30.0]) - 3
    return torch.cat([corner, corner + 1 + torch.rand(images, parts, 2, generator=generator) * 15], dim=-1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mass_by_loop(attention, box, height, width) -> float:
    """Cell by cell: how much of it the box covers, times its attention."""
    x0, y0, x1, y1 = box
    cell_h, cell_w = height / len(attention), width / len(attention[0])
    inside = total = 0.0
    for i, row in enumerate(attention):
        for j, value in enumerate(row):
            tall = max(0.0, min(y1, (i + 1) * cell_h) - max(y0, i * cell_h)) / cell_h
            wide = max(0.0, min(x1, (j + 1) * cell_w) - max(x0, j * cell_w)) / cell_w
            inside += value * tall * wide
            total += value
    return inside / total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9))
def test_mass_against_a_loop(seed, h, w):
    generator = seeded(seed)
    attention = torch.rand(3, h, w, generator=generator) + 0.01
    boxes = some_boxes(generator, 3, 4)
    found = attention_mass(attention, boxes, SIZE)
    for b in range(3):
        for p in range(4):
            expected = mass_by_loop(attention[b].tolist(), boxes[b, p].tolist(), *SIZE)
            assert found[b, p].item() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9))
def test_mass_of_uniform_attention_is_the_area(seed, h, w):
    boxes = some_boxes(seeded(seed), 3, 4)
    uniform = uniform_attention(torch.zeros(3, h, w))
    torch.testing.assert_close(attention_mass(uniform, boxes, SIZE), area_share(boxes, SIZE))
    by_hand = [
        [
            max(0.0, min(x1, 40) - max(x0, 0)) * max(0.0, min(y1, 30) - max(y0, 0)) / 1200
            for x0, y0, x1, y1 in row
        ]
        for row in boxes.tolist()
    ]  # fmt: skip
    torch.testing.assert_close(area_share(boxes, SIZE), torch.tensor(by_hand))


@pytest.mark.parametrize("shape", [(4, 4), (2, 8)])
def test_mass_against_counting_pixels(shape):
    # For boxes on whole pixels and cells of a whole number of pixels.
    attention = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    boxes = torch.tensor([[0, 0, 16, 16], [2, 4, 8, 10], [5, 0, 6, 16]])
    mass = attention_mass(attention, boxes[:, None].float(), 16)
    for one, (x0, y0, x1, y1), found in zip(attention, boxes, mass, strict=True):
        pixels = one.repeat_interleave(16 // shape[0], 0).repeat_interleave(16 // shape[1], 1)
        torch.testing.assert_close(found[0], pixels[y0:y1, x0:x1].sum() / pixels.sum())


def test_zero_attention_means_uniform():
    boxes = some_boxes(seeded(0), 2, 3)
    torch.testing.assert_close(attention_mass(torch.zeros(2, 5, 5), boxes, SIZE), area_share(boxes, SIZE))


def test_mass_does_not_depend_on_scale():
    attention, boxes = torch.rand(2, 5, 5, generator=seeded(1)), some_boxes(seeded(2), 2, 3)
    for factor in (1e-30, 1e30):
        torch.testing.assert_close(
            attention_mass(attention * factor, boxes, SIZE), attention_mass(attention, boxes, SIZE)
        )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_pointing_game_against_a_loop(seed):
    generator = seeded(seed)
    attention = torch.randint(0, 4, (3, 5, 8), generator=generator).float()  # ties happen
    boxes = some_boxes(generator, 3, 4)
    found = pointing_game(attention, boxes, SIZE)
    for b in range(3):
        highest = max(max(row) for row in attention[b].tolist())
        for p, (x0, y0, x1, y1) in enumerate(boxes[b].tolist()):
            hits = []
            for i, row in enumerate(attention[b].tolist()):
                for j, value in enumerate(row):
                    if value == highest:
                        hits.append(x0 <= (j + 0.5) * 5 < x1 and y0 <= (i + 0.5) * 6 < y1)
            assert found[b, p].item() == pytest.approx(sum(hits) / len(hits))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_pointing_game_with_more_ties_than_float16_can_count(dtype):
    boxes = torch.tensor([[[0.0, 0.0, 150.0, 300.0], [0.0, 0.0, 300.0, 75.0]]])
    found = pointing_game(torch.ones(1, 300, 300, dtype=dtype), boxes, 300)
    assert (found.dtype, found.tolist()) == (dtype, [[0.5, 0.25]])


def test_boxes_are_half_open():
    attention = torch.zeros(1, 4, 4)
    attention[0, 1, 2] = 1.0  # its centre is x = 2.5, y = 1.5
    at = {"left": (2.5, 0.0, 4.0, 4.0), "upper": (0.0, 1.5, 4.0, 4.0), "right": (0.0, 0.0, 2.5, 4.0),
          "lower": (0.0, 0.0, 4.0, 1.5)}  # fmt: skip
    boxes = torch.tensor([list(at.values())])
    assert dict(zip(at, pointing_game(attention, boxes, 4)[0].tolist(), strict=True)) == {
        **{"left": 1.0, "upper": 1.0, "right": 0.0, "lower": 0.0}
    }
    read = magnification(torch.tensor([[2.5]]), torch.tensor([[1.5]]), boxes, 4)[0]
    assert (read > 0).tolist() == [True, True, False, False]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_magnification_against_a_loop(seed, n_h, n_w):
    generator = seeded(seed)
    attention = torch.rand(2, 6, 7, generator=generator)
    boxes = some_boxes(generator, 2, 3).clamp(min=0)
    x, y = sampling_positions(attention, SIZE, (n_h, n_w), 4.0)
    found = magnification(x, y, boxes, SIZE)
    for b in range(2):
        for p, (x0, y0, x1, y1) in enumerate(boxes[b].tolist()):
            count = sum(x0 <= u < x1 and y0 <= v < y1 for u in x[b].tolist() for v in y[b].tolist())
            area = (min(x1, 40) - min(x0, 40)) * (min(y1, 30) - min(y0, 30)) / 1200
            assert found[b, p].item() == pytest.approx(count / max(area * n_h * n_w, 1e-12), rel=1e-3)


def test_magnification_of_uniform_attention_is_1():
    boxes = torch.tensor([[[5.0, 5.0, 25.0, 20.0]]])
    x, y = sampling_positions(torch.ones(1, 4, 4), SIZE, 200, 4.0)
    assert magnification(x, y, boxes, SIZE).item() == pytest.approx(1.0, rel=0.02)


def test_coverage_against_a_loop():
    generator = seeded(0)
    drawn = torch.rand(6, 5, 4, generator=generator) * 3
    drawn[:, 1, 2] = float("nan")  # a hidden part
    drawn[0, 3, 1] = drawn[2:, 4, 0] = float("nan")  # hidden in some draws
    drawn[4, 3, 1] = 2.6
    found = coverage(drawn, at_least=2.5)
    for k in range(6):
        reached = seen = 0
        for b in range(5):
            for p in range(4):
                if not all(math.isnan(drawn[draw, b, p]) for draw in range(6)):
                    seen += 1
                    reached += any(drawn[draw, b, p] >= 2.5 for draw in range(k + 1))
        assert found[k].item() == pytest.approx(reached / seen)
    assert found[0] < found[-1]


def test_diversity_against_a_loop():
    maps = torch.rand(3, 5, 4, 6, generator=seeded(3))
    maps[1, 2] = 0.0  # dead: uniform
    for b in range(3):
        rows = []
        for one in maps[b].flatten(1).tolist():
            total = sum(one)
            rows.append([value / total if total else 1 / 24 for value in one])
        pairs = [(i, j) for i in range(5) for j in range(i)]
        different = [sum(abs(p - q) for p, q in zip(rows[i], rows[j], strict=True)) / 2 for i, j in pairs]
        assert diversity(maps)[b].item() == pytest.approx(sum(different) / len(pairs), rel=1e-4)


def test_random_attention_shuffles_cells():
    attention = torch.rand(4, 5, 6, generator=seeded(4))
    shuffled = random_attention(attention, seed=1)
    assert torch.equal(shuffled.flatten(1).sort().values, attention.flatten(1).sort().values)
    assert not torch.equal(shuffled, attention)
    assert torch.equal(shuffled, random_attention(attention, seed=1))


def test_mean_mass_of_random_attention_is_the_area():
    attention = torch.rand(1, 8, 8, generator=seeded(5)).expand(3000, 8, 8)
    boxes = torch.tensor([[[5.0, 5.0, 15.0, 20.0]]]).expand(3000, 1, 4)
    mass = attention_mass(random_attention(attention), boxes, SIZE).mean()
    assert mass.item() == pytest.approx(area_share(boxes, SIZE)[0, 0].item(), rel=0.02)


def test_hidden_parts_are_nan_and_change_no_other():
    hidden = [float("nan")] * 4
    boxes = torch.tensor([[[7.0, 7.0, 13.0, 13.0], hidden, [17.0, 12.0, 23.0, 18.0]]])
    attention = torch.rand(1, 5, 5, generator=seeded(6))
    x, y = sampling_positions(attention, SIZE, 20, 4.0)
    for measure in (
        attention_mass(attention, boxes, SIZE),
        pointing_game(attention, boxes, SIZE),
        magnification(x, y, boxes, SIZE),
        area_share(boxes, SIZE),
    ):
        assert measure[0].isnan().tolist() == [False, True, False]
    alone = attention_mass(attention, boxes[:, [0, 2]], SIZE)
    torch.testing.assert_close(attention_mass(attention, boxes, SIZE)[:, [0, 2]], alone)


def test_attention_on_the_head_of_drawn_birds():
    birds = draw_birds(EASY, 0, "test", range(6))
    size = EASY.image_size
    on_head = torch.zeros(6, size, size)
    for image, (x0, y0, x1, y1) in zip(on_head, birds.boxes[:, 0].round().int().tolist(), strict=True):
        image[y0:y1, x0:x1] = 1.0
    head, wing = attention_mass(on_head, birds.boxes, size)[:, :2].unbind(1)
    assert head.min() > 0.8
    assert wing.max() < 0.35
    assert pointing_game(on_head, birds.boxes, size)[:, 0].min() > 0.8


@pytest.mark.parametrize(
    "call",
    [
        lambda: attention_mass(torch.zeros(1, 5, 5), torch.zeros(2, 1, 4), 8),  # a batch of another size
        lambda: attention_mass(-torch.ones(1, 5, 5), torch.zeros(1, 1, 4), 8),
        lambda: pointing_game(torch.full((1, 5, 5), float("nan")), torch.zeros(1, 1, 4), 8),
        lambda: area_share(torch.zeros(1, 1, 4), 0),
        lambda: area_share(torch.tensor([[[4.0, 0.0, 2.0, 2.0]]]), 8),  # x0 > x1
        lambda: magnification(torch.zeros(1, 5), torch.zeros(2, 5), torch.zeros(1, 1, 4), 8),
        lambda: coverage(torch.tensor([[[-3.0, 1.0]]])),
        lambda: coverage(torch.full((3, 1, 4), float("nan"))),
        lambda: diversity(torch.zeros(1, 1, 4, 4)),
        lambda: diversity(-torch.ones(1, 2, 4, 4)),
    ],
)
def test_bad_arguments_are_rejected(call):
    with pytest.raises((ValueError, TypeError)):
        call()
