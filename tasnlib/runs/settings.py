"""The parameters of notebook 05: named, typed and checked before anything slow begins."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torchvision import models

from tasnlib.data.files import is_file, is_folder
from tasnlib.runs.cells import assigned_parameters, refuse_computed
from tasnlib.training.devices import PRECISIONS
from tasnlib.training.recipes import RECIPES, Recipe, scaled_learning_rate

DRAWN = ("birds", "birds_hard")
PHOTOGRAPHS = ("cub200", "stanford_cars", "inat2017", "folder")
DATASETS = DRAWN + PHOTOGRAPHS


@dataclass(frozen=True)
class Settings:
    """One run. None means: as the recipe says.

    >>> Settings(epochs=3).resolved_recipe.epochs
    3
    >>> Settings(epochs=-3)
    Traceback (most recent call last):
        ...
    ValueError: epochs is -3; it must be a whole number from 1 up, at most 2147483647, or None.
    """

    dataset: str = "birds"
    data_folder: str | None = None  # None: datasets/ in the project
    recipe: str = "laptop"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    output_folder: str | None = None  # None: a new folder in runs/, named after the time
    resume: bool = False
    precision: str = "float32"
    compiled: bool = False  # by torch.compile: a slow start, then faster steps
    num_processes: int = 1
    accumulate: int = 1  # parts of each process's share of a batch, one after the other: less memory, the same steps
    train_images: int | None = None
    test_images: int | None = None
    baselines: bool = True
    weights: str | None = None
    backbone: str | None = None
    attention_trunk: str | None = None
    num_workers: int | None = None  # processes that read photographs, for each that computes; None: one for each core
    cache: bool = False  # keep the photographs on disk at the size they are used in
    continue_unsaved: bool = False  # where a checkpoint cannot be written, as on a full disk: train on, not stop

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            value = getattr(self, name)
            if not allowed.admits(value):
                raise ValueError(
                    f"{name} is {value!r}; it must be {allowed.text}.{_suggestion(value, allowed.choices)}"
                )
        recipe = self.resolved_recipe
        if recipe.batch_size % self.num_processes:
            raise ValueError(
                f"batch_size is {recipe.batch_size} and num_processes {self.num_processes}; "
                "batch_size must be a multiple of num_processes, because it is shared out among them"
            )
        if recipe.batch_size % (self.num_processes * self.accumulate):
            share = recipe.batch_size // self.num_processes
            among = f" shared out among {self.num_processes} processes" if self.num_processes > 1 else ""
            raise ValueError(
                f"accumulate is {self.accumulate}, but batch_size {recipe.batch_size}{among} is {share} images; "
                f"accumulate must divide {share}, because they are computed in so many equal parts"
            )
        if (self.dataset in DRAWN or self.train_images) and recipe.batch_size > recipe.train_images:
            raise ValueError(
                f"batch_size is {recipe.batch_size}, but train_images only {recipe.train_images}; "
                "batch_size must not be larger"
            )
        if self.weights not in (None, "none") and recipe.attention_trunk == recipe.backbone == "small":
            raise ValueError(
                f"weights is {self.weights!r}, but the recipe {self.recipe!r} has small networks, which have no "
                "ImageNet weights; it must be None"
            )
        for name in ("backbone", "attention_trunk"):
            network = getattr(recipe, name)
            if network.startswith("timm/") and recipe.weights in ("IMAGENET1K_V1", "IMAGENET1K_V2"):
                raise ValueError(
                    f"{name} is {network!r} and weights {recipe.weights!r}, which are torchvision's alone; "
                    "add weights DEFAULT for the ones that belong to each network, a folder of files, or none"
                )
        if self.dataset == "folder" and self.data_folder is None:
            raise ValueError(
                "dataset is 'folder', but data_folder is None; it must be the path of your images, "
                "with a folder for each class, or with train/ and test/ that hold those"
            )
        if self.cache and self.dataset in DRAWN:
            raise ValueError(f"cache is True, but {self.dataset!r} is drawn and held in memory; it must be False")
        if self.resume and self.output_folder is None:
            raise ValueError(
                "resume is True, but output_folder is None; it must name the folder of the run to continue"
            )

    @property
    def resolved_recipe(self) -> Recipe:
        """The recipe with this run's changes. Another batch size brings a scaled learning rate, unless one is given."""
        recipe = RECIPES[self.recipe]
        names = (
            *("epochs", "batch_size", "learning_rate", "train_images", "test_images"),
            *("weights", "backbone", "attention_trunk"),
        )
        changes = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if changes.get("weights") == "none":
            changes["weights"] = None
        if self.batch_size is not None and self.learning_rate is None:
            changes["learning_rate"] = scaled_learning_rate(recipe, self.batch_size)
        return replace(recipe, **changes)

    @classmethod
    def from_cells(cls, cells: Sequence[str]) -> "Settings":
        """Settings from a notebook's own cells, `In`: see `assigned_parameters`.

        Raises:
            ValueError: for an unknown name, with the nearest right one; a wrong type; a value out of range; a parameter
                in a cell that does more than give names to plain values.

        >>> Settings.from_cells(["seed = 3", "import torch"]).seed
        3
        >>> Settings.from_cells(["seeed = 1"])
        Traceback (most recent call last):
            ...
        ValueError: there is no parameter 'seeed'. Did you mean 'seed'? The parameters are: dataset, ...
        """
        given, known = assigned_parameters(cells), [field.name for field in fields(cls)]
        check_names(given, known)
        refuse_computed(cells, known)
        return cls(**given)

    def as_parameters(self) -> list[str]:
        """What `-p` needs to say for this run, where it differs from the defaults.

        >>> Settings(seed=3, output_folder="my runs/one").as_parameters()
        ['-p', 'seed', '3', '-p', 'output_folder', 'my runs/one']
        """
        changed = [(field.name, getattr(self, field.name)) for field in fields(self)]
        changed = [(name, value) for name, value in changed if value != getattr(Settings, name)]
        return [word for name, value in changed for word in ("-p", name, str(value))]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_OF_RECIPES = [field.name for field in fields(Recipe) if field.name != "name"]


