"""Stanford Cars: 196 kinds of cars, 8,144 images for training and 8,041 for testing.

Krause, Stark, Deng and Fei-Fei, 3DRR 2013. The original links are dead, and the copies that go round are laid out in
three ways; each is read as it is.
"""

from pathlib import Path

import numpy as np
import scipy.io

from tasnlib.arguments import checked
from tasnlib.data.images import ImageFiles
from tasnlib.data.layout import find_data_set, require_images, require_split, wrong_folder

__all__ = ["load_stanford_cars"]

NAME = "Stanford Cars"
TEST_LABELS = "cars_test_annos_withlabels.mat"
LAYOUT = f"""\
one of
    stanford_cars/                               stanford_cars/
    ├── devkit/cars_meta.mat                     ├── cars_annos.mat
    ├── devkit/cars_train_annos.mat              └── car_ims/000001.jpg ...
    ├── {TEST_LABELS}
    ├── cars_train/00001.jpg ...
    └── cars_test/00001.jpg ...
    (devkit/devkit/, cars_train/cars_train/ and cars_test/cars_test/ will do;
    {TEST_LABELS} may lie in devkit/ too)"""
ADVICE = "How to get it: python data_scripts/download_stanford_cars.py"
DEVKITS = ("devkit", "devkit/devkit", "car_devkit", "car_devkit/devkit")


@checked
def load_stanford_cars(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of Stanford Cars with labels from 0 (the files count from 1), the official split and class names.

    Args:
        folder: the data set's own folder (with `devkit/` or `cars_annos.mat` in it), or the folder above it.
        split: "train" or "test". For "test" the file cars_test_annos_withlabels.mat is needed: the devkit's own
            cars_test_annos.mat has no labels.
        image_size: as in `ImageFiles`.

    Raises:
        ValueError: for a folder of another form, a file that cannot be read, a label out of range (the annotation is
            named), an image that stands twice, and missing images.

    >>> import tempfile
    >>> from tests.data.photo_sets import make_stanford_cars  # three classes, drawn, in the same form
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = make_stanford_cars(folder, "devkit")
    ...     cars = load_stanford_cars(folder, "test")
    >>> cars.name, len(cars), cars.classes, cars.class_names[0]
    ('Stanford Cars, test', 9, 3, 'AM General Hummer SUV 2000')
    """
    require_split(split)
    home = find_data_set(
        NAME,
        folder,
        lambda at: (at / "cars_annos.mat").is_file() or _devkit(at) is not None,
        "neither cars_annos.mat nor devkit/cars_meta.mat",
        LAYOUT,
        ADVICE,
    )
    devkit = _devkit(home)
    # Some copies hold both forms, or cars_annos.mat without the folder it speaks of: what counts is what is whole.
    if devkit is not None and (_image_folder(home, f"cars_{split}") or not (home / "car_ims").is_dir()):
        source, files, labels = _from_devkit(home, devkit, split)
        names_file = devkit / "cars_meta.mat"
    else:
        source, files, labels = _from_one_folder(home, split)
        names_file = home / "cars_annos.mat"
    class_names = [str(name) for name in _read(names_file, "class_names")]
    for number, (file, label) in enumerate(zip(files, labels, strict=True), 1):
        if not _is_whole(label, 1, len(class_names)):
            raise ValueError(
                f"{source}, annotation {number} ({file}): class is {label}; it must be a whole number from 1 to "
                f"{len(class_names)}, the number of classes in {names_file}"
            )
    paths = require_images(NAME, home, files, source.name, ADVICE)
    labels = [int(label) - 1 for label in labels]
    return ImageFiles(paths, labels, class_names, image_size, f"{NAME}, {split}", root=home)


def _devkit(home: Path) -> Path | None:
    return next((home / at for at in DEVKITS if (home / at / "cars_meta.mat").is_file()), None)


def _image_folder(home: Path, part: str) -> str | None:
    return next((at for at in (f"{part}/{part}", part) if (home / at).is_dir()), None)


def _from_devkit(home: Path, devkit: Path, split: str) -> tuple[Path, list[str], list]:
    if split == "train":
        source = devkit / "cars_train_annos.mat"
    else:
        found = [at / TEST_LABELS for at in (home, devkit, devkit.parent) if (at / TEST_LABELS).is_file()]
        if not found:
            problem = f"the labels of the test images are missing: {TEST_LABELS}"
            if (devkit / "cars_test_annos.mat").is_file():
                problem += " (cars_test_annos.mat is there, but it has none)"
            raise wrong_folder(NAME, home, problem, LAYOUT, ADVICE)
        source = found[0]
    if not source.is_file():
        raise wrong_folder(NAME, home, f"no {source.relative_to(home).as_posix()}", LAYOUT, ADVICE)
    images = _image_folder(home, f"cars_{split}")
    if images is None:
        raise wrong_folder(NAME, home, f"no folder cars_{split}/", LAYOUT, ADVICE)
    annotations = _read(source, "annotations", ("fname", "class"))
    return source, [f"{images}/{file}" for file in annotations["fname"]], list(annotations["class"])


def _from_one_folder(home: Path, split: str) -> tuple[Path, list[str], list]:
    source = home / "cars_annos.mat"
    if not (home / "car_ims").is_dir():
        # Its numbers are not those of cars_train/ and cars_test/: nothing tells which image is which.
        problem = "cars_annos.mat speaks of car_ims/, which is not there; cars_train/ and cars_test/ need the devkit"
        raise wrong_folder(NAME, home, problem, LAYOUT, ADVICE)
    annotations = _read(source, "annotations", ("relative_im_path", "class", "test"))
    files, sides = [str(file) for file in annotations["relative_im_path"]], list(annotations["test"])
    first: dict[str, int] = {}
    for number, (file, side) in enumerate(zip(files, sides, strict=True), 1):
        if not _is_whole(side, 0, 1):
            raise ValueError(f"{source}, annotation {number} ({file}): test is {side}; it must be 0 or 1")
        earlier = first.setdefault(file, number)
        if earlier != number:
            both = " and in both splits" if sides[earlier - 1] != side else ""
            raise ValueError(f"{source}: {file} stands twice{both}, as annotation {earlier} and {number}")
    chosen = [i for i, side in enumerate(sides) if side == (split == "test")]
    return source, [files[i] for i in chosen], [annotations["class"][i] for i in chosen]


def _read(path: Path, variable: str, fields: tuple[str, ...] = ()) -> np.ndarray:
    """One variable of a MATLAB file, as an array of one axis."""
    if not path.is_file():
        raise ValueError(f"{NAME}: there is no {path}. Expected:\n{LAYOUT}\n{ADVICE}")
    try:
        contents = scipy.io.loadmat(path, squeeze_me=True)
    except Exception as reason:  # scipy meets a broken file with many kinds of errors
        raise ValueError(
            f"{path} cannot be read as a MATLAB file ({reason}); it may be cut short. {ADVICE}"
        ) from reason
    array = np.atleast_1d(contents.get(variable, ()))
    lacks = [field for field in fields if field not in (array.dtype.names or ())]
    if not array.size or lacks:
        what = f"no {' and no '.join(lacks)} in its {variable}" if array.size else f"no {variable}"
        raise ValueError(f"{path} has {what}; it is not the file of that name. {ADVICE}")
    return array


def _is_whole(value: object, low: int, high: int) -> bool:
    """MATLAB has whole numbers as bytes, as 16 bits and as floats."""
    numbers = int | float | np.integer | np.floating | np.bool_
    return isinstance(value, numbers) and bool(low <= value <= high and value == int(value))
