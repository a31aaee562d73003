"""Data sets by name: the training and test images of a run, read in batches."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from tasnlib.data.birds import EASY, HARD, Birds
from tasnlib.data.cub200 import load_cub200, load_nabirds
from tasnlib.data.files import is_folder
from tasnlib.data.grocery import load_grocery
from tasnlib.data.image_folder import holds_images_by_class, load_folder
from tasnlib.data.inat2017 import load_inat2017
from tasnlib.data.inspection import inspected
from tasnlib.data.photographs import ImageFiles
from tasnlib.data.stanford import load_stanford_cars, load_stanford_dogs
from tasnlib.data.torchvision_sets import SETS, load_torchvision
from tasnlib.runs.run_folder import project_folder
from tasnlib.runs.settings import DRAWN, Settings

_STYLES = {"birds": EASY, "birds_hard": HARD}
_LOADERS: dict[str, Callable[..., ImageFiles]] = {
    "cub200": load_cub200,
    "nabirds": load_nabirds,
    "stanford_cars": load_stanford_cars,
    "stanford_dogs": load_stanford_dogs,
    "inat2017": load_inat2017,
    "grocery": load_grocery,
    "grocery_look_alikes": partial(load_grocery, look_alikes=True),
    "folder": load_folder,
    **{name: partial(load_torchvision, name) for name in SETS},
}
# Training and test images of the whole data sets. Accuracies on fewer are not comparable with published ones.
OFFICIAL_SIZES = {"cub200": (5994, 5794), "stanford_cars": (8144, 8041), "inat2017": (579184, 95986)}
OFFICIAL_SIZES |= {"nabirds": (23929, 24633), "stanford_dogs": (12000, 8580), "aircraft": (6667, 3333)}
OFFICIAL_SIZES |= {"flowers102": (2040, 6149), "pets": (3680, 3669), "food101": (75750, 25250)}
OFFICIAL_SIZES |= {"inat2021": (2686843, 100000), "inat2021_mini": (500000, 100000)}
OFFICIAL_SIZES |= {"grocery": (2640, 2485), "grocery_look_alikes": (1011, 974)}  # trained on "train" alone

Data = Birds | ImageFiles


def load_data(settings: Settings) -> tuple[Data, Data]:
    """Training and test images, from datasets/ in the project (outside of one: here) unless a folder is named.

    Drawn birds are read from the data folder, or drawn and saved there. Every photograph is opened once, so that
    unreadable ones are known before training. Raises ValueError if the folder lacks files, or has too few images."""
    default = project_folder() / "datasets"
    folder = Path(settings.data_folder) if settings.data_folder else default
    if settings.dataset in DRAWN:
        return _draw(settings, folder)
    recipe = settings.resolved_recipe
    sets = []
    for split, count in (("train", settings.train_images), ("test", settings.test_images)):
        images = _LOADERS[settings.dataset](folder, split, recipe.image_size)
        if count and count > len(images):
            raise ValueError(f"{split}_images is {count}, but {images.name} has {len(images)}; it must not be larger")
        sets.append(images.subset(count) if count else images)
    if sets[0].class_names != sets[1].class_names:
        counts = f"{sets[0].classes} classes, its test images {sets[1].classes}, or others"
        raise ValueError(
            f"{folder}: the training images have {counts}; unpack all of the data set, into an empty folder"
        )
    if recipe.batch_size > len(sets[0]):
        raise ValueError(f"batch_size is {recipe.batch_size}, but there are only {len(sets[0])} training images")
    found, whole = tuple(len(images) for images in sets), OFFICIAL_SIZES.get(settings.dataset)
    if whole and found != whole:
        have, missing = f"{found[0]:,} training and {found[1]:,} test images", f"({whole[0]:,} and {whole[1]:,})"
        print(f"{have}: not the whole of {settings.dataset} {missing}, so not comparable with published results")
    if unseen := sorted(set(sets[1].labels.tolist()) - set(sets[0].labels.tolist())):
        what = f"cannot be learned; the first is {sets[0].class_names[unseen[0]]!r}"
        print(f"{len(unseen)} of {sets[0].classes} classes have test images but no training images and {what}")
    # Nothing is written into a user's own folder of images.
    notes = (default if settings.dataset == "folder" else folder) / "cache"
    train, test = (inspected(images, max(1, workers_for(settings)), folder=notes) for images in sets)
    return train.augmented(recipe.augmentation, settings.seed), test


def workers_for(settings: Settings) -> int:
    """Worker processes per training process: as set, else one per core, at most 32; none for drawn birds."""
    if settings.dataset in DRAWN:
        return 0
    if settings.num_workers is not None:
        return settings.num_workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A launcher on several machines sets how many of the processes are on this one.
    here = int(os.environ.get("LOCAL_WORLD_SIZE", settings.num_processes))
    return max(1, min(32, cores // here))


def _draw(settings: Settings, folder: Path) -> tuple[Birds, Birds]:
    if settings.data_folder and is_folder(folder) and holds_images_by_class(folder):
        given = f"data_folder is {settings.data_folder!r}, which holds images, but dataset is {settings.dataset!r}"
        raise ValueError(f"{given}, which is drawn; for images of your own, pass dataset folder as well")
    recipe = settings.resolved_recipe
    style = replace(_STYLES[settings.dataset], image_size=recipe.image_size, stripe_period=recipe.stripe_period)
    # Drawn images are kept on the GPU that uses them: no batch has to be copied.
    device = "cuda" if torch.cuda.is_available() and settings.num_processes == 1 else "cpu"
    counts = {"train": recipe.train_images, "test": recipe.test_images}
    train, test = (Birds.load(style, split, count, folder=folder, device=device) for split, count in counts.items())
    return train, test
