"""Get iNaturalist-2017, 5,089 species: python data_scripts/download_inat2017.py

Downloads 186 GB into datasets/, checks them, and unpacks them to datasets/inat2017: about 400 GB for both. A
stopped download continues when the same command is run again. --help lists the rest.
"""

import json
import sys
from pathlib import Path

from archive_facts import Archive, Failure, PhotoSet
from collect_parts import find
from download_command import run
from verify_data_set import Contents

SERVER = "https://ml-inat-competition-datasets.s3.amazonaws.com/2017"
FACTS = PhotoSet(
    name="iNaturalist-2017",
    folder="inat2017",
    source=f"Van Horn et al., CVPR 2018: {SERVER}/",
    terms="research and education only; the images must not be passed on. Each belongs to its photographer.",
    archives=(
        Archive(
            "train_val_images.tar.gz",
            urls=(f"{SERVER}/train_val_images.tar.gz",),
            md5="7c784ea5e424efaec655bd392f87301f",
            about_bytes=186_000_000_000,
        ),
        Archive("train_val2017.zip", urls=(f"{SERVER}/train_val2017.zip",), expands=50),
    ),
    train=579_184,
    test=95_986,
    classes=5_089,
)
PARTS = {"train_val_images": "train_val_images.tar.gz", "train2017.json": "train_val2017.zip"}
PARTS["val2017.json"] = PARTS["train2017.json"]


def locate(folders: list[Path]) -> dict[str, Path]:
    """The images and the two lists that split them; the lists may lie in a folder of their own."""
    found = {name: find(folders, name) for name in PARTS}
    for name, archive in PARTS.items():
        if found[name] is None:
            raise Failure(f"no {name} found; it is in {archive}. --from may be given once for each archive or folder")
    return found


def read(folder: Path) -> Contents:
    """The split of the two JSON files, not of the folders; val2017 serves as the test set."""
    train, classes = _read(folder / "train2017.json")
    test, test_classes = _read(folder / "val2017.json")
    if classes != test_classes:
        raise Failure(f"{folder}: train2017.json and val2017.json have different categories")
    return Contents(train, test, len(classes))


def _read(file: Path) -> tuple[list[str], set[int]]:
    try:
        lists = json.loads(file.read_text(encoding="utf-8-sig"))
        return [image["file_name"] for image in lists["images"]], {kind["id"] for kind in lists["categories"]}
    except OSError as reason:
        raise Failure(f"{file}: {reason.strerror}") from None
    except (ValueError, KeyError, TypeError) as reason:
        raise Failure(f"{file} is not the list of that name ({type(reason).__name__}: {reason})") from None


def main(arguments: list[str] | None = None) -> int:
    return run(FACTS, locate, read, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
