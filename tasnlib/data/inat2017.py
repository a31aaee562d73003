"""iNaturalist-2017: 5,089 species, 579,184 images for training and 95,986 for validation, which serve as the test set.

Van Horn, Mac Aodha, Song, Cui, Sun, Shepard, Adam, Perona and Belongie, CVPR 2018. For research and education only.
"""

import json
from pathlib import Path

from tasnlib.arguments import checked
from tasnlib.data.images import ImageFiles
from tasnlib.data.layout import find_data_set, require_images, require_split, wrong_folder

__all__ = ["load_inat2017"]

NAME = "iNaturalist-2017"
LAYOUT = """\
inat2017/
├── train2017.json
├── val2017.json
└── train_val_images/<group>/<species>/*.jpg"""
ADVICE = "Download it with: python data_scripts/download_inat2017.py"
# The labels of the official test images were never published, so everybody reports the accuracy on val2017.
FILES = {"train": "train2017.json", "test": "val2017.json"}
KEYS = {"images": ("id", "file_name"), "annotations": ("image_id", "category_id"), "categories": ("id", "name")}


@checked
def load_inat2017(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of iNaturalist-2017, split by the two JSON files, labels from 0 in the order of the category ids.

    Both files are read for either split, to be sure that labels mean the same in both and that no image is in both.

    Args:
        folder: the folder with the JSON files (or with train_val2017/, which holds them), or the folder above it.
        split: "train" for train2017.json, "test" for val2017.json.
        image_size: as in `ImageFiles`.

    Raises:
        ValueError: for a folder of another form, JSON files that cannot be read or contradict themselves or each other
            (the entry is named), and missing images.

    >>> import tempfile
    >>> from tests.data.photo_sets import make_inat2017  # three species, drawn, in the same form
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = make_inat2017(folder)
    ...     nature = load_inat2017(folder, "train")
    >>> nature.name, len(nature), nature.class_names
    ('iNaturalist-2017, train', 9, ['Accipiter badius', 'Abaeis nicippe', 'Abies balsamea'])
    """
    require_split(split)
    home = find_data_set(NAME, folder, lambda at: _annotations(at) is not None, "no train2017.json", LAYOUT, ADVICE)
    at = _annotations(home)
    assert at is not None  # a home without them does not fit
    if not (at / FILES["test"]).is_file():
        raise wrong_folder(NAME, home, f"no {FILES['test']} beside {FILES['train']}", LAYOUT, ADVICE)
    if not (home / "train_val_images").is_dir():
        raise wrong_folder(NAME, home, "no folder train_val_images/", LAYOUT, ADVICE)
    in_split: dict[str, dict[str, int]] = {}
    kinds, in_split["train"] = _read(at / FILES["train"])
    test_kinds, in_split["test"] = _read(at / FILES["test"])
    strange = sorted(category for category, name in test_kinds.items() if kinds.get(category) != name)
    if strange:
        raise ValueError(
            f"{NAME}: {FILES['train']} and {FILES['test']} in {at} must have the same categories; "
            f"{len(strange):,} of the second are not in the first, first of all {strange[0]} ({test_kinds[strange[0]]})"
        )
    both = sorted(in_split["train"].keys() & in_split["test"].keys())
    if both:
        raise ValueError(
            f"{NAME}: {len(both):,} images stand in both {FILES['train']} and {FILES['test']}, first of all {both[0]}"
        )
    chosen = in_split[split]
    paths = require_images(NAME, home, list(chosen), FILES[split], ADVICE)
    label_of = {category: label for label, category in enumerate(sorted(kinds))}
    labels = [label_of[category] for category in chosen.values()]
    class_names = [kinds[category] for category in sorted(kinds)]
    return ImageFiles(paths, labels, class_names, image_size, f"{NAME}, {split}", root=home)


def _annotations(home: Path) -> Path | None:
    """Where the JSON files are: the zip unpacks to a folder of its own in some tools."""
    return next((at for at in (home, home / "train_val2017") if (at / FILES["train"]).is_file()), None)


def _read(path: Path) -> tuple[dict[int, str], dict[str, int]]:
    """The categories' names by id, and every image's category by its file."""
    try:
        contents = json.loads(path.read_bytes())
        tables = {table: contents[table] for table in KEYS}
    except (ValueError, RecursionError) as reason:
        raise ValueError(f"{path} cannot be read as JSON ({reason}); it may be cut short. {ADVICE}") from reason
    except (KeyError, TypeError, IndexError):
        raise ValueError(f"{path} must hold images, annotations and categories. {ADVICE}") from None
    kinds = _by_key(path, tables, "categories", "id", "name", str)
    files = _by_key(path, tables, "images", "id", "file_name", str)
    category_of = _by_key(path, tables, "annotations", "image_id", "category_id", int)
    for image, category in category_of.items():
        if image not in files:
            raise ValueError(f"{path}: annotations: there is no image with the id {image}")
        if category not in kinds:
            raise ValueError(f"{path}: annotations: image {image} has the category {category}, which is not listed")
    chosen: dict[str, int] = {}
    for image, file in files.items():
        if image not in category_of:
            raise ValueError(f"{path}: images: {file} (id {image}) has no annotation")
        if file in chosen:
            raise ValueError(f"{path}: images: {file} stands twice")
        chosen[file] = category_of[image]
    if not chosen:
        raise ValueError(f"{path} names no image. {ADVICE}")
    return kinds, chosen


def _by_key(path: Path, tables: dict, table: str, key: str, value: str, kind: type) -> dict:
    """{entry[key]: entry[value]} of a table; keys are whole numbers and stand once."""
    rows = {}
    if not isinstance(tables[table], list):
        raise ValueError(f"{path}: {table} must be a list. {ADVICE}")
    for i, entry in enumerate(tables[table]):
        try:
            number, content = entry[key], entry[value]
        except (KeyError, TypeError, IndexError):
            raise ValueError(f"{path}: {table}[{i}] must have {key} and {value}, got {entry!r:.200}") from None
        if type(number) is not int or type(content) is not kind:
            raise ValueError(
                f"{path}: {table}[{i}]: {key} must be a whole number and {value} "
                f"{'text' if kind is str else 'a whole number'}, got {number!r:.50} and {content!r:.100}"
            )
        if number in rows:
            raise ValueError(f"{path}: {table}[{i}]: the {key} {number} stands twice")
        rows[number] = content
    return rows