def check_names(given: Mapping[str, Any], known: list[str]) -> None:
    """Refuse names that are no parameters.

    Raises:
        ValueError: naming the unknown one, the nearest right one and all that are allowed.
    """
    for name in given:
        if name in _OF_RECIPES and name not in known:
            mine = f'"mine": replace(_LAPTOP, name="mine", {name}=...)'
            raise ValueError(
                f"{name} is no parameter but a value of the recipe: add a recipe of your own to RECIPES in "
                f"tasnlib/training/recipes.py, such as {mine}, and pass recipe mine"
            )
        if not known:
            raise ValueError(f"there is no parameter {name!r}: this notebook has none")
        if name not in known:
            raise ValueError(
                f"there is no parameter {name!r}.{_suggestion(name, known)} The parameters are: {', '.join(known)}"
            )


def _suggestion(value: Any, choices: Iterable[str]) -> str:
    if "folder" in choices and isinstance(value, str) and "/" in value:
        return f" For images of your own: dataset folder, and data_folder {value!r}"
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True)
class _Allowed:
    """What a parameter may be: in words, as types, and as a list of choices, or a test, or either."""

    text: str
    types: tuple[type, ...]
    fits: Callable[[Any], bool] | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    def admits(self, value: Any) -> bool:
        if value is None:
            return self.optional
        # bool is an int to Python, but True is no number of epochs.
        if type(value) not in self.types:
            return False
        if self.fits is None:
            return not self.choices or value in self.choices
        return value in self.choices or self.fits(value)


def _choice(*choices: str) -> _Allowed:
    return _Allowed("one of " + ", ".join(choices), (str,), choices=choices)


def _whole(low: int, optional: bool = True, high: float = 2**31) -> _Allowed:
    text = f"a whole number from {low} up, at most 2147483647" + (", or None" if optional else "")
    return _Allowed(text, (int,), lambda value: low <= value < high, optional=optional)


_NAMED_WEIGHTS = ("DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2", "none")
_FLAG = _Allowed("True or False", (bool,))
_FOLDER = _Allowed(
    *("the path of a folder, or None", (str,)),
    lambda value: bool(value) and "\0" not in value and not is_file(value),
    optional=True,
)
_NETWORK = _Allowed(
    "small, the name of one of torchvision's networks such as resnet50, one of timm's as timm/NAME, or None",
    (str,),
    lambda value: value.startswith("timm/") and len(value) > len("timm/"),
    choices=("small", *models.list_models(module=models)),
    optional=True,
)
_ALLOWED = {
    "dataset": _choice(*DATASETS),
    "data_folder": _FOLDER,
    "recipe": _choice(*RECIPES),
    "epochs": _whole(1),
    "batch_size": _whole(2),
    "learning_rate": _Allowed("a number above 0, at most 10, or None", (float, int), lambda v: 0 < v <= 10, (), True),
    "seed": _whole(0, optional=False),
    "output_folder": _FOLDER,
    "resume": _FLAG,
    "precision": _choice(*PRECISIONS),
    "compiled": _FLAG,
    "num_processes": _whole(1, optional=False),
    "accumulate": _whole(1, optional=False),
    "train_images": _whole(2),
    "test_images": _whole(1),
    "baselines": _FLAG,
    "weights": _Allowed(
        f"one of {', '.join(_NAMED_WEIGHTS)}, or a folder with a file for each network (resnet18*.pth and so on), "
        "or None",
        (str,),
        lambda value: value in _NAMED_WEIGHTS or (bool(value) and is_folder(value)),
        optional=True,
    ),
    "backbone": _NETWORK,
    "attention_trunk": _NETWORK,
    "num_workers": _whole(0),
    "cache": _FLAG,
    "continue_unsaved": _FLAG,
}
