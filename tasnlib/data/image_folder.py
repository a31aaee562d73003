"""Images of your own, in one folder a class."""

import contextlib
import hashlib
import os
import unicodedata
from pathlib import Path, PurePath

from PIL import Image

from tasnlib.data.data_set_folder import DataSetFolder, list_folder
from tasnlib.data.files import cannot_read, first_of, print_once
from tasnlib.data.image_file import formats
from tasnlib.data.photographs import ImageFiles

FOLDER = DataSetFolder(
    "images of your own",
    """\
one of
    <folder>/train/<class>/*.jpg    <folder>/<class>/*.jpg
    <folder>/test/<class>/*.jpg     (split here, the same way every time)
    (or training/ and testing/; without test/, a val/, valid/ or validation/ is the test set)""",
    "The name of an image's folder is its class; file types are those that Pillow reads, as .jpg, .png, .webp.",
)
TEST_SHARE = 0.2
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= {"val": "val", "valid": "val", "validation": "val"}


def load_folder(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """Images of your own, each in a folder named after its class. Classes are numbered in the order of their names.

    Either the folder contains `train/` and `test/` with a folder for every class, see `FOLDER`. Or it contains the
    folders of the classes; then a fifth of every class, but at least one image and not all, is the test set. Which ones
    follows from the names alone: the split is the same on every machine, and new images do not move many old ones.

    Left out, with a line that says so: what servers and notebooks leave behind, and files that Pillow does not read.
    Class names are composed (Unicode NFC), so that copies from a Mac are the same. Raises ValueError for another layout
    and a class without enough images, OSError where a folder cannot be read, or a link leads nowhere."""
    home = FOLDER.find(folder, split, holds_images_by_class, "no images by class")
    if sides := _split_by_folders(home):
        chosen = sides[split]
    else:
        images_of = _images_by_class(home)
        if single := [kind for kind, images in images_of.items() if len(images) < 2]:
            raise ValueError(f"{home}: each class needs two images; there is only one in {first_of(single, 5)}")
        chosen = {kind: _one_side(kind, images, split) for kind, images in images_of.items()}
    if len(chosen) < 2:
        raise ValueError(f"{home} has only one class, {', '.join(chosen)}; at least two are needed")
    paths = [path for images in chosen.values() for path in images]
    labels = [label for label, images in enumerate(chosen.values()) for _ in images]
    # Text only, since names are written to files: bytes that are no UTF-8 become \x...
    class_names = [os.fsencode(kind).decode("utf-8", "backslashreplace") for kind in chosen]
    return ImageFiles(paths, labels, class_names, image_size, f"{home.resolve().name}, {split}", root=home)


def holds_images_by_class(folder: Path) -> bool:
    """Whether `load_folder` reads it; raises OSError where a training or test set cannot be read."""
    folders = [folder / name for name in list_folder(folder).folders]
    parts = [part for part in folders if part.name.lower() in PARTS]
    # Images directly in train/ or test/ have no class; only beside other classes may those be classes too.
    inside = (part / kind for part in parts for kind in list_folder(part).folders)
    if any(is_image(file) for kind in inside for file in list_folder(kind).files):
        return True
    for kind in folders:
        with contextlib.suppress(OSError):  # perhaps no class, but what is beside the data set
            if kind not in parts and any(map(is_image, list_folder(kind).files)):
                return True
    return False


def is_image(file: str | PurePath) -> bool:
    """Whether Pillow reads files whose names end like this one's."""
    return Image.registered_extensions().get(PurePath(file).suffix.lower()) in formats()


def _split_by_folders(home: Path) -> dict[str, dict[str, list[Path]]]:
    """The images of each class in "train" and "test"; empty where the folder has no such folders."""
    parts: dict[str, str] = {}
    for folder in list_folder(home).folders:
        part = PARTS.get(folder.lower())
        if part and list_folder(home / folder).folders:  # without folders, `train` may be the class of railway trains
            if part in parts:
                raise ValueError(f"{home}: {parts[part]}/ and {folder}/ both are {part} sets; keep one of them there")
            parts[part] = folder
    if not parts:
        return {}
    train, test = parts.get("train"), parts.get("test") or parts.get("val")
    if not train or not test:
        there = f"{train or test}/ but no {'test/ or val/' if train else 'train/'}"
        raise FOLDER.error(home, f"there is {there} with folders of classes")
    if "test" not in parts:
        print_once(f"{home}: there is no test/, so {test}/ is the test set")
    if unused := [f"{folder}/" for folder in list_folder(home).folders if folder not in (train, test)]:
        print_once(f"{home}: used neither for training nor for testing: {first_of(unused, 5)}")
    sides = {"train": _images_by_class(home / train), "test": _images_by_class(home / test)}
    if differing := ", ".join(sorted(sides["train"].keys() ^ sides["test"].keys())):
        raise ValueError(f"{home}: {train}/ and {test}/ must have the same classes; only in one: {differing}")
    return sides


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each class, sorted by code point, so that no machine's language changes a label."""
    listing = list_folder(folder)
    for link, reason in listing.broken.items():
        raise cannot_read(folder / link, reason)
    images: dict[str, list[Path]] = {}
    left_out = list(listing.litter)
    for kind in listing.folders:
        inside = list_folder(folder / kind)
        name = unicodedata.normalize("NFC", kind)
        if name in images:
            raise ValueError(f"{folder}: two folders are called {name!r}, one with accents composed; keep one of them")
        images[name] = [folder / kind / file for file in [*inside.files, *inside.broken] if is_image(file)]
        others = [file for file in inside.files if not is_image(file)]
        left_out += [f"{kind}/{one}" for one in [*inside.folders, *others]]
    if (empty := [f"{kind}/" for kind, of_class in images.items() if not of_class]) or not images:
        raise FOLDER.error(folder, f"no image in {first_of(empty, 5)}" if empty else "no folder of a class")
    if left_out:
        print_once(f"{folder}: left out, neither classes nor images: {first_of(left_out, 5)}")
    return dict(sorted(images.items(), key=lambda entry: os.fsencode(entry[0])))


def _one_side(kind: str, images: list[Path], split: str) -> list[Path]:
    def order(path: Path) -> bytes:
        return hashlib.sha256(b"0/" + os.fsencode(unicodedata.normalize("NFC", f"{kind}/{path.name}"))).digest()

    count = min(max(round(TEST_SHARE * len(images)), 1), len(images) - 1)
    test = set(sorted(images, key=order)[:count])
    return [path for path in images if (path in test) == (split == "test")]
