"""The picture that a reader opens under the bump of attention."""

import io

import pytest
import torch
from PIL import Image

from tasnlib.course.widgets.bump import SIDE, open_picture


def content(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((300, 200), (SIDE, round(1.5 * SIDE))),
        ((10, 10), (SIDE, SIDE)),
        ((1, 5000), (2 * SIDE, SIDE)),  # of long pictures, the middle
        ((900, 3), (SIDE, 2 * SIDE)),
    ],
)
def test_any_picture_becomes_one_of_a_handy_size(size, shape):
    picture = open_picture(content(Image.new("RGB", size, (255, 0, 51))))
    assert picture.shape == (3, *shape)
    torch.testing.assert_close(picture.mean(dim=(1, 2)), torch.tensor([1.0, 0.0, 0.2]))


def test_it_stands_upright():
    image = Image.new("RGB", (200, 100), "white")
    image.paste("black", (0, 0, 200, 50))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture = open_picture(content(image, "JPEG", exif=exif))
    assert picture.shape == (3, 2 * SIDE, SIDE)
    assert picture[:, :, SIDE * 3 // 4 :].mean() < 0.05  # now at the right
    assert picture[:, :, : SIDE // 4].mean() > 0.95


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "I;16"])
def test_it_may_be_of_any_mode(mode):
    image = Image.new(mode, (20, 30))
    assert open_picture(content(image, "TIFF")).shape == (3, round(1.5 * SIDE), SIDE)


def test_transparent_is_white():
    assert open_picture(content(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))).min() == 1


@pytest.mark.parametrize("damaged", [b"", b"no image", content(Image.new("RGB", (99, 99)))[:60]], ids=len)
def test_what_is_no_image_is_refused_in_words(damaged):
    with pytest.raises(ValueError, match=r"^this file is not a readable image: "):
        open_picture(damaged)
