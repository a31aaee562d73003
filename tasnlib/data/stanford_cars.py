"""Stanford Cars: 196 kinds of cars, 8,144 images for training and 8,041 for testing.

Krause, Stark, Deng and Fei-Fei, 3DRR 2013. The original links are dead, and the copies that go round have three
layouts; each is read as it is.
"""

from pathlib import Path

import numpy as np
import scipy.io

from tasnlib.data.data_set_folder import DataSetFolder, look_up, require_distinct
from tasnlib.data.files import is_file, is_folder
from tasnlib.data.photographs import ImageFiles

TEST_LABELS = "cars_test_annos_withlabels.mat"
CARS = DataSetFolder(
    "Stanford Cars",
    f"""\
    stanford_cars/                             or  stanford_cars/
    ├── devkit/cars_meta.mat                       ├── cars_annos.mat
    ├── devkit/cars_train_annos.mat                └── car_ims/000001.jpg ...
    ├── {TEST_LABELS} (or in devkit/)
    ├── cars_train/00001.jpg ...
    └── cars_test/00001.jpg ...""",
    "How to get it: python data_scripts/download_stanford_cars.py",
)
DEVKITS = ("devkit", "devkit/devkit", "car_devkit", "car_devkit/devkit")


def load_stanford_cars(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of Stanford Cars with labels from 0 (the files count from 1), the official split and class names.

    `folder` is the data set's own (with `devkit/` or `cars_annos.mat` in it), or the one above it. For "test" the file
    cars_test_annos_withlabels.mat is needed: the devkit's own cars_test_annos.mat has no labels.

    Raises:
        ValueError: for another layout, an unreadable file, a label out of range, and an image missing or listed twice.
    """
    home = CARS.find(
        folder,
        split,
        lambda at: is_file(at / "cars_annos.mat") or _devkit(at) is not None,
        "neither cars_annos.mat nor devkit/cars_meta.mat",
    )
    devkit = _devkit(home)
    images = next((at for at in (f"cars_{split}/cars_{split}", f"cars_{split}") if is_folder(home / at)), None)
    # Some copies have both layouts, or cars_annos.mat without its images: the one that is whole counts.
    if devkit and (images or not is_folder(home / "car_ims")):
        name = {"train": "cars_train_annos.mat", "test": TEST_LABELS}[split]
        names_file = devkit / "cars_meta.mat"
        source = next((at / name for at in (home, devkit, devkit.parent) if is_file(at / name)), None)
        if source is None:
            hint = ", the labels of the test images (cars_test_annos.mat has none)" if split == "test" else ""
            raise CARS.error(home, f"no {name}{hint}")
        if images is None:
            raise CARS.error(home, f"no folder cars_{split}/")
        files, values = _read(source, "annotations", "fname", "class")
        classes = {f"{images}/{file}": value for file, value in zip(files, values, strict=True)}
    else:
        source = names_file = home / "cars_annos.mat"
        if not is_folder(home / "car_ims"):
            # Its numbers are not those of cars_train/ and cars_test/: nothing tells which image is which.
            raise CARS.error(home, "cars_annos.mat needs car_ims/, which is missing (cars_train/ needs the devkit)")
        files, values, tests = _read(source, "annotations", "relative_im_path", "class", "test")
        splits = look_up(source, dict(zip(files, tests, strict=True)), {0: "train", 1: "test"})
        classes = {file: value for file, value in zip(files, values, strict=True) if splits[file] == split}
    class_names = [str(name) for name in _read(names_file, "class_names")]
    labels = look_up(source, classes, {number: number - 1 for number in range(1, len(class_names) + 1)})
    return CARS.photographs(home, split, labels, class_names, image_size, source)


def _devkit(home: Path) -> Path | None:
    return next((home / at for at in DEVKITS if is_file(home / at / "cars_meta.mat")), None)


def _read(path: Path, variable: str, *fields: str) -> list:
    """One variable of a MATLAB file, or the fields of it, of which the first names the images."""
    try:
        contents = scipy.io.loadmat(path, squeeze_me=True)
    except Exception as reason:  # scipy meets a broken file with many kinds of errors
        raise ValueError(f"{path} cannot be read as a MATLAB file ({reason}). {CARS.advice}") from reason
    array = np.atleast_1d(contents.get(variable, ()))
    if not array.size or not set(fields) <= set(array.dtype.names or ()):
        needed = f" with {' and '.join(fields)}" if fields else ""
        raise ValueError(f"{path} has no {variable}{needed}; it is not the file of that name. {CARS.advice}")
    if not fields:
        return list(array)
    require_distinct(path, "the image", array[fields[0]])
    return [array[field] for field in fields]
