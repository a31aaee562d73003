"""Each random step against its definition, by figures taken from the pixels it gives."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor

from tasnlib.data import transforms
from tasnlib.data.transforms import augment, augmentation, resize_short_side


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
            pil_to_tensor(image)[None].double(), resized.size[::-1], mode="bilinear", antialias=True
        )
        # Pillow rounds after each of the two directions.
        assert (pil_to_tensor(resized)[None] - expected).abs().max() <= 1.01


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
        assert torch.equal(augment("none", image, 48), pil_to_tensor(image)[:, top : top + 48, left : left + 48])


def test_official_windows_lie_everywhere_equally():
    for width, height in [(70, 48), (48, 70)]:
        ramp = np.indices((height, width))[0 if height > width else 1].astype(np.uint8)
        crop = next(step for step in augmentation("official", 48).transforms if isinstance(step, v2.RandomCrop))
        starts = [crop(Image.fromarray(ramp)).getpixel((0, 0)) for _ in range(4600)]
        counts = np.bincount(starts, minlength=23)
        assert len(counts) == 23
        assert stats.chisquare(counts).pvalue > 1e-3


def test_modern_windows_keep_to_area_and_aspect():
    y, x = np.indices((240, 200))
    image = Image.fromarray(np.stack([x, y, x], 2).astype(np.uint8))  # a pixel's colour is its place
    for _ in range(100):
        pixels = pil_to_tensor(augmentation("modern", 200).transforms[0](image)).float()
        across = (pixels[0, :, -9].mean() - pixels[0, :, 8].mean()) * 200 / 183
        down = (pixels[1, -9].mean() - pixels[1, 8].mean()) * 200 / 183
        assert 0.38 < across * down / (200 * 240) < 1.02
        assert 3 / 4 / 1.05 < across / down < 4 / 3 * 1.05


@pytest.mark.parametrize("style", ["official", "modern"])
def test_half_of_the_images_are_flipped(style):
    image = np.full((32, 32, 3), 60, np.uint8)
    image[:, :16] = 160
    changed = torch.stack([augment(style, Image.fromarray(image), 32) for _ in range(400)]).float()
    flipped = int((changed[..., 8:12].mean((1, 2, 3)) < changed[..., 20:24].mean((1, 2, 3))).sum())
    assert 160 < flipped < 240  # 4 standard deviations


@pytest.mark.parametrize(("style", "jitter"), [("official", 0.4), ("modern", 0.2)])
def test_the_three_factors_found_in_the_pixels_are_uniform(style, jitter):
    # Colours near the middle, so that nothing is clipped. A wide image, since each pixel is rounded.
    image = noise_image(64, 64, 70, 131)
    step = next(one for one in augmentation(style, 64).transforms if isinstance(one, v2.ColorJitter))
    before = np.asarray(image).reshape(-1, 3).astype(float)
    found = []
    for _ in range(300):
        after = np.asarray(step(image)).reshape(-1, 3).astype(float)
        # Contrast and saturation leave the mean grey as it is; saturation leaves each pixel's grey as it is.
        brightness = luminance(after).mean() / luminance(before).mean()
        spread = np.polyfit(luminance(before), luminance(after), 1)[0]
        colourful = np.polyfit(before[:, 0] - before[:, 1], after[:, 0] - after[:, 1], 1)[0]
        found.append([brightness, spread / brightness, colourful / spread])
    slack = 0.04  # of the fit: Pillow rounds each of the three steps down, up to 2 levels of 70
    for factor in np.array(found).T:
        assert 1 - jitter - slack < factor.min() < 1 - 0.9 * jitter
        assert 1 + 0.9 * jitter < factor.max() < 1 + jitter + slack
        assert stats.kstest(factor, "uniform", (1 - jitter, 2 * jitter)).pvalue > 1e-3
    assert np.abs(np.corrcoef(np.array(found).T) - np.eye(3)).max() < 0.2


def test_colour_noise_has_the_covariance_of_its_definition():
    grey = torch.full((3, 1, 1), 128, dtype=torch.uint8)
    shifts = np.array([transforms.add_colour_noise(grey).flatten().tolist() for _ in range(6000)]) - 128.0
    components = np.array(transforms.COLOUR_COMPONENTS)
    assert np.abs(components.T @ components - np.eye(3)).max() < 1e-3  # or a digit is wrong
    deviations = 0.1 * 255 * np.array(transforms.COLOUR_DEVIATIONS)
    expected = components @ np.diag(deviations**2) @ components.T
    assert np.abs(shifts.mean(0)).max() < 0.2
    np.testing.assert_allclose(np.cov(shifts.T), expected + np.eye(3) / 12, rtol=0.08)  # 1/12: the rounding
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).expand(3, 1, 2)
    for _ in range(20):  # clipped, not wrapped around
        dark, bright = transforms.add_colour_noise(black_and_white).float().mean((0, 1)).tolist()
        assert dark < 80
        assert bright > 175


def test_rotation_is_uniform_and_fills_the_corners_with_white():
    size, radius = 64, 22
    y, x = np.mgrid[:size, :size] + 0.5
    disc = np.hypot(x - 32, y - 32) < 30
    dot = np.exp(-((x - 32) ** 2 + (y - 32 + radius) ** 2) / 8)  # straight up: a flip leaves it there
    image = Image.fromarray(np.repeat((20 + 120 * dot)[..., None], 3, 2).astype(np.uint8))
    angles = []
    for _ in range(400):
        turned = pil_to_tensor(augmentation("official", size).transforms[0](image)).numpy().astype(float)
        grey = turned.mean(0)
        weight = np.where(disc, grey - np.median(grey[disc]), 0)
        weight = np.where(weight > 0.3 * weight.max(), weight, 0)
        right, up = (weight * (x - 32)).sum(), (weight * (32 - y)).sum()
        angles.append(math.degrees(math.atan2(-right, up)))  # against the clock
        assert abs(math.hypot(right, up) / weight.sum() - radius) < 0.7
        if abs(angles[-1]) > 3:
            assert turned[:, 0, 0].tolist() == [255] * 3
    assert is_uniform(angles, -31, 31)
    assert max(angles) > 28
    assert min(angles) < -28


@pytest.mark.parametrize("style", ["official", "modern"])
def test_the_seed_decides_every_pixel(style):
    image = noise_image(60, 48)
    pictures = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        pictures.append(augment(style, image, 48))
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


def test_errors_say_what_is_allowed():
    with pytest.raises(ValueError, match=r"style is 'autumn'; it must be one of none, official, modern"):
        augment("autumn", noise_image(48, 48), 48)
    with pytest.raises(ValueError, match="\\(50, 60\\); it must be RGB, its short side resized to 48"):
        augment("none", noise_image(50, 60), 48)
