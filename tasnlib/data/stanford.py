"""Stanford Cars (Krause et al., 3DRR 2013) and Stanford Dogs (Khosla et al., 2011), with their lists for MATLAB.

Cars: 196 kinds, 8,144 images for training, 8,041 for testing. The original links are dead, and the copies that go round
have three layouts; each is read as it is. Dogs: 120 breeds, 12,000 images for training, 8,580 for testing.
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
DOGS = DataSetFolder(
    "Stanford Dogs",
    """\
stanford_dogs/
├── train_list.mat, test_list.mat       (or in lists/)
└── Images/n02085620-Chihuahua/*.jpg""",
    "Download images.tar and lists.tar from vision.stanford.edu/aditya86/ImageNetDogs, and unpack both there",
)
DEVKITS = ("devkit", "devkit/devkit", "car_devkit", "car_devkit/devkit")


def load_stanford_cars(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """The images of Stanford Cars with labels from 0 (the files count from 1), the official split and class names.

    `folder` is the data set's own (with `devkit/` or `cars_annos.mat` in it), or the one above it; "test" needs
    cars_test_annos_withlabels.mat. Raises ValueError for another layout, an unreadable file, a label out of range, an
    image missing or listed twice."""

    def fits(at: Path) -> bool:
        return is_file(at / "cars_annos.mat") or _devkit(at) is not None

    home = CARS.find(folder, split, fits, "neither cars_annos.mat nor devkit/cars_meta.mat")
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
        files, values = _read(CARS, source, "annotations", "fname", "class")
        classes = {f"{images}/{file}": value for file, value in zip(files, values, strict=True)}
    else:
        source = names_file = home / "cars_annos.mat"
        if not is_folder(home / "car_ims"):  # its numbers are not those of cars_train/ and cars_test/
            raise CARS.error(home, "cars_annos.mat needs car_ims/, which is missing (cars_train/ needs the devkit)")
        files, values, tests = _read(CARS, source, "annotations", "relative_im_path", "class", "test")
        splits = look_up(source, dict(zip(files, tests, strict=True)), {0: "train", 1: "test"})
        classes = {file: value for file, value in zip(files, values, strict=True) if splits[file] == split}
    class_names = [str(name) for name in _read(CARS, names_file, "class_names")]
    labels = look_up(source, classes, {number: number - 1 for number in range(1, len(class_names) + 1)})
    return CARS.photographs(home, split, labels, class_names, image_size, source)


def load_stanford_dogs(folder: str | Path, split: str, image_size: int = 512) -> ImageFiles:
    """As `load_stanford_cars`, for Stanford Dogs. `folder` has Images/ and the lists, or is the one above it."""
    name = f"{split}_list.mat"
    home = DOGS.find(folder, split, lambda at: is_file(at / name) or is_file(at / "lists" / name), f"no {name}")
    source = home / name if is_file(home / name) else home / "lists" / name
    files, numbers = (_read(DOGS, source, variable) for variable in ("file_list", "labels"))
    require_distinct(source, "the image", files)
    kinds = sorted({(number, file.partition("/")[0]) for number, file in zip(numbers, files, strict=True)})
    require_distinct(source, "as the number of two breeds, the label", (number for number, _ in kinds))
    meaning = {number: number - 1 for number in range(1, len(kinds) + 1)}
    labels = look_up(source, dict(zip(files, numbers, strict=True)), meaning)
    class_names = [breed.partition("-")[2].replace("_", " ") for _, breed in kinds]
    label_of = {f"Images/{file}": label for file, label in labels.items()}
    return DOGS.photographs(home, split, label_of, class_names, image_size, source)


def _devkit(home: Path) -> Path | None:
    return next((home / at for at in DEVKITS if is_file(home / at / "cars_meta.mat")), None)


def _read(data_set: DataSetFolder, path: Path, variable: str, *fields: str) -> list:
    """One variable of a MATLAB file, or the fields of it, of which the first names the images."""
    try:
        contents = scipy.io.loadmat(path, squeeze_me=True)
    except Exception as reason:  # scipy meets a broken file with many kinds of errors
        raise ValueError(f"{path} cannot be read as a MATLAB file ({reason}). {data_set.advice}") from reason
    array = np.atleast_1d(contents.get(variable, ()))
    if not array.size or not set(fields) <= set(array.dtype.names or ()):
        needed = f" with {' and '.join(fields)}" if fields else ""
        raise ValueError(f"{path} has no {variable}{needed}; it is not the file of that name. {data_set.advice}")
    if not fields:
        return list(array)
    require_distinct(path, "the image", array[fields[0]])
    return [array[field] for field in fields]
