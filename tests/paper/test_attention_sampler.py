"""The sampler as a module, and its inverse: against the function, plain loops and F.interpolate."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tasnlib.attention_sampler import AttentionSampler
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles

SIDE = st.integers(1, 40)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Of image, sampled image and map: height and width; a seed; how peaked the map is; the share of it that is 0.
SETUPS = st.tuples(
    *(st.tuples(SIDE, SIDE),) * 3,
    st.integers(0, 10**6),
    st.sampled_from([0.5, 1, 8, 40]),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([1.0, 1.5, 4.0, 20.0]),
)


def grid_of(setup):
    """A grid in float64, and a generator."""
    image_size, out_size, map_size, seed, peaked, empty, max_zoom = setup
    random = seeded(seed)
    attention = torch.rand(2, *map_size, generator=random, dtype=torch.float64) ** peaked
    attention *= torch.rand(2, *map_size, generator=random) > empty
    images = torch.rand(2, 1, *image_size, generator=random)
    return AttentionSampler(out_size, max_zoom)(images, attention).grid, random


def points_in(grid, random, count: int = 7) -> torch.Tensor:
    size = torch.tensor([grid.zoom_x.shape[1], grid.zoom_y.shape[1]])
    return torch.rand(2, count, 2, generator=random, dtype=torch.float64) * size


# -- The module --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("antialias", [False, True])
def test_the_module_is_the_function(antialias):
    images, attention = torch.rand(2, 3, 30, 40, generator=seeded(0)), torch.rand(2, 5, 6, generator=seeded(1))
    sampler = AttentionSampler((12, 9), max_zoom=3, power=2, antialias=antialias)
    result = sampler(images, attention)
    # The map is taken relative to its largest value, which only rounds differently.
    expected = attention_sample(images, attention**2, (12, 9), 3, antialias)
    torch.testing.assert_close(result.images, expected, rtol=0, atol=1e-5)
    x, y = sampling_positions(attention.double() ** 2, (30, 40), (12, 9), 3)
    torch.testing.assert_close(result.grid.x, x, rtol=0, atol=1e-4)
    torch.testing.assert_close(result.grid.y, y, rtol=0, atol=1e-4)
    assert not list(sampler.parameters())
    assert "out_size" not in repr(sampler)
    assert "(12, 9), max_zoom=3, power=2" in repr(sampler)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_a_power_neither_underflows_nor_overflows(size):
    attention = torch.rand(1, 6, 6, generator=seeded(2))
    once, scaled = (AttentionSampler(8, power=3)(torch.ones(1, 1, 16, 16), attention * s).grid for s in (1, size))
    torch.testing.assert_close(scaled.x, once.x, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [((0,), "out_size is 0"), (((8, 0),), "out_size"), ((8, 0.5), "max_zoom is 0.5"),
     ((8, math.inf), "max_zoom is inf"), ((8, 4, 0), "power 0"), ((8, 4, math.nan), "power nan")],
)  # fmt: skip
def test_bad_numbers_are_rejected_when_it_is_made(given, said):
    with pytest.raises(ValueError, match=said):
        AttentionSampler(*given)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_bad_attention_is_rejected_whatever_the_power(power):
    images, sampler = torch.rand(2, 3, 8, 8), AttentionSampler(4, power=power)
    for bad in (-torch.ones(2, 4, 4), torch.full((2, 4, 4), math.nan), torch.full((2, 4, 4), math.inf)):
        with pytest.raises(ValueError, match="finite and not negative"):
            sampler(images, bad)
    mixed = torch.ones(2, 4, 4)
    mixed[1, 2, 2] = -1e-30  # whose powers underflow to -0
    with pytest.raises(ValueError, match="finite and not negative"):
        sampler(images, mixed)
    with pytest.raises((ValueError, TypeError), match=r"a map for each image|'b h w'"):  # one by the annotation's check
        sampler(images, torch.ones(1, 4, 4))


# -- Points ------------------------------------------------------------------------------------------------------------


@given(SETUPS)
@settings(max_examples=60, deadline=None)
def test_points_go_there_and_back(setup):
    grid, random = grid_of(setup)
    points = points_in(grid, random)
    there = grid.to_sampled(points)
    n_h, n_w = grid.out_size
    assert ((there >= 0) & (there <= torch.tensor([n_w, n_h]) + 1e-9)).all()
    torch.testing.assert_close(grid.to_image(there), points, rtol=0, atol=1e-6)


@given(SETUPS)
@settings(max_examples=40, deadline=None)
def test_the_centre_of_a_sampled_pixel_comes_from_where_it_was_read(setup):
    grid, _ = grid_of(setup)
    n_h, n_w = grid.out_size
    rows, columns = torch.meshgrid(torch.arange(n_h) + 0.5, torch.arange(n_w) + 0.5, indexing="ij")
    centres = torch.stack([columns, rows], dim=-1).double().flatten(0, 1).expand(2, -1, -1)
    places = grid.to_image(centres).unflatten(1, (n_h, n_w))
    torch.testing.assert_close(places[..., 0], grid.x[:, None].expand(-1, n_h, -1))
    torch.testing.assert_close(places[..., 1], grid.y[:, :, None].expand(-1, -1, n_w))


def test_points_by_a_plain_loop():
    attention = torch.rand(1, 3, 4, generator=seeded(3), dtype=torch.float64)
    grid = AttentionSampler((6, 10))(torch.rand(1, 1, 5, 8), attention).grid
    for x, y in [(0.0, 0.0), (2.25, 4.5), (3.0, 2.0), (8.0, 5.0)]:
        expected = []
        for place, zoom, n in ((x, grid.zoom_x[0].tolist(), 10), (y, grid.zoom_y[0].tolist(), 6)):
            before = sum(u * min(max(place - i, 0), 1) for i, u in enumerate(zoom))
            expected.append(n * before / sum(zoom))
        found = grid.to_sampled(torch.tensor([[[x, y]]], dtype=torch.float64))
        assert found[0, 0].tolist() == pytest.approx(expected, abs=1e-12)


def test_mirrored_attention_mirrors_the_points():
    attention, images = torch.rand(1, 4, 4, generator=seeded(4), dtype=torch.float64), torch.rand(1, 1, 9, 12)
    grid, mirrored = (AttentionSampler(7)(images, one).grid for one in (attention, attention.flip(2)))
    points = points_in(grid, seeded(5))[:1]
    expected = grid.to_sampled(points)
    found = mirrored.to_sampled(torch.stack([12 - points[..., 0], points[..., 1]], dim=2))
    torch.testing.assert_close(found, torch.stack([7 - expected[..., 0], expected[..., 1]], dim=2))


@given(SETUPS, st.sampled_from([[1], [2], [1, 2]]))
@settings(max_examples=40, deadline=None)
def test_a_flipped_map_flips_points_boxes_and_maps(setup, axes):
    grid, random = grid_of(setup)
    height, width, (n_h, n_w) = grid.zoom_y.shape[1], grid.zoom_x.shape[1], grid.out_size
    across, down = 2 in axes, 1 in axes
    flipped = grid._replace(
        zoom_x=grid.zoom_x.flip(1) if across else grid.zoom_x, zoom_y=grid.zoom_y.flip(1) if down else grid.zoom_y
    )

    def turned(points, w, h):
        x, y = points.unbind(2)
        return torch.stack([w - x if across else x, h - y if down else y], dim=2)

    def turned_boxes(boxes, w, h):
        corners = turned(boxes.unflatten(2, (2, 2)).flatten(1, 2), w, h).unflatten(1, (-1, 2))
        return torch.cat([corners.amin(dim=2), corners.amax(dim=2)], dim=2)

    points = points_in(grid, random)
    expected = turned(grid.to_sampled(points), n_w, n_h)
    torch.testing.assert_close(flipped.to_sampled(turned(points, width, height)), expected, rtol=0, atol=1e-6)
    corners = torch.stack([points_in(grid, random), points_in(grid, random)])
    boxes = torch.cat([corners.amin(dim=0), corners.amax(dim=0)], dim=2)
    expected = turned_boxes(grid.boxes_to_sampled(boxes).boxes, n_w, n_h)
    found = flipped.boxes_to_sampled(turned_boxes(boxes, width, height)).boxes
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    features = torch.rand(2, 1, 5, 4, generator=random, dtype=torch.float64)
    mirror = [axis + 1 for axis in axes]
    torch.testing.assert_close(flipped.unsample(features.flip(mirror)), grid.unsample(features).flip(mirror))


def test_gradients_of_boxes():
    attention = torch.rand(1, 4, 4, generator=seeded(6), dtype=torch.float64)
    grid = AttentionSampler(8)(torch.rand(1, 1, 16, 16), attention).grid
    boxes = torch.tensor([[[1.3, 2.6, 5.4, 6.7]]], dtype=torch.float64, requires_grad=True)  # not on edges of pixels
    assert torch.autograd.gradcheck(lambda one: grid.boxes_to_sampled(one).boxes, boxes)
    assert torch.autograd.gradcheck(lambda one: grid.boxes_to_image(one).boxes, boxes)


def test_gradients_of_points_are_the_zoom():
    attention = torch.rand(1, 4, 4, generator=seeded(6), dtype=torch.float64)
    grid = AttentionSampler(8)(torch.rand(1, 1, 16, 16), attention).grid
    points = torch.tensor([[[3.5, 9.5]]], dtype=torch.float64, requires_grad=True)
    grid.to_sampled(points)[0, 0, 0].backward()
    # Zoom 1 keeps 8 of 16 pixels; where it is u, one pixel of the image becomes u · 8 / 16 of the sampled image.
    assert points.grad[0, 0].tolist() == pytest.approx([grid.zoom_x[0, 3].item() / 2, 0.0])
    assert torch.autograd.gradcheck(grid.to_image, points.detach().requires_grad_() * 0.4)


def test_gradients_reach_points_on_pixel_edges_and_borders():
    grid = AttentionSampler(4)(torch.rand(1, 3, 8, 8), torch.ones(1, 4, 4)).grid  # each sampled pixel is two wide
    for place in ([1.0, 2.0], [0.5, 0.25], [0.0, 0.0], [4.0, 4.0]):
        points = torch.tensor([[place]], requires_grad=True)
        grid.to_image(points).sum().backward()
        assert points.grad.tolist() == [[[2.0, 2.0]]]


def test_integers_are_rejected_and_half_types_stay_inside():
    grid = AttentionSampler(4)(torch.rand(1, 1, 303, 303), torch.ones(1, 3, 3)).grid
    points, boxes, mask = torch.tensor([[[1, 2]]]), torch.tensor([[[1, 1, 2, 2]]]), torch.ones(1, 1, 4, 4).bool()
    for call, wrong in (
        (grid.to_sampled, points), (grid.to_image, points), (grid.boxes_to_image, boxes), (grid.unsample, mask),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            call(wrong)
    boxes = grid.boxes_to_image(torch.tensor([[[0.0, 0.0, 4.0, 4.0]]], dtype=torch.bfloat16)).boxes
    assert (boxes.dtype, boxes.max().item()) == (torch.float32, 303)


PLAIN = """
import sys
sys.modules["beartype"] = None  # a plain installation has none, so no annotation is checked
import numpy
import torch
from tasnlib.attention_sampler import AttentionSampler

