"""Write a smaller copy of a data set: python data_scripts/resize_images.py datasets/CUB_200_2011 resized/CUB_200_2011

Decoding large photographs is most of the work of reading them. The copy has the same folders, names and lists, so every
loader reads it as it reads the original (for the one above: -p data_folder resized): images upright with a short side
of --size pixels (JPEG of quality 95, and PNG for all other formats, whatever the name ends with), smaller ones and
those that cannot be read unchanged. Lists of coordinates (bounding boxes, part points), which no loader reads, are not
rescaled. A stopped copy continues when the same command is run again.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from multiprocessing import Pool
from pathlib import Path

from PIL import Image
from progress_bar import bar
from typed_path import typed_path

from tasnlib.data.files import print_text, write_atomically
from tasnlib.data.image_file import decode_image, formats, read_bytes

NOTE = ".resized.json"  # in the copy: the options it was made with


def resize(source: Path, target: Path, size: int, quality: int, megapixels: float) -> str:
    """Write one file of the copy; returns what is wrong with an unreadable image.

    A file with the original's modification time is finished already; of those copied unchanged, which images cannot be
    read is found out again.
    """
    try:
        state = source.stat()
    except OSError as reason:
        return f"{source} is left out: {reason.strerror}"
    finished = target.is_file() and target.stat().st_mtime_ns == state.st_mtime_ns
    if finished and target.stat().st_size != state.st_size:
        return ""
    problem, content = "", None
    is_image = Image.registered_extensions().get(source.suffix.lower()) in formats()
    if is_image and not source.name.startswith("."):
        Image.MAX_IMAGE_PIXELS = int(megapixels * 1e6 / 2)  # Pillow warns at this and raises at twice this
        try:
            original = read_bytes(source)
            content = _smaller(original, source, size, quality)
        except ValueError as reason:
            problem = f"{reason}; copied unchanged"
    if finished:
        return problem
    unfinished = target.with_name(f".{os.getpid()}.part")  # names may be as long as the disk takes them
    target.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        shutil.copyfile(source, unfinished)
    else:
        unfinished.write_bytes(content)
    os.utime(unfinished, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(unfinished, target)
    return problem


def _smaller(original: bytes, source: Path, size: int, quality: int) -> bytes | None:
    """The resized image as a file; None if it is small already."""
    image = decode_image(original, source)
    scale = size / min(image.size)
    if scale >= 1:
        return None
    resized = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    if original.startswith(b"\xff\xd8"):
        resized.save(file, "JPEG", quality=quality, subsampling=0)
    else:
        resized.save(file, "PNG")
    return file.getvalue()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0].split(":")[0])
    parser.add_argument("source", type=typed_path, metavar="FOLDER", help="the data set, or several in one folder")
    parser.add_argument("copy", type=typed_path, metavar="COPY", help="made if missing")
    parser.add_argument("--size", type=int, default=512, help="short side in pixels; default: 512, as the recipes")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG files; default: 95")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--megapixels", type=float, default=178.9, help="read images up to this size; default: 178.9, as Pillow does"
    )
    given = parser.parse_args(arguments)
    source, copy = given.source.resolve(), given.copy.resolve()
    if not source.is_dir():
        parser.error(f"{source} is not a folder")
    if copy == source or copy.is_relative_to(source) or source.is_relative_to(copy):
        parser.error(f"{copy} and {source} overlap; name another folder for the copy")
    if min(given.size, given.processes) < 1 or not 1 <= given.quality <= 100 or not 0 < given.megapixels < 1e6:
        parser.error("--size, --processes and --megapixels must be above 0 (and below 1e6), and --quality 1 to 100")
    options = {"source": str(source), "size": given.size, "quality": given.quality}
    note = copy / NOTE
    if copy.exists() and not (copy.is_dir() and (_noted(note) == options or not any(copy.iterdir()))):
        parser.error(f"{copy} was not made by this command with these options; name another folder for the copy")
    try:
        write_atomically(note, json.dumps(options).encode())
        return _resize_all(source, copy, given)
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to continue", file=sys.stderr)
        return 130
    except OSError as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1


def _noted(note: Path) -> object:
    """The options that a copy was made with; None where it says none."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(note.read_bytes())
    return None


def _files(source: Path) -> Iterator[Path]:
    """All files, relative to the folder. Links are followed, but not up again."""

    def fail(reason: OSError) -> None:
        raise reason

    for folder, folders, names in os.walk(source, onerror=fail, followlinks=True):
        yield from (Path(folder, name).relative_to(source) for name in names)
        here = Path(folder).resolve()
        folders[:] = [name for name in folders if not here.is_relative_to(Path(folder, name).resolve())]


def _resize_all(source: Path, copy: Path, given: argparse.Namespace) -> int:
    files = list(_files(source))
    work = partial(_one, source, copy, given.size, given.quality, given.megapixels)
    problems = []
    with Pool(given.processes) as pool, bar(f"resizing to {given.size}", len(files), " files") as shown:
        for problem in pool.imap_unordered(work, files, chunksize=8):
            problems += [problem] * bool(problem)
            shown.update()
    for problem in problems:
        print_text(problem)
    print(f"{len(files):,} files in {copy}" + f"; {len(problems):,} images could not be read" * bool(problems))
    return 0


def _one(source: Path, copy: Path, size: int, quality: int, megapixels: float, file: Path) -> str:
    return resize(source / file, copy / file, size, quality, megapixels)


if __name__ == "__main__":
    sys.exit(main())
