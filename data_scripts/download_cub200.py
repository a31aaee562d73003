"""Get CUB-200-2011, 200 kinds of birds: python data_scripts/download_cub200.py

Downloads 1.15 GB into datasets/, checks it, and unpacks it to datasets/CUB_200_2011. A stopped download
continues when the same command is run again. --help lists the rest: another folder, an archive downloaded by hand,
--verify.
"""

import re
import sys
from pathlib import Path

from archive_facts import Archive, Failure, PhotoSet
from collect_parts import find
from download_command import run
from verify_data_set import Contents

FACTS = PhotoSet(
    name="CUB-200-2011",
    folder="CUB_200_2011",
    source="Wah et al., Caltech, 2011: https://data.caltech.edu/records/65de6-vp158",
    terms="non-commercial research and education only. The images are from Flickr; their owners keep their rights.",
    archives=(
        Archive(
            "CUB_200_2011.tgz",
            urls=("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
            bytes=1_150_585_339,
            md5="97eceeb196236b17998738112f37df78",
            sha256="0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
        ),
    ),
    train=5_994,
    test=5_794,
    classes=200,
)
NEEDED = ("images", "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
EXTRA = ("bounding_boxes.txt", "parts", "attributes", "README", "attributes.txt")


def locate(folders: list[Path]) -> dict[str, Path]:
    """The archive holds CUB_200_2011/ and, beside it, attributes.txt, which is put inside."""
    listing = find(folders, "images.txt")
    if listing is None:
        raise Failure(f"no images.txt found; expected a folder CUB_200_2011 with {', '.join(NEEDED)}")
    home = listing.parent
    for name in NEEDED:
        if not (home / name).exists():
            raise Failure(f"{home} has images.txt but no {name}; expected {', '.join(NEEDED)}")
    found = {name: home / name for name in (*NEEDED, *EXTRA) if (home / name).exists()}
    beside = home.parent / "attributes.txt"
    return {"attributes.txt": beside, **found} if beside.is_file() else found


def read(folder: Path) -> Contents:
    """The official split, from the lists of lines `<image> <value>`."""
    images, is_train = _table(folder / "images.txt"), _table(folder / "train_test_split.txt")
    labels, classes = _table(folder / "image_class_labels.txt"), _table(folder / "classes.txt", without_gaps=True)
    if not images.keys() == is_train.keys() == labels.keys():
        raise Failure(f"{folder}: images.txt, train_test_split.txt and image_class_labels.txt name different images")
    if strange := set(labels.values()) - {str(number) for number in classes}:
        raise Failure(f"{folder}: image_class_labels.txt names class {min(strange)}, which classes.txt does not have")
    train = [f"images/{file}" for image, file in images.items() if is_train[image] == "1"]
    test = [f"images/{file}" for image, file in images.items() if is_train[image] == "0"]
    return Contents(train, test, len(classes))


def _table(file: Path, without_gaps: bool = False) -> dict[int, str]:
    """Rejects what the loader rejects, so that a complete data set can also be loaded."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except OSError as reason:
        raise Failure(f"{file}: {reason.strerror}") from None
    except ValueError as reason:
        raise Failure(f"{file} is not a list of lines `<number> <value>` ({reason})") from None
    rows: dict[int, str] = {}
    line_of: dict[int, int] = {}
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            first, value = line.strip().split(" ", 1)
            number = int(first)
        except ValueError:
            raise Failure(f"{file}, line {at}: {line.strip()!r} should be `<number> <value>`") from None
        if number in rows:
            raise Failure(f"{file}, line {at}: the number {number} stands twice")
        if ".." in re.split(r"[/\\]", value):
            raise Failure(f"{file}, line {at}: {value!r} leads out of the folder")
        rows[number], line_of[number] = value, at
    if without_gaps and (beyond := [number for number in rows if not 1 <= number <= len(rows)]):
        where = f"{file}, line {line_of[beyond[0]]}"
        raise Failure(f"{where}: the number is {beyond[0]}; {len(rows)} lines must be 1 to {len(rows)} without gaps")
    return rows


def main(arguments: list[str] | None = None) -> int:
    return run(FACTS, locate, read, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
