"""Paths as people type them, and files that are written whole or not at all."""

import contextlib
import errno
import functools
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

QUOTES = ("''", '""', "‘’", "“”")


def expanded(path: str | Path, name: str) -> Path:
    """A path as people type or paste it, with ~ resolved, and without quotes or spaces around it.

    Quotes and spaces stay where a file of exactly that name exists. Raises ValueError, with the argument's `name`, for
    an empty path, a zero byte, a file: URL, and an unknown home folder.

    >>> expanded(" '/data/my birds' ", "data_folder").as_posix()
    '/data/my birds'
    """
    text = os.fspath(path)
    # Not for ~: a folder of that name is an accident, and not what is meant.
    if not text.startswith("~") and os.path.lexists(text):
        return Path(text)
    text = text.strip()
    while len(text) > 1 and text[0] + text[-1] in QUOTES:
        text = text[1:-1].strip()
    if not text or "\0" in text or text.lower().startswith("file:"):
        raise ValueError(f"{name} is {text!r}; write the path of a file or a folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as reason:
        raise ValueError(f"{name} is {text!r}, but there is no such home folder; write the path in full") from reason


def is_file(path: str | Path) -> bool:
    """Whether the file exists; raises OSError where that cannot be told, as in a folder that is not readable."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | Path) -> bool:
    """Whether the folder exists; raises OSError as `is_file`."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: str | Path) -> int:
    # Path.is_file will not do: depending on the version of Python it takes an unreadable folder for a missing file.
    try:
        return Path(path).stat().st_mode
    except ValueError:  # a zero byte
        return 0
    except OSError as reason:
        if reason.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL):
            return 0
        raise cannot_read(path, reason) from reason


def cannot_read(path: str | Path, reason: OSError) -> OSError:
    """The same kind of error, saying what to do about it."""
    remedy = "mend or remove the link" if reason.errno == errno.ELOOP else "make it readable"
    return OSError(reason.errno, f"{path} cannot be read: {reason.strerror}; {remedy}, or name another folder")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that a run wrote; raises ValueError, naming the file, where it is something else or cut short."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except (ValueError, RecursionError) as reason:
        raise damaged(path, reason) from reason
    return content


def damaged(path: Path, reason: object) -> ValueError:
    """The error for a file of a run that is not as it was written."""
    return ValueError(f"{path} is damaged: {reason}. Put an undamaged copy in its place; or delete it for a new one")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content as a whole or not at all, then raising OSError, which names the file and what to do."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as reason:
        raise cannot_write(path, reason, len(content)) from reason
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def cannot_write(path: Path, reason: OSError, size: int) -> OSError:
    """The same kind of error, saying what to do about it."""
    problem = f"{path} ({size / 1e6:.1f} MB) cannot be written: {reason.strerror or reason}. Nothing there was lost"
    return OSError(reason.errno, f"{problem}; make room on its disk, make the folder writable, or name another folder.")


def first_of(names: Sequence[str], count: int) -> str:
    """The first names of many, and how many more there are: "wren, robin and 1 more"."""
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def print_text(text: str) -> None:
    """Print names of files, which may hold bytes that no terminal can show."""
    print(text.encode("utf-8", "backslashreplace").decode())


print_once = functools.cache(print_text)  # a line that later calls need not repeat
