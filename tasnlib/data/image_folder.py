"""One's own images, in folders by class."""

import hashlib
import os
from pathlib import Path

from PIL import Image

from tasnlib.arguments import checked
from tasnlib.data.image_file import kinds
from tasnlib.data.images import ImageFiles
from tasnlib.data.layout import find_data_set, list_entries, require_split, wrong_folder

LAYOUT = """\
one of
    <folder>/train/<class>/*.jpg    <folder>/<class>/*.jpg
    <folder>/test/<class>/*.jpg     (split here, the same way every time)
    (test/ may be called val/ or validation/)"""
ADVICE = "The name of an image's folder is its class; file types are those that Pillow reads, as .jpg, .png, .webp."
TEST_FOLDERS = ("test", "val", "validation")


@checked
def load_folder(
    folder: str | Path, split: str, image_size: int = 512, test_share: float = 0.2, seed: int = 0
) -> ImageFiles:
    """One's own images, each in a folder named after its class. Classes are numbered in the order of their names.

    Either the folder holds `train/` and `test/` (or `val/`, or `validation/`; the first of these that has classes),
    each with a folder for every class. Or it holds the folders of the classes; then `test_share` of every class,
    rounded, but at least one image and not all, is the test set. Which ones follows from the seed and the images' names
    alone: the split is the same on every machine, and new images do not move many of the old ones.

    Hidden files, and files whose name does not end as those that Pillow reads, are left out.

    Args:
        folder: the folder described above, or one that holds it and no other such folder.
        split: "train" or "test".
        image_size: as in `ImageFiles`.
        test_share: between 0 and 1; used only where there is no `train/`.
        seed: another one gives another split; used only where there is no `train/`.

    Raises:
        ValueError: for a folder of another form, a class without images (or with a single one, where it has to be
            split), classes that differ between train and test, and bad arguments.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for kind in ("wren", "robin"):
    ...         (Path(folder) / kind).mkdir()
    ...         for i in range(5):
    ...             Image.new("RGB", (40, 30)).save(Path(folder) / kind / f"{i}.png")
    ...     train, test = load_folder(folder, "train"), load_folder(folder, "test")
    >>> train.class_names, train.labels.tolist(), test.labels.tolist()
    (['robin', 'wren'], [0, 0, 0, 0, 1, 1, 1, 1], [0, 1])
    """
    require_split(split)
    if isinstance(test_share, bool) or not isinstance(test_share, (int, float)) or not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share!r}; it must be a number between 0 and 1, as 0.2")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed is {seed!r}; it must be a whole number")
    home = find_data_set("one's own images", folder, holds_images_by_class, "no images by class", LAYOUT, ADVICE)
    name = f"{home.resolve().name}, {split}"
    # A folder without folders in it is no part of a split: `train` may be the class of railway trains.
    parts = [part for part in ("train", *TEST_FOLDERS) if _class_folders(home / part)]
    if parts:
        if "train" not in parts or len(parts) == 1:
            lacks = "train/" if "train" not in parts else "test/, val/ or validation/"
            raise wrong_folder(
                name, home, f"there is {parts[0]}/ but no {lacks} with folders of classes", LAYOUT, ADVICE
            )
        sides = {"train": _images_by_class(home / "train"), "test": _images_by_class(home / parts[1])}
        if sides["train"].keys() != sides["test"].keys():
            only = {side: ", ".join(sorted(sides[side].keys() - sides[other].keys())) or "none"
                    for side, other in (("train", "test"), ("test", "train"))}  # fmt: skip
            raise ValueError(
                f"{name}: {home}: train/ and {parts[1]}/ must have the same classes. "
                f"Only in train/: {only['train']}. Only in {parts[1]}/: {only['test']}."
            )
        chosen = sides[split]
    else:
        images_of = _images_by_class(home)
        if single := [str(images[0]) for images in images_of.values() if len(images) < 2]:
            more = f" and {len(single) - 5} more" if len(single) > 5 else ""
            raise ValueError(
                f"{name}: {len(single)} classes have a single image ({', '.join(single[:5])}{more}); each needs one "
                "for training and one for testing"
            )
        chosen = {kind: _one_side(kind, images, split, test_share, seed) for kind, images in images_of.items()}
    if len(chosen) < 2:
        raise ValueError(f"{name}: {home} has only one class, {', '.join(chosen)}; at least two are needed")
    paths = [path for images in chosen.values() for path in images]
    labels = [label for label, images in enumerate(chosen.values()) for _ in images]
    # Names as UTF-8 has them, whatever language the machine speaks, and no other than text can be written down.
    class_names = [os.fsencode(kind).decode("utf-8", "backslashreplace") for kind in chosen]
    return ImageFiles(paths, labels, class_names, image_size, name, root=home)


def _images(folder: Path) -> list[Path]:
    readable = {end for end, kind in Image.registered_extensions().items() if kind in kinds()}
    # A folder's entry ends with a slash, and so has none of these suffixes.
    return [folder / entry for entry in list_entries(folder) if os.path.splitext(entry)[1].lower() in readable]  # noqa: PTH122


def _class_folders(folder: Path) -> list[str]:
    return [entry[:-1] for entry in list_entries(folder) if entry.endswith("/")]


def holds_images_by_class(folder: Path) -> bool:
    """Whether it is a folder as `load_folder` reads it."""
    parts = ("train", *TEST_FOLDERS)
    # Images that lie in train/ or test/ themselves have no class; only beside other classes may those be classes too.
    kinds = [kind for kind in _class_folders(folder) if kind not in parts]
    kinds += [f"{part}/{kind}" for part in parts for kind in _class_folders(folder / part)]
    return any(_images(folder / kind) for kind in kinds)


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each class; sorted by code point, so that no machine's language changes a label."""
    images = {kind: _images(folder / kind) for kind in sorted(_class_folders(folder), key=os.fsencode)}
    empty = [kind for kind, of_class in images.items() if not of_class]
    if empty or not images:
        problem = f"no image in {', '.join(f'{kind}/' for kind in empty[:5])}" if images else "no folder of a class"
        raise wrong_folder("one's own images", folder, problem, LAYOUT, ADVICE)
    _tell_left_out(folder, images)
    return images


def _tell_left_out(folder: Path, images: dict[str, list[Path]]) -> None:
    """A phone's .heic, say, that Pillow does not read: better heard of than missed."""
    others = [
        os.path.splitext(entry)[1].lower() or "no suffix"  # noqa: PTH122
        for kind, of_class in images.items()
        for entry in set(list_entries(folder / kind)) - {path.name for path in of_class}
        if not entry.endswith("/") and entry.lower() not in ("thumbs.db", "desktop.ini")
    ]
    if others:
        kinds = ", ".join(f"{kind} {others.count(kind)}" for kind in sorted(set(others)))
        print(f"{folder}: {len(others)} files left out that are not images Pillow reads ({kinds})")
    inside = [f"{kind}/{entry}" for kind in images for entry in list_entries(folder / kind) if entry.endswith("/")]
    if inside:
        print(
            f"{folder}: {len(inside)} folders inside of classes left out, the first is {inside[0]}; images of a class "
            "lie in its folder itself"
        )


def _one_side(kind: str, images: list[Path], split: str, test_share: float, seed: int) -> list[Path]:
    def order(path: Path) -> bytes:
        return hashlib.sha256(f"{seed}/".encode() + os.fsencode(f"{kind}/{path.name}")).digest()

    count = min(max(round(test_share * len(images)), 1), len(images) - 1)
    test = set(sorted(images, key=order)[:count])
    return [path for path in images if (path in test) == (split == "test")]
