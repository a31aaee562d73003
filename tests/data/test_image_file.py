"""Files of every format become upright RGB images; what cannot be read is named."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tasnlib.data.image_file import open_image
from tests.data.photo_sets import STORED, photograph, spoil


def ramp(high: int, dtype) -> np.ndarray:
    return (np.linspace(0, 1, 12 * 16).reshape(12, 16) * high).astype(dtype)


GREYS = np.repeat(np.rint(ramp(255, float))[..., None], 3, 2)


def test_grey_of_every_depth_keeps_its_whole_range(tmp_path):
    for number, (pixels, kind) in enumerate(
        [
            (ramp(255, np.uint8), "png"),
            (ramp(65535, np.uint16), "png"),
            (ramp(65535, np.int32), "tif"),
            (ramp(2**30, np.int32), "tif"),  # leaves 16 bits: by its own range
            (ramp(1, np.float32), "tif"),
            (ramp(255, np.float32), "tif"),
            (GREYS.astype(np.uint8), "bmp"),
            *((ramp(2**bits - 1, np.uint16), "png") for bits in (10, 12, 14)),  # in files of 16 bits
            (ramp(2**12 - 1, np.uint16), "tif"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"grey.{kind}"
        Image.fromarray(pixels).save(path)
        found = np.asarray(open_image(path)).astype(float)
        assert found.shape == (12, 16, 3)
        assert np.abs(found - GREYS).max() <= 1


@pytest.mark.filterwarnings("error")
def test_grey_outside_of_its_range(tmp_path):
    for number, (pixels, expected) in enumerate(
        [
            (np.array([[-100, 0, 100]], np.int32), [0, 128, 255]),  # below what its kind has: by its own range
            (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
            (np.array([[np.inf, 0.5, -np.inf, np.nan]], np.float32), [255, 128, 0, 0]),
            (np.full((1, 2), 70000, np.int32), [255, 255]),  # alike throughout: no range of their own
            (np.full((1, 2), -5, np.int32), [0, 0]),
            (np.full((1, 2), 257, np.int32), [1, 1]),
            (np.full((1, 2), 7.0, np.float32), [255, 255]),
            (np.full((1, 2), 0.2, np.float32), [51, 51]),
            (np.full((1, 2), np.inf, np.float32), [255, 255]),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        Image.fromarray(pixels).save(folder / "grey.tif")
        assert np.asarray(open_image(folder / "grey.tif"))[0, :, 0].tolist() == expected


def test_big_endian_16_bits(tmp_path):
    values = ramp(65535, ">u2")
    # A minimal TIFF of its own, for Pillow writes none of this kind.
    tags = [(256, 3, 16), (257, 3, 12), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 12),
            (279, 4, values.nbytes)]  # fmt: skip
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    content = b"MM" + struct.pack(">HI", 42, 8 + values.nbytes) + values.tobytes()
    (tmp_path / "big.tif").write_bytes(content + struct.pack(">H", len(tags)) + entries + bytes(4))
    assert np.abs(np.asarray(open_image(tmp_path / "big.tif")).astype(float) - GREYS).max() <= 1


def test_every_mode_becomes_rgb_over_white(tmp_path):
    for number, (mode, kind, colour, expected) in enumerate(
        [
            ("1", "png", 1, (255, 255, 255)),
            ("P", "gif", 0, (255, 0, 0)),
            ("RGBA", "png", (255, 0, 0, 128), (255, 127, 127)),
            ("RGBA", "webp", (9, 9, 9, 0), (255, 255, 255)),
            ("LA", "png", (0, 51), (204, 204, 204)),
            ("CMYK", "jpg", (0, 255, 255, 0), (255, 0, 0)),
            ("CMYK", "tif", (255, 0, 255, 0), (0, 255, 0)),
            ("YCbCr", "jpg", (76, 85, 255), (254, 0, 0)),
            ("RGB", "ppm", (1, 2, 3), (1, 2, 3)),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        image = Image.new(mode, (16, 16), colour)
        if mode == "P":
            image.putpalette([255, 0, 0] + [0] * 765)
        image.save(folder / f"one.{kind}")
        found = open_image(folder / f"one.{kind}")
        assert (found.mode, found.size) == ("RGB", (16, 16))
        assert np.abs(np.asarray(found).astype(int) - expected).max() <= 3  # JPEG and CMYK are not exact


def test_a_transparent_colour_lies_over_white(tmp_path):
    for number, (mode, transparent) in enumerate([("P", 1), ("RGB", (9, 8, 7)), ("L", 40)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        image = Image.new(mode, (4, 4), transparent)
        if mode == "P":
            image.putpalette([0, 0, 0, 50, 60, 70] + [0] * 762)
        image.putpixel((0, 0), (9, 8, 8) if mode == "RGB" else 0)
        image.save(folder / "see-through.png", transparency=transparent)
        found = open_image(folder / "see-through.png")
        assert found.getpixel((1, 1)) == (255, 255, 255)
        assert found.getpixel((0, 0)) == ((9, 8, 8) if mode == "RGB" else (0, 0, 0))


def test_images_stand_upright(tmp_path):
    for number, (orientation, kind) in enumerate([*((turn, "png") for turn in STORED), (6, "tif")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        upright = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(folder / f"turned.{kind}", exif=exif)
        assert np.array_equal(np.asarray(open_image(folder / f"turned.{kind}")), upright)


def test_a_damaged_note_in_the_file_does_not_matter(tmp_path):
    photograph(20, 20, 0).save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffrubbish")
    assert open_image(tmp_path / "odd.jpg").size == (20, 20)


HOW = ["missing", "folder", "empty", "truncated", "header only", "text", "rubbish inside"]


def test_every_failure_is_a_value_error_that_names_the_file(tmp_path):
    for number, how in enumerate(HOW):
        folder = tmp_path / str(number)
        folder.mkdir()
        for kind in ("jpg", "png", "gif", "tif", "webp"):
            path = folder / f"새 {how}.{kind}"
            photograph(64, 48, 0).save(path)
            spoil(path, how)
            with pytest.raises(ValueError, match=f"새 {how}.{kind}") as caught:
                open_image(path)
            assert "BytesIO" not in str(caught.value)


def test_a_very_large_image_is_named_with_a_remedy(tmp_path, monkeypatch):
    photograph(64, 48, 0).save(tmp_path / "map.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"map\.png.*exceeds limit.*resize_images\.py with --megapixels"):
        open_image(tmp_path / "map.png")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(
    "text",
    [
        png_chunk(b"zTXt", b"notes\0\0" + zlib.compress(b"x" * 2_000_000)),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 2_000_000)),
        png_chunk(b"tEXt", b"notes\0" + b"x" * 900_000) * 80,
    ],
    ids=["zTXt", "iTXt", "tEXt"],
)
def test_a_png_with_long_text_is_read(tmp_path, text):
    plain, wordy = tmp_path / "plain.png", tmp_path / "wordy.png"
    photograph(20, 12, 0).save(plain)
    content = plain.read_bytes()
    wordy.write_bytes(content[:33] + text + content[33:])  # behind the header
    assert open_image(wordy).tobytes() == open_image(plain).tobytes()


def test_a_path_as_people_paste_it(tmp_path):
    for number, typed in enumerate(["'{}'", ' "{}" ', "{} "]):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "wren.png"
        photograph(20, 12, 0).save(path)
        assert open_image(typed.format(path)).size == (20, 12)
