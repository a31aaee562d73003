"""Check the size and hash of an archive, and the counts and files of a data set."""

import hashlib
import os
import stat
import warnings
from collections import Counter
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
    val: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # the files that say all this, compared with their known hashes after the images

    @property
    def files(self) -> list[str]:
        return [*self.train, *self.val, *self.test]

    def counts(self) -> str:
        val = f", {len(self.val):,} validation" * bool(self.val)
        return f"{len(self.train):,} training{val} and {len(self.test):,} test images of {self.classes:,} classes"


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
    files = contents.files
    problems = []
    with bar("looking for every image", len(files), " images", delay=1) as shown:
        for file in files:
            try:
                found = (folder / file).stat()
                if found.st_size == 0 or not stat.S_ISREG(found.st_mode):
                    problems.append(f"{file}: empty, or not a file")
            except OSError as reason:
                problems.append(f"{file}: {reason.strerror}")
            shown.update()
    return problems


def count_problems(expected: PhotoSet, contents: Contents) -> list[str]:
    """How the counts differ from the known ones."""
    found = {"training images": contents.train, "validation images": contents.val, "test images": contents.test}
    counts = {what: len(set(files)) for what, files in found.items()} | {"classes": contents.classes}
    problems = [
        f"{counts[what]:,} {what}, expected {right:,}"
        for what, right in expected.known_counts().items()
        if right is not None and counts[what] != right
    ]
    if twice := [file for file, times in Counter(contents.files).items() if times > 1]:
        problems.append(f"{len(twice):,} images are listed twice, the first is {twice[0]}")
    return problems


def changed(expected: PhotoSet, folder: Path, contents: Contents) -> list[str]:
    """The images and lists that are not those of the data set's git repository. The counts must be right."""
    if expected.blobs is None:
        return []
    found = []
    known = expected.blobs.read_text().split()
    with bar("comparing every image", len(known), " images", delay=1) as shown:
        for file, blob in zip([*contents.files, *contents.lists], known, strict=True):
            content = (folder / file).read_bytes()
            if file in contents.lists:  # git gives text files the line ends of the system
                content = content.replace(b"\r\n", b"\n")
            # What git calls a file of this content.
            name = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            found += [file] * (name != blob)
            shown.update()
    return found


def problems_of(expected: PhotoSet, folder: Path, read: Reader) -> tuple[list[str], Contents]:
    """What a folder lacks of the complete data set, without decoding the images.

    Raises:
        Failure: if its lists are missing or cannot be read.
    """
    contents = read(folder)
    problems = count_problems(expected, contents)
    if lost := absent(folder, contents):
        problems.append(f"{len(lost):,} of {len(contents.files):,} images are missing or empty, the first is {lost[0]}")
    if not problems and (other := changed(expected, folder, contents)):
        problems.append(
            f"{len(other):,} of {len(contents.files):,} images and {len(contents.lists)} lists are not those of the "
            f"data set (git's hashes differ), the first is {other[0]}"
        )
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
    files = contents.files
    problems = count_problems(expected, contents)
    threads = min(16, os.cpu_count() or 1)
    with warnings.catch_warnings(), ThreadPool(threads) as pool:
        warnings.simplefilter("ignore")  # odd metadata is not a broken image
        opened = pool.imap(_broken, ((folder, file) for file in files), chunksize=16)
        with bar("opening every image", len(files), " images") as shown:
            for problem in opened:
                problems += [problem] * bool(problem)
                shown.update()
    if not problems:
        other = changed(expected, folder, contents)
        problems = [f"{file}: not the data set's, git's hash of it differs" for file in other]
    for problem in problems:
        print(f"broken: {problem}")
    print(f"{folder}: {contents.counts()}; " + (f"{len(problems):,} problems" if problems else "every file opens"))
    return len(problems)
