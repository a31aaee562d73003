"""CUB-200-2011 and NABirds, birds of North America: two data sets in one format, read as their archives have it.

Wah, Branson, Welinder, Perona and Belongie, Caltech, 2011: 200 species, 5,994 images for training, 5,794 for testing.
Van Horn et al., CVPR 2015: 555 species, sexes and ages, 23,929 images for training, 24,633 for testing.
"""

import re
from pathlib import Path

from tasnlib.data.data_set_folder import DataSetFolder, distinct_names, look_up, require_distinct, text_lines
from tasnlib.data.files import is_file
from tasnlib.data.photographs import ImageFiles

TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")
LAYOUT = """\
{}/
├── images.txt              <image> <class folder>/<file>
├── image_class_labels.txt  <image> <class>
├── train_test_split.txt    <image> <1 for train, 0 for test>
├── classes.txt             <class> <name>
└── images/<class folder>/*.jpg"""
_DOWNLOAD = "Download it with: python data_scripts/download_cub200.py"
_ASK = "Ask for it at dl.allaboutbirds.org/nabirds, and unpack nabirds.tar.gz"
CUB = DataSetFolder("CUB-200-2011", LAYOUT.format("CUB_200_2011"), _DOWNLOAD)
NABIRDS = DataSetFolder("NABirds", LAYOUT.format("nabirds"), _ASK)


def load_cub200(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of CUB-200-2011 in the order of images.txt, with labels from 0, the official split and class names.

    A class is named without its number and with spaces: "Black footed Albatross". `folder` is CUB_200_2011 or the one
    above it. Raises ValueError for another layout, tables that cannot be read or contradict each other, missing images.
    """
    return _load(CUB, "images.txt", folder, split, image_size)


def load_nabirds(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """As `load_cub200`, for NABirds. Its classes.txt also has what is above the 555 classes, which alone have images.

    A name that two classes share is followed by the class's number: "Oak Titmouse (817)"."""
    return _load(NABIRDS, "hierarchy.txt", folder, split, image_size)


def _load(data_set: DataSetFolder, sign: str, folder: str | Path, split: str, image_size: int) -> ImageFiles:
    def fits(at: Path) -> bool:  # NABirds has an images.txt, too
        return is_file(at / sign) and (data_set is NABIRDS or not is_file(at / "hierarchy.txt"))

    home = data_set.find(folder, split, fits, f"no {sign}")
    if absent := [table for table in TABLES if not is_file(home / table)]:
        raise data_set.error(home, f"no {', '.join(absent)}")
    files, kinds, sides, names = (_table(home / table) for table in TABLES)
    for table, found in (("image_class_labels.txt", kinds), ("train_test_split.txt", sides)):
        if differing := sorted(found.keys() ^ files.keys()):
            raise ValueError(f"{home / table} must name each image of images.txt once; {differing[0]} is in one only")
    require_distinct(home / "images.txt", "the image", files.values())
    splits = look_up(home / "train_test_split.txt", sides, {"0": "test", "1": "train"})
    if unknown := set(kinds.values()) - names.keys():
        raise ValueError(f"{home / 'image_class_labels.txt'}: class {min(unknown)} is not in classes.txt")
    for image, file in files.items():
        kind = kinds[image]
        if file.partition("/")[0] != (names[kind] if data_set is CUB else kind.zfill(4)):
            kind = f"{kind}, {names[kind]}"
            raise ValueError(f"{home}: image_class_labels.txt says class {kind} of image {image}, images.txt {file}")
    numbers = sorted(names.keys() if data_set is CUB else set(kinds.values()), key=int)
    if data_set is CUB and numbers != [str(number + 1) for number in range(len(names))]:
        raise ValueError(f"{home / 'classes.txt'}: the lines must be numbered from 1 without gaps")
    labels = {number: label for label, number in enumerate(numbers)}
    label_of = {f"images/{file}": labels[kinds[image]] for image, file in files.items() if splits[image] == split}
    plain = [re.sub(r"^\d+\.", "", names[number]).replace("_", " ") for number in numbers]
    class_names = distinct_names(plain, [f"{name} ({number})" for name, number in zip(plain, numbers, strict=True)])
    return data_set.photographs(home, split, label_of, class_names, image_size, home / "images.txt")


def _table(path: Path) -> dict[str, str]:
    """A file of lines `<number> <text>`, in the file's order. NABirds' images have hexadecimal numbers with dashes."""
    rows = [line.split(maxsplit=1) for line in text_lines(path)]
    if wrong := [row for row in rows if len(row) < 2 or not re.fullmatch(r"[0-9]+|[0-9a-f-]{36}", row[0])]:
        raise ValueError(f"{path}: the line {' '.join(wrong[0])!r} should be `<number> <text>`")
    require_distinct(path, "the number", (number for number, _ in rows))
    return {row[0]: row[1] for row in rows}
