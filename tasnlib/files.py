"""Files that are whole or not there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path


def is_file(path: str | Path) -> bool:
    """Whether there is such a file. A name that is too long for the disk is that of none."""
    return _there(Path.is_file, path)


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder, as `is_file`."""
    return _there(Path.is_dir, path)


def _there(is_it: Callable[[Path], bool], path: str | Path) -> bool:
    try:
        return is_it(Path(path))
    except OSError as reason:
        if reason.errno == errno.ENAMETOOLONG:
            return False
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content as a whole or not at all.

    Raises:
        OSError: where it cannot be written; what stood there before is untouched, and no half-written file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
