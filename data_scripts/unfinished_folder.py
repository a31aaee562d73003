"""The hidden folder in which a data set is made, beside its final path, on the same disk."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from archive_facts import Failure
from filelock import FileLock, Timeout


def hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.unfinished")


@contextlib.contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """An empty folder for one run, removed at its end. Leftovers of a killed run are removed first.

    Raises:
        Failure: if another run is at work there. A lock ends with its process, even a killed one.
    """
    folder = hidden(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Failure(f"another run is at work in {folder}: wait for its end, or stop it") from None
    try:
        if folder.exists():
            print(f"removing what a stopped run left in {folder}")
            shutil.rmtree(folder)
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # Windows keeps a file that is open
            Path(lock.lock_file).unlink()
        lock.release()
