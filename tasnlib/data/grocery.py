"""The Grocery Store Dataset: 81 kinds of fruit, vegetables and cartons, photographed by phone in shops.

Klasson, Zhang and Kjellström, WACV 2019; MIT licence. 2,640 images for training, 296 for validation, 2,485 for testing.
"""

import csv
from pathlib import Path

from tasnlib.data.data_set_folder import DataSetFolder, require_distinct, text_lines
from tasnlib.data.files import first_of, is_file
from tasnlib.data.photographs import ImageFiles

GROCERY = DataSetFolder(
    "Grocery Store Dataset",
    """\
GroceryStoreDataset/dataset/
├── classes.csv                     <name>,<class, from 0>,<coarse name>,<coarse class, from 0>,...
├── train.txt, val.txt, test.txt    <image file>, <class>, <coarse class>
└── train/, val/, test/             the image files""",
    "Download it with: python data_scripts/download_grocery.py",
)
SPLITS = ("train", "val", "test")
# 5 apples, 3 melons, nectarine and peach, 3 citrus fruits, 3 pears, 6 milk cartons, 2 tomatoes.
LOOK_ALIKES = (0, 1, 2, 3, 4, 11, 12, 13, 15, 16, 19, 20, 21, 22, 26, 27, 38, 39, 40, 41, 42, 43, 78, 79)

Classes = dict[tuple[str, str], tuple[str, str]]  # (class, coarse class), as numbers in text -> (name, coarse name)


def load_grocery(folder: str | Path, split: str, image_size: int = 336, look_alikes: bool = False) -> ImageFiles:
    """The images of the official split, "train", "val" or "test", with their fine labels.

    `folder` is GroceryStoreDataset or the one above. `look_alikes`: the 24 classes that look most alike, numbered from
    0: 1,011, 93 and 974 images. Raises ValueError for another layout or a malformed line, and in one for all lines that
    contradict classes.csv and all missing images."""
    home, classes = _find(folder, split)
    source, kinds = home / f"{split}.txt", _read(home / f"{split}.txt")
    for other in SPLITS:
        if other != split and (both := sorted(kinds.keys() & _read(home / f"{other}.txt").keys())):
            raise ValueError(f"{home}: the image {both[0]} is in {source.name} and in {other}.txt")
    wrong = [f"'{file}, {', '.join(kind)}'" for file, kind in kinds.items() if kind not in classes]
    label_of = {kind: label for label, kind in enumerate(_chosen(classes, look_alikes))}
    # Images of wrong lines are looked for as well, so that one error tells everything.
    labels = {file: label_of.get(kind, 0) for file, kind in kinds.items() if kind in label_of or wrong}
    names = [classes[kind][0] for kind in label_of]
    require_distinct(home / "classes.csv", "the class", names)
    problems = [f"{source}: not in classes.csv are the classes of {first_of(wrong, 3)}"] if wrong else []
    try:
        images = GROCERY.photographs(home, split, labels, names, image_size, source)
    except ValueError as reason:
        problems.append(str(reason))
    if problems:
        raise ValueError("\n".join(problems))
    return images


def coarse_names(folder: str | Path, look_alikes: bool = False) -> list[str]:
    """The coarse class of every class, by label: "Apple" of "Granny Smith". For errors see `load_grocery`."""
    _, classes = _find(folder, "train")
    return [classes[kind][1] for kind in _chosen(classes, look_alikes)]


def _chosen(classes: Classes, look_alikes: bool) -> list[tuple[str, str]]:
    return [kind for kind in classes if not look_alikes or int(kind[0]) in LOOK_ALIKES]


def _find(folder: str | Path, split: str) -> tuple[Path, Classes]:
    """The folder dataset/, and what its classes.csv says."""
    fits = "dataset/classes.csv"
    home = GROCERY.find(folder, split, lambda at: is_file(at / fits), f"no {fits}", SPLITS) / "dataset"
    if absent := [f"{one}.txt" for one in SPLITS if not is_file(home / f"{one}.txt")]:
        raise GROCERY.error(home, f"no {', '.join(absent)}")
    rows = [row for row in csv.reader(text_lines(home / "classes.csv")[1:]) if row]
    if wrong := [row for number, row in enumerate(rows) if len(row) < 4 or row[1] != str(number)]:
        raise ValueError(f"{home / 'classes.csv'}: {wrong[0]} should be <name>,<class>,<coarse name>,<coarse class>")
    return home, {(row[1], row[3]): (row[0].replace("-", " "), row[2].replace("-", " ")) for row in rows}


def _read(path: Path) -> dict[str, tuple[str, str]]:
    """The class and the coarse class of every image in a list."""
    rows = [[value.strip() for value in line.rsplit(",", 2)] for line in text_lines(path)]
    if wrong := [row for row in rows if len(row) < 3]:
        raise ValueError(f"{path}: the line {', '.join(wrong[0])!r} should be <image file>, <class>, <coarse class>")
    require_distinct(path, "the image", (row[0] for row in rows))
    return {file: (fine, coarse) for file, fine, coarse in rows}
