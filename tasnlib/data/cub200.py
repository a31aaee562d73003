"""CUB-200-2011: 200 North American birds, 5,994 images for training and 5,794 for testing.

Wah, Branson, Welinder, Perona and Belongie, Caltech, 2011. Read as the archive has it; nothing is moved or renamed.
"""

import re
from pathlib import Path

from tasnlib.data.data_set_folder import DataSetFolder, look_up, require_distinct, text_lines
from tasnlib.data.files import is_file
from tasnlib.data.photographs import ImageFiles

CUB = DataSetFolder(
    "CUB-200-2011",
    """\
CUB_200_2011/
├── images.txt              <image> <class folder>/<file>
├── image_class_labels.txt  <image> <class, from 1>
├── train_test_split.txt    <image> <1 for train, 0 for test>
├── classes.txt             <class> <class folder>
└── images/<class folder>/*.jpg""",
    "Download it with: python data_scripts/download_cub200.py",
)
TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def load_cub200(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of CUB-200-2011 with labels from 0, the official split and class names.

    Images keep the order of images.txt. A class is named without its number and with spaces: "Black footed Albatross".
    `folder` is CUB_200_2011 or the one above it.

    Raises:
        ValueError: for another layout, a table that cannot be read (naming the file), tables that contradict each
            other, and missing images.
    """
    home = CUB.find(folder, split, lambda at: is_file(at / "images.txt"), "no images.txt")
    if absent := [table for table in TABLES if not is_file(home / table)]:
        raise CUB.error(home, f"no {', '.join(absent)}")
    files, label_table, split_table, folders = (_table(home / table) for table in TABLES)
    for table, found in (("image_class_labels.txt", label_table), ("train_test_split.txt", split_table)):
        if differing := sorted(found.keys() ^ files.keys(), key=int):
            raise ValueError(
                f"{home / table} must name each image of images.txt; {differing[0]} is in one of them only"
            )
    require_distinct(home / "images.txt", "the image", files.values())
    numbers = [str(number) for number in range(1, len(folders) + 1)]
    if folders.keys() != set(numbers):
        raise ValueError(f"{home / 'classes.txt'}: the lines must be numbered from 1 without gaps")
    labels = look_up(home / "image_class_labels.txt", label_table, {number: i for i, number in enumerate(numbers)})
    splits = look_up(home / "train_test_split.txt", split_table, {"0": "test", "1": "train"})
    chosen = {image: file for image, file in files.items() if splits[image] == split}
    for image, file in chosen.items():
        if file.partition("/")[0] != folders[label_table[image]]:
            kind = f"{label_table[image]}, {folders[label_table[image]]}"
            raise ValueError(f"{home}: image_class_labels.txt says class {kind} of image {image}, images.txt {file}")
    class_names = [re.sub(r"^\d+\.", "", folders[number]).replace("_", " ") for number in numbers]
    label_of = {f"images/{file}": labels[image] for image, file in chosen.items()}
    return CUB.photographs(home, split, label_of, class_names, image_size, home / "images.txt")


def _table(path: Path) -> dict[str, str]:
    """A file of lines `<number> <text>`, in the file's order."""
    rows = [line.split(maxsplit=1) for line in text_lines(path)]
    if wrong := [row for row in rows if len(row) < 2 or not row[0].isdecimal()]:
        raise ValueError(f"{path}: the line {' '.join(wrong[0])!r} should be `<number> <text>`")
    require_distinct(path, "the number", (number for number, _ in rows))
    return {row[0]: row[1] for row in rows}
