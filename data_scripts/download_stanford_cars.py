"""Get Stanford Cars, 196 kinds of cars: python data_scripts/download_stanford_cars.py --from FILE --from FILE ...

The original links are dead. Without --from, this prints which files to look for; with it, it checks and unpacks them
into datasets/stanford_cars, whichever of the known layouts they have.
"""

import sys
from pathlib import Path

import numpy as np
from archive_facts import Archive, Failure, PhotoSet
from collect_parts import find
from download_command import run
from verify_data_set import Contents

LABELS = "cars_test_annos_withlabels.mat"
FACTS = PhotoSet(
    name="Stanford Cars",
    folder="stanford_cars",
    source="Krause et al., 3DRR 2013; the original links are dead, copies circulate",
    terms="research only. The photographs belong to their owners.",
    archives=(
        Archive("car_devkit.tgz", md5="c3b158d763b6e2245038c8ad08e45376", expands=50),
        Archive("cars_train.tgz", md5="065e5b463ae28d29e77c1b4b166cfe61"),
        Archive("cars_test.tgz", md5="4ce7ebf6a94d07f1952d94dd34c4d501"),
        Archive(LABELS, md5="b0a2b23655a3edd16d84508592a98d10"),
    ),
    train=8_144,
    test=8_041,
    classes=196,
    copies_differ=True,
)
MANUAL = f"""
Stanford Cars cannot be downloaded by a script: its original links are dead. What to do:

1. Look for a copy. The original files, and their md5:
{"".join(f"       {archive.name:<32} {archive.md5}" + chr(10) for archive in FACTS.archives)}\
   Archives and data-sharing sites have copies, in one of three layouts; any will do:
       a. devkit/, cars_train/, cars_test/ and {LABELS}
       b. the same, each folder once more inside itself: cars_train/cars_train/ and so on
       c. car_ims/ and cars_annos.mat (also as car_ims.tgz)
   Mind {LABELS} in a and b: the devkit alone has no labels for the test images.
2. Give this script what you have: a folder, a .zip, or each file with a --from of its own:
       python data_scripts/download_stanford_cars.py --from FOLDER
       python data_scripts/download_stanford_cars.py --from car_devkit.tgz --from cars_train.tgz \\
           --from cars_test.tgz --from {LABELS}
   It counts {FACTS.counts()}. Your files stay as they are.
"""


def locate(folders: list[Path]) -> dict[str, Path]:
    """Layouts a and b become a; c stays."""
    meta = find(folders, "cars_meta.mat")
    labels = find(folders, LABELS) or find(folders, f"{LABELS.removesuffix('.mat')}*.mat")  # "... (1).mat" circulates
    parts = {"cars_train": find(folders, "cars_train"), "cars_test": find(folders, "cars_test")}
    lacks = [name for name, at in {"cars_meta.mat": meta, LABELS: labels, **parts}.items() if at is None]
    if not lacks:
        for name, at in parts.items():
            while (at / name).is_dir():
                at = at / name
            parts[name] = at
        # The devkit's folder has other names in some copies, and may hold the labels too.
        kit = {f"devkit/{file.name}": file for file in sorted(meta.parent.iterdir()) if file.is_file()}
        return {**{at: file for at, file in kit.items() if file != labels}, **parts, LABELS: labels}
    one = {"car_ims": find(folders, "car_ims"), "cars_annos.mat": find(folders, "cars_annos.mat")}
    if all(one.values()):
        return one
    other = [name for name, at in one.items() if at is None]
    raise Failure(
        f"no known layout of Stanford Cars found: for devkit + cars_train + cars_test + {LABELS} there is no "
        f"{', '.join(lacks)}; for car_ims + cars_annos.mat there is no {', '.join(other)}"
    )


def read(folder: Path) -> Contents:
    """The official split, from the annotations."""
    if (folder / "car_ims").is_dir():
        cars = _load(folder / "cars_annos.mat", "annotations", "relative_im_path", "test")
        files = [str(file) for file in cars["relative_im_path"]]
        train = [file for file, test in zip(files, cars["test"], strict=True) if not test]
        test = [file for file, test in zip(files, cars["test"], strict=True) if test]
        return Contents(train, test, len(_load(folder / "cars_annos.mat", "class_names")))
    train = _load(folder / "devkit" / "cars_train_annos.mat", "annotations", "fname", "class")["fname"]
    test = _load(folder / LABELS, "annotations", "fname", "class")["fname"]
    classes = len(_load(folder / "devkit" / "cars_meta.mat", "class_names"))
    return Contents([f"cars_train/{file}" for file in train], [f"cars_test/{file}" for file in test], classes)


def _load(file: Path, variable: str, *fields: str) -> np.ndarray:
    import scipy.io  # half a second, and not needed for --help

    if not file.is_file():
        raise Failure(f"there is no {file}")
    try:
        array = np.atleast_1d(scipy.io.loadmat(file, squeeze_me=True)[variable])
        for field in fields:
            array[field]
    except Exception as reason:  # scipy raises many kinds of errors for a broken file
        raise Failure(f"{file} has no {variable} that can be read ({type(reason).__name__}: {reason})") from None
    return array


def main(arguments: list[str] | None = None) -> int:
    return run(FACTS, locate, read, MANUAL, arguments)


if __name__ == "__main__":
    sys.exit(main())
