"""Each random step against its definition, by figures taken from the pixels it gives."""

import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from tasnlib.data import transforms
from tasnlib.data.transforms import MEAN_COLOUR, augment, draw_window, evaluation, resize_short_side, to_tensor


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def noise_image(width: int, height: int, low: int = 0, high: int = 256) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8))


def is_uniform(values, low: float, high: float) -> bool:
    assert low <= min(values)
    assert max(values) <= high
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


def luminance(colours: np.ndarray) -> np.ndarray:
    return colours @ [0.299, 0.587, 0.114]


def test_resizing_is_bilinear_and_antialiased():
    for size in [(50, 37), (37, 50), (200, 170), (40, 40)]:
        image = noise_image(*size)
        resized = resize_short_side(image, 40)
        assert min(resized.size) == 40
        assert max(resized.size) == round(40 * max(size) / min(size))
        expected = torch.nn.functional.interpolate(
            to_tensor(image)[None].double(), resized.size[::-1], mode="bilinear", antialias=True
        )
        # Pillow rounds after each of the two directions.
        assert (to_tensor(resized)[None] - expected).abs().max() <= 1.01


def test_a_thin_strip_is_cut_to_its_middle():
    for turned in [False, True]:
        strip = np.zeros((1, 5000, 3), np.uint8)
        strip[0, 2498:2502] = 255
        image = Image.fromarray(strip.transpose(1, 0, 2) if turned else strip)
        resized = resize_short_side(image, 16)
        assert resized.size == ((16, 64) if turned else (64, 16))
        assert np.asarray(resized).min() == 255


def test_evaluation_is_the_square_in_the_middle():
    for size in [(64, 48), (48, 65), (48, 48)]:
        image = noise_image(*size)
        left, top = (size[0] - 48) // 2, (size[1] - 48) // 2
        assert torch.equal(evaluation(image, 48), to_tensor(image)[:, top : top + 48, left : left + 48])
        assert torch.equal(augment("none", image, 48), evaluation(image, 48))


def test_official_windows_lie_everywhere_equally():
    for width, height in [(70, 48), (48, 70)]:
        windows = np.array([draw_window("official", width, height, 48) for _ in range(4600)])
        long, short = (0, 1) if width > height else (1, 0)
        assert (windows[:, 2:] == 48).all()
        assert (windows[:, short] == 0).all()
        counts = np.bincount(windows[:, long], minlength=23)
        assert len(counts) == 23
        assert stats.chisquare(counts).pvalue > 1e-3


def test_modern_windows_keep_to_area_aspect_and_image():
    for width, height in [(64, 64), (85, 64), (64, 256)]:
        left, top, across, down = np.array([draw_window("modern", width, height, 64) for _ in range(500)]).T
        assert (left >= 0).all()
        assert (top >= 0).all()
        assert (left + across <= width).all()
        assert (top + down <= height).all()
        rounding = 1.05  # sides are whole pixels
        assert (across / down).min() >= 3 / 4 / rounding
        assert (across / down).max() <= 4 / 3 * rounding
        if height == 64:
            share = across * down / width / height
            assert 0.4 / rounding < share.min() < 0.5
            assert share.max() > 0.85
        assert (64 / np.minimum(across, down)).max() <= 1 / math.sqrt(0.4 * 3 / 4) * rounding


@pytest.mark.parametrize("style", ["official", "modern"])
def test_half_of_the_images_are_flipped(style):
    image = np.full((32, 32, 3), 60, np.uint8)
    image[:, :16] = 160
    changed = torch.stack([augment(style, Image.fromarray(image), 32) for _ in range(400)]).float()
    flipped = int((changed[..., 8:12].mean((1, 2, 3)) < changed[..., 20:24].mean((1, 2, 3))).sum())
    assert 160 < flipped < 240  # 4 standard deviations


