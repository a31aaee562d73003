"""Small data sets in the exact real formats: drawn JPEGs in folders, with the annotation files that belong to them.

Each `make_...` writes a folder and returns it; each `..._photos` with the same arguments says what was written, so that
a test need not read it back. Both are pure functions of their arguments.
"""

import io
import json
from colorsys import hsv_to_rgb
from math import nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
from PIL import Image, ImageDraw

CUB_NAMES = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani", "Crested_Auklet")
CAR_NAMES = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Acura TL Sedan 2012", "Ram C/V Cargo Van 2012")
SPECIES = (("Aves", "Accipiter badius"), ("Insecta", "Abaeis nicippe"), ("Plantae", "Abies balsamea"))

# The parts of CUB-200-2011 in its order, and where they are on a bird that faces right, in units of its body. Of each
# eye and wing only the one on the side towards us shows.
BIRD = {
    "back": (-0.4, -0.5),
    "beak": (1.42, -0.55),
    "belly": (0.0, 0.5),
    "breast": (0.7, 0.2),
    "crown": (0.9, -0.92),
    "forehead": (1.2, -0.75),
    "left eye": (1.0, -0.65),
    "left leg": (-0.15, 0.8),
    "left wing": (-0.2, -0.05),
    "nape": (0.62, -0.75),
    "right eye": (1.0, -0.65),
    "right leg": (0.25, 0.8),
    "right wing": (-0.2, -0.05),
    "tail": (-1.3, -0.05),
    "throat": (1.1, -0.28),
}


class Photo(NamedTuple):
    """What is true of one image: its path in the data set's folder, its label from 0, its side of the split."""

    file: str
    label: int
    train: bool
    size: tuple[int, int] = (0, 0)  # width, height
    box: tuple[int, int, int, int] = (0, 0, 0, 0)  # x0, y0, x1, y1 of what is drawn
    points: tuple[tuple[float, float], ...] = ()  # of the parts, NaN where one does not show
    facing: int = 1  # -1: to the left
    number: int = 0


def colour_of(label: int, value: float = 0.9) -> tuple[int, int, int]:
    """Neighbouring classes are far apart in hue."""
    return tuple(round(255 * c) for c in hsv_to_rgb(label * 0.381966 % 1, 0.85, value))


def _photo(file: str, label: int, train: bool, number: int, seed: int) -> Photo:
    random = np.random.default_rng([seed, number])
    width, height = int(random.integers(60, 121)), int(random.integers(48, 91))
    unit = min(width / 3.4, height / 2.4) * random.uniform(0.75, 1)
    x, y = random.uniform(1.6 * unit, width - 1.6 * unit), random.uniform(1.1 * unit, height - 1.1 * unit)
    box = (round(x - 1.6 * unit), round(y - 1.1 * unit), round(x + 1.6 * unit), round(y + 1.1 * unit))
    facing = 1 if random.uniform() < 0.5 else -1
    hidden = ("left eye", "left wing") if facing == 1 else ("right eye", "right wing")
    points = [
        (nan, nan)
        if part in hidden or random.uniform() < 0.1
        else (round(x + facing * unit * along, 1), round(y + unit * down, 1))
        for part, (along, down) in BIRD.items()
    ]
    return Photo(file, label, train, (width, height), box, tuple(points), facing, number)


def _ground(photo: Photo) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    grain = np.random.default_rng(photo.number).integers(90, 150, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(grain).resize(photo.size, Image.Resampling.BILINEAR)
    return image, ImageDraw.Draw(image)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **({"quality": 90} if path.suffix.lower() in (".jpg", ".jpeg") else {}))


def _draw_shape(photo: Photo, path: Path) -> None:
    image, draw = _ground(photo)
    (x0, y0, x1, y1), colour = photo.box, colour_of(photo.label)
    if photo.label % 3 == 0:
        draw.ellipse(photo.box, colour)
    elif photo.label % 3 == 1:
        draw.rectangle(photo.box, colour)
    else:
        draw.polygon([(x0, y1), (x1, y1), ((x0 + x1) / 2, y0)], colour)
    _save(image, path)


