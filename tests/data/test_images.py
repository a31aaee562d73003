"""Files of every kind become images; training images are pure functions of (seed, epoch, image); points follow."""

import io
import pickle
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tasnlib.data.image_file import open_image, stored_geometry
from tasnlib.data.images import ImageFiles

SIZES = [(60, 40), (40, 60), (48, 48), (33, 90), (300, 40), (20, 24), (41, 40)]


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """Smooth enough that a JPEG of it is much like it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def birds(tmp_path) -> ImageFiles:
    folder = tmp_path / "작은 새 사진"
    paths = [folder / f"{'굴뚝새' if i % 2 else 'a wren'} {i}.jpg" for i in range(len(SIZES))]
    folder.mkdir()
    for number, (path, size) in enumerate(zip(paths, SIZES, strict=True)):
        photograph(*size, number).save(path, quality=90)
    return ImageFiles(paths, [0, 0, 0, 1, 1, 1, 1], ["robin", "wren"], 32, "birds, train")


# -- One file ----------------------------------------------------------------------------------------------------------


def ramp(high: int, dtype) -> np.ndarray:
    return (np.linspace(0, 1, 12 * 16).reshape(12, 16) * high).astype(dtype)


GREYS = np.repeat(np.rint(ramp(255, float))[..., None], 3, 2)


@pytest.mark.parametrize(
    ("pixels", "kind", "tolerance"),
    [
        (ramp(255, np.uint8), "png", 1),
        (ramp(65535, np.uint16), "png", 1),
        (ramp(65535, np.uint16), "tif", 1),
        (ramp(65535, np.int32), "tif", 1),
        (ramp(2**30, np.int32), "tif", 1),  # leaves 16 bits: by its own range
        (ramp(1, np.float32), "tif", 1),
        (ramp(255, np.float32), "tif", 1),
        (GREYS.astype(np.uint8), "bmp", 1),
    ],
)
def test_grey_of_every_depth_keeps_its_whole_range(tmp_path, pixels, kind, tolerance):
    path = tmp_path / f"grey.{kind}"
    Image.fromarray(pixels).save(path)
    found = np.asarray(open_image(path)).astype(float)
    assert found.shape == (12, 16, 3)
    assert np.abs(found - GREYS).max() <= tolerance


@pytest.mark.parametrize(
    ("pixels", "expected"),
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
    ],
)
@pytest.mark.filterwarnings("error")
def test_grey_outside_of_its_range(tmp_path, pixels, expected):
    Image.fromarray(pixels).save(tmp_path / "grey.tif")
    assert np.asarray(open_image(tmp_path / "grey.tif"))[0, :, 0].tolist() == expected


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


@pytest.mark.parametrize(
    ("mode", "kind", "colour", "expected"),
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
    ],
)
def test_every_mode_becomes_rgb_over_white(tmp_path, mode, kind, colour, expected):
    image = Image.new(mode, (16, 16), colour)
    if mode == "P":
        image.putpalette([255, 0, 0] + [0] * 765)
    image.save(tmp_path / f"one.{kind}")
    found = open_image(tmp_path / f"one.{kind}")
    assert (found.mode, found.size) == ("RGB", (16, 16))
    assert np.abs(np.asarray(found).astype(int) - expected).max() <= 3  # JPEG and CMYK are not exact


@pytest.mark.parametrize(("mode", "transparent"), [("P", 1), ("RGB", (9, 8, 7)), ("L", 40)])
def test_a_transparent_colour_lies_over_white(tmp_path, mode, transparent):
    image = Image.new(mode, (4, 4), transparent)
    if mode == "P":
        image.putpalette([0, 0, 0, 50, 60, 70] + [0] * 762)
    image.putpixel((0, 0), (9, 8, 8) if mode == "RGB" else 0)
    image.save(tmp_path / "see-through.png", transparency=transparent)
    found = open_image(tmp_path / "see-through.png")
    assert found.getpixel((1, 1)) == (255, 255, 255)
    assert found.getpixel((0, 0)) == ((9, 8, 8) if mode == "RGB" else (0, 0, 0))


# As in the EXIF standard: what the first stored row and the first stored column are in the upright image.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],  # first row: the right side; first column: the top
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_images_stand_upright(tmp_path, orientation, kind):
    upright = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"turned.{kind}", exif=exif)
    assert np.array_equal(np.asarray(open_image(tmp_path / f"turned.{kind}")), upright)
    assert stored_geometry(tmp_path / f"turned.{kind}") == (*stored.size, orientation)


def test_a_damaged_note_in_the_file_does_not_matter(tmp_path):
    photograph(20, 20, 0).save(tmp_path / "odd.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffrubbish")
    assert open_image(tmp_path / "odd.jpg").size == (20, 20)


def spoil(path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": content[: len(content) // 2],
                "header only": content[:20],
                "text": b"<html>404 Not Found</html>",
                "rubbish inside": content[:20] + bytes(len(content) - 20),
            }[how]
        )


HOW = ["missing", "folder", "empty", "truncated", "header only", "text", "rubbish inside"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["jpg", "png", "gif", "tif", "webp"])
def test_every_failure_is_a_value_error_that_names_the_file(tmp_path, how, kind):
    path = tmp_path / f"새 {how}.{kind}"
    photograph(64, 48, 0).save(path)
    spoil(path, how)
    with pytest.raises(ValueError, match=f"새 {how}.{kind}") as caught:
        open_image(path)
    assert "BytesIO" not in str(caught.value)
    expected = {"missing": "does not exist", "folder": "directory", "empty": "is empty", "text": "no image"}
    assert expected.get(how, "not a readable image") in str(caught.value)


def test_an_absurdly_large_image_is_refused(tmp_path, monkeypatch):
    photograph(64, 48, 0).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"bomb\.png.*exceeds limit"):
        open_image(tmp_path / "bomb.png")


# -- A data set --------------------------------------------------------------------------------------------------------


def test_evaluation_form_labels_and_end(birds):
    batch = birds.take(range(7))
    assert batch.images.shape == (7, 3, 32, 32)
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    for number, single in enumerate(birds):  # ends by itself
        assert torch.equal(single.images[0], batch.images[number])
    assert number == 6
    assert torch.equal(birds.take([9]).images, batch.images[2:3])  # the second pass
    with pytest.raises(IndexError, match="index is 7; it must be from 0 to 6"):
        birds[7]
    with pytest.raises(IndexError, match="index is -1"):
        birds.take([3, -1])


@pytest.mark.parametrize("style", ["official", "modern"])
def test_a_training_image_is_a_function_of_seed_epoch_and_image(birds, style, tmp_path):
    training = birds.augmented(style, seed=5)
    everything = training.take(range(21))
    assert everything.indices.tolist() == list(range(7)) * 3
    torch.manual_seed(1)  # the caller's generator plays no part, and is left alone
    state = torch.random.get_rng_state()
    for numbers in ([20], [3, 0, 3], list(range(20, -1, -1))):
        assert torch.equal(training.take(numbers).images, everything.images[numbers])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(birds.subset(7).augmented(style, seed=5).take(range(21)).images, everything.images)
    cached = birds.cached(tmp_path, progress=False).augmented(style, seed=5)
    for data in (training, cached):
        loader = DataLoader(data, batch_size=4, sampler=list(range(21)), num_workers=2, collate_fn=lambda batch: batch)
        assert torch.equal(torch.cat([batch.images for batch in loader]), everything.images)
    # Another epoch, another seed, another image: another picture.
    assert len({picture.numpy().tobytes() for picture in everything.images}) == 21
    assert (birds.augmented(style, seed=6).take(range(21)).images != everything.images).flatten(1).any(1).all()
    assert torch.equal(birds.augmented("none", seed=5).take(range(21)).images, birds.take(range(21)).images)


def test_two_images_with_the_same_pixels_are_augmented_apart(tmp_path):
    photograph(40, 40, 0).save(tmp_path / "one.png")
    twice = ImageFiles([tmp_path / "one.png"] * 2, [0, 0], ["one"], 40, "twice").augmented("official", 0)
    assert not torch.equal(*twice.take([0, 1]).images)


@pytest.mark.parametrize(("size", "place"), [
    ((60, 40), (30.5, 11.5)), ((60, 40), (45.5, 30.5)), ((40, 70), (8.5, 40.5)), ((600, 40), (290.5, 30.5)),
    ((37, 53), (20.5, 20.5)), ((120, 100), (90.5, 17.5)),
])  # fmt: skip
@pytest.mark.parametrize("orientation", STORED)
def test_points_follow_the_image(tmp_path, size, place, orientation):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    pixels += (255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 4))[..., None].astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "dot.png", exif=exif)
    points = torch.tensor([[place, (torch.nan, torch.nan)]])
    data = ImageFiles([tmp_path / "dot.png"], [0], ["dot"], 48, "dots", points=points, part_names=["dot", "unseen"])
    bright = data[0].images[0, 0].double()
    y, x = torch.meshgrid(*[torch.arange(48) + 0.5] * 2, indexing="ij")
    found = torch.stack([(bright * x).sum(), (bright * y).sum()]) / bright.sum()
    given = data.part_points([0])
    assert given.shape == (1, 2, 2)
    assert (given[0, 0] - found).abs().max() < 0.15
    assert given[0, 1].isnan().all()


def test_points_that_are_cut_off_are_not_visible(tmp_path):
    Image.new("RGB", (80, 40)).save(tmp_path / "wide.png")
    points = torch.tensor([[(19.0, 5.0), (21.0, 5.0), (59.0, 40.0), (61.0, 5.0)]])
    data = ImageFiles([tmp_path / "wide.png"] * 2, [0, 0], ["wide"], 20, "wide", points.repeat(2, 1, 1), list("abcd"))
    found = data.part_points([1])[0]
    assert found.isnan().all(1).tolist() == [True, False, False, True]
    torch.testing.assert_close(found[1:3], torch.tensor([[0.5, 2.5], [19.5, 20.0]]))
    with pytest.raises(IndexError, match="index is 2"):
        data.part_points([2])


def test_without_points_there_are_none(birds):
    with pytest.raises(ValueError, match="birds, train has no part points"):
        birds.part_points([0])


def test_an_unreadable_image_is_named_or_grey(birds):
    spoil(birds.paths[4], "truncated")
    with pytest.raises(ValueError, match=birds.paths[4].name):
        birds.take([4])
    found = birds.inspected(workers=2, progress=False)
    assert (found.unreadable, birds.unreadable) == (frozenset({4}), frozenset())
    for data in (found, found.augmented("official", 0)):
        assert (data.take([4, 11]).images == 128).all()
        assert torch.equal(data.take([4]).labels, torch.tensor([1]))
    assert torch.equal(found.take([3]).images, birds.take([3]).images)


def test_subsets_are_balanced_and_keep_what_belongs_to_each_image(tmp_path):
    paths = []
    for number in range(60):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (8, 8), (number, 0, 0)).save(paths[-1])
    points = torch.arange(120.0).view(60, 1, 2)
    data = ImageFiles(paths, [i // 12 for i in range(60)], list("abcde"), 8, "sixty", points, ["part"])
    data.unreadable = frozenset(range(0, 60, 2))
    for whole in (data, data.cached(tmp_path, progress=False)):
        some = whole.subset(25)
        assert torch.bincount(some.labels).tolist() == [5] * 5
        kept = torch.tensor([paths.index(path) for path in some.paths])
        assert torch.equal(some.points[:, 0, 0], kept * 2.0)
        assert some.unreadable == frozenset((kept % 2 == 0).nonzero()[:, 0].tolist())
        seen = some.subset(11).take(range(11)).images[:, 0, 0, 0]  # a subset of a subset
        for path, value in zip(some.subset(11).paths, seen.tolist(), strict=True):
            assert value == (paths.index(path) if paths.index(path) % 2 else 128)
    with pytest.raises(ValueError, match="count is 61; sixty allows 1 to 60"):
        data.subset(61)


def test_a_data_set_can_be_sent_to_another_process(birds, tmp_path):
    photographs = birds.cached(tmp_path, progress=False).augmented("modern", 3)
    expected = photographs.take(range(7)).images  # the cache is mapped now
    sent = pickle.dumps(photographs)
    assert len(sent) < 8000  # and not the cache itself
    assert torch.equal(pickle.load(io.BytesIO(sent)).take(range(7)).images, expected)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(("changes", "message"), [
    ({"paths": [], "labels": []}, "there is no image"),
    ({"labels": [0]}, "2 paths, but labels of shape"),
    ({"labels": [0, 2]}, "labels are 0 to 2; 2 class_names allow 0 to 1"),
    ({"labels": [-1, 0]}, "labels are -1 to 0"),
    ({"image_size": 0}, "image_size is 0"),
    ({"image_size": 24.0}, "image_size is 24.0"),
    ({"points": torch.zeros(2, 3, 2), "part_names": ["beak"]}, r"points of shape \(2, 3, 2\).*\(2, 1, 2\)"),
    ({"part_names": ["beak"]}, "points of shape None"),
])  # fmt: skip
def test_what_does_not_fit_together_is_refused(tmp_path, changes, message):
    given = {"paths": [tmp_path / "a", tmp_path / "b"], "labels": [0, 1], "class_names": ["x", "y"], "image_size": 24,
             "name": "birds"}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        ImageFiles(**{**given, **changes})


@pytest.mark.usefixtures("as_a_user")
def test_bad_styles_and_seeds_are_refused(birds):
    with pytest.raises(ValueError, match="style is 'autumn'"):
        birds.augmented("autumn", 0)
    for seed in (-1, 1.5, True):
        with pytest.raises(ValueError, match="seed is"):
            birds.augmented("official", seed)