images, attention = torch.rand(2, 3, 8, 10), torch.rand(2, 4, 4)
sampler = AttentionSampler(4)
grid = sampler(images, attention).grid
for said, wrong in {
    "out_size is True": lambda: AttentionSampler(True),
    "out_size is 8.0": lambda: AttentionSampler(8.0),
    "out_size is (8.5, 9)": lambda: AttentionSampler((8.5, 9)),
    "out_size is '8'": lambda: AttentionSampler("8"),
    "out_size is None": lambda: AttentionSampler(None),
    "out_size is (8,)": lambda: AttentionSampler((8,)),
    "out_size is ((8, 9), 9)": lambda: AttentionSampler(((8, 9), 9)),
    "out_size is tensor(7.5000)": lambda: AttentionSampler(torch.tensor(7.5)),
    "out_size is np.float64(7.5)": lambda: AttentionSampler(numpy.float64(7.5)),
    "max_zoom is '4'": lambda: AttentionSampler(4, "4"),
    "antialias is 'no'": lambda: AttentionSampler(4, antialias="no"),
    "power None": lambda: AttentionSampler(4, 4, None),
    "2 of torch.uint8 on cpu": lambda: sampler((255 * images).to(torch.uint8), attention),
    "2 of torch.bool on cpu": lambda: sampler(images > 0.5, attention),
    "images are (3, 8, 10)": lambda: sampler(images[0], attention),
    "1 of torch.float32 on cpu": lambda: sampler(images, attention[:1]),
    "2 of torch.float32 on meta']": lambda: sampler(images, attention.to("meta")),
    "['2 of torch.float32 on meta'": lambda: sampler(images.to("meta"), attention),
    "image_size is (0, 10)": lambda: sampler(images[:, :, :0], attention),
    "on meta; they must be floating point, (2, p, 2)": lambda: grid.to_sampled(torch.ones(2, 1, 2, device="meta")),
    "on meta; they must be floating point, (2, p, 4)": lambda: grid.boxes_to_image(torch.ones(2, 1, 4, device="meta")),
    "on meta; they must be floating point, (2, c, h, w)": lambda: grid.unsample(torch.ones(2, 1, 3, 3, device="meta")),
    "attention (2, 1, 4, 4)": lambda: sampler(images, attention[:, None]),
    "images are (0, 3, 8, 10)": lambda: sampler(images[:0], attention[:0]),
    "attention (2, 0, 4)": lambda: sampler(images, attention[:, :0]),
    "points are torch.float32, (2, 2)": lambda: grid.to_sampled(torch.ones(2, 2)),
    "points are torch.float32, (2, 1, 3)": lambda: grid.to_image(torch.ones(2, 1, 3)),
    "points are torch.float32, (2, 1, 1)": lambda: grid.to_image(torch.ones(2, 1, 1)),
    "boxes are torch.float32, (3, 1, 4)": lambda: grid.boxes_to_image(torch.rand(3, 1, 4)),
    "boxes are torch.float32, (2, 4)": lambda: grid.boxes_to_sampled(torch.rand(2, 4)),
    "features are torch.float32, (2, 3, 3)": lambda: grid.unsample(torch.rand(2, 3, 3)),
    "features are torch.float32, (2, 1, 0, 3)": lambda: grid.unsample(torch.rand(2, 1, 0, 3)),
    "size is (5.5, 6)": lambda: grid.unsample(torch.rand(2, 1, 3, 3), (5.5, 6)),
}.items():
    try:
        wrong()
    except ValueError as reason:
        assert said in str(reason), (said, reason)
    else:
        raise AssertionError(f"{said}: accepted")
