"""Find the parts of a data set in several folders, and move, link or copy them into one."""

import os
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from progress_bar import bar

DEPTH = 4  # levels below a folder that are searched


def find(folders: Iterable[Path], pattern: str) -> Path | None:
    """The file or folder of that name nearest to the top of one of the folders, or one of the folders itself.

    >>> find([Path(__file__).parent], "collect*.py").name
    'collect_parts.py'
    """
    level = list(folders)
    for folder in level:
        if fnmatchcase(folder.name, pattern):
            return folder
    for _ in range(DEPTH):
        below = []
        for folder in level:
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if fnmatchcase(entry.name, pattern):
                        return Path(entry.path)
                    if not entry.name.startswith(".") and entry.is_dir():
                        below.append(Path(entry.path))
        level = below
    return None


def _files(part: Path) -> Iterable[Path]:
    """All files of a part, or the part itself. Links are followed: the user made them."""
    if not part.is_dir():
        yield part
        return
    for folder, _, names in os.walk(part, followlinks=True, onerror=_raise):
        if folder.count(os.sep) - str(part).count(os.sep) > 20:
            raise OSError(f"{folder} lies more than 20 folders deep: does a link lead back to its own folder?")
        for name in names:
            yield Path(folder, name)


def _raise(reason: OSError) -> None:
    raise reason


def bytes_to_copy(parts: dict[str, Path], target: Path) -> int:
    """The size of all parts on another disk than `target`, which cannot be linked."""
    device = target.stat().st_dev
    return sum(file.stat().st_size for part in parts.values() for file in _files(part) if file.stat().st_dev != device)


def assemble(parts: dict[str, Path], whole: Path, own: Path) -> None:
    """Assemble the folder `whole` from parts, each under its name there.

    Args:
        parts: name in the new folder -> file or folder.
        own: parts in this folder are moved; everything else belongs to the user and is hard-linked where the disk
            allows it, else copied.
    """
    whole.mkdir()
    with bar("linking or copying", None, " files", delay=0.5) as shown:
        for name, part in parts.items():
            if part.is_relative_to(own):
                (whole / name).parent.mkdir(exist_ok=True)
                os.replace(part, whole / name)
                continue
            for file in _files(part):
                target = whole / name / file.relative_to(part)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(file.resolve(), target)
                shown.update()


def link_or_copy(file: Path, target: Path) -> None:
    """Hard-link a file, or copy it."""
    try:
        os.link(file, target)
    except OSError:  # another disk, or one without hard links; any other error recurs in the copy
        shutil.copyfile(file, target)