def _draw_bird(photo: Photo, path: Path, grey: bool) -> None:
    image, draw = _ground(photo)
    x0, y0, x1, y1 = photo.box
    x, y, unit = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 3.2

    def at(along: float, down: float) -> tuple[float, float]:
        return x + photo.facing * unit * along, y + unit * down

    def disc(along: float, down: float, wide: float, high: float, colour) -> None:
        (cx, cy), w, h = at(along, down), unit * wide, unit * high
        draw.ellipse((cx - w, cy - h, cx + w, cy + h), colour)

    for leg in (-0.15, 0.25):
        draw.line([at(leg, 0.5), at(leg, 1.1)], (60, 40, 20), 2)
    draw.polygon([at(-0.8, -0.2), at(-0.8, 0.2), at(-1.55, 0.1), at(-1.55, -0.2)], colour_of(photo.label, 0.5))
    disc(0, 0, 1, 0.6, colour_of(photo.label))
    disc(-0.2, -0.05, 0.55, 0.25, colour_of(photo.label + 1))
    disc(0.9, -0.6, 0.4, 0.4, colour_of(photo.label))
    draw.polygon([at(1.25, -0.65), at(1.25, -0.45), at(1.6, -0.53)], (240, 160, 20))
    disc(1.0, -0.65, 0.1, 0.1, (0, 0, 0))
    _save(image.convert("L") if grey else image, path)


def _halves(count: int, seed: int, label: int) -> np.ndarray:
    """Which of a class's images are for training: half of them, the odd one too."""
    return np.random.default_rng([seed, label, 7]).permutation(count) < (count + 1) // 2


def cub200_photos(classes: int = 2, images_per_class: int = 10, seed: int = 0) -> list[Photo]:
    """What `make_cub200` writes, in the order of images.txt."""
    photos = []
    for label in range(classes):
        name = CUB_NAMES[label] if label < len(CUB_NAMES) else f"Drawn_Bird_{label + 1}"
        for of_class, train in enumerate(_halves(images_per_class, seed, label)):
            number = len(photos) + 1
            file = f"images/{label + 1:03d}.{name}/{name}_{of_class + 1:04d}_{795900 + number}.jpg"
            photos.append(_photo(file, label, bool(train), number, seed))
    return photos


def make_cub200(folder: str | Path, classes: int = 2, images_per_class: int = 10, seed: int = 0) -> Path:
    """`CUB_200_2011/` and, beside it, `attributes.txt`: what the archive of CUB-200-2011 holds.

    As in the real one, a few images (here the fourth) are grey. Returns the folder CUB_200_2011.
    """
    photos = cub200_photos(classes, images_per_class, seed)
    home = Path(folder) / "CUB_200_2011"
    for photo in photos:
        _draw_bird(photo, home / photo.file, grey=photo.number == 4)
    folders = sorted({photo.file.split("/")[1] for photo in photos})
    lines = {
        "images.txt": [f"{p.number} {p.file.removeprefix('images/')}" for p in photos],
        "image_class_labels.txt": [f"{p.number} {p.label + 1}" for p in photos],
        "train_test_split.txt": [f"{p.number} {int(p.train)}" for p in photos],
        "classes.txt": [f"{int(name[:3])} {name}" for name in folders],
        "bounding_boxes.txt": [
            f"{p.number} {p.box[0]:.1f} {p.box[1]:.1f} {p.box[2] - p.box[0]:.1f} {p.box[3] - p.box[1]:.1f}"
            for p in photos
        ],
        "parts/parts.txt": [f"{part} {name}" for part, name in enumerate(BIRD, 1)],
        "parts/part_locs.txt": [
            f"{p.number} {part} {x} {y} 1" if x == x else f"{p.number} {part} 0.0 0.0 0"
            for p in photos
            for part, (x, y) in enumerate(p.points, 1)
        ],
        "attributes/image_attribute_labels.txt": [f"{p.number} 1 {p.label % 2} 3 5.0" for p in photos],
        "attributes/certainties.txt": ["1 not visible", "2 guessing", "3 probably", "4 definitely"],
        "README": ["The Caltech-UCSD Birds-200-2011 Dataset, drawn small."],
        "../attributes.txt": ["1 has_bill_shape::curved_(up_or_down)"],
    }
    for file, text in lines.items():
        (home / file).parent.mkdir(exist_ok=True)
        (home / file).write_text("\n".join(text) + "\n")
    return home


