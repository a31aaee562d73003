"""The cache gives the same pixels as the files, notices what is wrong with it, and leaves nothing half-made."""

import os
import shutil
import threading
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image

from tasnlib.data import cache as cache_module
from tasnlib.data.images import ImageFiles

SIZES = [(60, 40), (40, 60), (48, 48), (33, 90), (300, 40), (20, 24)]


@pytest.fixture
def photos(tmp_path) -> ImageFiles:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, (width, height) in enumerate(SIZES):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((width, height)).save(folder / f"{number}.jpg")
    Image.fromarray(coarse).save(folder / "6.jpg", exif=orientation(6))
    return ImageFiles([folder / f"{n}.jpg" for n in range(7)], [0] * 7, ["one"], 32, "photos")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "캐시 폴더"


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def cached(photos: ImageFiles, store) -> ImageFiles:
    return photos.cached(store, workers=2, progress=False)


def written(monkeypatch) -> list:
    """Filled with one entry each time a cache file is made."""
    calls, write = [], cache_module._write

    def counted(*args):
        calls.append(args)
        write(*args)

    monkeypatch.setattr(cache_module, "_write", counted)
    return calls


@pytest.mark.parametrize("style", ["none", "official", "modern"])
def test_pixels_are_those_of_the_files(photos, store, style):
    expected = photos.augmented(style, 1).take(range(28)).images
    fast = cached(photos, store)
    for path in photos.paths:
        path.unlink()
    assert torch.equal(fast.augmented(style, 1).take(range(28)).images, expected)


def test_what_is_unreadable_stays_grey_and_takes_no_space(photos, store):
    photos.paths[3].write_bytes(b"spoilt")
    with pytest.raises(ValueError, match=r"3\.jpg is not a readable image"):
        cached(photos, store)
    assert list(store.iterdir()) == []
    seen = cached(photos.inspected(progress=False), store)
    assert (seen.take([3]).images == 128).all()
    assert torch.equal(seen.take([4]).images, photos.take([4]).images)
    short, long = 32, [48, 48, 32, None, 128, round(24 * 1.6), 32]
    (file,) = store.iterdir()
    assert file.stat().st_size == 56 + 7 * 24 + sum(3 * short * side for side in long if side)


def test_it_is_made_once_for_each_content(photos, store, monkeypatch):
    calls = written(monkeypatch)
    cached(photos, store)
    cached(photos, store)
    assert len(calls) == 1
    photos.image_size = 24
    cached(photos, store)
    assert len(calls) == 2
    os.utime(photos.paths[0], ns=(0, 0))
    cached(photos, store)
    cached(photos.subset(6), store)
    assert len(calls) == 4
    assert len(list(store.iterdir())) == 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "bytes where its index asks for"),
        (lambda content: content + b"x", "bytes where its index asks for"),
        (lambda content: content[:100], "ends within its index"),
        (lambda content: b"", "not a cache of images of this version"),
        (lambda content: b"RIFF" + content[4:], "not a cache of images of this version"),
        (lambda content: content[:30] + b"\1\2" + content[32:], "made from other files"),
        (lambda content: content[:70] + b"\1\2" + content[72:], "bytes where its index asks for"),
    ],
)
def test_a_damaged_file_is_noticed_and_made_again(photos, store, damage, message, capsys):
    cached(photos, store)
    (file,) = store.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    again = cached(photos, store)
    printed = capsys.readouterr().out
    assert message in printed
    assert printed.count("making it again") == 1
    assert file.read_bytes() == whole
    assert torch.equal(again.take(range(7)).images, photos.take(range(7)).images)


def test_too_little_space_is_said_before_anything_is_made(photos, store, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 10_000))
    with pytest.raises(OSError, match=r"need 0\.00 GB, and 0\.00 GB are free.*larger disk.*캐시 폴더"):
        cached(photos, store)
    assert list(store.iterdir()) == []
    needed = 56 + 7 * 24 + 3 * 32 * (48 + 48 + 32 + 87 + 128 + 38 + 32)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, needed))
    cached(photos, store)  # exactly enough is enough


def test_a_full_disk_leaves_nothing_behind(photos, store, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "_write_at", full)
    with pytest.raises(OSError, match="No space left"):
        cached(photos, store)
    assert list(store.iterdir()) == []


def test_what_a_killed_run_left_is_written_over(photos, store):
    cached(photos, store)
    (file,) = store.iterdir()
    whole = file.read_bytes()
    file.rename(store / f".{file.name}.part")
    (store / f".{file.name}.part").write_bytes(b"x" * 10 * len(whole))
    cached(photos, store)
    assert file.read_bytes() == whole
    assert list(store.iterdir()) == [file]


def test_those_who_ask_at_once_make_it_once(photos, store, monkeypatch, capsys):
    expected = photos.take(range(7)).images
    calls, write, gate = [], cache_module._write, threading.Barrier(3)
    opened = cache_module._open
    late = threading.local()

    def open_together(*args, **options):
        found = opened(*args, **options)
        if not hasattr(late, "first"):  # all three have seen that there is none
            late.first = True
            gate.wait(10)
        return found

    def counted(*args):
        calls.append(args)
        write(*args)

    monkeypatch.setattr(cache_module, "_open", open_together)
    monkeypatch.setattr(cache_module, "_write", counted)
    found = []
    threads = [threading.Thread(target=lambda: found.append(cached(photos, store))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert len(list(store.iterdir())) == 1
    assert len(found) == 3
    assert all(torch.equal(data.take(range(7)).images, expected) for data in found)


def test_only_the_window_is_read(photos, store):
    fast = cached(photos, store)._cache
    whole = np.asarray(fast.read(4, (0, 0, *fast.size(4))))
    assert whole.shape == (32, 128, 3)
    assert np.array_equal(np.asarray(fast.read(4, (100, 3, 20, 7))), whole[3:10, 100:120])
