"""Folders of images: finding a data set in them, saying what is wrong with them, and one's own images by class."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from tasnlib.data.images import ImageFiles

__all__ = ["find_data_set", "load_folder", "require_images", "require_split", "wrong_folder"]

LAYOUT = """\
one of
    <folder>/train/<class>/*.jpg    <folder>/<class>/*.jpg
    <folder>/test/<class>/*.jpg     (split here, the same way every time)
    (test/ may be called val/ or validation/)"""
ADVICE = "The name of an image's folder is its class; file types are those that Pillow reads, as .jpg, .png, .webp."
TEST_FOLDERS = ("test", "val", "validation")
CACHE = "cache"  # where a run keeps what it made of the images, beside them; no class unless it holds images
# Pillow knows these by name, but opens them only with programs or plug-ins beside it.
_NOT_WITH_PILLOW_ALONE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


def require_split(split: str) -> None:
    """Raise ValueError unless `split` is "train" or "test"."""
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; it must be 'train' or 'test'")


def wrong_folder(name: str, folder: Path, problem: str, layout: str, advice: str) -> ValueError:
    """An error that says what is wrong, what is expected, what was found instead and what to do.

    >>> print(wrong_folder("Finches", Path("nowhere"), "there is no such folder", "finches/", "Draw some."))
    Finches: nowhere: there is no such folder.
    Expected:
    finches/
    Found in nowhere: nothing.
    Draw some.
    """
    entries = _entries(folder)
    found = ", ".join(entries[:8]) or "nothing"
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    return ValueError(f"{name}: {folder}: {problem}.\nExpected:\n{layout}\nFound in {folder}: {found}{more}.\n{advice}")


def find_data_set(
    name: str, folder: str | Path, fits: Callable[[Path], bool], missing: str, layout: str, advice: str
) -> Path:
    """The data set's own folder: the one given, or the only folder inside it that fits.

    Args:
        name: of the data set, for the message; likewise `missing` (what no folder had), `layout` and `advice`.
        fits: whether a folder is that of the data set.

    Raises:
        ValueError: where no folder fits, or several do.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        problem = "this is not a folder" if folder.exists() else "there is no such folder"
        raise wrong_folder(name, folder, problem, layout, advice)
    if fits(folder):
        return folder
    inside = [folder / entry.rstrip("/") for entry in _entries(folder) if entry.endswith("/")]
    homes = [home for home in inside if fits(home)]
    if len(homes) > 1:
        names = ", ".join(home.name for home in homes)
        raise ValueError(f"{name}: several folders in {folder} hold it ({names}); give one of them instead")
    if not homes:
        raise wrong_folder(name, folder, f"{missing}, here or in a folder inside", layout, advice)
    return homes[0]


def require_images(name: str, home: Path, files: Sequence[str], source: str, advice: str) -> list[Path]:
    """The paths of `files`, which are relative to `home`, once all of them are known to be there.

    Folders are listed instead of asking for one file after the other: half a million images on a network drive take
    seconds instead of an hour.

    Args:
        source: the file that names the images, for the message.

    Raises:
        ValueError: where images are missing (how many, and the first three), stand twice or lie outside `home`.
    """
    present: dict[str, set[str]] = {}
    missing, seen = [], set()
    for file in files:
        if file in seen:
            raise ValueError(f"{name}: {source} in {home}: the image {file} stands twice")
        seen.add(file)
        parent, _, base = file.rpartition("/")
        if parent not in present:
            if file.startswith("/") or ".." in PurePosixPath(file).parts:
                raise ValueError(f"{name}: {source} in {home}: the image {file} lies outside the data set's folder")
            try:
                present[parent] = set(os.listdir(home / parent))  # noqa: PTH208  names are wanted, not paths
            except (FileNotFoundError, NotADirectoryError):
                present[parent] = set()
        if base not in present[parent]:
            missing.append(file)
    if missing:
        first = "".join(f"\n    {file}" for file in missing[:3])
        raise ValueError(
            f"{name}: {len(missing):,} of the {len(files):,} images that {source} names are missing in {home}, "
            f"first of all{first}\n{advice}"
        )
    return [home / file for file in files]


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
    home = find_data_set("one's own images", folder, _holds_images_by_class, "no images by class", LAYOUT, ADVICE)
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
        chosen = {
            kind: _one_side(kind, images, split, test_share, seed) for kind, images in _images_by_class(home).items()
        }
    paths = [path for images in chosen.values() for path in images]
    labels = [label for label, images in enumerate(chosen.values()) for _ in images]
    return ImageFiles(paths, labels, list(chosen), image_size, name, root=home)


def _entries(folder: Path) -> list[str]:
    """What lies in a folder, in a fixed order, folders with a slash at the end; nothing where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name + "/" * entry.is_dir()
                for entry in entries
                if not entry.name.startswith(".") and entry.name != "__MACOSX"
            )
    except OSError:
        return []


def _images(folder: Path) -> list[Path]:
    kinds = Image.registered_extensions()
    readable = {end for end, kind in kinds.items() if kind in Image.OPEN and kind not in _NOT_WITH_PILLOW_ALONE}
    # A folder's entry ends with a slash, and so has none of these suffixes.
    return [folder / entry for entry in _entries(folder) if os.path.splitext(entry)[1].lower() in readable]  # noqa: PTH122


def _class_folders(folder: Path) -> list[str]:
    return [entry[:-1] for entry in _entries(folder) if entry.endswith("/")]


def _holds_images_by_class(folder: Path) -> bool:
    parts = ("train", *TEST_FOLDERS)
    # Images that lie in train/ or test/ themselves have no class; only beside other classes may those be classes too.
    kinds = [kind for kind in _class_folders(folder) if kind not in parts]
    kinds += [f"{part}/{kind}" for part in parts for kind in _class_folders(folder / part)]
    return any(_images(folder / kind) for kind in kinds)


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each class; sorted by code point, so that no machine's language changes a label."""
    images = {kind: _images(folder / kind) for kind in sorted(_class_folders(folder))}
    if not images.get(CACHE, True):
        del images[CACHE]
    empty = [kind for kind, of_class in images.items() if not of_class]
    if empty or not images:
        problem = f"no image in {', '.join(f'{kind}/' for kind in empty[:5])}" if images else "no folder of a class"
        raise wrong_folder("one's own images", folder, problem, LAYOUT, ADVICE)
    return images


def _one_side(kind: str, images: list[Path], split: str, test_share: float, seed: int) -> list[Path]:
    if len(images) < 2:
        raise ValueError(
            f"the class {kind!r} has a single image ({images[0]}); it needs one for training and one for testing"
        )

    def order(path: Path) -> bytes:
        return hashlib.sha256(f"{seed}/".encode() + os.fsencode(f"{kind}/{path.name}")).digest()

    count = min(max(round(test_share * len(images)), 1), len(images) - 1)
    test = set(sorted(images, key=order)[:count])
    return [path for path in images if (path in test) == (split == "test")]
