"""The hidden folder in which a data set is made, beside the place where it will stand, on the same disk."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from facts import Failure

try:
    import fcntl
except ImportError:  # Windows: two runs at once are then not told apart
    fcntl = None


def hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.unfinished")


@contextlib.contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """An empty folder for one run, removed at its end. What a killed run left there is removed first.

    Raises:
        Failure: where another run is at work there. Its lock goes with its process, however that ends.
    """
    folder = hidden(target)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        leftovers = list(folder.iterdir())
        if leftovers:
            print(f"removing what a stopped run left in {folder}")
        for path in leftovers:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = folder.is_dir() and os.path.samestat(os.fstat(lock), folder.stat())  # not one just removed
    except BlockingIOError:
        alone = False
    except OSError:  # a network disk without locks
        return lock
    if not alone:
        os.close(lock)
        raise Failure(f"another run is at work in {folder}: wait for its end, or stop it")
    return lock
