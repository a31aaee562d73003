"""Check the size and hash of an archive, and the counts and files of a data set."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

from archive_facts import Archive, Failure, PhotoSet
from PIL import Image
from progress_bar import bar

CHUNK = 1 << 22


class Contents(NamedTuple):
    """What a data set's own lists say: image files relative to its folder, and the number of classes."""

    train: list[str]
    test: list[str]
    classes: int


Reader = Callable[[Path], Contents]


def hashes_of(file: Path, kinds: Iterable[str]) -> dict[str, str]:
    """Hash a file once, with a progress bar.

    >>> hashes_of(Path(os.devnull), ["md5"])
    {'md5': 'd41d8cd98f00b204e9800998ecf8427e'}
    """
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    label = f"checking {file.name.removesuffix('.part')}"
    total = file.stat().st_size
    with bar(label, total, "B", delay=0.5) as shown, file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            for digest in digests.values():
                digest.update(chunk)
            shown.update(len(chunk))
    return {kind: digest.hexdigest() for kind, digest in digests.items()}


def archive_problem(archive: Archive, file: Path) -> str:
    """What is wrong with the file, first by size and then by hash; empty if nothing is, or nothing is known."""
    size = file.stat().st_size
    if archive.bytes is None and not archive.hashes:
        print(f"{archive.name}: neither size nor hash is known, so neither is checked")
        return ""
    if archive.bytes is not None and size != archive.bytes:
        return f"it has {size:,} bytes, expected {archive.bytes:,}"
    if not archive.hashes:
        print(f"{archive.name}: {size:,} bytes, as expected; no hash is known, so none is checked")
        return ""
    found = hashes_of(file, archive.hashes)
    for kind, value in archive.hashes.items():
        if found[kind] != value:
            return f"its {kind} is {found[kind]}, expected {value}"
    print(f"{archive.name}: {size:,} bytes, {' and '.join(found)} as expected")
    return ""


def absent(folder: Path, contents: Contents) -> list[str]:
    """The listed images that are missing or empty, each with what is wrong."""
    files = contents.train + contents.test
    problems = []
    with bar("looking for every image", len(files), " images", delay=1) as shown:
        for file in files:
            try:
                if (folder / file).stat().st_size == 0:
                    problems.append(f"{file}: empty")
            except OSError as reason:
                problems.append(f"{file}: {reason.strerror}")
            shown.update()
    return problems


def count_problems(expected: PhotoSet, contents: Contents) -> list[str]:
    """How the counts differ from the known ones."""
    found = {"training images": contents.train, "test images": contents.test}
    counts = {what: len(set(files)) for what, files in found.items()} | {"classes": contents.classes}
    known = (expected.train, expected.test, expected.classes)
    return [
        f"{count:,} {what}, expected {right:,}"
        for (what, count), right in zip(counts.items(), known, strict=True)
        if right is not None and count != right
    ]


def problems_of(expected: PhotoSet, folder: Path, read: Reader) -> tuple[list[str], Contents]:
    """What a folder lacks of the complete data set, without opening the images.

    Raises:
        Failure: if its lists are missing or cannot be read.
    """
    contents = read(folder)
    problems = count_problems(expected, contents)
    if lost := absent(folder, contents):
        count = len(contents.train) + len(contents.test)
        problems.append(f"{len(lost):,} of {count:,} images are missing or empty, the first is {lost[0]}")
    return problems, contents


_KINDS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")  # all formats in the data sets; some others start programs


def _broken(job: tuple[Path, str]) -> str:
    folder, file = job
    try:
        with Image.open(folder / file, formats=_KINDS) as image:
            image.load()
    except Exception as reason:  # a broken file can raise nearly anything in a decoder
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        text = text.replace(str(folder / file), "the file")
        return f"{file}: {text or type(reason).__name__}"
    return ""


def verify(expected: PhotoSet, folder: Path, read: Reader) -> int:
    """Count, open and fully decode everything; print what is broken. Returns the number of problems."""
    if not folder.is_dir():
        raise Failure(f"there is no {folder}: run the same command without --verify first")
    contents = read(folder)
    files = contents.train + contents.test
    problems = count_problems(expected, contents)
    threads = min(16, os.cpu_count() or 1)
    with warnings.catch_warnings(), ThreadPool(threads) as pool:
        warnings.simplefilter("ignore")  # odd metadata is not a broken image
        opened = pool.imap(_broken, ((folder, file) for file in files), chunksize=16)
        with bar("opening every image", len(files), " images") as shown:
            for problem in opened:
                problems += [problem] * bool(problem)
                shown.update()
    for problem in problems:
        print(f"broken: {problem}")
    counts = f"{len(contents.train):,} training and {len(contents.test):,} test images of {contents.classes:,} classes"
    print(f"{folder}: {counts}; " + (f"{len(problems):,} problems" if problems else "every file opens"))
    return len(problems)
