"""Finding a data set in a folder, and an error that shows what was expected where it is not there."""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tasnlib.data.files import cannot_read, expanded, first_of, is_folder
from tasnlib.data.photographs import ImageFiles

SPLITS = ("train", "test")
# Of Synology and QNAP servers, macOS, Windows, ext4 and Python, in lower case; hidden names are left out as well.
LITTER = {"@eadir", "@recycle", "#recycle", "#snapshot", "lost+found", "__macosx", "__pycache__", "$recycle.bin"}
LITTER |= {"system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or one that servers and systems leave behind."""
    return name.startswith(".") or name.lower() in LITTER


class Listing(NamedTuple):
    """Names in the order of their bytes, whatever language the machine speaks."""

    folders: list[str]
    files: list[str]
    broken: dict[str, OSError]  #: links that lead nowhere or may not be followed
    litter: list[str]  #: folders that were left out


def list_folder(folder: Path) -> Listing:
    """List a folder, following links; raises OSError, naming the folder and what to do, where it cannot be read."""
    found = Listing([], [], {}, [])
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                if is_litter(entry.name):
                    found.litter.extend([entry.name] * entry.is_dir(follow_symlinks=False))
                    continue
                try:
                    is_folder = stat.S_ISDIR(entry.stat().st_mode) if entry.is_symlink() else entry.is_dir()
                except OSError as reason:
                    found.broken[entry.name] = reason
                    continue
                if is_folder or entry.is_file():  # no pipe: reading it might never end
                    (found.folders if is_folder else found.files).append(entry.name)
    except OSError as reason:
        raise cannot_read(folder, reason) from reason
    return found


class DataSetFolder(NamedTuple):
    """What a data set's folder contains."""

    name: str  #: of the data set
    layout: str  #: its files, as a picture
    advice: str  #: how to get it

    def error(self, folder: Path, problem: str) -> ValueError:
        """Says what is wrong, what is expected, what was found instead and what to do."""
        inside = folder.iterdir() if is_folder(folder) else ()
        entries = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in inside)
        found = f"Found in {folder}: {first_of(entries, 8) or 'nothing'}."
        return ValueError(f"{self.name}: {folder}: {problem}.\nExpected:\n{self.layout}\n{found}\n{self.advice}")

    def find(
        self, folder: str | Path, split: str, fits: Callable[[Path], bool], missing: str, splits: Sequence[str] = SPLITS
    ) -> Path:
        """The given folder, or the only one inside it that fits; raises ValueError, saying what is `missing`."""
        if split not in splits:
            raise ValueError(f"split is {split!r}; it must be one of {', '.join(splits)}")
        folder = expanded(folder, "folder")
        if not is_folder(folder):
            raise self.error(folder, "this is not a folder" if folder.exists() else "there is no such folder")
        if fits(folder):
            return folder
        homes, unreadable = [], []
        for inside in list_folder(folder).folders:
            try:
                homes += [folder / inside] * fits(folder / inside)
            except OSError as reason:  # beside the data set it does not matter
                unreadable.append(reason)
        if len(homes) > 1:
            names = ", ".join(home.name for home in homes)
            raise ValueError(f"{self.name}: several folders in {folder} contain it ({names}); give one of them")
        if not homes:
            raise unreadable[0] if unreadable else self.error(folder, f"{missing}, here or in a folder inside")
        return homes[0]

    def photographs(
        self, home: Path, split: str, labels: dict[str, int], class_names: list[str], image_size: int, source: Path
    ) -> ImageFiles:
        """The images of a split, once all of them are known to exist. `labels` are by file, relative to `home`.

        Raises ValueError where images are missing (how many, and the first three) or outside `home`, or there are none.
        """
        if not labels:
            raise ValueError(f"{source} has no images for {split!r}. {self.advice}")
        present: dict[str, set[str]] = {}  # folders are listed: on a network drive, asking for each file takes an hour
        missing = []
        for file in labels:
            parent, _, base = file.rpartition("/")
            if file.startswith("/") or ".." in (plain := PurePosixPath(file)).parts or str(plain) != file:
                raise ValueError(f"{source}: the image {file!r} is outside of the data set, or not plainly named")
            if parent not in present:
                present[parent] = set()
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    present[parent] |= set(os.listdir(home / parent))  # noqa: PTH208  names are wanted, not paths
            if base not in present[parent]:
                missing.append(file)
        if missing:
            problem = f"{len(missing):,} of the {len(labels):,} images in {source.name} are missing in {home}"
            first = "".join(f"\n    {file}" for file in missing[:3])
            raise ValueError(f"{self.name}: {problem}, the first:{first}\n{self.advice}")
        paths = [home / file for file in labels]
        return ImageFiles(paths, list(labels.values()), class_names, image_size, f"{self.name}, {split}", root=home)


def text_lines(path: Path) -> list[str]:
    """The lines of a list that are not empty, stripped; raises ValueError, naming the file, for anything but text."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte-order mark
    except UnicodeDecodeError as reason:
        raise ValueError(f"{path} is not a text file in UTF-8 ({reason}); save it as that, or restore it") from reason
    return [line.strip() for line in text.split("\n") if line.strip()]


def require_distinct(source: Path, what: str, values: Iterable[object]) -> None:
    """Raise ValueError where the file `source` lists one of the values twice."""
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise ValueError(f"{source}: {what} {value} is listed twice")


def distinct_names(short: Sequence[str], full: Sequence[str]) -> list[str]:
    """The short names of the classes, and the full ones of those that would share a name."""
    times = Counter(short)
    return [one if times[one] == 1 else other for one, other in zip(short, full, strict=True)]


def look_up(source: Path, values: Mapping[str, object], meaning: Mapping[Any, Any]) -> dict[str, Any]:
    """What each image's number in the file `source` means; raises ValueError, naming the image, for all others."""
    for image, value in values.items():
        if value not in meaning:
            allowed = f"an integer from {min(meaning, key=int)} to {max(meaning, key=int)}"
            raise ValueError(f"{source}: image {image} has {value}; it must be {allowed}")
    return {image: meaning[value] for image, value in values.items()}
