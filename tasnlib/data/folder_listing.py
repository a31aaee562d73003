"""What a folder contains, without what file managers, servers and notebooks leave in it."""

import functools
import os
import stat
from pathlib import Path
from typing import NamedTuple

from tasnlib.data.files import cannot_read

# Of Synology and QNAP servers, macOS, Windows, ext4 and Python, in lower case; hidden names are left out as well.
LITTER = {"@eadir", "@recycle", "#recycle", "#snapshot", "lost+found", "__macosx", "__pycache__", "$recycle.bin"}
LITTER |= {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}


class Listing(NamedTuple):
    """Names in the order of their bytes, whatever language the machine speaks."""

    folders: list[str]
    files: list[str]
    broken: dict[str, OSError]  #: links that lead nowhere or may not be followed
    litter: list[str]  #: folders that were left out


def list_folder(folder: Path) -> Listing:
    """List a folder, following links; raises OSError, naming the folder and what to do, where that is not possible."""
    found = Listing([], [], {}, [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                if entry.name.startswith(".") or entry.name.lower() in LITTER:
                    found.litter.extend([entry.name] * entry.is_dir(follow_symlinks=False))
                    continue
                try:
                    is_folder = stat.S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir()
                except OSError as reason:
                    found.broken[entry.name] = reason
                    continue
                (found.folders if is_folder else found.files).append(entry.name)
    except OSError as reason:
        raise cannot_read(folder, reason) from reason
    return found


def print_text(text: str) -> None:
    """Print names of files, which may hold bytes that no terminal can show."""
    print(text.encode("utf-8", "backslashreplace").decode())


print_once = functools.cache(print_text)  # a line that later calls need not repeat
