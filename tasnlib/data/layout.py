"""Finding a data set in a folder, and saying what is wrong where it is not there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from tasnlib.data.files import expanded, is_file, is_folder


def require_split(split: str) -> None:
    """Raise ValueError unless `split` is "train" or "test"."""
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it must be 'train' or 'test'")


def wrong_folder(name: str, folder: Path, problem: str, layout: str, advice: str) -> ValueError:
    """An error that says what is wrong, what is expected, what was found instead and what to do.

    >>> print(wrong_folder("Finches", Path("nowhere"), "there is no such folder", "finches/", "Draw some."))
    Finches: nowhere: there is no such folder.
    Expected:
    finches/
    Found in nowhere: nothing.
    Draw some.
    """
    entries = list_entries(folder)
    found = ", ".join(entries[:8]) or "nothing"
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    return ValueError(f"{name}: {folder}: {problem}.\nExpected:\n{layout}\nFound in {folder}: {found}{more}.\n{advice}")


def find_data_set(
    name: str, folder: str | Path, fits: Callable[[Path], bool], missing: str, layout: str, advice: str
) -> Path:
    """The data set's own folder: the one given, or the only folder inside it that fits.

    Args:
        name: of the data set, for the message; likewise `missing` (what no folder had), `layout` and `advice`.
        fits: whether a folder is that of the data set.

    Raises:
        ValueError: where no folder fits, or several do.
    """
    folder = expanded(folder, "folder")
    if not is_folder(folder):
        problem = "this is not a folder" if is_file(folder) else "there is no such folder"
        raise wrong_folder(name, folder, problem, layout, advice)
    if fits(folder):
        return folder
    inside = [folder / entry.rstrip("/") for entry in list_entries(folder) if entry.endswith("/")]
    homes = [home for home in inside if fits(home)]
    if len(homes) > 1:
        names = ", ".join(home.name for home in homes)
        raise ValueError(f"{name}: several folders in {folder} hold it ({names}); give one of them instead")
    if not homes:
        raise wrong_folder(name, folder, f"{missing}, here or in a folder inside", layout, advice)
    return homes[0]


def require_images(name: str, home: Path, files: Sequence[str], source: str, advice: str) -> list[Path]:
    """The paths of `files`, which are relative to `home`, once all of them are known to be there.

    Folders are listed instead of asking for one file after the other: half a million images on a network drive take
    seconds instead of an hour.

    Args:
        source: the file that names the images, for the message.

    Raises:
        ValueError: where images are missing (how many, and the first three), stand twice or lie outside `home`.
    """
    present: dict[str, set[str]] = {}
    missing, seen = [], set()
    for file in files:
        if file in seen:
            raise ValueError(f"{name}: {source} in {home}: the image {file} stands twice")
        seen.add(file)
        parent, _, base = file.rpartition("/")
        if parent not in present:
            if file.startswith("/") or ".." in PurePosixPath(file).parts:
                raise ValueError(f"{name}: {source} in {home}: the image {file} lies outside the data set's folder")
            try:
                present[parent] = set(os.listdir(home / parent))  # noqa: PTH208  names are wanted, not paths
            except (FileNotFoundError, NotADirectoryError):
                present[parent] = set()
        if base not in present[parent]:
            missing.append(file)
    if missing:
        first = "".join(f"\n    {file}" for file in missing[:3])
        raise ValueError(
            f"{name}: {len(missing):,} of the {len(files):,} images that {source} names are missing in {home}, "
            f"first of all{first}\n{advice}"
        )
    return [home / file for file in files]


def list_entries(folder: Path) -> list[str]:
    """What lies in a folder, in a fixed order, folders with a slash at the end; nothing where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name + "/" * entry.is_dir()
                for entry in entries
                if not entry.name.startswith(".") and entry.name != "__MACOSX"
            ]
            return sorted(names, key=os.fsencode)  # by code point, whatever language the machine speaks
    except OSError:
        return []