def _structs(rows: list[dict]) -> np.ndarray:
    """A MATLAB struct array, 1×N."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        array[0, i] = tuple(value if isinstance(value, str) else np.uint16(value) for value in row.values())
    return array


def _save_mat(path: Path, **contents) -> None:
    """The same bytes at every call: scipy writes the time into the first 116."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, contents)
    header = b"MATLAB 5.0 MAT-file, Platform: GLNXA64, Created on: Sat Feb 28 19:31:54 2015"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.ljust(116) + buffer.getvalue()[116:])


def stanford_cars_photos(layout: str, classes: int = 3, images_per_class: int = 6, seed: int = 0) -> list[Photo]:
    """What `make_stanford_cars` writes: training images first, each side in its annotations' order."""
    labels = [(label, bool(train)) for label in range(classes) for train in _halves(images_per_class, seed, label)]
    order = np.random.default_rng([seed, 3]).permutation(len(labels))  # the real ones are not sorted by class either
    photos, numbers = [], {True: 0, False: 0}
    for i in order:
        label, train = labels[i]
        numbers[train] += 1
        part = "cars_train" if train else "cars_test"
        file = {
            "devkit": f"{part}/{numbers[train]:05d}.jpg",
            "nested": f"{part}/{part}/{numbers[train]:05d}.jpg",
            "car_ims": f"car_ims/{sum(numbers.values()):06d}.jpg",
        }[layout]
        photos.append(_photo(file, label, train, sum(numbers.values()), seed))
    return sorted(photos, key=lambda photo: not photo.train)


def make_stanford_cars(
    folder: str | Path,
    layout: str,
    classes: int = 3,
    images_per_class: int = 6,
    seed: int = 0,
    test_labels: str = "beside",
) -> Path:
    """Stanford Cars as one of the copies that go round. Returns `folder`, which then holds the data set itself.

    Args:
        layout: "devkit" (devkit, cars_train, cars_test), "nested" (each of the three inside one of its own name) or
            "car_ims" (all images in one folder, with cars_annos.mat).
        test_labels: where cars_test_annos_withlabels.mat goes: "beside" the devkit, "inside" it, or "missing".
    """
    home = Path(folder)
    photos = stanford_cars_photos(layout, classes, images_per_class, seed)
    for photo in photos:
        _draw_shape(photo, home / photo.file)
    names = np.empty((1, classes), dtype=object)
    names[0] = [CAR_NAMES[i] if i < len(CAR_NAMES) else f"Drawn Car {i + 1}" for i in range(classes)]

    def rows(train: bool, with_class: bool = True) -> np.ndarray:
        return _structs(
            [
                dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), p.box, strict=True))
                | ({"class": p.label + 1} if with_class else {})
                | {"fname": p.file.split("/")[-1]}
                for p in photos
                if p.train == train
            ]
        )

    if layout == "car_ims":
        annotations = [
            {"relative_im_path": p.file}
            | dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), p.box, strict=True))
            | {"class": p.label + 1, "test": int(not p.train)}
            for p in sorted(photos, key=lambda photo: photo.file)
        ]
        _save_mat(home / "cars_annos.mat", annotations=_structs(annotations), class_names=names)
        return home
    devkit = home / "devkit" / "devkit" if layout == "nested" else home / "devkit"
    _save_mat(devkit / "cars_meta.mat", class_names=names)
    _save_mat(devkit / "cars_train_annos.mat", annotations=rows(train=True))
    _save_mat(devkit / "cars_test_annos.mat", annotations=rows(train=False, with_class=False))
    (devkit / "README.txt").write_text("This file describes the devkit for the cars dataset, drawn small.\n")
    if test_labels != "missing":
        place = home if test_labels == "beside" else devkit
        _save_mat(place / "cars_test_annos_withlabels.mat", annotations=rows(train=False))
    return home


