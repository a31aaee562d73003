"""Functions that make or read images, good arguments of each, and bad ones: see `test_bad_input`."""

import tempfile
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from tasnlib.data import birds, cub200, folder, image_file, images, inat2017, stanford_cars, transforms
from tasnlib.networks import build as building
from tasnlib.training import checkpoints, schedule
from tests.bad_inputs import (
    NAN,
    Function,
    but,
    choice,
    drawn,
    float_tensor,
    number,
    other,
    path,
    whole,
)
from tests.data.photo_sets import make_cub200, make_inat2017, make_stanford_cars
from tests.fuzzed_networks import SMOKE

TINY = birds.BirdsConfig(image_size=32)
NAMES = ["wren", "robin", "lark"]


@cache
def tiny_birds() -> birds.Birds:
    return birds.Birds.load(TINY, "test", count=6, progress=False)


@cache
def _temporary() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()  # goes with the process


@cache
def on_disk() -> Path:
    """Images in folders by class, small data sets, a saved model and a saved state of training."""
    home = Path(_temporary().name)
    for kind in NAMES[:2]:
        (home / "images" / kind).mkdir(parents=True)
        for shade in range(4):
            Image.new("RGB", (40, 30), (60 * shade, 90, 30)).save(home / "images" / kind / f"{shade}.png")
    make_cub200(home / "cub200")
    make_inat2017(home / "inat2017")
    make_stanford_cars(home / "stanford_cars", "devkit")
    checkpoints.save_weights(home / "tasn.safetensors", building.build_tasn(SMOKE, 3), "tasn", SMOKE, NAMES)
    plain = building.build_model("downsampled", SMOKE, 3)
    progress = {"identity": {}, "history": []}
    checkpoints.save_training_state(home / "state", plain, schedule.build_optimizer(plain, SMOKE), progress)
    (home / "resnet18-1.pth").touch()
    return home


def photographs() -> images.ImageFiles:
    return folder.load_folder(on_disk() / "images", "train", 24)


def picture() -> Image.Image:
    return Image.new("RGB", (40, 30), "brown")


BAD_PICTURES = other("no/such/image.png", np.zeros((4, 4, 3), np.uint8))

SEED = whole(-1, 2**63, huge=False)

BIRD_FUNCTIONS = [
    Function(
        "BirdsConfig",
        birds.BirdsConfig,
        lambda: asdict(birds.EASY),
        {
            **{"image_size": whole(0, -1, 31), "stripe_period": number(2, 0, -3)},
            **{name: whole(0, 5) for name in ("head_colours", "wing_colours")},
            "striped_parts": other((), ("beak",), ("head", "head"), ["head"], "head", ([],), (None,)),
            "bird_size": other((0.4, 0.3), (0.0, 0.3), (0.3, 0.7), (0.3,), (NAN, NAN), ("a", "b"), [0.3, 0.4]),
            **{name: number(-0.1, 1.1) for name in ("clutter", "decoys")},
            **{"grass": whole(-1, 101), "noise": number(-0.1, 0.6)},
        },
    ),
    Function(
        "draw_birds",
        birds.draw_birds,
        lambda: {"config": TINY, "seed": 0, "split": "train", "indices": [0, 5], "device": "cpu"},
        {
            "config": other({"image_size": 32}, birds.BirdsConfig),
            "seed": SEED,
            "split": choice("trian"),
            "indices": but(other([], [-1], [0.5], [True], ["a"], [NAN], [[0, 1], [2]], [[0, 1], [2, 3]], [None],
                                 [2**70]), "list"),
            "device": choice("cpuu"),
        },
    ),
    Function(
        "Birds.load",
        partial(birds.Birds.load, progress=False),
        lambda: {"config": TINY, "split": "test", "count": 2, "seed": 0, "folder": None, "device": "cpu"},
        {"config": other(), "split": choice("tets"), "count": whole(0, -3), "seed": SEED,
         "folder": but(path(), "None", "nowhere", "too long"), "device": choice("cpuu")},
        touches_files=True,
    ),
    Function(
        "Birds[index]",
        lambda index: tiny_birds()[index],
        lambda: {"index": 3},
        {"index": but(whole(-1, 6), "numpy") | {"numpy": np.array([1, 2])}},
    ),
    Function(
        "Birds.take",
        lambda indices: tiny_birds().take(indices),
        lambda: {"indices": [0, 3]},
        {"indices": but(other([], [-1], [0.5], ["a"], [None], [2**70], 3), "list", "3")},
        known_as={"indices": "(?:indices|index)"},
    ),
]  # fmt: skip

SIZE = whole(0, -1) | {"two": (24, 24)}

