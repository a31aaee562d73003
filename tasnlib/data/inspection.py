"""Is every image file there and whole, and what exactly is the data? Found out once, and remembered."""

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import PIL
from PIL import features

from tasnlib.data.files import write_atomically
from tasnlib.data.image_file import decode_image, in_threads, read_bytes

SHOWN = 10  # names of unreadable files; of the rest, the number


class Inspection(NamedTuple):
    """What opening every file showed."""

    unreadable: dict[int, str]  #: the reason, by the image's index
    data_hash: str  #: sha256 over names, labels and bytes


def inspect_files(
    paths: Sequence[Path],
    labels: Sequence[int],
    root: Path,
    name: str = "images",
    workers: int = 8,
    progress: bool = True,
    folder: Path | str | None = None,
) -> Inspection:
    """Open and decode every file, and hash them all.

    Prints the names of the files that cannot be read. The result is kept in `folder` under a name that says for which
    files it holds (names, labels, sizes, times of change), so the next call with the same files takes a moment.

    Args:
        paths, labels, root: as `ImageFiles` has them.
        name: of the data set, for messages.
        workers: threads.
        progress: whether to draw a bar.
        folder: where to remember the result; None: nowhere.

    Raises:
        ValueError: where more than half of the files cannot be read.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as root:
    ...     good, bad = Path(root) / "a.png", Path(root) / "b.png"
    ...     Image.new("L", (8, 8)).save(good)
    ...     _ = bad.write_bytes(good.read_bytes()[:40])
    ...     found = inspect_files([good, bad], [0, 1], Path(root), progress=False)  # doctest: +ELLIPSIS
    images: 1 of 2 files cannot be read: b.png (...)
    >>> list(found.unreadable)
    [1]
    """
    names = [relative_name(path, root) for path in paths]
    record = None
    if folder is not None:
        identity = [list(entry) for entry in zip(names, map(int, labels), map(file_state, paths), strict=True)]
        record = Path(folder) / f"inspection-{len(names)}-{digest_of([reader_version(), identity])[:12]}.json"
    found = _remembered(record, len(names))
    if found is None:
        found, lasting = _inspect(paths, names, labels, name, workers, progress)
        if record is not None and lasting and 2 * len(found.unreadable) <= len(names):
            _remember(record, found)
    _report(found.unreadable, names, name, root)
    return found


def _inspect(
    paths: Sequence[Path], names: list[str], labels: Sequence[int], data_name: str, workers: int, progress: bool
) -> tuple[Inspection, bool]:
    """What was found, and whether to remember it: a disk that failed for a moment is no reason."""

    def look(number: int) -> tuple[str, str | None, bool]:
        sha, path = "unread", paths[number]
        try:
            content = read_bytes(path)
            sha = hashlib.sha256(content).hexdigest()
            decode_image(content, path)
        except ValueError as reason:
            # Only the reason: the name is printed beside it.
            why = str(reason).replace(str(path), "it")
            failed = isinstance(reason.__cause__, OSError) and reason.__cause__.errno not in (None, errno.ENOENT)
            return sha, why, not failed
        return sha, None, True

    whole, unreadable, lasting = hashlib.sha256(), {}, True
    for number, (sha, why, sure) in enumerate(
        in_threads(look, len(paths), workers, f"inspecting {data_name}", progress)
    ):
        # Nothing in a file's name can look like the end of it: no name holds a zero byte.
        whole.update(f"{names[number]}\0{int(labels[number])}\0{sha}\0".encode("utf-8", "surrogateescape"))
        lasting = lasting and sure
        if why is not None:
            unreadable[number] = why
    return Inspection(unreadable, whole.hexdigest()), lasting


def _remembered(record: Path | None, count: int) -> Inspection | None:
    if record is None or not record.is_file():
        return None
    try:
        stored = json.loads(record.read_text(encoding="utf-8"))
        unreadable = {int(number): str(reason) for number, reason in stored["unreadable"].items()}
        if len(stored["data_hash"]) != 64 or not all(0 <= number < count for number in unreadable):
            raise ValueError("it does not belong to these files")
        return Inspection(unreadable, stored["data_hash"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        print(f"{record} cannot be read ({reason}): inspecting the files again")
        return None


def _remember(record: Path, found: Inspection) -> None:
    content = json.dumps({"data_hash": found.data_hash, "unreadable": found.unreadable}, indent=1)
    try:
        write_atomically(record, content.encode())
    except OSError as reason:
        print(f"the files were inspected, but that could not be noted for the next run ({reason})")


def _report(unreadable: dict[int, str], names: list[str], data_name: str, root: Path) -> None:
    if not unreadable:
        return
    shown = [f"{names[number]} ({reason})" for number, reason in list(unreadable.items())[:SHOWN]]
    more = f"; and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
    text = f"{data_name}: {len(unreadable)} of {len(names)} files cannot be read: {'; '.join(shown)}{more}"
    if 2 * len(unreadable) > len(names):
        raise ValueError(f"{text}. Is {root} the right folder, and its disk well?")
    # A name may hold bytes that are no text, or that the terminal cannot show.
    print(text.encode("utf-8", "backslashreplace").decode())


def relative_name(path: Path, root: Path) -> str:
    """A file's name below `root`, with forward slashes."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:  # not below it
        return Path(os.path.relpath(path, root)).as_posix()


def file_state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds: what tells without reading that a file is another one."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def reader_version() -> str:
    """What reads the images: another version may read more files, and others by a hair."""
    return f"Pillow {PIL.__version__}, JPEG {features.version('jpg')}, {features.version('libjpeg_turbo')}"


def digest_of(identity: object) -> str:
    """Hexadecimal sha256 of a description made of lists, texts and numbers.

    >>> digest_of(["wren.jpg", 3])[:12]
    'b121bd3ae634'
    """
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