def inat2017_photos(classes: int = 3, images_per_class: int = 6, seed: int = 0) -> list[Photo]:
    """What `make_inat2017` writes: those of train2017.json, then those of val2017.json; `number` is the image's id."""
    photos = []
    for label in range(classes):
        group, name = SPECIES[label] if label < len(SPECIES) else ("Plantae", f"Drawn species{label:04d}")
        for of_class, train in enumerate(_halves(images_per_class, seed, label)):
            digest = np.random.default_rng([seed, label, of_class]).bytes(16).hex()
            photos.append(Photo(f"train_val_images/{group}/{name}/{digest}.jpg", label, bool(train)))
    photos.sort(key=lambda photo: not photo.train)
    return [_photo(p.file, p.label, p.train, number, seed) for number, p in enumerate(photos)]


def make_inat2017(folder: str | Path, classes: int = 3, images_per_class: int = 6, seed: int = 0) -> Path:
    """train_val_images/, train2017.json and val2017.json. Returns `folder`, which then holds the data set itself."""
    home = Path(folder)
    photos = inat2017_photos(classes, images_per_class, seed)
    kinds = {p.label: p.file.split("/")[1:3] for p in photos}
    categories = [{"id": i, "name": kinds[i][1], "supercategory": kinds[i][0]} for i in sorted(kinds)]
    for photo in photos:
        _draw_shape(photo, home / photo.file)
    for file, train in (("train2017.json", True), ("val2017.json", False)):
        side = [p for p in photos if p.train == train]
        images = [
            {"id": p.number, "file_name": p.file, "width": p.size[0], "height": p.size[1], "rights_holder": "nobody"}
            | {"license": 3}
            for p in side
        ]
        annotations = [{"id": p.number, "image_id": p.number, "category_id": p.label} for p in side]
        info = {"description": "The 2017 iNaturalist competition, drawn small", "year": 2017}
        licenses = [{"id": 3, "name": "Attribution-NonCommercial License", "url": "none"}]
        contents = {"info": info, "images": images, "licenses": licenses, "annotations": annotations}
        (home / file).write_text(json.dumps(contents | {"categories": categories}))
    return home


APPLES = ("Golden-Delicious", "Granny-Smith", "Pink-Lady", "Red-Delicious", "Royal-Gala")
GROCERIES = (*((apple, "Apple", 0) for apple in APPLES), ("Avocado", "Avocado", 1))


def grocery_photos(split: str, images_per_class: int = 2, seed: int = 0) -> list[Photo]:
    """The images of one of the lists that `make_grocery` writes; the last class has none in val.txt."""
    photos = []
    for label, (name, coarse, _) in enumerate(GROCERIES):
        for of_class in range(
            0 if split == "val" and coarse == "Avocado" else 1 if split == "val" else images_per_class
        ):
            file = f"{split}/Fruit/{coarse}/{name}/{name}_{of_class + 1:03d}.jpg"
            photos.append(_photo(file, label, split == "train", 100 * len(split) + len(photos), seed))
    return photos


