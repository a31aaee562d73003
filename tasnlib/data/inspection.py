"""Which image files cannot be read, and what exactly the data is: found out once, and remembered."""

import contextlib
import errno
import hashlib
import json
import sys
from collections.abc import Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import PIL
from filelock import FileLock
from PIL import features
from tqdm import tqdm

from tasnlib.data.files import expanded, first_of, print_text, write_atomically
from tasnlib.data.image_file import decode_image, read_bytes


class Inspection(NamedTuple):
    """What opening every file showed."""

    unreadable: dict[int, str]  #: the reason, by the image's index
    data_hash: str  #: sha256 of names, labels and bytes
    lasting: bool = True  #: False where the disk failed, which may pass


def inspect_files(
    paths: Sequence[Path],
    labels: Sequence[int],
    root: Path,
    name: str = "images",
    workers: int = 8,
    progress: bool = True,
    folder: Path | str | None = None,
) -> Inspection:
    """Open, decode and hash every file, in `workers` threads, and print the names of those that cannot be read.

    The result is kept in `folder`, for the same names, labels, sizes and times of change, so that the next call takes a
    moment. Of several processes that call it at once, the first inspects, and the others take its result.

    Raises:
        ValueError: where more than half of the files cannot be read.
    """
    names = [path.relative_to(root).as_posix() for path in paths]
    with contextlib.ExitStack() as turn:
        record = found = None
        if folder is not None:
            reader = f"Pillow {PIL.__version__}, JPEG {features.version('jpg')}, {features.version('libjpeg_turbo')}"
            with ThreadPool(workers) as pool:  # on a network drive many ask faster than one
                states = pool.map(_state, paths, chunksize=256)
            identity = json.dumps([reader, names, [int(label) for label in labels], states])
            digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
            record = expanded(folder, "folder") / f"inspection-{len(names)}-{digest}.json"
            with contextlib.suppress(OSError):  # where there can be no lock, none waits
                record.parent.mkdir(parents=True, exist_ok=True)
                turn.enter_context(FileLock(record.with_name(f".{record.name}.lock")))
            found = _remembered(record)
        if found is None:
            found = _inspect(paths, names, labels, name, workers, progress)
            if record and found.lasting and 2 * len(found.unreadable) <= len(names):
                _remember(record, found)
    if found.unreadable:
        bad = first_of([f"{names[number]} ({reason})" for number, reason in found.unreadable.items()], 10)
        text = f"{name}: {len(found.unreadable)} of {len(names)} files cannot be read: {bad}"
        if 2 * len(found.unreadable) > len(names):
            raise ValueError(f"{text}. Is {root} the right folder, and its disk in order?")
        print_text(text)
    return found


def _inspect(
    paths: Sequence[Path], names: list[str], labels: Sequence[int], data_name: str, workers: int, progress: bool
) -> Inspection:
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
    bar = {"desc": f"inspecting {data_name}", "unit": " images", "mininterval": 1, "file": sys.stdout}
    with ThreadPool(workers) as pool:  # Pillow lets go of Python's lock while it decodes
        looked = tqdm(pool.imap(look, paths, chunksize=8), total=len(paths), disable=not progress, **bar)
        for number, (sha, reason) in enumerate(looked):
            # No name holds a zero byte, so nothing in it can look like its end.
            whole.update(f"{names[number]}\0{int(labels[number])}\0{sha}\0".encode("utf-8", "surrogateescape"))
            if reason is not None:
                unreadable[number] = str(reason).replace(str(paths[number]), "it")  # the name is printed beside it
                lasting &= getattr(reason.__cause__, "errno", None) in (None, errno.ENOENT)
    return Inspection(unreadable, whole.hexdigest(), lasting)


def _remembered(record: Path) -> Inspection | None:
    try:
        stored = json.loads(record.read_bytes())
        return Inspection({int(number): str(why) for number, why in stored["unreadable"].items()}, stored["data_hash"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        print(f"{record} cannot be read ({reason}): inspecting the files again")
        return None


def _remember(record: Path, found: Inspection) -> None:
    try:
        write_atomically(record, json.dumps(found._asdict(), indent=1).encode())
    except OSError as reason:
        print(f"the files were inspected, but that could not be noted for the next run ({reason})")


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of change, which tell without reading that a file is another one."""
    try:
        found = path.stat()
        return found.st_size, found.st_mtime_ns
    except OSError:
        return None
