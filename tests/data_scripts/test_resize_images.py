"""A smaller copy of a data set is read as the original is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import resize_images
from PIL import Image

from tasnlib.data.cub200 import load_cub200
from tasnlib.data.image_folder import load_folder
from tasnlib.data.inat2017 import load_inat2017
from tasnlib.data.stanford import load_stanford_cars
from tests.data.photo_sets import (
    STORED,
    make_cub200,
    make_folder,
    make_inat2017,
    make_stanford_cars,
    photograph,
    spoil,
)
from tests.data_scripts.conftest import SCRIPTS

MAKERS = {
    "cub200": (make_cub200, load_cub200),
    "stanford_cars": (lambda folder: make_stanford_cars(folder, "nested"), load_stanford_cars),
    "inat2017": (make_inat2017, load_inat2017),
    "folder": (make_folder, load_folder),
}


def resize(source: Path, copy: Path, *options: str) -> None:
    assert resize_images.main([str(source), str(copy), "--size", "32", "--processes", "2", *options]) == 0


@pytest.mark.parametrize("name", MAKERS)
def test_every_loader_reads_the_copy_as_the_original(tmp_path, name):
    make, load = MAKERS[name]
    make(tmp_path / "original")
    resize(tmp_path / "original", tmp_path / "copy")
    for split in ("train", "test"):
        original, copy = (load(tmp_path / place, split, image_size=32) for place in ("original", "copy"))
        assert [path.relative_to(copy.root) for path in copy.paths] == [
            path.relative_to(original.root) for path in original.paths
        ]
        assert copy.labels.equal(original.labels)
        assert copy.class_names == original.class_names
        everything = range(len(copy))
        unlike = (copy.take(everything).images.float() - original.take(everything).images.float()).abs()
        assert unlike.mean() < 2  # levels of 255: JPEG
        for path in copy.paths:
            with Image.open(path) as image:
                assert min(image.size) == 32


def test_images_come_out_upright_and_small_or_broken_ones_as_they_were(tmp_path, capsys):
    source, copy = tmp_path / "photos" / "wren", tmp_path / "copy"
    source.mkdir(parents=True)
    upright = photograph(60, 90, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.ascontiguousarray(STORED[6](np.asarray(upright)))
    Image.fromarray(stored).save(source / "turned.png", exif=exif)
    photograph(20, 30, 1).save(source / "small.jpg")
    photograph(200, 300, 1).save(source / "lossless.webp", lossless=True)
    photograph(60, 60, 1).save(source / "broken.jpg")
    spoil(source / "broken.jpg", "truncated")
    (source / "notes.txt").write_text("a list")
    resize(tmp_path / "photos", copy)
    with Image.open(copy / "wren" / "turned.png") as image:
        assert image.size == (32, 48)
        assert image.getexif().get(0x0112, 1) == 1
        assert image.tobytes() == upright.resize((32, 48), Image.Resampling.BILINEAR).tobytes()
    with Image.open(copy / "wren" / "lossless.webp") as image:
        assert (image.format, image.size) == ("PNG", (32, 48))
    for name in ("small.jpg", "broken.jpg", "notes.txt"):
        assert (copy / "wren" / name).read_bytes() == (source / name).read_bytes()
    assert "1 images could not be read" in capsys.readouterr().out


def test_what_is_finished_is_not_made_again(tmp_path):
    home, copy = make_folder(tmp_path / "mine", "classes"), tmp_path / "copy"
    resize(home, copy)
    files = sorted(path for path in copy.glob("*/*") if path.is_file())
    inodes = [path.stat().st_ino for path in files]
    changed, missing = files[5], files[-1]
    os.utime(home / changed.relative_to(copy), ns=(0, 0))
    missing.unlink()
    resize(home, copy)
    assert sorted(path for path in copy.glob("*/*") if path.is_file()) == files
    after = [path.stat().st_ino for path in files]
    assert [path for path, a, b in zip(files, inodes, after, strict=True) if a != b and path != missing] == [changed]
    with pytest.raises(SystemExit):
        resize_images.main([str(home), str(copy), "--size", "33"])


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_an_odd_entry_does_not_keep_the_others_from_being_copied(tmp_path, capsys):
    source, copy, long = tmp_path / "photos", tmp_path / "copy", "x" * 246 + ".jpg"
    (source / "wren").mkdir(parents=True)
    for name in ("good.jpg", "zebra.jpg", long):
        photograph(60, 60, 1).save(source / "wren" / name)
    (source / "wren" / "broken.jpg").write_bytes(b"no image")
    (source / "wren" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (source / "wren" / "up").symlink_to(source)
    for _ in range(2):  # what cannot be read is named again
        resize(source, copy)
        said = capsys.readouterr().out
        assert "gone.jpg is left out: No such file" in said
        assert "broken.jpg is not a readable image: it has no known image format; copied unchanged" in said
        assert "5 files in" in said
        assert "2 images could not be read" in said
    names = sorted(path.name for path in (copy / "wren").iterdir())
    assert names == sorted(["good.jpg", "zebra.jpg", long, "broken.jpg"])


def test_arguments_that_cannot_be_are_a_sentence(tmp_path, capsys):
    home = make_folder(tmp_path / "mine", "classes")
    (tmp_path / "file").touch()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / resize_images.NOTE).write_text("{")
    for copy, options in (("file", ()), ("copy", ()), ("new", ("--megapixels", "inf"))):
        with pytest.raises(SystemExit) as ended:
            resize_images.main([str(home), str(tmp_path / copy), *options])
        assert ended.value.code == 2
    assert "was not made by this command" in capsys.readouterr().err


def test_a_stopped_run_goes_on(tmp_path):
    source, copy = tmp_path / "photos", tmp_path / "copy"
    (source / "wren").mkdir(parents=True)
    for number in range(40):
        photograph(600, 450, number).save(source / "wren" / f"{number}.png", compress_level=0)
    run = [
        sys.executable,
        str(SCRIPTS / "resize_images.py"),
        str(source),
        str(copy),
        "--size",
        "300",
        "--processes",
        "1",
    ]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while len(list(copy.glob("wren/*.png"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(copy.glob("wren/*.png"))) < 40
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    for number in range(40):
        with Image.open(copy / "wren" / f"{number}.png") as image:
            image.load()
            assert image.size == (400, 300)


def test_a_copy_inside_of_the_original_is_rejected(tmp_path, capsys):
    for number, copy in enumerate(["photos", "photos/copy", "."]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "photos").mkdir()
        with pytest.raises(SystemExit):
            resize_images.main([str(folder / "photos"), str(folder / copy)])
        assert "overlap" in capsys.readouterr().err


def test_very_large_images_are_read_where_that_is_asked_for(tmp_path, monkeypatch, capsys):
    (tmp_path / "photos" / "maps").mkdir(parents=True)
    photograph(64, 48, 0).save(tmp_path / "photos" / "maps" / "map.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    resize(tmp_path / "photos", tmp_path / "first", "--megapixels", "0.001")
    assert "exceeds limit" in capsys.readouterr().out
    resize(tmp_path / "photos", tmp_path / "second", "--megapixels", "0.004")
    assert "could not be read" not in capsys.readouterr().out