assert AttentionSampler([8, 9]).out_size == (8, 9)
twice = AttentionSampler(4, numpy.float32(2), numpy.int64(1))(images, attention).images
assert torch.equal(twice, AttentionSampler(4, 2)(images, attention).images)
"""


def test_in_a_plain_installation_bad_input_is_rejected_too():
    subprocess.run([sys.executable, "-c", PLAIN], check=True)


COMPILED = """
import torch
from tasnlib.attention_sampler import AttentionSampler

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.sampler = AttentionSampler(4, power=2)

    def forward(self, images, attention, features, boxes):
        grid = self.sampler(images, attention).grid
        return grid.unsample(features), grid.boxes_to_sampled(boxes).boxes, grid.x

grid = AttentionSampler(4)(torch.rand(1, 1, 8, 8), torch.ones(1, 3, 3)).grid
for call, given in ((grid.to_sampled, torch.tensor([[[1, 2]]])), (grid.boxes_to_image, torch.tensor([[[1, 1, 2, 2]]]))):
    try:
        call(given)
    except ValueError as reason:
        assert "must be floating point" in str(reason)
    else:
        raise AssertionError("integers were accepted")
given = torch.rand(2, 3, 8, 8), torch.rand(2, 4, 4), torch.rand(2, 1, 3, 3), torch.tensor([[[1.0, 2, 3, 4]]] * 2)
compiled = torch.compile(Net(), fullgraph=True, backend="eager")
for found, expected in zip(compiled(*given), Net()(*given)):
    torch.testing.assert_close(found, expected)
