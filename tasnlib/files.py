"""Files that are whole or not there."""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


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
        what = f"{path} may not be looked at: {reason.strerror}; ask for the right to read its folder, or name another"
        raise OSError(reason.errno, what) from reason


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content as a whole or not at all.

    Raises:
        OSError: where it cannot be written, naming the folder and what to do; what stood there before is untouched,
            and no half-written file is left.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException as reason:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(reason, OSError):
            raise cannot_write(path, reason, len(content)) from reason
        raise


def cannot_write(path: Path, reason: OSError, size: int) -> OSError:
    """The same kind of error, saying what to do about it.

    >>> cannot_write(Path("runs/one/tasn.safetensors"), OSError(errno.ENOSPC, "No space left on device"), 2_500_000)
    OSError(28, 'runs/one/tasn.safetensors (2.5 MB) cannot be written: No space left on device. Nothing in the folder
    was changed; make room on its disk, or name another folder.')
    """
    remedy = "make room on its disk" if reason.errno in _FULL else "make the folder writable"
    return OSError(
        reason.errno,
        f"{path} ({size / 1e6:.1f} MB) cannot be written: {reason.strerror or reason}. "
        f"Nothing in the folder was changed; {remedy}, or name another folder.",
    )