def make_grocery(folder: str | Path, images_per_class: int = 2, seed: int = 0) -> Path:
    """The Grocery Store Dataset's LICENSE and dataset/, of six classes. Returns `folder`, which holds both."""
    home = Path(folder) / "dataset"
    for split in ("train", "val", "test"):
        photos = grocery_photos(split, images_per_class, seed)
        for photo in photos:
            _draw_shape(photo, home / photo.file)
        lines = [f"{p.file}, {p.label}, {GROCERIES[p.label][2]}\n" for p in photos]
        (home / f"{split}.txt").write_text("".join(lines))
    rows = [
        "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),Text"
    ]
    for label, (name, coarse, number) in enumerate(GROCERIES):
        rows.append(f"{name},{label},{coarse},{number},/iconic/{name}.jpg,/iconic/{name}.txt")
    (home / "classes.csv").write_text("\n".join(rows) + "\n")
    (Path(folder) / "LICENSE").write_text("MIT License\n\nCopyright (c) 2019 Marcus Klasson\n")
    return Path(folder)


def folder_photos(layout: str, classes: int = 3, images_per_class: int = 6, seed: int = 0) -> list[Photo]:
    """What `make_folder` writes; without a train/ and test/ of its own `train` says nothing."""
    photos = []
    for label in range(classes):
        for of_class, train in enumerate(_halves(images_per_class, seed, label)):
            side = "" if layout == "classes" else "train/" if train else f"{layout}/"
            suffix = (".jpg", ".PNG", ".JPEG")[of_class % 3]
            file = f"{side}kind {label + 1}/{of_class:03d}{suffix}"
            photos.append(_photo(file, label, bool(train), len(photos), seed))
    return photos


