"""The result of a run, as numbers saved to its folder."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from tasnlib.data.files import write_atomically
from tasnlib.networks.plain import VIEWS
from tasnlib.runs.load_data import Data
from tasnlib.runs.run import Trained
from tasnlib.runs.run_folder import as_typed, described
from tasnlib.runs.settings import DRAWN, Settings
from tasnlib.training.evaluation import TOP_K, accuracies, accuracies_by_class

NETS = ("master", "part", "attention", "downsampled", "downsampled_aliased")
_RECORDED = ("tasnlib", "torch", "torchvision", "accelerate", "pillow", "numpy")


def summarise(settings: Settings, trained: dict[str, Trained], data: tuple[Data, Data]) -> dict[str, Any]:
    """The result of a run, as notebook 05 prints it last and saves it in result.json. Accuracies are fractions of all
    test images, None for what was not run. Unreadable images count as wrong."""
    tasn, (train_set, test_set) = trained["tasn"], data
    found = {name: share for one in trained.values() for name, share in one.accuracy.items()}
    predictions = {name: best for one in trained.values() for name, best in one.predictions.items()}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    seconds = sum(entry["seconds"] for entry in tasn.history)
    speed = sum(entry["images_per_second"] * entry["seconds"] for entry in tasn.history) / seconds
    return {
        **{name: getattr(settings, name) for name in ("dataset", "recipe", "seed")},
        "epochs": len(tasn.history),
        "seconds": round(seconds, 1),
        "images_per_second": round(speed, 1),
        "checkpoint": as_typed(tasn.weights_path),
        "test_images": len(test_set),
        "accuracy": {name: found.get(name) for name in (*NETS, *settings.baseline_names)}
        | {"chance": 1 / test_set.classes},
        "other_accuracy": {name: share for name, share in found.items() if name not in (*NETS, *VIEWS)},
        "top5": accuracies(predictions, test_set.labels, TOP_K) if test_set.classes > TOP_K else None,
        "data": {split: described(images) for split, images in (("train", train_set), ("test", test_set))},
        "recipe_values": effective_values(settings),
        **{name: getattr(settings, name) for name in ("precision", "num_processes", "accumulate", "compiled")},
        "device": device,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
    }


def effective_values(settings: Settings) -> dict[str, Any]:
    """The recipe's values that had an effect on this run."""
    recipe, idle = settings.resolved_recipe, {"augmentation"}
    if settings.dataset not in DRAWN:
        idle = {"stripe_period"} | {one for one in ("train_images", "test_images") if getattr(settings, one) is None}
    needs = {
        ("momentum", "nesterov"): recipe.optimizer == "sgd",
        ("own_weight",): recipe.official_extras,
        ("temperature",): recipe.distillation_weight > 0,
        ("attention_stages", "attention_stride"): recipe.attention_trunk != "small",
        ("weights", "fresh_multiplier"): recipe.weights is not None,
    }
    idle |= {name for names, met in needs.items() if not met for name in names}
    return {name: value for name, value in asdict(recipe).items() if name not in idle}


def keep_result(folder: Path, result: dict[str, Any], trained: dict[str, Trained], test_set: Data) -> None:
    """Write result.json and by_class.json, the accuracy on each class by net, beside the checkpoints."""
    best = {name: found for one in trained.values() for name, found in one.predictions.items()}
    by_class = {net: accuracies_by_class(one, test_set.labels, test_set.class_names) for net, one in best.items()}
    write_atomically(folder / "by_class.json", json.dumps(by_class, indent=1, ensure_ascii=False).encode())
    write_atomically(folder / "result.json", (json.dumps(result) + "\n").encode())
