"""Every odd image the world has, through the loader of one's own images, a training, and a prediction."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tasnlib
from tasnlib.data.image_file import open_image
from tasnlib.data.image_folder import load_folder
from tasnlib.data.inspection import inspected
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import load_model

SAVED_RUN = Path(__file__).parent.parent.parent / "notebooks/saved_run"


def photograph(width: int, height: int) -> Image.Image:
    """Dark above, light below, so that one sees which side is up."""
    rows = np.linspace(20, 235, height).astype(np.uint8)[:, None, None]
    return Image.fromarray(np.broadcast_to(rows, (height, width, 3)).copy())


def png_header(width: int, height: int) -> bytes:
    """A PNG of 80 bytes that claims to be as large as one likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    photograph(60, 90).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.asarray(photograph(90, 60))[..., 0].astype(np.uint16) * 257).save(path)


def cut(path: Path, share: float) -> None:
    photograph(90, 60).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def rubbish(path: Path) -> None:
    photograph(90, 60).save(path)
    content = bytearray(path.read_bytes())
    content[20:-2] = bytes(len(content) - 22)
    path.write_bytes(content)


GOOD = {
    "grey.jpg": lambda path: photograph(90, 60).convert("L").save(path),
    "grey and transparent.png": lambda path: photograph(90, 60).convert("LA").save(path),
    "RGBA.png": lambda path: photograph(90, 60).convert("RGBA").save(path),
    "CMYK.jpg": lambda path: photograph(90, 60).convert("CMYK").save(path),
    "palette.gif": lambda path: photograph(90, 60).convert("P").save(path),
    "one bit.png": lambda path: photograph(90, 60).convert("1").save(path),
    "16 bit.png": sixteen_bits,
    "turned.jpg": turned,
    "1x1.png": lambda path: photograph(1, 1).save(path),
    "1x5000.png": lambda path: photograph(1, 5000).save(path),
    "5000x1.png": lambda path: photograph(5000, 1).save(path),
    "새 사진 中文 ß.webp": lambda path: photograph(90, 60).save(path, lossless=True),
}  # fmt: skip
BAD = {
    "corrupt.jpg": rubbish,
    "truncated.jpg": lambda path: cut(path, 0.6),
    "truncated.png": lambda path: cut(path, 0.6),
    "empty.png": Path.touch,
    "bomb.png": lambda path: path.write_bytes(png_header(50_000, 50_000)),
    "larger than any.png": lambda path: path.write_bytes(png_header(2**31 - 1, 2**31 - 1)),
    "no width.png": lambda path: path.write_bytes(png_header(0, 10)),
    "text.jpg": lambda path: path.write_bytes(b"<html>404 Not Found</html>"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All of them, in two classes, each on both sides of a split."""
    home = tmp_path_factory.mktemp("data") / "내 사진 folder"
    for part in ("train", "test"):
        for number, (name, save) in enumerate({**GOOD, **BAD}.items()):
            place = home / part / ("굴뚝새" if number % 2 else "a wren")
            place.mkdir(parents=True, exist_ok=True)
            save(place / name)
    return home


def test_the_loader_knows_the_unreadable_ones_and_reads_all_others(folder):
    images = inspected(load_folder(folder, "train", image_size=32), workers=2, progress=False)
    assert {images.paths[number].name for number in images.unreadable} == set(BAD)
    assert {path.name for path in images.paths} == GOOD.keys() | BAD.keys()
    for style in ("none", "official", "modern"):
        batch = images.augmented(style, seed=0).take(range(len(images)))
        assert batch.images.shape == (len(GOOD) + len(BAD), 3, 32, 32)
    upright = [open_image(path) for path in images.paths if path.name in GOOD]
    for image in (one for one in upright if min(one.size) > 1):
        pixels = np.asarray(image).mean((1, 2))
        assert pixels[: len(pixels) // 3].mean() + 50 < pixels[-len(pixels) // 3 :].mean()


def test_a_training_on_all_of_them_is_one_of_numbers(folder, tmp_path):
    settings = Settings(
        dataset="folder", data_folder=str(folder), recipe="smoke", epochs=1, batch_size=4, num_workers=0,
        output_folder=str(tmp_path / "run"),
    )  # fmt: skip
    data = load_data(settings)
    trained = train("tasn", settings, prepare_folder(settings), data)
    assert math.isfinite(trained.history[0]["loss"])
    assert all(bool(tensor.isfinite().all()) for tensor in load_model(trained.weights_path)[0].state_dict().values())
    unreadable = [path.name in BAD for path in data[1].paths]
    assert trained.predictions["master"][torch.tensor(unreadable)].eq(-1).all()  # wrong, and not left out
    assert trained.predictions["master"][~torch.tensor(unreadable)].ge(0).all()


@pytest.fixture(scope="module")
def predictor():
    return tasnlib.load(SAVED_RUN)


def test_a_prediction_of_any_readable_one_is_finite(folder, predictor):
    for path in (path for path in (folder / "train").glob("*/*") if path.name in GOOD):
        prediction = predictor.predict(path)
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-4)
        assert bool(prediction.attention.isfinite().all())
        assert bool(prediction.structure_image.isfinite().all())
        with Image.open(path) as opened:
            assert predictor.predict(opened).probabilities == prediction.probabilities


def test_a_prediction_of_an_unreadable_one_is_rejected_naming_it(folder, predictor):
    for path in (path for path in (folder / "train").glob("*/*") if path.name in BAD):
        with pytest.raises(ValueError, match=path.name) as rejection:
            predictor.predict(path)
        assert "BytesIO" not in str(rejection.value)