def make_folder(
    folder: str | Path, layout: str = "test", classes: int = 3, images_per_class: int = 6, seed: int = 0
) -> Path:
    """One's own images: `train/<class>/*` beside `test/`, `val/` or `validation/` (the layout's name), or just
    `<class>/*` ("classes"). JPEG and PNG files, with what file managers leave behind. Returns `folder`."""
    home = Path(folder)
    for photo in folder_photos(layout, classes, images_per_class, seed):
        _draw_shape(photo, home / photo.file)
        for litter in (".DS_Store", "Thumbs.db", "._000.jpg"):
            (home / photo.file).with_name(litter).write_bytes(b"not an image")
    return home


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """Smooth enough that a JPEG of it is much like it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


# As in the EXIF standard: what the first stored row and the first stored column are in the upright image.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],  # first row: the right side; first column: the top
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


def spoil(path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "truncated": content[: len(content) // 2],
                "header only": content[:20],
                "text": b"<html>404 Not Found</html>",
                "rubbish inside": content[:20] + bytes(len(content) - 20),
            }[how]
        )


# -- Sets that have no download script of their own --------------------------------------------------------------------


def make_nabirds(folder: str | Path) -> Path:
    """NABirds: hexadecimal image numbers, classes with gaps between them, and some that have no images."""
    home = Path(folder) / "nabirds"
    names = {0: "Birds", 295: "American Crow", 817: "Oak Titmouse", 1003: "Oak Titmouse", 52: "Ducks"}
    rows = []
    for number, kind in enumerate([295, 817, 1003] * 4):
        image = f"{number:08x}-21dc-4d0c-bfe1-4cae3c85c829"
        file = f"{kind:04d}/{image.replace('-', '')}.jpg"
        _draw_shape(_photo(file, number % 3, True, number, 0), home / "images" / file)
        rows.append((image, file, kind, int(number < 9)))
    for table, column in (("images.txt", 1), ("image_class_labels.txt", 2), ("train_test_split.txt", 3)):
        (home / table).write_text("".join(f"{row[0]} {row[column]}\n" for row in rows))
    (home / "classes.txt").write_text("".join(f"{number} {name}\n" for number, name in names.items()))
    (home / "hierarchy.txt").write_text("".join(f"{number} 0\n" for number in names if number))
    return home


def make_stanford_dogs(folder: str | Path) -> Path:
    """Stanford Dogs: Images/, and the lists as MATLAB cell arrays."""
    home = Path(folder) / "stanford_dogs"
    for split, of_each in (("train", 3), ("test", 2)):
        files, labels = [], []
        for label, breed in enumerate(("n02085620-Chihuahua", "n02106662-German_shepherd"), 1):
            for number in range(of_each):
                file = f"{breed}/{breed.split('-')[0]}_{number + 10 * (split == 'test')}.jpg"
                _draw_shape(_photo(file, label, True, number, 0), home / "Images" / file)
                files.append(file)
                labels.append(label)
        cells = np.empty((len(files), 1), dtype=object)
        cells[:, 0] = files
        _save_mat(home / f"{split}_list.mat", file_list=cells, annotation_list=cells, labels=np.array(labels)[:, None])
    return home


def make_torchvision_set(folder: str | Path, name: str) -> Path:
    """One of `torchvision_sets.SETS`, as torchvision unpacks it; of two or three classes. Returns the given folder."""
    root = Path(folder)
    written = iter(range(1000))

    def draw(*files: str) -> None:
        for file in files:
            number = next(written)
            _draw_shape(_photo(file, number % 3, True, number, 0), root / file)

    def write(file: str, text: str) -> None:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)

    if name == "aircraft":
        home, kinds = "fgvc-aircraft-2013b/data", ("707-320", "Boeing 717")
        write(f"{home}/variants.txt", "".join(f"{kind}\n" for kind in kinds))
        for split, first in (("trainval", 1), ("test", 5)):
            images = {f"{first + i:07d}": kinds[i % 2] for i in range(4)}
            draw(*(f"{home}/images/{image}.jpg" for image in images))
            write(f"{home}/images_variant_{split}.txt", "".join(f"{i} {kind}\n" for i, kind in images.items()))
    elif name == "flowers102":  # two of the 102 have images
        draw(*(f"flowers-102/jpg/image_{number:05d}.jpg" for number in range(1, 9)))
        _save_mat(root / "flowers-102/imagelabels.mat", labels=np.array([[1, 102, 1, 102, 1, 102, 1, 102]], np.uint8))
        parts = {"trnid": [[2, 1]], "valid": [[4, 3]], "tstid": [[5, 6, 7, 8]]}
        _save_mat(root / "flowers-102/setid.mat", **{part: np.array(ids, np.uint16) for part, ids in parts.items()})
    elif name == "pets":
        for split, numbers in (("trainval", (1, 2)), ("test", (3, 4))):
            images = [
                (f"{kind}_{i}", k) for k, kind in enumerate(("Abyssinian", "american_bulldog"), 1) for i in numbers
            ]
            draw(*(f"oxford-iiit-pet/images/{image}.jpg" for image, _ in images))
            write(f"oxford-iiit-pet/annotations/{split}.txt", "".join(f"{image} {k} {k} 1\n" for image, k in images))
    elif name == "food101":
        for split, first in (("train", 10), ("test", 20)):
            lists = {kind: [f"{kind}/{first + i}" for i in range(2)] for kind in ("waffles", "apple_pie")}
            draw(*(f"food-101/images/{image}.jpg" for images in lists.values() for image in images))
            write(f"food-101/meta/{split}.json", json.dumps(lists))
    else:
        ranks = "Annelida_Clitellata_Haplotaxida_Lumbricidae"
        kinds = (f"00000_Animalia_{ranks}_Lumbricus_terrestris", f"00001_Animalia_{ranks}_Ficus_variegata")
        kinds += ("00002_Plantae_Tracheophyta_Magnoliopsida_Rosales_Moraceae_Ficus_variegata",)
        for part in ("2021_train" if name == "inat2021" else "2021_train_mini", "2021_valid"):
            draw(*(f"{part}/{kind}/{letter * 8}-1.jpg" for kind in kinds for letter in "ba"))
    return root