"""


def test_as_users_have_it_the_grid_is_compiled_and_integers_are_rejected():
    """Tests check all annotations; users only those of the paper's files, which a compiler can look through."""
    subprocess.run([sys.executable, "-c", COMPILED], check=True)


def test_points_outside_are_rejected_and_hidden_ones_stay():
    grid = AttentionSampler((4, 6))(torch.rand(2, 1, 8, 10), torch.rand(2, 3, 3)).grid
    points = torch.tensor([[[10.0, 8.0], [math.nan, math.nan]]]).expand(2, -1, -1)
    there = grid.to_sampled(points)
    assert there[0].tolist()[0] == pytest.approx([6.0, 4.0])
    assert there[:, 1].isnan().all()
    assert grid.to_image(there)[:, 1].isnan().all()
    for outside in ([10.1, 1.0], [-0.1, 1.0], [1.0, 8.5]):
        with pytest.raises(ValueError, match=r"outside the image \(x from 0 to 10, y from 0 to 8\)"):
            grid.to_sampled(torch.tensor([[outside]]).expand(2, -1, -1))
    with pytest.raises(ValueError, match=r"outside the sampled image \(x from 0 to 6, y from 0 to 4\)"):
        grid.to_image(torch.tensor([[[6.5, 1.0]]]).expand(2, -1, -1))
    with pytest.raises(ValueError, match=r"points are torch.float32, \(1, 1, 2\) on cpu; they must be .* for 2 images"):
        grid.to_sampled(torch.tensor([[[1.0, 1.0]]]))


