"""iNaturalist-2017: 5,089 species, 579,184 images for training and 95,986 for validation, which serve as the test set.

Van Horn, Mac Aodha, Song, Cui, Sun, Shepard, Adam, Perona and Belongie, CVPR 2018. For research and education only.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tasnlib.data.data_set_folder import find_data_set, require_images, require_split, wrong_folder
from tasnlib.data.files import is_file, is_folder
from tasnlib.data.photographs import ImageFiles

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


class _Image(TypedDict):
    id: int
    file_name: str


class _Annotation(TypedDict):
    image_id: int
    category_id: int


class _Category(TypedDict):
    id: int
    name: str


class _Lists(TypedDict):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


_READER = TypeAdapter(_Lists)


def load_inat2017(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of iNaturalist-2017, split by the two JSON files, labels from 0 in the order of the category ids.

    Both files are read for either split, to be sure that labels mean the same in both and that no image is in both.

    Args:
        folder: the folder with the JSON files (or with train_val2017/, which has them), or the folder above it.
        split: "train" for train2017.json, "test" for val2017.json.
        image_size: as in `ImageFiles`.

    Raises:
        ValueError: for another layout, JSON files that cannot be read or contradict themselves or each other (naming
            the entry), and missing images.
    """
    require_split(split)
    home = find_data_set(NAME, folder, lambda at: _lists(at) is not None, "no train2017.json", LAYOUT, ADVICE)
    at = _lists(home) or home
    if not is_file(at / FILES["test"]):
        raise wrong_folder(NAME, home, f"no {FILES['test']} beside {FILES['train']}", LAYOUT, ADVICE)
    if not is_folder(home / "train_val_images"):
        raise wrong_folder(NAME, home, "no folder train_val_images/", LAYOUT, ADVICE)
    names, train = _read(at / FILES["train"])
    test_names, test = _read(at / FILES["test"])
    strange = sorted(category for category, name in test_names.items() if names.get(category) != name)
    if strange:
        raise ValueError(
            f"{NAME}: {FILES['train']} and {FILES['test']} in {at} must have the same categories; "
            f"{len(strange):,} of the second are not in the first, as {strange[0]} ({test_names[strange[0]]})"
        )
    both = sorted(train.keys() & test.keys())
    if both:
        raise ValueError(f"{NAME}: {len(both):,} images are in both {FILES['train']} and {FILES['test']}, as {both[0]}")
    chosen = train if split == "train" else test
    paths = require_images(NAME, home, list(chosen), FILES[split], ADVICE)
    label_of = {category: label for label, category in enumerate(sorted(names))}
    labels = [label_of[category] for category in chosen.values()]
    class_names = [names[category] for category in sorted(names)]
    return ImageFiles(paths, labels, class_names, image_size, f"{NAME}, {split}", root=home)


def _lists(home: Path) -> Path | None:
    """Where the JSON files are: some tools unpack the zip to a folder of its own."""
    return next((at for at in (home, home / "train_val2017") if is_file(at / FILES["train"])), None)


def _read(path: Path) -> tuple[dict[int, str], dict[str, int]]:
    """The categories' names by id, and every image's category by its file."""
    try:
        lists = _READER.validate_json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), strict=True)
    except ValidationError as reason:
        first = reason.errors(include_url=False, include_input=False)[0]
        where = ": ".join([str(path), ".".join(map(str, first["loc"]))]).removesuffix(": ")
        raise ValueError(f"{where}: {first['msg']}. Is it cut short? {ADVICE}") from None
    names = {category["id"]: category["name"] for category in lists["categories"]}
    files = {image["id"]: image["file_name"] for image in lists["images"]}
    category_of = {one["image_id"]: one["category_id"] for one in lists["annotations"]}
    _once(path, "category ids", (category["id"] for category in lists["categories"]))
    _once(path, "image ids", (image["id"] for image in lists["images"]))
    _once(path, "annotated images", (one["image_id"] for one in lists["annotations"]))
    _once(path, "images", files.values())
    if odd := sorted(files.keys() ^ category_of.keys()):
        raise ValueError(f"{path}: image {odd[0]} must be both in images and in annotations")
    if odd := sorted(set(category_of.values()) - names.keys()):
        raise ValueError(f"{path}: annotations have the category {odd[0]}, which is not in categories")
    if not files:
        raise ValueError(f"{path} has no images. {ADVICE}")
    return names, {file: category_of[image] for image, file in files.items()}


def _once(path: Path, what: str, values: Iterable[object]) -> None:
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise ValueError(f"{path}: {what}: {value} is listed {count} times")
