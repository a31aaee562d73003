"""Finding a data set in a folder, and an error that shows what was expected where it is not there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tasnlib.data.files import cannot_read, expanded, is_folder
from tasnlib.data.folder_listing import list_folder


class DataSetFolder(NamedTuple):
    """What a data set's folder contains."""

    name: str  #: of the data set
    layout: str  #: its files, as a picture
    advice: str  #: how to get it

    def error(self, folder: Path, problem: str) -> ValueError:
        """Says what is wrong, what is expected, what was found instead and what to do.

        >>> print(DataSetFolder("Finches", "finches/", "Draw some.").error(Path("nowhere"), "there is no such folder"))
        Finches: nowhere: there is no such folder.
        Expected:
        finches/
        Found in nowhere: nothing.
        Draw some.
        """
        entries: list[str] = []
        if is_folder(folder):
            listing = list_folder(folder)
            entries = sorted([*(f"{inside}/" for inside in listing.folders), *listing.files, *listing.broken])
        found = ", ".join(entries[:8]) or "nothing"
        more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
        return ValueError(
            f"{self.name}: {folder}: {problem}.\nExpected:\n{self.layout}\nFound in {folder}: {found}{more}.\n"
            f"{self.advice}"
        )

    def find(self, folder: str | Path, fits: Callable[[Path], bool], missing: str) -> Path:
        """The given folder, or the only one inside it that fits.

        Raises:
            ValueError: where no folder fits, saying what is `missing`, or several do.
            OSError: where a folder cannot be read, and no other fits.
        """
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
            raise ValueError(f"{self.name}: several folders in {folder} contain it ({names}); give one of them instead")
        if not homes:
            raise unreadable[0] if unreadable else self.error(folder, f"{missing}, here or in a folder inside")
        return homes[0]

    def image_paths(self, home: Path, files: Sequence[str], source: str) -> list[Path]:
        """The paths of `files`, which `source` names relative to `home`, once all of them are known to exist.

        Folders are listed instead of asking for one file after the other: half a million images on a network drive take
        seconds instead of an hour.

        Raises:
            ValueError: where images are missing (how many, and the first three), listed twice or outside `home`.
            OSError: where a folder cannot be read.
        """
        present: dict[str, set[str]] = {}
        missing, seen = [], set()
        for file in files:
            parent, _, base = file.rpartition("/")
            if file in seen or file.startswith("/") or ".." in PurePosixPath(file).parts:
                problem = "is listed twice" if file in seen else "is outside of the data set's folder"
                raise ValueError(f"{self.name}: {source} in {home}: the image {file} {problem}")
            seen.add(file)
            if parent not in present:
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
                f"{self.name}: {len(missing):,} of the {len(files):,} images in {source} are missing in {home}, "
                f"the first:{first}\n{self.advice}"
            )
        return [home / file for file in files]


def require_split(split: str) -> None:
    """Raise ValueError unless `split` is "train" or "test"."""
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it must be 'train' or 'test'")