# -- Boxes -------------------------------------------------------------------------------------------------------------


@given(SETUPS)
@example(((37, 15), (27, 1), (3, 10), 440880, 0.5, 0.9, 4.0))  # a corner where there is no attention
@settings(max_examples=40, deadline=None)
def test_boxes_go_there_and_back_corner_by_corner(setup):
    grid, random = grid_of(setup)
    corners = torch.stack([points_in(grid, random), points_in(grid, random)])
    boxes = torch.cat([corners.amin(dim=0), corners.amax(dim=0)], dim=2)
    there = grid.boxes_to_sampled(boxes)
    torch.testing.assert_close(there.boxes[..., :2], grid.to_sampled(boxes[..., :2]))
    torch.testing.assert_close(there.boxes[..., 2:], grid.to_sampled(boxes[..., 2:]))
    assert not there.clipped.any()
    back = grid.boxes_to_image(there.boxes)
    torch.testing.assert_close(back.boxes, boxes, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [200, 1000, 4000])
def test_there_and_back_in_large_images_with_an_empty_background(size):
    attention = torch.zeros(1, 20, 20, dtype=torch.float64)
    attention[0, 7:9, 12:15] = 1.0
    grid = AttentionSampler(224, max_zoom=20.0)(torch.rand(1, 1, size, size), attention).grid
    points = torch.rand(1, 2000, 2, generator=seeded(0), dtype=torch.float64) * size
    error = (grid.to_image(grid.to_sampled(points)) - points).abs()
    assert error.max() < 1e-6
    inside = ((points > 0.36 * size) & (points < 0.74 * size)).all(dim=2) & (points[..., 1] < 0.44 * size)
    inside &= points[..., 0] > 0.61 * size
    assert inside.any()
    assert error[inside].max() < 1e-9 * size / 200


