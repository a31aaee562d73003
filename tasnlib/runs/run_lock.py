"""One run at a time in a folder: a lock that goes with its process, however that ends."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tasnlib.data.files import cannot_write

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

_held: set[Path] = set()  # by this process


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing, against all other processes; this one may hold it twice.

    The lock is the system's, on the file .lock in the folder: a file that a killed process left behind holds nothing.
    What such a process left half written is removed.

    Raises:
        ValueError: where another process holds the folder, naming it and its machine.
        OSError: where the folder cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, alone_in(Path(folder)):
    ...     os.listdir(folder)
    ['.lock']
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.resolve() / ".lock"
        file = None if fcntl is None or path in _held else _lock(path)
    except OSError as reason:
        raise cannot_write(path, reason, 0) from reason
    if file is None:
        yield
        return
    _held.add(path)
    try:
        for left in folder.glob(".*.[0-9]*.part"):
            left.unlink(missing_ok=True)
        yield
    finally:
        _held.discard(path)
        with contextlib.suppress(OSError):  # the folder may have become read-only
            path.unlink(missing_ok=True)  # while it is still locked, so that nobody else's is removed
        file.close()


def _lock(path: Path) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            # Unlike flock's, these locks are not inherited by workers, which may outlive a killed process for seconds.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as reason:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise ValueError(
                f"{path.parent} is in use: {holder} trains there. Wait for its end, or stop it, or name another "
                "output_folder"
            ) from reason
        except OSError as reason:  # some network disks have no locks
            print(f"{path.parent} cannot be locked ({reason.strerror}): see that no other run uses it", flush=True)
            return file
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
                return file
        file.close()  # its holder ended, and removed it, between these two lines
