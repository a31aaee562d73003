"""iNaturalist-2017: 5,089 species, 579,184 images for training and 95,986 for validation, which serve as the test set.

Van Horn, Mac Aodha, Song, Cui, Sun, Shepard, Adam, Perona and Belongie, CVPR 2018. For research and education only.
"""

import json
from pathlib import Path

from tasnlib.data.data_set_folder import DataSetFolder, require_distinct
from tasnlib.data.files import is_file
from tasnlib.data.photographs import ImageFiles

INAT = DataSetFolder(
    "iNaturalist-2017",
    """\
inat2017/
├── train2017.json
├── val2017.json
└── train_val_images/<group>/<species>/*.jpg""",
    "Download it with: python data_scripts/download_inat2017.py",
)
# The labels of the official test images were never published, so everybody reports the accuracy on val2017.
FILES = {"train": "train2017.json", "test": "val2017.json"}


def load_inat2017(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of iNaturalist-2017, split by the two JSON files, labels from 0 in the order of the category ids.

    `folder` is that of the JSON files (or of train_val2017/, which has them), or the one above it. Raises ValueError
    for another layout, JSON files that cannot be read or contradict themselves or each other, and missing images.
    """
    home = INAT.find(folder, split, lambda at: _lists(at) is not None, "no train2017.json")
    at = _lists(home) or home
    if not is_file(at / FILES["test"]):
        raise INAT.error(home, f"no {FILES['test']} beside {FILES['train']}")
    (names, train), (test_names, test) = (_read(at / FILES[side]) for side in ("train", "test"))
    if strange := sorted(test_names.items() - names.items()):
        raise ValueError(f"{at}: the two JSON files must have the same categories; the first lacks {strange[0]}")
    if both := sorted(train.keys() & test.keys()):
        raise ValueError(f"{at}: {len(both):,} images are in both JSON files, as {both[0]}")
    numbers = sorted(names)
    label_of = {number: label for label, number in enumerate(numbers)}
    labels = {file: label_of[number] for file, number in (train if split == "train" else test).items()}
    return INAT.photographs(home, split, labels, [names[number] for number in numbers], image_size, at / FILES[split])


def _lists(home: Path) -> Path | None:
    """Where the JSON files are: some tools unpack the zip to a folder of its own."""
    return next((at for at in (home, home / "train_val2017") if is_file(at / FILES["train"])), None)


def _read(path: Path) -> tuple[dict[int, str], dict[str, int]]:
    """The categories' names by id, and every image's category by its file."""
    try:
        lists = json.loads(path.read_bytes())
        names = [(category["id"], category["name"]) for category in lists["categories"]]
        files = [(image["id"], image["file_name"]) for image in lists["images"]]
        labels = [(one["image_id"], one["category_id"]) for one in lists["annotations"]]
    except (ValueError, KeyError, TypeError, RecursionError) as reason:
        raise ValueError(f"{path} is not as it should be ({reason!r}). Is it cut short? {INAT.advice}") from reason
    for what, entries in (("category", names), ("image", files), ("annotation of image", labels)):
        require_distinct(path, f"the {what}", (number for number, _ in entries))
    require_distinct(path, "the image", (file for _, file in files))
    name_of, category_of = dict(names), dict(labels)
    if odd := dict(files).keys() ^ category_of.keys():
        raise ValueError(f"{path}: image {min(odd, key=str)} must be both in images and in annotations")
    if odd := set(category_of.values()) - name_of.keys():
        raise ValueError(f"{path}: annotations have the category {min(odd, key=str)}, which is not in categories")
    return name_of, {file: category_of[number] for number, file in files}
