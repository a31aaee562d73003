"""CUB-200-2011: 200 North American birds, 5,994 images for training and 5,794 for testing, 15 parts marked in each.

Wah, Branson, Welinder, Perona and Belongie, Caltech, 2011. Read as the archive holds it; nothing is moved or renamed.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from tasnlib.arguments import checked
from tasnlib.data.images import ImageFiles
from tasnlib.data.layout import find_data_set, require_images, require_split, wrong_folder

__all__ = ["load_cub200"]

NAME = "CUB-200-2011"
LAYOUT = """\
CUB_200_2011/
├── images.txt              <image> <class folder>/<file>
├── image_class_labels.txt  <image> <class, from 1>
├── train_test_split.txt    <image> <1 for train, 0 for test>
├── classes.txt             <class> <class folder>
├── parts/parts.txt         <part, from 1> <name>
├── parts/part_locs.txt     <image> <part> <x> <y> <1 where visible>
└── images/<class folder>/*.jpg"""
ADVICE = "Download it with: python data_scripts/download_cub200.py"
TABLES = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt")

Value = TypeVar("Value")


@checked
def load_cub200(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of CUB-200-2011 with labels from 0, the official split, class names and part points.

    Images keep the order of images.txt. A class is named without its number and with spaces: "Black footed Albatross".
    Points are those of part_locs.txt, in pixels of the image as stored, NaN where the part is not visible. A copy
    without the folder `parts/` can be trained on; its `points` is None.

    Args:
        folder: CUB_200_2011 itself, or the folder above it.
        split: "train" or "test".
        image_size: as in `ImageFiles`.

    Raises:
        ValueError: for a folder of another form, a line that cannot be read (the file and the line are named), files
            that contradict each other, and missing images.

    >>> import tempfile
    >>> from tests.data.photo_sets import make_cub200  # two classes, drawn, in the same form
    >>> with tempfile.TemporaryDirectory() as datasets:
    ...     _ = make_cub200(datasets)
    ...     birds = load_cub200(datasets, "test")
    >>> birds.name, len(birds), birds.classes, birds.class_names[0], birds.points.shape
    ('CUB-200-2011, test', 10, 2, 'Black footed Albatross', torch.Size([10, 15, 2]))
    """
    require_split(split)
    home = find_data_set(NAME, folder, lambda at: (at / "images.txt").is_file(), "no images.txt", LAYOUT, ADVICE)
    absent = [table for table in TABLES if not (home / table).is_file()]
    if absent:
        raise wrong_folder(NAME, home, f"no {', '.join(absent)}", LAYOUT, ADVICE)

    folders = _names(home / "classes.txt", "<class> <class folder>")
    images = _table(home / "images.txt", "<image> <class folder>/<file>", str)
    labels = _table(
        home / "image_class_labels.txt", f"<image> <class from 1 to {len(folders)}>", _whole(1, len(folders))
    )
    is_train = _table(home / "train_test_split.txt", "<image> <1 for train, 0 for test>", _whole(0, 1))
    for table, rows in (("image_class_labels.txt", labels), ("train_test_split.txt", is_train)):
        if rows.keys() != images.keys():
            lost, strange = images.keys() - rows.keys(), rows.keys() - images.keys()
            raise ValueError(
                f"{home / table} and images.txt must name the same images. "
                f"Only in images.txt: {_few(lost)}. Only in {table}: {_few(strange)}. {ADVICE}"
            )

    chosen = [image for image in images if is_train[image] == (split == "train")]
    if not chosen:
        raise ValueError(f"{home / 'train_test_split.txt'}: no image is marked for the split {split!r}")
    # The other split's images are not looked for, but an image that stands in both is an error of images.txt.
    first: dict[str, int] = {}
    for image, file in images.items():
        if first.setdefault(file, image) != image:
            both = " and in both splits" if is_train[first[file]] != is_train[image] else ""
            raise ValueError(f"{home / 'images.txt'}: {file} stands twice{both}, as image {first[file]} and {image}")
    paths = require_images(NAME, home, [f"images/{images[image]}" for image in chosen], "images.txt", ADVICE)
    for image in chosen:
        if images[image].partition("/")[0] != folders[labels[image] - 1]:
            raise ValueError(
                f"{home / 'image_class_labels.txt'} and images.txt contradict each other: image {image} is of class "
                f"{labels[image]}, {folders[labels[image] - 1]}, but lies in {images[image]}. {ADVICE}"
            )
    part_names, points = _part_points(home, list(images)) if (home / "parts").is_dir() else ([], None)
    if points is not None:
        row = {image: i for i, image in enumerate(images)}
        points = points[[row[image] for image in chosen]]
    return ImageFiles(
        paths,
        [labels[image] - 1 for image in chosen],
        [re.sub(r"^\d+\.", "", class_folder).replace("_", " ") for class_folder in folders],
        image_size,
        f"{NAME}, {split}",
        points,
        part_names,
        root=home,
    )


def _part_points(home: Path, images: list[int]) -> tuple[list[str], Float[Tensor, "images parts 2"]]:
    """The parts' names and their points in all images, NaN where they do not show."""
    for table in ("parts/parts.txt", "parts/part_locs.txt"):
        if not (home / table).is_file():
            raise wrong_folder(NAME, home, f"no {table}", LAYOUT, ADVICE)
    names = _names(home / "parts" / "parts.txt", "<part> <name>")
    path = home / "parts" / "part_locs.txt"
    rows = {image: i for i, image in enumerate(images)}
    points: list[list[list[float] | None]] = [[None] * len(names) for _ in images]
    read_part, read_visible = _whole(1, len(names)), _whole(0, 1)
    form = f"<image of images.txt> <part from 1 to {len(names)}> <x> <y> <1 where visible, else 0>"
    for number, line in _lines(path):
        try:
            image, part, x, y, visible = line.split()
            row, column, point = rows[int(image)], read_part(part) - 1, [float(x), float(y)]
            if not read_visible(visible):
                point = [torch.nan, torch.nan]
            elif not all(abs(value) < 1e6 for value in point):  # also false for NaN
                raise ValueError
        except (ValueError, KeyError):
            raise ValueError(f"{path}, line {number}: {line!r} should be {form}") from None
        if points[row][column] is not None:
            raise ValueError(f"{path}, line {number}: part {part} of image {image} stands twice")
        points[row][column] = point
    unmarked = [image for image, of_image in zip(images, points, strict=True) if None in of_image]
    if unmarked:
        raise ValueError(
            f"{path}: every image needs a line for each of {len(names)} parts; incomplete: {_few(unmarked)}"
        )
    return names, torch.tensor(points, dtype=torch.float32)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as reason:
        raise ValueError(f"{path} is not a text file ({reason}). {ADVICE}") from reason
    return ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _table(path: Path, form: str, read: Callable[[str], Value]) -> dict[int, Value]:
    """A file of lines `<whole number> <value>`, as a dictionary in the file's order."""
    rows: dict[int, Value] = {}
    for number, line in _lines(path):
        try:
            first, rest = line.split(maxsplit=1)
            key, value = int(first), read(rest)
        except ValueError:
            raise ValueError(f"{path}, line {number}: {line!r} should be {form}") from None
        if key in rows:
            raise ValueError(f"{path}, line {number}: {line!r}: the number {key} stands twice")
        rows[key] = value
    return rows


def _names(path: Path, form: str) -> list[str]:
    """A table whose numbers are 1, 2, 3, ..., in that order."""
    rows = _table(path, form, str)
    if not rows or sorted(rows) != list(range(1, len(rows) + 1)):
        raise ValueError(f"{path}: the lines must be numbered from 1 without gaps; these {len(rows)} are {_few(rows)}")
    return [rows[number] for number in sorted(rows)]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return read


def _few(numbers: Iterable[int]) -> str:
    some = sorted(numbers)
    return (", ".join(map(str, some[:3])) + f" and {len(some) - 3:,} more" * (len(some) > 3)) or "none"
