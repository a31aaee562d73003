"""Checkpoints: safetensors with their description in the header, so that nothing is ever unpickled.

Files are written atomically: after a kill or a full disk the previous file is intact.
"""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, field, fields, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.optim import Optimizer

from tasnlib.data.files import is_file, write_atomically
from tasnlib.model import TASN
from tasnlib.networks.build import build_model
from tasnlib.networks.plain import PlainClassifier
from tasnlib.training.recipes import Recipe

FORMAT = 2  # of the files; a file without a number has format 1
_BEFORE = "is from before attention maps were made of the features in front of the norm (format 1)"
_NEWER = "was written by a newer version of tasnlib"


def _save(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One string only: the order of several would differ from run to run.
    header = {"tasn": json.dumps({"format": FORMAT, **description})}
    write_atomically(path, safetensors.torch.save(on_cpu, header))


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not is_file(path):
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = dict(json.loads(file.metadata()["tasn"]))
            version = int(description.setdefault("format", 1))
            # Cloned, because safetensors maps the file into memory, and Windows cannot replace a mapped file.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as reason:
        raise _damaged(path, reason) from reason
    if version > FORMAT:
        raise ValueError(f"{path} {_NEWER}: its format is {version}, and ours {FORMAT}; update tasnlib to read it")
    return tensors, description


def _damaged(path: Path, reason: object) -> ValueError:
    return ValueError(f"{path} is not a checkpoint of this kind, or is damaged: {textwrap.shorten(repr(reason), 300)}")


def save_weights(path: Path, model: TASN | PlainClassifier, kind: str, recipe: Recipe, class_names: list[str]) -> None:
    """Write a model, of a kind in `build.NAMES`. Raises ValueError for class names of another number, and OSError."""
    classes = model.classifier.out_features
    if len(class_names) != classes:
        raise ValueError(f"class_names are {len(class_names)}, but the model has {classes} classes")
    _save(path, model.state_dict(), {"kind": kind, "recipe": asdict(recipe), "class_names": class_names})


def load_model(path: str | Path) -> tuple[nn.Module, list[str]]:
    """A trained model, in evaluation mode, and the names of its classes. Raises FileNotFoundError, or ValueError if the
    file is not a checkpoint, damaged, or of another version."""
    weights, description = _load(Path(path))
    recipe = _recipe_in(description, Path(path))
    try:
        names = description["class_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("class_names is not a list of strings")
        # The weights are in this file: none are fetched.
        model = build_model(description["kind"], replace(recipe, weights=None), len(names))
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as reason:
        raise _damaged(Path(path), reason) from reason
    return model.eval(), names


def load_recipe(path: str | Path) -> Recipe:
    """The recipe that a model was trained with; raises as `load_model`."""
    return _recipe_in(_load(Path(path))[1], Path(path))


def _recipe_in(description: Any, path: Path) -> Recipe:
    try:
        values = {**description["recipe"], "milestones": tuple(description["recipe"]["milestones"])}  # a list in JSON
        if old := description["format"] == 1:
            values["official_extras"] = values.get("own_classifiers", False)
            for gone in ("light_attention", "own_classifiers", "distinct_channels", "test_detail", "teacher_gradient"):
                values.pop(gone, None)
        # Of the attention networks of format 1, only the small one is still the same.
        outdated = old and description["kind"] == "tasn" and values["attention_trunk"] != "small"
        unknown = sorted(values.keys() - {field.name for field in fields(Recipe)})
        if not unknown and not outdated:
            return Recipe(**values)
    except (KeyError, TypeError, ValueError) as reason:
        raise _damaged(path, reason) from reason
    if outdated:
        raise ValueError(f"{path} {_BEFORE}; predict with the version of tasnlib that wrote it, or train anew")
    raise ValueError(f"{path} {_NEWER}, with {', '.join(unknown)} in its recipe; update tasnlib to read it")


@dataclass(config=ConfigDict(extra="forbid"))
class Progress:
    """How far a training run has come."""

    identity: dict[str, Any]  # recipe and seed, which must be the same to resume
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry per epoch


def new_progress(recipe: Recipe, seed: int) -> Progress:
    """Nothing done yet. Only where the initial weights come from may differ on resuming."""
    values = asdict(recipe) | {"seed": seed, "pretrained": recipe.weights is not None and recipe.fresh_multiplier != 1}
    del values["weights"]
    return Progress(json.loads(json.dumps(values)))  # as read from a checkpoint: lists for tuples


def save_training_state(path: Path, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Write what resuming needs: weights, the optimiser's state and the progress; no random state, see `fit`. Raises
    OSError if the file cannot be written; the previous one is untouched."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items() if isinstance(value, Tensor)}
    try:
        _save(path, tensors, asdict(progress))
    except OSError as reason:
        done = progress_in(path)
        raise OSError(reason.errno, f"{reason.strerror} Then resume continues after epoch {done}.") from reason


def load_training_state(path: Path, model: nn.Module, optimizer: Optimizer, begun: Progress | None = None) -> Progress:
    """The inverse of `save_training_state`: load model and optimiser, return the progress.

    Raises as `load_model`, and ValueError for a run that did not begin as `begun`, see `new_progress`."""
    tensors, description = _load(path)
    progress = _progress_in(description, path)
    states: dict[int, dict[str, Tensor]] = {}
    try:
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, number, quantity = name.split("/")
                states.setdefault(int(number), {})[quantity] = tensor
        model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    except (KeyError, TypeError, RuntimeError, ValueError) as reason:
        raise _damaged(path, reason) from reason
    expected = begun.identity if begun else progress.identity
    for name in progress.identity | expected:
        was, now = progress.identity.get(name), expected.get(name)
        if was != now:
            raise ValueError(f"{path} is of a run with {name} {was!r}; this one has {now!r} and cannot resume it")
    if wrong := not_finite(model.state_dict()):
        raise ValueError(f"{path} is damaged: weights in it are not finite, {wrong[0]} for one")
    if (epochs := len(progress.history)) > expected.get("epochs", epochs):
        raise ValueError(f"{path} is damaged: it is from after {epochs} epochs, but this run has {expected['epochs']}")
    return progress


def progress_in(path: Path) -> int:
    """The completed epochs of a training state, 0 where there is none; raises as `load_model`."""
    return len(_progress_in(_load(path)[1], path).history) if is_file(path) else 0


def _progress_in(description: Any, path: Path) -> Progress:
    if description.pop("format") == 1:
        raise ValueError(f"{path} {_BEFORE}; resume it with the version of tasnlib that began it, or train anew")
    try:
        progress = TypeAdapter(Progress).validate_python(description)
        if [entry.get("epoch") for entry in progress.history] != list(range(1, len(progress.history) + 1)):
            raise ValueError("the epochs of its history are not 1, 2, ...")
    except ValueError as reason:
        raise _damaged(path, f"its progress makes no sense: {reason}") from reason
    return progress


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold a NaN or an infinity."""
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
    return [name for name, fine in zip(tensors, finite, strict=True) if not fine]
