"""Which photographs cannot be read, and what exactly the data is: found out once, and remembered."""

import contextlib
import errno
import functools
import hashlib
import json
import sys
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import PIL
from filelock import FileLock
from PIL import features
from tqdm import tqdm

from tasnlib.data.files import expanded, first_of, print_text, write_atomically
from tasnlib.data.image_file import decode_image, read_bytes
from tasnlib.data.photographs import ImageFiles


class Inspection(NamedTuple):
    """What opening every file showed."""

    unreadable: dict[int, str]  #: the reason, by the image's index
    data_hash: str  #: sha256 of names, labels and bytes
    lasting: bool = True  #: False where the disk failed, which may pass, or where most files cannot be read


def inspected(
    images: ImageFiles, workers: int = 8, progress: bool = True, folder: Path | str | None = None
) -> ImageFiles:
    """A copy with `unreadable` and `data_hash` filled in, by decoding every file once, in `workers` threads.

    Prints the names of those that cannot be read. The result is kept in `folder`, for the same names, labels, sizes and
    times of change. Of several processes that call it at once, the first inspects, and the others take its result.
    Raises ValueError where more than half of the files cannot be read."""
    names = [path.relative_to(images.root).as_posix() for path in images.paths]
    inspect = functools.partial(_inspect, images, names, workers, progress)
    found = inspect() if folder is None else _once(inspect, _record(images, names, workers, expanded(folder, "folder")))
    if found.unreadable:
        bad = first_of([f"{names[number]} ({reason})" for number, reason in found.unreadable.items()], 10)
        text = f"{images.name}: {len(found.unreadable)} of {len(names)} files cannot be read: {bad}"
        if 2 * len(found.unreadable) > len(names):
            raise ValueError(f"{text}. Is {images.root} the right folder, and its disk in order?")
        print_text(text)
    return images.changed(unreadable=frozenset(found.unreadable), data_hash=found.data_hash)


def _inspect(images: ImageFiles, names: list[str], workers: int, progress: bool) -> Inspection:
    def look(path: Path) -> tuple[str, ValueError | None]:
        sha = "unread"
        try:
            content = read_bytes(path)
            sha = hashlib.sha256(content).hexdigest()
            decode_image(content, path)
        except ValueError as reason:
            return sha, reason
        return sha, None

    whole, unreadable, lasting = hashlib.sha256(), {}, True
    bar = {"desc": f"inspecting {images.name}", "unit": " images", "mininterval": 1, "file": sys.stdout}
    with ThreadPool(workers) as pool:  # Pillow lets go of Python's lock while it decodes
        looked = tqdm(pool.imap(look, images.paths, chunksize=8), total=len(names), disable=not progress, **bar)
        for number, (sha, reason) in enumerate(looked):
            # No name holds a zero byte, so nothing in it can look like its end.
            entry = f"{names[number]}\0{int(images.labels[number])}\0{sha}\0"
            whole.update(entry.encode("utf-8", "surrogateescape"))
            if reason is not None:
                unreadable[number] = str(reason).replace(str(images.paths[number]), "it")  # its name is printed
                lasting &= getattr(reason.__cause__, "errno", None) in (None, errno.ENOENT)
    return Inspection(unreadable, whole.hexdigest(), lasting and 2 * len(unreadable) <= len(names))


def _record(images: ImageFiles, names: list[str], workers: int, folder: Path) -> Path:
    """Where the result of inspecting these files, as they are now, by this Pillow, is kept."""
    reader = [PIL.__version__, features.version("jpg"), features.version("libjpeg_turbo")]
    with ThreadPool(workers) as pool:  # on a network drive many ask faster than one
        states = pool.map(_state, images.paths, chunksize=256)
    identity = json.dumps([reader, names, images.labels.tolist(), states])
    return folder / f"inspection-{len(names)}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.json"


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of change, which tell without reading that a file is another one."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    return None


def _once(inspect: Callable[[], Inspection], record: Path) -> Inspection:
    """What was recorded; else what `inspect` returns, and a record of it. One process at a time."""
    with contextlib.ExitStack() as turn:
        with contextlib.suppress(OSError):  # where there can be no lock, none waits
            record.parent.mkdir(parents=True, exist_ok=True)
            turn.enter_context(FileLock(record.with_name(f".{record.name}.lock")))
        try:
            stored = json.loads(record.read_bytes())
            return Inspection({int(n): str(why) for n, why in stored["unreadable"].items()}, stored["data_hash"])
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
            print(f"{record} cannot be read ({reason}): inspecting the files again")
        found = inspect()
        try:
            if found.lasting:
                write_atomically(record, json.dumps(found._asdict(), indent=1).encode())
        except OSError as reason:
            print(f"the files were inspected, but that could not be noted for the next run ({reason})")
        return found
