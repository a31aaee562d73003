"""The parameters of notebook 05: named, typed and validated before anything slow begins."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from tasnlib.data.files import expanded, is_file, is_folder
from tasnlib.networks.build import STRICT, Count, Name
from tasnlib.networks.plain import VIEWS
from tasnlib.training.recipes import RECIPES, Recipe, Weight, scaled_learning_rate

DataSet = Literal[
    "birds", "birds_hard", "folder", "cub200", "nabirds", "stanford_cars", "stanford_dogs", "grocery",
    "grocery_look_alikes", "inat2017", "aircraft", "flowers102", "pets", "food101", "inat2021", "inat2021_mini",
]  # fmt: skip
Tracker = Literal["tensorboard", "wandb", "trackio", "comet_ml", "aim", "mlflow", "clearml", "dvclive", "swanlab"]
DRAWN = ("birds", "birds_hard")
PATHS = ("data_folder", "output_folder", "weights")
_WEIGHTS = ("DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2", "none")


def _folder(path: str) -> str:
    if not path.strip() or "\0" in path or is_file(expanded(path, "the folder")):
        raise ValueError("it must be the path of a folder")
    return str(expanded(path, "the folder"))


def _weights(name: str) -> str:
    if name in _WEIGHTS:
        return name
    if not name.strip() or not is_folder(expanded(name, "weights")):
        raise ValueError(f"it must be one of {', '.join(_WEIGHTS)}, or a folder that holds a file for each network")
    return str(expanded(name, "weights"))


def _baselines(given: bool | str) -> bool | str:
    names = [] if isinstance(given, bool) else [name.strip() for name in given.split(",")]
    if not set(names) <= set(VIEWS):
        raise ValueError(f"it must be True, False, or a list such as 'crop,full', of {', '.join(VIEWS)}")
    return ",".join(dict.fromkeys(names)) or given


Natural = Annotated[int, Field(ge=0, lt=2**31)]
Several = Annotated[int, Field(ge=2, lt=2**31)]
Folder = Annotated[str, AfterValidator(_folder)]


@dataclass(frozen=True, config=STRICT)
class Settings:
    """One run. None takes the recipe's value. `Settings(epochs=0)` raises pydantic's ValidationError, a ValueError."""

    dataset: DataSet = "birds"
    data_folder: Folder | None = None  # None: datasets/ in the project
    recipe: Literal[tuple(RECIPES)] = "laptop"  # type: ignore[valid-type]
    epochs: Count | None = None
    batch_size: Several | None = None
    learning_rate: Annotated[float, Field(gt=0, le=10)] | None = None
    seed: Natural = 0
    output_folder: Folder | None = None  # None: a new folder in runs/, named after the time
    resume: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False  # by torch.compile: a slow start, then faster steps
    num_processes: Count = 1
    accumulate: Count = 1  # parts of each process's share of a batch, one after the other: less memory, the same steps
    train_images: Several | None = None
    test_images: Count | None = None
    baselines: Annotated[bool | str, AfterValidator(_baselines)] = True  # by downsampling; or names of `plain.VIEWS`
    out_size: Count | None = None  # side of what master and part net see, in pixels
    distillation_weight: Weight | None = None  # 0: no distillation
    weights: Annotated[str, AfterValidator(_weights)] | None = None
    backbone: Name | None = None  # these two: see `networks.backbones`
    attention_trunk: Name | None = None
    num_workers: Natural | None = None  # per process, reading photographs; None: one per core
    track: Tracker | None = None  # see `tracking`

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        recipe = self.resolved_recipe
        parts = self.num_processes * self.accumulate
        if recipe.batch_size % parts:
            got = f"batch_size is {recipe.batch_size}, num_processes {self.num_processes}, accumulate {self.accumulate}"
            raise ValueError(f"{got}; batch_size must be a multiple of {parts}, because it is divided evenly")
        if (self.dataset in DRAWN or self.train_images) and recipe.batch_size > recipe.train_images:
            images = f"train_images only {recipe.train_images}"
            raise ValueError(f"batch_size is {recipe.batch_size}, but {images}; batch_size must not be larger")
        if self.weights not in (None, "none") and recipe.attention_trunk == recipe.backbone == "small":
            networks = f"the {self.recipe!r} recipe has small networks"
            raise ValueError(f"weights is {self.weights!r}, but {networks}, without ImageNet weights; it must be None")
        if self.dataset == "folder" and self.data_folder is None:
            allowed = "the path of your images, with one folder per class, or with train/ and test/ that hold those"
            raise ValueError(f"dataset is 'folder', but data_folder is None; it must be {allowed}")
        if self.resume and self.output_folder is None:
            raise ValueError("resume is True, but output_folder is None; it must name the folder of the run to resume")
        return self

    @property
    def resolved_recipe(self) -> Recipe:
        """The recipe with this run's changes. Another batch size scales the learning rate, unless one is given."""
        recipe = RECIPES[self.recipe]
        changes = {one.name: value for one in fields(Recipe) if (value := getattr(self, one.name, None)) is not None}
        if self.weights == "none":
            changes["weights"] = None
        if self.batch_size is not None and self.learning_rate is None:
            changes["learning_rate"] = scaled_learning_rate(recipe, self.batch_size)
        return replace(recipe, **changes)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """The baselines to train: ("crop", "full") for baselines "crop, full"."""
        return VIEWS[: 2 * self.baselines] if isinstance(self.baselines, bool) else tuple(self.baselines.split(","))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "Settings":
        """Settings from a user or a file. Raises ValueError, in one sentence, for a bad name or value.

        >>> Settings.from_values({"epochs": -3})
        Traceback (most recent call last):
            ...
        ValueError: epochs is -3; it must be greater than or equal to 1
        """
        check_names(values, NAMES)
        try:
            return cls(**values)
        except ValidationError as reason:
            raise ValueError(". ".join(map(_sentence, reason.errors()))) from None

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> "Settings":
        """The values of the parameters in a notebook's or a script's `globals()`. Raises as `from_values`.

        papermill only warns of misspelt parameters. So the names that the last cell of parameters, which begins with
        "# Parameters", assigned are checked as well."""
        cells = [cell for cell in namespace.get("In", ()) if cell.startswith("# Parameters")]
        assigned: list[str] = []
        for statement in ast.parse(cells[-1]).body if cells else ():
            targets = getattr(statement, "targets", [getattr(statement, "target", None)])
            assigned += [target.id for target in targets if isinstance(target, ast.Name)]
        check_names(assigned, NAMES)
        if missing := [name for name in NAMES if name not in namespace]:
            raise ValueError(f"{', '.join(missing)} has no value; run the cell of parameters, with all of their names")
        return cls.from_values({name: namespace[name] for name in NAMES})

    def valid_anywhere(self) -> "Settings":
        """The same run from any working folder: its paths are absolute."""
        given = {name: getattr(self, name) for name in PATHS if getattr(self, name) not in (None, *_WEIGHTS)}
        absolute: dict[str, Any] = {name: str(Path(path).absolute()) for name, path in given.items()}
        return replace(self, **absolute)

    def as_parameters(self) -> list[str]:
        """What differs from the defaults, as words of a command: ["-p", "seed", "3"]."""
        changed = {name: value for name, value in asdict(self).items() if value != getattr(Settings, name)}
        return [word for name, value in changed.items() for word in ("-p", name, str(value))]


