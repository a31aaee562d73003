from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tasnlib.sampler import attention_sample, sampling_matrices, sampling_positions, zoom_profiles
from tests.paper import reference

quick = settings(max_examples=50, deadline=None, derandomize=True)
slow_reference = settings(quick, max_examples=25)
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
# Of pixel values in [0, 1]: bfloat16 has 8 bits; float64 loses a little where the zoom is nearly 0 and F nearly flat.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5, torch.bfloat16: 2e-2}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def peaked(shape, generator):
    b, h, w = shape
    row, column = torch.rand(2, b, 1, 1, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    y, x = (torch.arange(h) + 0.5).view(h, 1) / h, (torch.arange(w) + 0.5) / w
    return torch.exp(-((x - column) ** 2 + (y - row) ** 2) / 0.02) + 1e-3


def one_pixel(shape, generator):
    b, h, w = shape
    places = torch.zeros(b, h * w, dtype=torch.float64)
    places[torch.arange(b), torch.randint(h * w, (b,), generator=generator)] = 1
    return places.view(shape)


def two_far_lobes(shape, generator):
    attention = torch.zeros(shape, dtype=torch.float64)
    attention[:, 0, 0] = attention[:, -1, -1] = 1
    return attention


def lively(shape, generator):
    """Nowhere near 0, so that F⁻¹ is well defined everywhere and positions can be compared directly."""
    return torch.rand(shape, generator=generator, dtype=torch.float64) ** 3 + 0.2


KINDS = {
    "flat": lambda shape, generator: torch.full(shape, 0.3, dtype=torch.float64),
    "zero": lambda shape, generator: torch.zeros(shape, dtype=torch.float64),
    "peaked": peaked,
    "one pixel": one_pixel,
    "two far lobes": two_far_lobes,
    "random": lambda shape, generator: torch.rand(shape, generator=generator, dtype=torch.float64),
    "sparse": lambda shape, generator: torch.rand(shape, generator=generator, dtype=torch.float64).sub(0.7).relu(),
    "lively": lively,
}


class Case(NamedTuple):
    images: Tensor
    attention: Tensor
    out_size: tuple[int, int]
    max_zoom: float
    antialias: bool

    @property
    def image_size(self):
        return tuple(self.images.shape[2:])

    @property
    def tolerance(self):
        return max(TOLERANCE[self.images.dtype], TOLERANCE[torch.float32])

    def sample(self):
        return attention_sample(*self)

    def positions(self):
        return sampling_positions(self.attention, self.image_size, self.out_size, self.max_zoom)

    def axes(self):
        """(positions, image side, output side) of either axis."""
        return zip(self.positions(), self.image_size[::-1], self.out_size[::-1], strict=True)

    def in_float64(self):
        return self._replace(images=self.images.double(), attention=self.attention.double())


sides = st.integers(1, 12)


@st.composite
def cases(draw, kinds=tuple(KINDS), dtypes=DTYPES):
    generator = seeded(draw(st.integers(0, 10_000)))
    b, h, w, height, width = draw(st.integers(1, 3)), draw(sides), draw(sides), draw(sides), draw(sides)
    attention = KINDS[draw(st.sampled_from(kinds))]((b, h, w), generator)
    images = torch.rand(b, 2, height, width, generator=generator, dtype=torch.float64)
    return Case(
        images.to(draw(st.sampled_from(dtypes))),
        attention.to(draw(st.sampled_from(dtypes))),
        (draw(sides), draw(sides)),
        draw(st.sampled_from([1.0, 1.3, 2.0, 4.0, 10.0])),
        draw(st.booleans()),
    )


exact_cases = cases(dtypes=(torch.float64,))
# Against loops: the same definition must give the same numbers, in float64.
lively_cases = cases(kinds=("lively",), dtypes=(torch.float64,))


# What must hold: uniform attention is plain resizing


@quick
@given(cases(kinds=("flat", "zero")))
def test_uniform_attention_is_plain_resizing(case):
    resized = F.interpolate(case.images.double(), size=case.out_size, mode="bilinear", align_corners=False)
    sampled = case._replace(antialias=False).sample()
    torch.testing.assert_close(sampled.double(), resized, rtol=0, atol=case.tolerance)


@quick
@given(exact_cases)
def test_max_zoom_1_is_plain_resizing_whatever_the_attention(case):
    resized = F.interpolate(case.images, size=case.out_size, mode="bilinear", align_corners=False)
    sampled = case._replace(antialias=False, max_zoom=1.0).sample()
    torch.testing.assert_close(sampled, resized, rtol=0, atol=1e-6)


def test_uniform_attention_is_plain_resizing_at_paper_size():
    images = torch.rand(1, 3, 448, 448, generator=seeded(0))
    resized = F.interpolate(images, size=(224, 224), mode="bilinear", align_corners=False)
    torch.testing.assert_close(attention_sample(images, torch.ones(1, 28, 28), 224), resized, rtol=0, atol=1e-4)


@pytest.mark.parametrize("out_size", [(2, 3), (4, 9), (8, 1), (8, 9)])
def test_uniform_antialiased_sampling_is_the_mean_over_equal_cells(out_size):
    images = torch.rand(2, 3, 8, 9, generator=seeded(0), dtype=torch.float64)
    sampled = attention_sample(images, torch.ones(2, 5, 4, dtype=torch.float64), out_size, antialias=True)
    torch.testing.assert_close(sampled, F.interpolate(images, size=out_size, mode="area"))


# What must hold: symmetry


@quick
@given(cases(), st.sampled_from([(1,), (2,), (1, 2)]))
def test_flipping_image_and_attention_flips_the_result(case, axes):
    flipped = case._replace(
        images=case.images.flip([axis + 1 for axis in axes]), attention=case.attention.flip(axes)
    ).sample()
    expected = case.sample().flip([axis + 1 for axis in axes])
    torch.testing.assert_close(flipped, expected, rtol=0, atol=case.tolerance)


@quick
@given(exact_cases)
def test_flipping_the_attention_mirrors_the_positions(case):
    mirrored = case._replace(attention=case.attention.flip([1, 2]))
    for (there, side, _), (back, _, _) in zip(case.axes(), mirrored.axes(), strict=True):
        torch.testing.assert_close(back, side - there.flip(1), rtol=0, atol=1e-5)


@quick
@given(exact_cases)
def test_transposing_image_and_attention_transposes_the_result(case):
    transposed = case._replace(
        images=case.images.mT.contiguous(), attention=case.attention.mT.contiguous(), out_size=case.out_size[::-1]
    )
    torch.testing.assert_close(transposed.sample(), case.sample().mT, rtol=0, atol=1e-6)


def test_a_sample_between_two_equal_lobes_falls_into_the_middle():
    attention = two_far_lobes((1, 8, 8), None)
    x, y = sampling_positions(attention, image_size=8, out_size=3, max_zoom=8.0)
    assert x[0, 1].item() == pytest.approx(4.0, abs=1e-5)
    assert y[0, 1].item() == pytest.approx(4.0, abs=1e-5)


# What must hold: positions


@quick
@given(cases())
def test_positions_strictly_increase_and_stay_inside(case):
    for positions, side, n in case.axes():
        assert positions.shape == (len(case.attention), n)
        assert (positions > 0).all()
        assert (positions < side).all()
        assert (positions.diff(dim=1) > 0).all()


@quick
@given(cases())
def test_no_spacing_is_under_what_max_zoom_allows(case):
    for positions, side, n in case.axes():
        smallest = side / (n * case.max_zoom) - 1e-6 * side
        assert (positions.diff(dim=1) >= smallest).all()
        # The first and last sample sit in the middle of their share of the zoom, so half a spacing from the border.
        assert (positions[:, 0] >= smallest / 2).all()
        assert (positions[:, -1] <= side - smallest / 2).all()


@pytest.mark.parametrize("kind", KINDS)
def test_positions_hold_at_paper_size(kind):
    attention = KINDS[kind]((2, 28, 28), seeded(0)).float()
    for positions in sampling_positions(attention, 448, 224):
        assert positions.dtype == torch.float32
        assert (positions.diff(dim=1) >= 448 / (224 * 4) - 1e-4).all()
        assert positions.min() > 0
        assert positions.max() < 448


@quick
@given(exact_cases)
def test_every_sample_stands_for_the_same_share_of_the_zoom(case):
    # F(x_i) = (i + ½)/n · F(W). No zoom is below 1e-6, or F would have no inverse.
    for k, attention in enumerate(case.attention.tolist()):
        zooms = reference.zoom_and_cap(attention, case.image_size, case.max_zoom)[:2]
        for zoom, (positions, _, n) in zip(zooms, case.axes(), strict=True):
            zoom = [max(u, 1e-6) for u in zoom]
            for i, position in enumerate(positions[k].tolist()):
                assert reference.integral(zoom, position) == pytest.approx((i + 0.5) / n * sum(zoom), abs=1e-9)


# What must hold: a constant image, batches, sizes, precisions


@quick
@given(cases(), st.sampled_from([0.0, 0.7, -3.0, 250.0]))
def test_a_constant_image_stays_constant_up_to_the_border(case, value):
    constant = torch.full_like(case.images, value)
    sampled = case._replace(images=constant).sample()
    torch.testing.assert_close(sampled, torch.full_like(sampled, constant.flatten()[0].item()), rtol=1e-6, atol=0)


@quick
@given(cases())
def test_an_image_of_one_pixel_becomes_one_colour(case):
    pixels = case.images[:, :, :1, :1]
    expected = pixels.expand(-1, -1, *case.out_size)
    torch.testing.assert_close(case._replace(images=pixels).sample(), expected, rtol=1e-6, atol=0)


@quick
@given(cases(), st.sampled_from(list(KINDS)))
def test_what_else_is_in_the_batch_changes_no_bit_of_an_image(case, kind):
    others = KINDS[kind]((2, *case.attention.shape[1:]), seeded(1)).to(case.attention.dtype)
    noise = torch.rand(2, *case.images.shape[1:], generator=seeded(2)).to(case.images.dtype)
    first, second = (
        case._replace(images=torch.cat([noise * brightness, case.images]), attention=torch.cat([other, case.attention]))
        for brightness, other in ((1, others), (100, torch.ones_like(others)))
    )
    assert torch.equal(first.sample()[2:], second.sample()[2:])


@quick
@given(cases())
def test_an_image_alone_gives_what_it_gives_in_a_batch(case):
    together, positions = case.sample(), case.positions()
    for i in range(len(case.images)):
        alone = case._replace(images=case.images[i : i + 1], attention=case.attention[i : i + 1])
        for axis in (0, 1):
            assert torch.equal(alone.positions()[axis][0], positions[axis][i])
        if case.antialias:
            # Libraries of matrix products choose their order of summation by the size of the batch.
            torch.testing.assert_close(alone.sample()[0], together[i])
        else:
            assert torch.equal(alone.sample()[0], together[i])


@quick
@given(cases())
def test_a_batch_is_sampled_to_the_size_and_dtype_asked_for(case):
    sampled = case.sample()
    assert sampled.shape == (*case.images.shape[:2], *case.out_size)
    assert sampled.dtype == case.images.dtype


@quick
@given(cases(kinds=("lively", "peaked", "flat")))
def test_low_precision_gives_what_float64_gives(case):
    expected = case.in_float64().sample()
    torch.testing.assert_close(case.sample().double(), expected, rtol=0, atol=case.tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_positions_are_computed_in_float32_or_better(dtype):
    attention = lively((1, 28, 28), seeded(0)).to(dtype)
    expected = sampling_positions(attention.double(), 448, 224)
    for positions, exact in zip(sampling_positions(attention, 448, 224), expected, strict=True):
        assert positions.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        # bfloat16 would be wrong by whole pixels here.
        torch.testing.assert_close(positions.double(), exact, rtol=0, atol=5e-3)


@pytest.mark.parametrize("antialias", [False, True])
def test_float16_images_can_be_sampled(antialias):
    images = torch.rand(2, 3, 9, 11, generator=seeded(0)).half()
    attention = lively((2, 4, 4), seeded(1)).half()
    sampled = attention_sample(images, attention, 6, antialias=antialias)
    assert sampled.dtype == torch.float16
    expected = attention_sample(images.double(), attention.double(), 6, antialias=antialias)
    torch.testing.assert_close(sampled.double(), expected, rtol=0, atol=3e-3)


@pytest.mark.parametrize("antialias", [False, True])
def test_float64_images_are_sampled_in_float64_whatever_the_attention(antialias):
    images = torch.full((1, 3, 9, 11), 1e300, dtype=torch.float64)  # beyond float32
    sampled = attention_sample(images, lively((1, 4, 4), seeded(1)).float(), 6, antialias=antialias)
    torch.testing.assert_close(sampled, torch.full_like(sampled, 1e300), rtol=1e-6, atol=0)


@pytest.mark.parametrize("antialias", [False, True])
def test_all_is_computed_on_the_device_of_the_attention(antialias):
    # "meta" stands for any device that is not the CPU: a tensor left behind there does not go together with these.
    images, attention = torch.empty(2, 3, 8, 9, device="meta"), torch.empty(2, 4, 5, device="meta")
    assert attention_sample(images, attention, 5, antialias=antialias).device.type == "meta"
    for matrix in sampling_matrices(attention, (8, 9), 5, antialias=antialias):
        assert matrix.device.type == "meta"


def test_nothing_is_antialiased_unless_asked_for():
    images, attention = torch.rand(1, 3, 16, 16, generator=seeded(0)), lively((1, 4, 4), seeded(1))
    sampled = attention_sample(images, attention, 4)
    assert torch.equal(sampled, attention_sample(images, attention, 4, antialias=False))
    assert not torch.allclose(sampled, attention_sample(images, attention, 4, antialias=True))
    for matrix, plain, soft in zip(
        sampling_matrices(attention, 16, 4),
        sampling_matrices(attention, 16, 4, antialias=False),
        sampling_matrices(attention, 16, 4, antialias=True),
        strict=True,
    ):
        assert torch.equal(matrix, plain)
        assert not torch.allclose(matrix, soft)


@pytest.mark.parametrize("antialias", [False, True])
def test_one_number_means_a_square(antialias):
    images, attention = torch.rand(1, 3, 9, 9), torch.rand(1, 4, 4)
    assert torch.equal(
        attention_sample(images, attention, 5, antialias=antialias),
        attention_sample(images, attention, (5, 5), antialias=antialias),
    )
    for square, pair in zip(
        sampling_matrices(attention, 9, 5, antialias=antialias),
        sampling_matrices(attention, (9, 9), (5, 5), antialias=antialias),
        strict=True,
    ):
        assert torch.equal(square, pair)


def test_max_zoom_is_4_and_antialiasing_is_off_unless_asked_for():
    images, attention = torch.rand(1, 3, 24, 24), one_pixel((1, 12, 12), seeded(0)) + 0.01
    given_nothing = attention_sample(images, attention, 8)
    assert torch.equal(given_nothing, attention_sample(images, attention, 8, max_zoom=4.0, antialias=False))
    assert zoom_profiles(attention, 24)[0].max().item() == pytest.approx(4.0)
    for function in (sampling_positions, sampling_matrices):
        for unsaid, said in zip(function(attention, 24, 8), function(attention, 24, 8, max_zoom=4.0), strict=True):
            assert torch.equal(unsaid, said)


# The zoom


@quick
@given(exact_cases)
def test_zoom_agrees_with_loops(case):
    zooms = zoom_profiles(case.attention, case.image_size, case.max_zoom)
    for k, attention in enumerate(case.attention.tolist()):
        zoom_x, zoom_y, _ = reference.zoom_and_cap(attention, case.image_size, case.max_zoom)
        assert zooms[0][k].tolist() == pytest.approx(zoom_x, abs=1e-6)
        assert zooms[1][k].tolist() == pytest.approx(zoom_y, abs=1e-6)


@quick
@given(cases())
def test_zoom_is_positive_with_mean_1_and_at_most_max_zoom(case):
    for zoom, side in zip(
        zoom_profiles(case.attention, case.image_size, case.max_zoom), case.image_size[::-1], strict=True
    ):
        assert zoom.shape == (len(case.attention), side)
        assert (zoom > 0).all()
        assert (zoom <= case.max_zoom + 1e-9).all()
        torch.testing.assert_close(zoom.mean(1), torch.ones_like(zoom[:, 0]), rtol=1e-12, atol=0)


@quick
@given(exact_cases)
def test_both_axes_peak_at_the_cap(case):
    # cap = min(max_zoom, max u_x, max u_y): neither axis is magnified more than the other one's peak.
    for k, attention in enumerate(case.attention.tolist()):
        zoom_x = reference.unlimited_zoom(attention, case.image_size[1])
        zoom_y = reference.unlimited_zoom([list(column) for column in zip(*attention, strict=True)], case.image_size[0])
        cap = min(case.max_zoom, max(zoom_x), max(zoom_y))
        for zoom in zoom_profiles(case.attention, case.image_size, case.max_zoom):
            assert zoom[k].max().item() == pytest.approx(cap, abs=1e-6)


@quick
@given(cases(), st.sampled_from([-100, -3, 1, 100]))
def test_scaling_the_attention_by_a_power_of_two_changes_no_bit(case, power):
    scaled = case._replace(attention=case.attention * 2.0**power)
    assert torch.equal(scaled.sample(), case.sample())


@quick
@given(lively_cases, st.sampled_from([1e-30, 1e-3, 7.0, 1e30]), st.sampled_from([torch.float32, torch.float64]))
def test_scaling_the_attention_by_any_constant_changes_nothing(case, constant, dtype):
    attention = case.attention.to(dtype)
    scaled = case._replace(attention=attention * constant)
    torch.testing.assert_close(scaled.sample(), case._replace(attention=attention).sample(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("largest", [1e-300, 1e-160, 1e160, 1.5e308])
def test_tiny_and_huge_attention_is_attention_like_any_other(largest):
    attention = lively((2, 5, 6), seeded(0))
    attention = attention / attention.amax(dim=(1, 2), keepdim=True)
    for found, expected in zip(zoom_profiles(attention * largest, 16), zoom_profiles(attention, 16), strict=True):
        torch.testing.assert_close(found, expected)


# By hand: 8 pixels a side, attention 1 on the first six and 5 on the last two, as the product of both axes


def eight_pixels():
    line = torch.tensor([1.0, 1, 1, 1, 1, 1, 5, 5], dtype=torch.float64)
    ramp = torch.arange(0.0, 80, 10, dtype=torch.float64)
    return torch.outer(line, line)[None], ramp.expand(1, 1, 8, 8)


def test_eight_pixels_by_hand():
    attention, images = eight_pixels()
    # mean of (1, 1, 1, 1, 1, 1, 5, 5) is 2, so F over the edges is 0, ½, 1, 1½, 2, 2½, 3, 5½, 8; targets are 1, 3, 5, 7
    zoom_x, zoom_y = zoom_profiles(attention, 8)
    assert zoom_x[0].tolist() == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 2.5, 2.5], abs=1e-7)
    assert zoom_y[0].tolist() == zoom_x[0].tolist()
    x, y = sampling_positions(attention, 8, 4)
    assert x[0].tolist() == pytest.approx([2.0, 6.0, 6.8, 7.6], abs=1e-6)
    assert y[0].tolist() == x[0].tolist()
    # pixel j is worth 10 j at j + ½; 7.6 lies beyond the last centre, where the border pixel is repeated
    sampled = attention_sample(images, attention, 4)
    assert sampled[0, 0, 0].tolist() == pytest.approx([15.0, 55.0, 63.0, 70.0], abs=1e-5)
    assert sampled[0, 0, 3].tolist() == sampled[0, 0, 0].tolist()


def test_eight_pixels_by_hand_with_max_zoom_2():
    attention, images = eight_pixels()
    # the last two are held at 2; the other six share the remaining 4: d = 1/6. F: 0, ⅔, 1⅓, 2, 2⅔, 3⅓, 4, 6, 8
    zoom_x, _ = zoom_profiles(attention, 8, max_zoom=2.0)
    assert zoom_x[0].tolist() == pytest.approx([2 / 3] * 6 + [2, 2], abs=1e-7)
    x, _ = sampling_positions(attention, 8, 4, max_zoom=2.0)
    assert x[0].tolist() == pytest.approx([1.5, 4.5, 6.5, 7.5], abs=1e-6)
    sampled = attention_sample(images, attention, 4, max_zoom=2.0)
    assert sampled[0, 0, 0].tolist() == pytest.approx([10.0, 40.0, 60.0, 70.0], abs=1e-5)
    # cells 0 to 3, 3 to 6, 6 to 7, 7 to 8; along y the same cells, over which the ramp does not change
    averaged = attention_sample(images, attention, 4, max_zoom=2.0, antialias=True)
    assert averaged[0, 0, 0].tolist() == pytest.approx([10.0, 40.0, 60.0, 70.0], abs=1e-5)
    a_y, a_x = sampling_matrices(attention, 8, 4, max_zoom=2.0, antialias=True)
    assert a_x[0, 0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 0, 0, 0], abs=1e-6)
    assert a_y[0].tolist() == a_x[0].tolist()


def test_the_flatter_axis_limits_the_other_one():
    line, flatter = torch.tensor([1.0, 1, 1, 1, 1, 1, 5, 5]), torch.tensor([1.0, 1, 1, 3])
    # along y the mean is 1½ and the peak 2, so along x the 2½ is held at 2 although max_zoom is 4
    zoom_x, zoom_y = zoom_profiles(torch.outer(flatter, line)[None], image_size=(4, 8))
    assert zoom_x[0].tolist() == pytest.approx([2 / 3] * 6 + [2, 2], abs=1e-6)
    assert zoom_y[0].tolist() == pytest.approx([2 / 3] * 3 + [2], abs=1e-6)


def test_a_stripe_is_not_magnified_because_the_other_axis_is_flat():
    attention = torch.zeros(1, 6, 8)
    attention[:, :, 3] = 1
    for zoom in zoom_profiles(attention, image_size=(12, 16)):
        torch.testing.assert_close(zoom, torch.ones_like(zoom))


def test_the_marginal_is_the_maximum_over_rows_and_not_their_mean():
    attention = torch.tensor([[[4.0, 1.0], [0.0, 1.0]]])
    # maxima over rows (4, 1), over columns (4, 1): means 2½; the means over rows would be (2, 1)
    for zoom in zoom_profiles(attention, image_size=2):
        assert zoom[0].tolist() == pytest.approx([1.6, 0.4], abs=1e-6)


# Against loops


@quick
@given(lively_cases)
def test_positions_agree_with_loops(case):
    x, y = case.positions()
    for k, attention in enumerate(case.attention.tolist()):
        zoom_x, zoom_y, _ = reference.zoom_and_cap(attention, case.image_size, case.max_zoom)
        assert x[k].tolist() == pytest.approx(reference.positions(zoom_x, case.out_size[1]), abs=1e-6)
        assert y[k].tolist() == pytest.approx(reference.positions(zoom_y, case.out_size[0]), abs=1e-6)


@slow_reference
@given(lively_cases)
def test_sampled_images_agree_with_loops(case):
    sampled = case.sample()
    for k, (image, attention) in enumerate(zip(case.images.tolist(), case.attention.tolist(), strict=True)):
        expected = reference.attention_sample(image, attention, case.out_size, case.max_zoom, case.antialias)
        torch.testing.assert_close(sampled[k], torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


@slow_reference
@given(exact_cases)
def test_images_are_read_bilinearly_at_the_positions(case):
    case = case._replace(antialias=False)
    sampled, (x, y) = case.sample(), case.positions()
    for k, image in enumerate(case.images.tolist()):
        expected = [reference.read_at(channel, x[k].tolist(), y[k].tolist()) for channel in image]
        torch.testing.assert_close(sampled[k], torch.tensor(expected, dtype=torch.float64))


# The matrices


@quick
@given(cases())
def test_the_rows_of_the_matrices_are_weights(case):
    matrices = sampling_matrices(case.attention, case.image_size, case.out_size, case.max_zoom, case.antialias)
    for matrix, n, side in zip(matrices, case.out_size, case.image_size, strict=True):
        assert matrix.shape == (len(case.attention), n, side)
        assert matrix.dtype == (torch.float64 if case.attention.dtype == torch.float64 else torch.float32)
        assert (matrix >= 0).all()
        torch.testing.assert_close(matrix.sum(2), torch.ones_like(matrix[..., 0]))


@quick
@given(exact_cases)
def test_the_matrices_sample_the_images(case):
    a_y, a_x = sampling_matrices(case.attention, case.image_size, case.out_size, case.max_zoom, case.antialias)
    product = torch.einsum("bij,bcjk,blk->bcil", a_y, case.images, a_x)
    torch.testing.assert_close(case.sample(), product)


@slow_reference
@given(lively_cases)
def test_the_matrices_agree_with_loops(case):
    a_y, a_x = sampling_matrices(case.attention, case.image_size, case.out_size, case.max_zoom, case.antialias)
    for k, attention in enumerate(case.attention.tolist()):
        zooms = reference.zoom_and_cap(attention, case.image_size, case.max_zoom)[:2]
        for matrix, zoom, n in zip((a_x, a_y), zooms, case.out_size[::-1], strict=True):
            for j in range(len(zoom)):
                # Column j of the matrix is how a line with a single 1 at pixel j is read.
                line = [[float(j == l) for l in range(len(zoom))]]
                if case.antialias:
                    expected = reference.average_over(line, reference.cells(zoom, n), [(0, 1)])
                else:
                    expected = reference.read_at(line, reference.positions(zoom, n), [0.5])
                assert matrix[k, :, j].tolist() == pytest.approx(expected[0], abs=1e-5)


def test_a_compressed_background_does_not_alias():
    # Stripes one pixel wide in the background, which gets less than a sample for every pixel: their mean is 1/2.
    line = torch.full((32,), 0.05)
    line[24:28] = 1
    attention = torch.outer(line, line)[None]
    stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    contrast = [
        (attention_sample(stripes, attention, 12, antialias=antialias)[..., :2] - 0.5).abs().max()
        for antialias in (False, True)
    ]
    assert contrast[1] < 0.15 < contrast[0]


# Gradients


@pytest.mark.parametrize("antialias", [False, True])
def test_gradients_of_the_images_are_right(antialias):
    images = torch.rand(2, 2, 4, 5, generator=seeded(0), dtype=torch.float64, requires_grad=True)
    attention = torch.rand(2, 3, 3, generator=seeded(1), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda images: attention_sample(images, attention, (3, 6), antialias=antialias), (images,)
    )


@pytest.mark.parametrize("antialias", [False, True])
def test_no_gradient_flows_into_the_attention(antialias):
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    attention = torch.rand(2, 4, 4, requires_grad=True)
    attention_sample(images, attention, 5, antialias=antialias).sum().backward()
    assert images.grad is not None
    assert attention.grad is None
    for part in (
        *zoom_profiles(attention, 8),
        *sampling_positions(attention, 8, 5),
        *sampling_matrices(attention, 8, 5, antialias=antialias),
    ):
        assert not part.requires_grad


# Bad input


CALLS = {
    "zoom_profiles": lambda attention, **options: zoom_profiles(attention, 8, **options),
    "sampling_positions": lambda attention, **options: sampling_positions(attention, 8, 4, **options),
    "sampling_matrices": lambda attention, **options: sampling_matrices(attention, 8, 4, **options),
    "attention_sample": lambda attention, **options: attention_sample(torch.ones(2, 3, 8, 8), attention, 4, **options),
}


def spoilt(value):
    attention = torch.ones(2, 4, 4)
    attention[1, 2, 3] = value
    return attention


@pytest.mark.parametrize("attention", [torch.ones(2, 4), torch.ones(2, 4, 4, dtype=torch.int64), None])
def test_attention_of_another_shape_or_type_is_rejected(attention):
    for call in CALLS.values():
        with pytest.raises(TypeError, match=r"\battention\b"):
            call(attention)


@pytest.mark.parametrize("value", [-1e-3, float("nan"), float("inf")])
def test_attention_that_is_negative_or_not_finite_is_rejected(value):
    for call in CALLS.values():
        with pytest.raises(ValueError, match=r"\battention\b"):
            call(spoilt(value))


@pytest.mark.parametrize("max_zoom", [0.99, -4.0, float("nan"), float("inf")])
def test_a_max_zoom_below_1_is_rejected(max_zoom):
    for call in CALLS.values():
        with pytest.raises(ValueError, match=r"\bmax_zoom\b"):
            call(torch.ones(2, 4, 4), max_zoom=max_zoom)


@pytest.mark.parametrize("size", [0, (-1, 4), 2.5, (4, 4, 4)], ids=str)
def test_sizes_that_are_not_pixels_are_rejected(size):
    attention, images = torch.ones(2, 4, 4), torch.ones(2, 3, 8, 8)
    for name, call in (
        ("image_size", lambda: zoom_profiles(attention, size)),
        ("image_size", lambda: sampling_matrices(attention, size, 4)),
        ("out_size", lambda: sampling_positions(attention, 8, size)),
        ("out_size", lambda: attention_sample(images, attention, size)),
        ("out_size", lambda: attention_sample(images, attention, size, antialias=True)),
    ):
        with pytest.raises((ValueError, TypeError), match=name):
            call()


@pytest.mark.parametrize("images", [torch.ones(3, 8, 8), torch.ones(1, 3, 8, 8), torch.ones(2, 3, 8, 8).byte()])
@pytest.mark.parametrize("antialias", [False, True])
def test_images_that_do_not_fit_the_attention_are_rejected(images, antialias):
    with pytest.raises((ValueError, TypeError), match=r"\bimages\b"):
        attention_sample(images, torch.ones(2, 4, 4), 4, antialias=antialias)
