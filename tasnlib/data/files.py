"""Files that are whole or not there."""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What to do about it besides naming another folder, by the error; for all others, the folder is not writable.
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)), "make room on its disk, or "),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT), ""),
}


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


def expanded(path: str | Path, name: str) -> Path:
    """A path with ~ written out.

    Args:
        name: of the argument, for the message.

    Raises:
        ValueError: where nobody knows whose home ~ is.

    >>> expanded("runs/one", "output_folder")
    PosixPath('runs/one')
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as reason:
        raise ValueError(f"{name} is {str(path)!r}, but there is no such home; write the path in full") from reason


def read_json(path: Path) -> dict[str, Any]:
    """What a run noted for itself.

    Raises:
        ValueError: naming the file, where it holds something else, or is cut short.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"holds a {type(content).__name__}")
    except (ValueError, RecursionError) as reason:
        raise damaged(path, reason) from reason
    return content


def damaged(path: Path, reason: object) -> ValueError:
    """The error for a run's note that is not as it was written."""
    return ValueError(
        f"{path} is damaged: {reason}. Put an undamaged copy in its place; or delete it, and this run writes its own"
    )


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
    remedy = _REMEDIES.get(reason.errno or 0, "make the folder writable, or ")
    return OSError(
        reason.errno,
        f"{path} ({size / 1e6:.1f} MB) cannot be written: {reason.strerror or reason}. "
        f"Nothing in the folder was changed; {remedy}name another folder.",
    )