NAMES = [field.name for field in fields(Settings)]
TEXTS = ("dataset", "recipe", "precision", "backbone", "attention_trunk", "track", *PATHS)  # these never become numbers


def check_names(given: Iterable[str], known: list[str]) -> None:
    """Raises ValueError for a name that is no parameter. What `papermill --inject-paths` adds is left alone."""
    for name in given:
        if name in known or name.startswith("PAPERMILL_"):
            continue
        if name in [field.name for field in fields(Recipe)]:
            mine = f'"mine": replace(_LAPTOP, name="mine", {name}=...) to RECIPES in tasnlib/training/recipes.py'
            raise ValueError(f"{name} is not a parameter but a value of the recipe: add {mine}, and pass recipe mine")
        allowed = f"The parameters are: {', '.join(known)}" if known else "This notebook has no parameters"
        raise ValueError(f"there is no parameter {name!r}.{_nearest(name, known)} {allowed}")


def _nearest(value: object, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _sentence(error: Any) -> str:
    """One error of pydantic: what was given, what is allowed, what to do."""
    own = str(error["ctx"]["error"]) if error["type"] == "value_error" else ""
    if not error["loc"]:
        return own  # of `_fit_together`
    name, value = error["loc"][0], error["input"]
    allowed = error["msg"].replace("Input should be", "it must be").replace("String should", "it must be text and")
    allowed = own or allowed
    if error["type"] == "literal_error":
        allowed += "." + _nearest(value, error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", "))
        if name == "dataset" and isinstance(value, str) and "/" in value:
            allowed += f" For images of your own: dataset folder, and data_folder {value!r}"
    if error["type"] == "string_type" and type(value) in (int, float, bool):
        allowed += f". papermill's -p converts names that look like numbers; -r {name} ... keeps the text"
    return f"{name} is {value!r}; {allowed}"
