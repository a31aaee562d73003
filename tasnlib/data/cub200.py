"""CUB-200-2011: 200 North American birds, 5,994 images for training and 5,794 for testing, 15 parts marked in each.

Wah, Branson, Welinder, Perona and Belongie, Caltech, 2011. Read as the archive has it; nothing is moved or renamed.
"""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tasnlib.data.data_set_folder import DataSetFolder, require_split
from tasnlib.data.files import is_file, is_folder
from tasnlib.data.photographs import ImageFiles

__all__ = ["load_cub200"]

CUB = DataSetFolder(
    "CUB-200-2011",
    """\
CUB_200_2011/
├── images.txt              <image> <class folder>/<file>
├── image_class_labels.txt  <image> <class, from 1>
├── train_test_split.txt    <image> <1 for train, 0 for test>
├── classes.txt             <class> <class folder>
├── parts/parts.txt         <part, from 1> <name>
├── parts/part_locs.txt     <image> <part> <x> <y> <1 where visible>
└── images/<class folder>/*.jpg""",
    "Download it with: python data_scripts/download_cub200.py",
)
TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")


def load_cub200(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of CUB-200-2011 with labels from 0, the official split, class names and part points.

    Images keep the order of images.txt. A class is named without its number and with spaces: "Black footed Albatross".
    Points are those of part_locs.txt, in pixels of the image as stored, NaN where the part is not visible. A copy
    without the folder `parts/` can be trained on; its `points` is None. `folder` is CUB_200_2011 or the one above it.

    Raises:
        ValueError: for another layout, a table that cannot be read (naming the file), tables that contradict each
            other, and missing images.
    """
    require_split(split)
    home = CUB.find(folder, lambda at: is_file(at / "images.txt"), "no images.txt")
    if absent := [table for table in TABLES if not is_file(home / table)]:
        raise CUB.error(home, f"no {', '.join(absent)}")
    folders = _names(home / "classes.txt", from_one=True)
    files = _names(home / "images.txt")
    labels = _integers(home / "image_class_labels.txt", files, 1, len(folders))
    is_train = _integers(home / "train_test_split.txt", files, 0, 1)
    chosen = [image for image in files if is_train[image] == (split == "train")]
    if not chosen:
        raise ValueError(f"{home / 'train_test_split.txt'}: no image is in the split {split!r}")
    # The other split's images are not looked for, but an image in both is an error of images.txt.
    file, count = Counter(files.values()).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{home / 'images.txt'}: {file} is listed {count} times")
    paths = CUB.image_paths(home, [f"images/{files[image]}" for image in chosen], "images.txt")
    for image in chosen:
        if files[image].partition("/")[0] != folders[labels[image]]:
            raise ValueError(
                f"{home / 'image_class_labels.txt'} and images.txt contradict each other: image {image} is of class "
                f"{labels[image]}, {folders[labels[image]]}, but its file is {files[image]}. {CUB.advice}"
            )
    part_names: list[str] = []
    points = None
    if is_folder(home / "parts"):
        part_names, points = _part_points(home, list(files))
        row = {image: i for i, image in enumerate(files)}
        points = points[[row[image] for image in chosen]]
    return ImageFiles(
        paths,
        [labels[image] - 1 for image in chosen],
        [re.sub(r"^\d+\.", "", folders[number]).replace("_", " ") for number in sorted(folders)],
        image_size,
        f"{CUB.name}, {split}",
        points,
        part_names,
        root=home,
    )


def _part_points(home: Path, images: list[int]) -> tuple[list[str], Float[Tensor, "images parts 2"]]:
    """The parts' names and their points in all images, NaN where they are not visible."""
    for table in ("parts/parts.txt", "parts/part_locs.txt"):
        if not is_file(home / table):
            raise CUB.error(home, f"no {table}")
    names = _names(home / "parts" / "parts.txt", from_one=True)
    path = home / "parts" / "part_locs.txt"
    image, part, x, y, visible = _columns(path, 5)
    row_of = {number: row for row, number in enumerate(images)}
    row = np.array([row_of.get(number, -1) for number in image.tolist()])
    wrong = (row < 0) | ~np.isin(part, list(names)) | ~np.isin(visible, (0, 1)) | ~np.isfinite(x + y)
    if wrong.any():
        raise ValueError(
            f"{path}, row {np.flatnonzero(wrong)[0] + 1}: it must be an image of images.txt, a part from 1 to "
            f"{len(names)}, x, y, and 1 where the part is visible, else 0"
        )
    cell = row * len(names) + part.astype(int) - 1
    lines = np.bincount(cell, minlength=len(images) * len(names))
    if (lines != 1).any():
        number = images[int(np.flatnonzero(lines != 1)[0]) // len(names)]
        raise ValueError(f"{path}: every image needs one line for each of {len(names)} parts; image {number} has not")
    points = np.full((len(images) * len(names), 2), np.nan, np.float32)
    points[cell] = np.where(visible[:, None] == 1, np.stack([x, y], axis=1), np.nan)
    return [names[number] for number in sorted(names)], torch.from_numpy(points).view(len(images), len(names), 2)


def _names(path: Path, from_one: bool = False) -> dict[int, str]:
    """A file of lines `<number> <name>`, in the file's order."""
    names: dict[int, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # some editors begin a file with a byte-order mark
    except UnicodeDecodeError as reason:
        raise ValueError(f"{path} is not a text file ({reason}). {CUB.advice}") from reason
    for at, line in enumerate(lines, 1):
        found = re.fullmatch(r"\s*(\d+)\s+(\S.*?)\s*", line)
        if line.strip() and (found is None or int(found[1]) in names):
            raise ValueError(f"{path}, line {at}: {line.strip()!r} should be `<number> <name>`, each number once")
        if found:
            names[int(found[1])] = found[2]
    if not names or (from_one and sorted(names) != list(range(1, len(names) + 1))):
        raise ValueError(f"{path}: the lines must be numbered from 1 without gaps")
    return names


def _columns(path: Path, count: int) -> np.ndarray:
    """The columns (count, lines) of a file of numbers."""
    try:
        columns = np.loadtxt(path, ndmin=2, comments=None, encoding="utf-8-sig").T
    except ValueError as reason:
        raise ValueError(f"{path} is not a table of {count} numbers a line: {reason}. {CUB.advice}") from reason
    if len(columns) != count:
        raise ValueError(f"{path} has {len(columns)} numbers a line; it must have {count}. {CUB.advice}")
    return columns


def _integers(path: Path, files: dict[int, str], low: int, high: int) -> dict[int, int]:
    """A file of lines `<image> <integer from low to high>`, for each image of images.txt."""
    images, values = _columns(path, 2)
    rows = dict(zip(images.tolist(), values.tolist(), strict=True))
    if rows.keys() != files.keys() or len(images) > len(rows):
        differing = sorted(rows.keys() ^ files.keys())
        first = f"; the first that differs is {differing[0]:g}" if differing else ""
        raise ValueError(f"{path} must name each image of images.txt once{first}. {CUB.advice}")
    for image, value in rows.items():
        if value not in range(low, high + 1):
            raise ValueError(f"{path}: image {image:g} has {value:g}; it must be an integer from {low} to {high}")
    return {int(image): int(value) for image, value in rows.items()}
