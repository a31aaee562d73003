"""Get the Grocery Store Dataset, 81 kinds of groceries: python data_scripts/download_grocery.py

Downloads 123 MB into datasets/, checks every photograph, and unpacks to datasets/GroceryStoreDataset. A stopped
download continues when the same command is run again. A clone of the repository will do as well: --from FOLDER. --help
lists the rest.
"""

import csv
import sys
from pathlib import Path, PurePosixPath

from archive_facts import Archive, Failure, PhotoSet
from collect_parts import find
from download_command import run
from verify_data_set import Contents

REPOSITORY = "https://github.com/marcusklasson/GroceryStoreDataset"
COMMIT = "fc80ba90f803d79d0383df52c5a4ac5de99ff6fc"
FACTS = PhotoSet(
    name="Grocery Store Dataset",
    folder="GroceryStoreDataset",
    source=f"Klasson, Zhang and Kjellström, WACV 2019: {REPOSITORY}, commit {COMMIT[:7]}",
    terms="MIT licence, (c) 2019 Marcus Klasson. The file LICENSE, which is kept, must stay with every copy.",
    # The server packs the archive anew from time to time: its bytes vary, but the files inside do not.
    archives=(
        Archive("GroceryStoreDataset.tar.gz", (f"{REPOSITORY}/archive/{COMMIT}.tar.gz",), about_bytes=123_000_000),
    ),
    train=2_640,
    val=296,
    test=2_485,
    classes=81,
    blobs=Path(__file__).with_name("grocery_blobs.txt"),
)
LISTS = ("train.txt", "val.txt", "test.txt")
NEEDED = ("classes.csv", *LISTS, "train", "val", "test")


def locate(folders: list[Path]) -> dict[str, Path]:
    """The lists and photographs, in dataset/, and the licence beside that folder."""
    listing = find(folders, "classes.csv")
    if listing is None:
        raise Failure(f"no classes.csv found; expected a folder dataset with {', '.join(NEEDED)}")
    home = listing.parent
    parts = {f"dataset/{name}": home / name for name in NEEDED} | {"LICENSE": home.parent / "LICENSE"}
    if absent := [str(path) for path in parts.values() if not path.exists()]:
        raise Failure(f"{home} has classes.csv, but there is no {', '.join(absent)}")
    return parts


def read(folder: Path) -> Contents:
    """The official split, from the lists of lines `<image>, <class>, <coarse class>`."""
    home = folder / "dataset"
    try:
        rows = [row for row in csv.reader(_lines(home / "classes.csv")[1:]) if row]
        classes = {(row[1], row[3]) for row in rows}
    except IndexError:
        raise Failure(
            f"{home / 'classes.csv'}: each line should be <name>,<class>,<coarse name>,<coarse class>"
        ) from None
    if [row[1] for row in rows] != [str(number) for number in range(len(rows))]:
        raise Failure(f"{home / 'classes.csv'}: the classes must be numbered from 0 without gaps")
    train, val, test = (_read(home / name, classes) for name in LISTS)
    return Contents(train, test, len(rows), tuple(val), tuple(f"dataset/{name}" for name in ("classes.csv", *LISTS)))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as reason:
        raise Failure(f"{file} cannot be read: {reason}") from None


def _read(file: Path, classes: set[tuple[str, ...]]) -> list[str]:
    images = []
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        image, *kind = (value.strip() for value in line.rsplit(",", 2))
        if (
            tuple(kind) not in classes
            or str(PurePosixPath(image)) != image
            or image[0] == "/"
            or ".." in image.split("/")
        ):
            raise Failure(f"{file}, line {number}: {line!r} should be `<image>, <class>, <coarse class>`")
        images.append(f"dataset/{image}")
    return images


def main(arguments: list[str] | None = None) -> int:
    return run(FACTS, locate, read, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
