"""Resized images in one file on disk, so that training need not decode and resize the same photographs every epoch.

The file: 16 bytes that say what it is, 32 bytes of digest (of all that decides the content), the number of images, for
each its offset, height and width (as int64), and then the images, row by row, three bytes a pixel. It is mapped into
memory, so that only the rows in use are read, and all processes share what the system has read.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tasnlib.data.image_file import in_threads, open_image, stored_geometry, upright_size
from tasnlib.data.inspection import digest_of, file_state, reader_version, relative_name
from tasnlib.data.transforms import resize_short_side, resized_geometry

# Raise the number whenever a change here or to the resizing changes a byte.
MAGIC = b"TASN RGB cache 1"
INDEX_START = len(MAGIC) + 32 + 8


class ImageCache:
    """Images of a cache file, which `cached_images` makes.

    It can be sent to another process: each maps the file for itself, when it first reads.

    Args:
        path: the file.
        digest: what its content must have been made from, 64 hexadecimal digits.
        count: how many images it must hold.

    Raises:
        ValueError: where the file is none of this kind, or was made from something else, or is not whole.
    """

    def __init__(self, path: Path, digest: str, count: int):
        self.path = path
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("it is not a cache of images of this version")
            if file.read(32) != bytes.fromhex(digest) or file.read(8) != np.int64(count).tobytes():
                raise ValueError("it was made from other files")
            index = file.read(24 * count)
        if len(index) != 24 * count:
            raise ValueError("it ends within its index")
        self.index = np.frombuffer(index, np.int64).reshape(count, 3)
        expected, size = _index_of(self.index[:, 2], self.index[:, 1]), path.stat().st_size
        if not np.array_equal(expected[0], self.index) or size != expected[1]:
            raise ValueError(f"it has {size} bytes where its index asks for {expected[1]}")
        self._bytes: np.memmap | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_bytes": None}  # or the whole file would be sent

    def size(self, row: int) -> tuple[int, int]:
        """(width, height) of an image."""
        return int(self.index[row, 2]), int(self.index[row, 1])

    def read(self, row: int, window: tuple[int, int, int, int]) -> Image.Image:
        """A window (left, top, width, height) of an image."""
        if self._bytes is None:
            self._bytes = np.memmap(self.path, np.uint8, mode="r")
        start, height, width = (int(number) for number in self.index[row])
        image = self._bytes[start : start + 3 * height * width].reshape(height, width, 3)
        left, top, across, down = window
        return Image.fromarray(np.ascontiguousarray(image[top : top + down, left : left + across]))


def cached_images(
    paths: Sequence[Path],
    root: Path,
    unreadable: frozenset[int],
    image_size: int,
    folder: Path | str,
    workers: int = 8,
    progress: bool = True,
) -> ImageCache:
    """All images with their short side at `image_size`, from a file in `folder`, which is made where it is missing.

    The name of the file carries a digest of all that decides its content: names, sizes and times of change of the
    files, which of them are left out, the image size, the version of what reads them. A damaged one is made again.
    Where several processes ask for the same file, one makes it and the others wait.

    Args:
        paths, root, unreadable, image_size: as `ImageFiles` has them. Of an unreadable image nothing is kept.
        folder: on a fast disk with space for it; made where it is missing.
        workers: threads.
        progress: whether to draw a bar.

    Raises:
        ValueError: naming a file that cannot be read and is not in `unreadable`.
        OSError: where there is not enough space, or the folder cannot be written.
    """
    files = [[relative_name(path, root), *file_state(path)] for path in paths]
    digest = digest_of([MAGIC.decode(), reader_version(), image_size, sorted(unreadable), files])
    path = Path(folder) / f"images-{image_size}px-{len(paths)}-{digest[:12]}.rgb"
    cache = _open(path, digest, len(paths))
    if cache is not None:
        return cache
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same name for all who make this file: what a killed one left is written over, not left for good.
    unfinished = path.with_name(f".{path.name}.part")
    while True:
        # Not mode "a": it would write everything to the end.
        with os.fdopen(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            _lock(file.fileno(), path)
            if not _is_still(unfinished, file.fileno()):
                continue  # another process has finished it, or given up
            try:
                cache = _open(path, digest, len(paths), quiet=True)
                if cache is not None:
                    unfinished.unlink()
                    return cache
                _write(file.fileno(), digest, paths, unreadable, image_size, path, workers, progress)
                os.replace(unfinished, path)
                return ImageCache(path, digest, len(paths))
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise


def _lock(file: int, path: Path) -> None:
    """Released when the file is closed, also by the death of the process."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"waiting for another process that is making {path}")
        fcntl.flock(file, fcntl.LOCK_EX)


def _open(path: Path, digest: str, count: int, quiet: bool = False) -> ImageCache | None:
    try:
        return ImageCache(path, digest, count)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as reason:
        if not quiet:
            print(f"{path} cannot be used ({reason}): making it again")
        return None


def _is_still(path: Path, file: int) -> bool:
    """Whether the open file is the one at that path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _index_of(widths: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, int]:
    """Offset, height and width of each image, and the size of the whole file."""
    ends = INDEX_START + 24 * len(widths) + np.cumsum(3 * widths * heights)
    return np.stack([ends - 3 * widths * heights, heights, widths], axis=1).astype(np.int64), int(ends[-1])


def _write(
    file: int,
    digest: str,
    paths: Sequence[Path],
    unreadable: frozenset[int],
    image_size: int,
    path: Path,
    workers: int,
    progress: bool,
) -> None:
    def measure(number: int) -> tuple[int, int]:
        if number in unreadable:
            return 0, 0
        return resized_geometry(*upright_size(*stored_geometry(paths[number])), image_size)[1]

    sizes = np.array(list(in_threads(measure, len(paths), workers, "measuring images", progress)), np.int64)
    index, total = _index_of(sizes[:, 0], sizes[:, 1])
    os.ftruncate(file, 0)  # what an earlier, killed run left there is free again
    _check_space(path.parent, total)

    def place(number: int) -> None:
        if number in unreadable:
            return
        resized = resize_short_side(open_image(paths[number]), image_size)
        if resized.size != tuple(sizes[number]):
            raise ValueError(f"{paths[number]} was changed while the cache was made, or its header is wrong")
        _write_at(file, resized.tobytes(), int(index[number, 0]))

    os.ftruncate(file, total)
    for _ in in_threads(place, len(paths), workers, f"resizing images to {image_size}", progress):
        pass
    # The beginning last: a file that has it has everything.
    _write_at(file, MAGIC + bytes.fromhex(digest) + np.int64(len(paths)).tobytes() + index.tobytes(), 0)
    os.fsync(file)


def _write_at(file: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:  # a single call may write a part only
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"the resized images need {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free. Name a folder on a "
            "larger disk, or train without the cache",
            str(folder),
        )