@pytest.mark.parametrize("jitter", [0.4])
def test_the_three_factors_found_in_the_pixels_are_uniform(jitter):
    # Colours near the middle, so that nothing is clipped. A wide image, since each pixel is rounded.
    image = noise_image(64, 64, 70, 131)
    before = np.asarray(image).reshape(-1, 3).astype(float)
    found = []
    for _ in range(300):
        after = np.asarray(transforms._change_colours(image, jitter, 0.0)).reshape(-1, 3).astype(float)
        # Contrast and saturation leave the mean grey as it is; saturation leaves each pixel's grey as it is.
        brightness = luminance(after).mean() / luminance(before).mean()
        spread = np.polyfit(luminance(before), luminance(after), 1)[0]
        colourful = np.polyfit(before[:, 0] - before[:, 1], after[:, 0] - after[:, 1], 1)[0]
        found.append([brightness, spread / brightness, colourful / spread])
    slack = 0.004  # of the fit
    for factor in np.array(found).T:
        assert is_uniform(factor, 1 - jitter - slack, 1 + jitter + slack)
        assert factor.min() < 1 - 0.95 * jitter
        assert factor.max() > 1 + 0.95 * jitter
    assert np.abs(np.corrcoef(np.array(found).T) - np.eye(3)).max() < 0.2


def test_jitter_is_the_three_steps_one_after_the_other_in_any_order():
    for order in itertools.permutations(range(3)):
        image = noise_image(40, 30)
        torch.manual_seed(0)
        changed = np.asarray(transforms._change_colours(image, 0.4, 0.0)).astype(float)
        torch.manual_seed(0)
        factors = torch.rand(3, dtype=torch.float64).numpy() * 0.8 + 0.6
        pixels = np.asarray(image).astype(float)
        for step in order:
            other = [0.0, luminance(pixels).mean(), luminance(pixels)[..., None]][step]
            pixels = factors[step] * pixels + (1 - factors[step]) * other
        assert np.abs(changed - pixels.clip(0, 255)).max() < 0.51


def test_colour_noise_has_the_covariance_of_its_definition():
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    shifts = np.array([transforms._change_colours(grey, 0.0, 0.1).getpixel((0, 0)) for _ in range(6000)]) - 128.0
    components = np.array(transforms.COLOUR_COMPONENTS)
    assert np.abs(components.T @ components - np.eye(3)).max() < 1e-3  # or a digit is wrong
    deviations = 0.1 * 255 * np.array(transforms.COLOUR_DEVIATIONS)
    expected = components @ np.diag(deviations**2) @ components.T
    assert np.abs(shifts.mean(0)).max() < 0.2
    np.testing.assert_allclose(np.cov(shifts.T), expected + np.eye(3) / 12, rtol=0.08)  # 1/12: the rounding
    assert np.abs(augment("modern", grey.resize((8, 8)), 8).diff(dim=0).float()).max() <= 1  # none of it there


def test_rotation_is_uniform_and_fills_the_corners_with_the_mean_colour():
    size, radius = 64, 22
    y, x = np.mgrid[:size, :size] + 0.5
    disc = np.hypot(x - 32, y - 32) < 30
    dot = np.exp(-((x - 32) ** 2 + (y - 32 + radius) ** 2) / 8)  # straight up: a flip leaves it there
    image = Image.fromarray(np.repeat((20 + 120 * dot)[..., None], 3, 2).astype(np.uint8))
    angles = []
    for _ in range(400):
        turned = augment("official", image, size).numpy().astype(float)
        grey = turned.mean(0)
        weight = np.where(disc, grey - np.median(grey[disc]), 0)
        weight = np.where(weight > 0.3 * weight.max(), weight, 0)
        right, up = (weight * (x - 32)).sum(), (weight * (32 - y)).sum()
        angles.append(math.degrees(math.atan2(-right, up)))  # against the clock
        assert abs(math.hypot(right, up) / weight.sum() - radius) < 0.7
        if abs(angles[-1]) > 3:
            assert turned[:, 0, 0].tolist() == list(MEAN_COLOUR)
    assert is_uniform(angles, -31, 31)
    assert max(angles) > 28
    assert min(angles) < -28
    # What normalisation makes of that colour: 0 to half a step of 8 bits.
    assert np.abs(np.array(MEAN_COLOUR) / 255 - [0.485, 0.456, 0.406]).max() <= 0.5 / 255


def test_errors_say_what_is_allowed():
    with pytest.raises(ValueError, match="style is 'autumn'; it must be one of none, official, modern"):
        augment("autumn", noise_image(48, 48), 48)
    with pytest.raises(ValueError, match="50 x 60; it must be RGB, its short side resized to 48"):
        augment("none", noise_image(50, 60), 48)
