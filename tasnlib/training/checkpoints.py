"""Checkpoints: safetensors with their description in the header, so that nothing is ever unpickled.

Every file is written under another name, forced to disk and then renamed. Renaming is atomic: whoever is killed while
writing, or runs out of disk, leaves the earlier checkpoint as it was.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tasnlib.arguments import checked, is_whole, one_of
from tasnlib.data.files import is_file, write_atomically
from tasnlib.model import TASN
from tasnlib.networks.build import NAMES, build_model
from tasnlib.networks.plain import PlainClassifier
from tasnlib.training.recipes import Recipe


def _save(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"tasn": json.dumps(description)}  # safetensors headers hold strings only
    write_atomically(path, safetensors.torch.save(on_cpu, header))


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not is_file(path):
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = file.keys()  # not a dict: it cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["tasn"])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as reason:
        raise _not_ours(path, reason) from reason


def _not_ours(path: Path, reason: Exception) -> ValueError:
    return ValueError(f"{path} is not a checkpoint of this kind, or is damaged: {reason!r}")


@checked
def save_weights(
    path: str | Path, model: TASN | PlainClassifier, kind: str, recipe: Recipe, class_names: list[str]
) -> None:
    """Everything that is needed to use a trained model: its weights, its recipe, the names of its classes.

    Args:
        kind: "tasn", "downsampled" or "downsampled_aliased".

    Raises:
        ValueError: for another kind, or not as many class names as the model tells classes apart.
    """
    one_of(kind, "kind", NAMES)
    classes = model.classifier.out_features
    if len(class_names) != classes:
        raise ValueError(f"class_names are {len(class_names)}, but the model tells {classes} classes apart")
    _save(Path(path), model.state_dict(), {"kind": kind, "recipe": asdict(recipe), "class_names": class_names})


@checked
def load_model(path: str | Path) -> tuple[nn.Module, list[str]]:
    """A trained model, ready to predict, and the names of its classes.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where the file is no checkpoint, or is damaged.
    """
    weights, description = _load(Path(path))
    try:
        # The weights come from this file: nothing is fetched.
        recipe = replace(_recipe_in(description), weights=None)
        model = build_model(description["kind"], recipe, len(description["class_names"]))
        model.load_state_dict(weights)
        names = description["class_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("class_names is no list of texts")
    except (KeyError, TypeError, ValueError, RuntimeError) as reason:
        raise _not_ours(Path(path), reason) from reason
    return model.eval(), names


@checked
def load_recipe(path: str | Path) -> Recipe:
    """The recipe that a trained model was built and trained by.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    _, description = _load(Path(path))
    try:
        return _recipe_in(description)
    except (KeyError, TypeError, ValueError) as reason:
        raise _not_ours(Path(path), reason) from reason


def _recipe_in(description: Mapping[str, Any]) -> Recipe:
    stored = description["recipe"]
    return Recipe(**{**stored, "milestones": tuple(stored["milestones"])})  # JSON made a list of it


@checked
def save_training_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Mapping[str, Any]
) -> None:
    """Everything that is needed to go on: weights, the optimiser's memory, and `progress` (the history of the epochs
    done, and where in the next one it is).

    No state of a random generator is among it: order and channels are functions of (seed, epoch, image).
    """
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, memory in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in memory.items() if isinstance(value, Tensor)}
    _save(path, tensors, progress)


@checked
def progress_in(path: str | Path) -> tuple[int, int]:
    """After how many whole epochs a training state was saved, and after how many steps of the next one.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    _, progress = _load(Path(path))
    _require_progress(Path(path), progress)
    return len(progress["history"]), progress.get("begun", {}).get("step", 0)


def _require_progress(path: Path, progress: Any) -> None:
    """Make sure that a training state's description is what `progress.Progress` writes."""
    fits = (
        isinstance(progress, dict)
        and isinstance(progress.get("identity"), dict)
        and isinstance(history := progress.get("history"), list)
        and all(isinstance(entry, dict) for entry in history)
        and [entry.get("epoch") for entry in history] == list(range(1, len(history) + 1))
        and isinstance(begun := progress.get("begun", {"step": 0, "loss": 0.0, "seconds": 0.0}), dict)
        and begun.keys() == {"step", "loss", "seconds"}
        and all(is_whole(value) or isinstance(value, float) for value in begun.values())
        and is_whole(begun["step"])
        and begun["step"] >= 0
    )
    if not fits:
        raise _not_ours(path, ValueError("what it says of its progress makes no sense"))


@checked
def load_training_state(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The reverse of `save_training_state`: fills model and optimiser, returns `progress`.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    path = Path(path)
    tensors, progress = _load(path)
    _require_progress(path, progress)
    memory: dict[int, dict[str, Tensor]] = {}
    try:
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, number, quantity = name.split("/")
                memory.setdefault(int(number), {})[quantity] = tensor
        model.load_state_dict({n.removeprefix("model/"): t for n, t in tensors.items() if n.startswith("model/")})
        optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
    except (KeyError, TypeError, RuntimeError, ValueError) as reason:
        raise _not_ours(path, reason) from reason
    return progress