PHOTOGRAPH_FUNCTIONS = [
    Function("open_image", image_file.open_image, lambda: {"path": on_disk() / "images/wren/0.png"},
             {"path": path("")}, touches_files=True),
    Function(
        "resized_geometry",
        transforms.resized_geometry,
        lambda: {"width": 40, "height": 30, "size": 24},
        {"width": whole(0, -1, huge=False), "height": whole(0, -1, huge=False), "size": whole(0, -1, huge=False)},
    ),
    Function("resize_short_side", transforms.resize_short_side, lambda: {"image": picture(), "size": 24},
             {"image": BAD_PICTURES, "size": SIZE}),
    Function(
        "evaluation",
        transforms.evaluation,
        lambda: {"image": picture(), "size": 30},
        {"image": BAD_PICTURES | {"larger": Image.new("RGB", (50, 50)), "grey": Image.new("L", (30, 30))},
         "size": SIZE},
    ),
    Function(
        "augment",
        transforms.augment,
        lambda: {"style": "official", "image": picture(), "size": 30},
        {"style": choice("oficial"), "size": SIZE,
         "image": BAD_PICTURES | {"larger": Image.new("RGB", (50, 50)), "grey": Image.new("L", (30, 30))}},
    ),
    Function(
        "load_folder",
        folder.load_folder,
        lambda: {"folder": on_disk() / "images", "split": "train", "image_size": 24, "test_share": 0.2, "seed": 0},
        {"folder": path(""), "split": choice("tets"), "image_size": whole(0, -1, huge=False),
         "test_share": number(0, 1, -0.1, 1.1),
         "seed": but(whole(huge=False))},
        touches_files=True,
    ),
    Function(
        "ImageFiles",
        images.ImageFiles,
        lambda: {"paths": ["a/wren.png", "b/robin.png"], "labels": [0, 1], "class_names": NAMES[:2], "image_size": 24,
                 "name": "two birds", "points": drawn(2, 3, 2), "part_names": ["head", "wing", "tail"]},
        {
            "paths": other([], ["a"], [None, None], ["a", 3]),
            "labels": but(other([0], [0, 2], [-1, 0], [0.7, 0.2], ["a", "b"], [True, False], [[0], [1]]), "list"),
            "class_names": other([], ["wren"], ["wren", "wren"], [1, 2]),
            "image_size": whole(0, -1, huge=False),
            "name": but(other(), "text"),
            "points": float_tensor(drawn(2, 3, 2), finite=False) | {"other parts": drawn(2, 4, 2)},
            "part_names": other([], ["head"], [1, 2, 3]),
        },
        touches_files=True,
    ),
    *(
        Function(
            load.__name__,
            load,
            lambda name=name: {"folder": on_disk() / name, "split": "train", "image_size": 24},
            {"folder": path(""), "split": choice("tets"), "image_size": whole(0, -1)},
            touches_files=True,
        )
        for name, load in (
            ("cub200", cub200.load_cub200),
            ("inat2017", inat2017.load_inat2017),
            ("stanford_cars", stanford_cars.load_stanford_cars),
        )
    ),
    Function("ImageFiles[index]", lambda index: photographs()[index], lambda: {"index": 0},
             {"index": whole(-1, 6)}, touches_files=True),
    Function("ImageFiles.take", lambda indices: photographs().take(indices), lambda: {"indices": [0, 3]},
             {"indices": but(other([], [-1], [0.5], ["a"], [None], [2**70]), "list")},
             touches_files=True, known_as={"indices": "(?:indices|index)"}),
    Function("ImageFiles.part_points",
             lambda indices: cub200.load_cub200(on_disk() / "cub200", "train", 24).part_points(indices),
             lambda: {"indices": [0, 3]},
             {"indices": but(other([], [-1], [0.5], ["a"], [None], [10**6]), "list")},
             nan_is_meant=True, touches_files=True, known_as={"indices": "(?:indices|index)"}),
    Function("ImageFiles.augmented", lambda **given: photographs().augmented(**given),
             lambda: {"style": "modern", "seed": 0}, {"style": choice("modren"), "seed": SEED}, touches_files=True),
    Function("ImageFiles.subset", lambda count: photographs().subset(count), lambda: {"count": 2},
             {"count": whole(0, -1, 7)}, touches_files=True),
    Function(
        "ImageFiles.inspected",
        lambda **given: photographs().inspected(progress=False, **given),
        lambda: {"workers": 1, "folder": None},
        {"workers": whole(0, -1, huge=False), "folder": but(path(), "None", "nowhere", "too long")},
        touches_files=True,
    ),
    Function(
        "ImageFiles.cached",
        lambda **given: photographs().cached(progress=False, **given),
        lambda: {"folder": on_disk() / "cache", "workers": 1},
        {"folder": but(path(), "nowhere", "too long")},
        touches_files=True,
    ),
]  # fmt: skip