def test_a_box_that_leaves_the_image_is_clipped_and_flagged():
    grid = AttentionSampler(4)(torch.rand(1, 1, 8, 10), torch.ones(1, 3, 3)).grid
    boxes = torch.tensor([[[-3.0, 2.0, 5.0, 9.0], [0.0, 0.0, 10.0, 8.0], [math.nan] * 4]])
    found = grid.boxes_to_sampled(boxes)
    assert found.clipped.tolist() == [[True, False, False]]
    assert found.boxes[0, 0].tolist() == pytest.approx([0.0, 1.0, 2.0, 4.0])
    assert found.boxes[0, 2].isnan().all()
    assert grid.boxes_to_image(torch.tensor([[[1.0, 1.0, 5.0, 2.0]]])).clipped.tolist() == [[True]]
    with pytest.raises(ValueError, match="x0 > x1"):
        grid.boxes_to_sampled(boxes[..., [2, 1, 0, 3]])


# -- Maps --------------------------------------------------------------------------------------------------------------


@given(SIDE, SIDE, SIDE, SIDE, st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_with_uniform_zoom_unsample_is_interpolate(height, width, n_h, n_w, h, w):
    grid = AttentionSampler((n_h, n_w))(torch.rand(2, 3, height, width), torch.ones(2, 3, 3)).grid
    features = torch.rand(2, 4, h, w, generator=seeded(h), dtype=torch.float64)
    for size in (None, (7, 5)):
        expected = F.interpolate(features, size or (height, width), mode="bilinear", align_corners=False)
        torch.testing.assert_close(grid.unsample(features, size), expected, rtol=0, atol=1e-6)


@given(SETUPS)
@settings(max_examples=40, deadline=None)
def test_a_map_of_where_it_lies_comes_back_as_where_it_came_from(setup):
    """Each sampled pixel holds its own place; read back, each image pixel finds its place in the sampled image."""
    grid, _ = grid_of(setup)
    n_h, n_w = grid.out_size
    height, width = grid.zoom_y.shape[1], grid.zoom_x.shape[1]
    columns = (torch.arange(n_w, dtype=torch.float64) + 0.5).expand(2, 1, n_h, n_w)
    found = grid.unsample(columns)
    assert found.shape == (2, 1, height, width)
    centres = torch.stack([torch.arange(width) + 0.5, torch.full((width,), 0.5)], dim=1).double().expand(2, -1, -1)
    expected = grid.to_sampled(centres)[..., 0].clamp(0.5, n_w - 0.5)  # beyond the outermost centres they are repeated
    torch.testing.assert_close(found[:, 0, 0], expected, rtol=0, atol=1e-9)


def test_gradients_flow_into_maps():
    grid = AttentionSampler(5)(torch.rand(1, 1, 6, 8), torch.rand(1, 3, 3, dtype=torch.float64)).grid
    features = torch.rand(1, 2, 3, 4, generator=seeded(7), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(grid.unsample, features)


def test_bad_maps_are_rejected():
    grid = AttentionSampler(5)(torch.rand(2, 1, 6, 8), torch.rand(2, 3, 3)).grid
    with pytest.raises(ValueError, match=r"\(1, 1, 3, 3\) on cpu; they must be floating point, \(2, c, h, w\)"):
        grid.unsample(torch.rand(1, 1, 3, 3))
    for size in (0, 5.5, (5, 6.0), True):
        with pytest.raises((ValueError, TypeError), match=r"size is|size"):  # some by the annotation's check
            grid.unsample(torch.rand(2, 1, 3, 3), size)


def test_the_grid_is_that_of_the_zoom():
    attention = torch.rand(2, 4, 4, generator=seeded(8))
    grid = AttentionSampler(6, max_zoom=2)(torch.rand(2, 3, 12, 10), attention).grid
    x, y = zoom_profiles(attention, (12, 10), 2)
    assert torch.equal(grid.zoom_x, x)
    assert torch.equal(grid.zoom_y, y)
    assert grid.out_size == (6, 6)
