"""Finding a data set in a folder, and an error that shows what was expected where it is not there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from tasnlib.data.files import cannot_read, expanded, is_file, is_folder
from tasnlib.data.folder_listing import list_folder


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
    entries = []
    if is_folder(folder):
        listing = list_folder(folder)
        entries = sorted([*(f"{name}/" for name in listing.folders), *listing.files, *listing.broken])
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
        OSError: where a folder cannot be read, and no other fits.
    """
    folder = expanded(folder, "folder")
    if not is_folder(folder):
        problem = "this is not a folder" if is_file(folder) else "there is no such folder"
        raise wrong_folder(name, folder, problem, layout, advice)
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
        raise ValueError(f"{name}: several folders in {folder} contain it ({names}); give one of them instead")
    if not homes and unreadable:
        raise unreadable[0]
    if not homes:
        raise wrong_folder(name, folder, f"{missing}, here or in a folder inside", layout, advice)
    return homes[0]


def require_images(name: str, home: Path, files: Sequence[str], source: str, advice: str) -> list[Path]:
    """The paths of `files`, which are relative to `home`, once all of them are known to exist.

    Folders are listed instead of asking for one file after the other: half a million images on a network drive take
    seconds instead of an hour.

    Args:
        source: the file that names the images, for the message.

    Raises:
        ValueError: where images are missing (how many, and the first three), listed twice or outside `home`.
        OSError: where a folder cannot be read.
    """
    present: dict[str, set[str]] = {}
    missing, seen = [], set()
    for file in files:
        if file in seen:
            raise ValueError(f"{name}: {source} in {home}: the image {file} is listed twice")
        seen.add(file)
        parent, _, base = file.rpartition("/")
        if parent not in present:
            if file.startswith("/") or ".." in PurePosixPath(file).parts:
                raise ValueError(f"{name}: {source} in {home}: the image {file} is outside of the data set's folder")
            try:
                present[parent] = set(os.listdir(home / parent))  # noqa: PTH208  names are wanted, not paths
            except (FileNotFoundError, NotADirectoryError):
                present[parent] = set()
            except OSError as reason:
                raise cannot_read(home / parent, reason) from reason
        if base not in present[parent]:
            missing.append(file)
    if missing:
        first = "".join(f"\n    {file}" for file in missing[:3])
        raise ValueError(
            f"{name}: {len(missing):,} of the {len(files):,} images in {source} are missing in {home}, "
            f"the first:{first}\n{advice}"
        )
    return [home / file for file in files]
