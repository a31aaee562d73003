"""Functions that make a run out of recipes and settings, good arguments of each, and bad ones: see `test_bad_input`."""

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import torch
from torch import nn

from tasnlib.data import birds
from tasnlib.networks import backbones
from tasnlib.networks import build as building
from tasnlib.networks.small import small_trunk
from tasnlib.runs import prediction
from tasnlib.runs.settings import Settings
from tasnlib.training import checkpoints, evaluation, schedule
from tasnlib.training import compilation as speed
from tasnlib.training import fit as training
from tasnlib.training.devices import make_accelerator
from tasnlib.training.recipes import RECIPES, Recipe, scaled_learning_rate
from tests.bad_inputs import (
    HUGE,
    NAN,
    Function,
    but,
    choice,
    drawn,
    flag,
    module,
    number,
    other,
    path,
    whole,
    whole_tensor,
    without_none,
)
from tests.data.fuzzed_data import TINY, on_disk, tiny_birds
from tests.fuzzed_networks import MAX_ZOOM, SMOKE, tiny_tasn

NETWORK = but(other("", True), "text")  # whether there is one of that name shows when it is built
OF_RECIPE = {
    **{name: whole(0, -1) for name in ("image_size", "attention_size", "out_size", "epochs")},
    **{name: whole(0, -1) for name in ("train_images", "test_images", "batch_size")},
    **{"stripe_period": number(2, 0, -1), "scale": number(0, -1), "structure_power": number(0, -1)},
    **{"max_zoom": MAX_ZOOM, "temperature": number(0, -1), "learning_rate": number(0, -1)},
    **{name: number(-1) for name in ("attention_weight", "master_weight", "part_weight", "own_weight")},
    **{"distillation_weight": number(-1), "weight_decay": number(-1), "momentum": number(-0.1, 1)},
    **{"warmup": number(-0.1, 1), "milestones": other([0.5], (0,), (1.5,), ("a",), (0.5, 0.2), (NAN,))},
    **{name: flag() for name in ("light_attention", "antialias", "distinct_channels", "own_classifiers")},
    **{"teacher_gradient": flag(), "optimizer": choice("adam"), "augmentation": choice("oficial")},
    **{"test_detail": choice("channels"), "attention_trunk": NETWORK,
       "backbone": NETWORK, "weights": without_none(NETWORK)},
}  # fmt: skip

RECIPE_FUNCTIONS = [
    Function("Recipe", Recipe, lambda: asdict(RECIPES["laptop"]), OF_RECIPE),
    Function(
        "scaled_learning_rate",
        scaled_learning_rate,
        lambda: {"recipe": RECIPES["laptop"], "batch_size": 8},
        {"recipe": other("laptop"), "batch_size": whole(0, -8, huge=False)},
    ),
    Function("learning_rate_at", schedule.learning_rate_at, lambda: {"recipe": RECIPES["laptop"], "done": 0.5},
             {"recipe": other("laptop"), "done": number(-0.1, 1.1)}),
    Function("build_tasn", building.build_tasn, lambda: {"recipe": SMOKE, "classes": 3},
             {"recipe": other("laptop"), "classes": whole(0, -1)}),
    Function("build_model", building.build_model, lambda: {"kind": "tasn", "recipe": SMOKE, "classes": 3},
             {"kind": choice("tans"), "recipe": other("laptop"), "classes": whole(0, -1)}),
    Function("attention_trunk", partial(backbones.attention_trunk, weights=None),
             lambda: {"name": "squeezenet1_1", "halvings": 3, "leave_out": 0},
             {"name": choice("resnet81"), "halvings": whole(-1, 9), "leave_out": whole(-1, 100)}),
    Function("build_attention_net", building.build_attention_net, lambda: {"recipe": SMOKE, "classes": 3},
             {"recipe": other("laptop"), "classes": whole(0, -1)}),
    Function("build_plain", building.build_plain, lambda: {"recipe": SMOKE, "classes": 3, "antialias": True},
             {"recipe": other("laptop"), "classes": whole(0, -1), "antialias": flag()}),
    Function("check_networks", building.check_networks, lambda: {"recipe": SMOKE}, {"recipe": other("laptop")}),
    Function("build_optimizer", schedule.build_optimizer, lambda: {"model": nn.Linear(2, 2), "recipe": SMOKE},
             {"model": module(), "recipe": other("laptop")}),
    Function("EpochOrder", schedule.EpochOrder, lambda: {"size": 4, "seed": 0, "left_out": {2}},
             {"size": whole(-1, huge=False), "seed": whole(-1, 2**31), "left_out": {"None": None, "number": 3}}),
    Function("small_trunk", small_trunk, lambda: {"channels": 8}, {"channels": whole(0, -1)}),
    Function("weights_in_folder", backbones.weights_in_folder, lambda: {"folder": on_disk(), "name": "resnet18"},
             {"folder": path(""), "name": choice("resnet81") | {"pattern": "*", "path": "/etc/x"}}, touches_files=True),
    Function("classifier_backbone", backbones.classifier_backbone, lambda: {"name": "small", "weights": None},
             {"name": choice("resnet81"), "weights": without_none(other("DEFAULT"))}, touches_files=True),
    Function("make_accelerator", make_accelerator, lambda: {"precision": "float32"}, {"precision": choice("float16")}),
]  # fmt: skip

ANSWERS = torch.tensor([[1, 0], [2, 0], [3, 1]])
BAD_ANSWERS = but(whole_tensor(ANSWERS, low=None), "too few", "too many")


def saved(**given) -> None:
    checkpoints.save_weights(on_disk() / "kept.safetensors", **given)


def resumed(path) -> None:
    plain = building.build_model("downsampled", SMOKE, 3)
    checkpoints.load_training_state(path, plain, schedule.build_optimizer(plain, SMOKE))


def kept(**given) -> None:
    progress = {"identity": {}, "history": []}
    checkpoints.save_training_state(on_disk() / "kept", **{"progress": progress} | given)


def fitted(**given) -> list[dict]:
    """Half a minute's training is no test of arguments: one epoch of six images."""
    model = building.build_model("downsampled", SMOKE, tiny_birds().classes)
    good = {"model": model, "train": tiny_birds(), "test": tiny_birds(), "accelerator": make_accelerator()}
    return training.fit(**good | {"state_path": on_disk() / "fitted"} | given)


def trained_by() -> dict:
    return {"recipe": replace(SMOKE, epochs=1, batch_size=3), "seed": 0, "resume": False, "num_workers": 0,
            "accumulate": 1, "compiled": False, "continue_unsaved": False}  # fmt: skip


RUN_FUNCTIONS = [
    Function(
        "fit",
        fitted,
        trained_by,
        {"model": module(), "train": other(["a"]), "test": other(["a"]), "recipe": other("smoke"),
         "seed": whole(-1, 2**31), "accelerator": other(), "resume": flag(), "num_workers": whole(-1),
         "accumulate": whole(0, -1, 2), "compiled": flag(), "continue_unsaved": flag(),
         "report": without_none(other())},
        touches_files=True,
    ),
    Function(
        "speed_up",
        lambda **given: speed.speed_up(nn.Linear(2, 2), **given),
        lambda: {"device": torch.device("cpu"), "compiled": False},
        {"device": other("cpu"), "compiled": flag()},
    ),
    Function(
        "save_training_state",
        kept,
        lambda: {"model": (net := nn.Linear(2, 2)), "optimizer": schedule.build_optimizer(net, SMOKE)},
        {"model": module(), "optimizer": other(), "progress": other()},
        touches_files=True,
    ),
    Function(
        "Predictor",
        prediction.Predictor,
        lambda: {"model": tiny_tasn(), "class_names": ["wren"] * 16, "image_size": 32},
        {"model": module() | {"plain": nn.Linear(2, 2)}, "class_names": other([1] * 16), "image_size": whole(0, -1)},
    ),
    Function(
        "Prediction.figure",
        prediction.Prediction(["wren"], [1.0], drawn(3, 8, 8), drawn(3, 3), drawn(3, 6, 6)).figure,
        lambda: {"classes": 5},
        {"classes": whole(0, -1, huge=False)},
    ),
    Function(
        "Birds",
        birds.Birds,
        lambda: {"drawn": birds.draw_birds(TINY, 0, "test", [0, 1]), "config": TINY},
        {"drawn": other(), "config": other()},
    ),
    Function(
        "evaluate",
        evaluation.evaluate,
        lambda: {"model": tiny_tasn(), "data": tiny_birds(), "batch_size": 4, "num_workers": 0},
        {"model": module(),
         "data": other([], ["a"]), "batch_size": whole(0, -1), "num_workers": whole(-1, huge=False)},
    ),
    Function("draw_channels", evaluation.draw_channels,
             lambda: {"indices": torch.arange(3), "channels": 4, "seed": 0, "epoch": 0},
             {"indices": but(whole_tensor(torch.arange(3), low=None), "too few", "too many", "empty", "one axis more"),
              "channels": whole(0, -1, huge=False),
              "seed": whole(-1, 2**70, huge=False), "epoch": whole(-1, 2**70, huge=False)}),
    Function(
        "accuracies",
        evaluation.accuracies,
        lambda: {"answers": {"master": ANSWERS}, "labels": torch.tensor([1, 0, 3]), "top": 1},
        {"answers": other({}, ANSWERS) | {f"of {label}": {"master": value} for label, value in BAD_ANSWERS.items()},
         "labels": whole_tensor(torch.tensor([1, 0, 3])), "top": whole(0, -1, 3)},
    ),
    Function(
        "accuracies_by_class",
        evaluation.accuracies_by_class,
        lambda: {"answers": ANSWERS, "labels": torch.tensor([1, 0, 3]), "class_names": ["a", "b", "c", "d"]},
        {"answers": BAD_ANSWERS, "labels": whole_tensor(torch.tensor([1, 0, 3]), 0, 3),
         "class_names": other([], ["a"], ["a", "a", "b", "c"])},
    ),
    Function(
        "save_weights",
        saved,
        lambda: {"model": tiny_tasn(), "kind": "tasn", "recipe": SMOKE, "class_names": [str(i) for i in range(16)]},
        {"model": module(), "kind": choice("tans"), "recipe": other("smoke"),
         "class_names": other([], ["too", "few"], [[]] * 16)},
        touches_files=True,
    ),
    *(
        Function(
            name,
            load,
            lambda good=good: {"path": on_disk() / good},
            {"path": path()},
            touches_files=True,
        )
        for name, load, good in (
            ("load_model", checkpoints.load_model, "tasn.safetensors"),
            ("load_recipe", checkpoints.load_recipe, "tasn.safetensors"),
            ("progress_in", checkpoints.progress_in, "state"),
            ("load_training_state", resumed, "state"),
        )
    ),
    Function(
        "load",
        prediction.load,
        lambda: {"run": on_disk(), "device": "cpu"},
        {"run": path(), "device": without_none(choice("cpuu"))},
        touches_files=True,
    ),
    Function(
        "Predictor.predict",
        lambda image: prediction.load(on_disk(), "cpu").predict(image),
        lambda: {"image": on_disk() / "images/wren/0.png"},
        {"image": path("") | {"pixels": np.zeros((4, 4, 3), np.uint8), "tensor": drawn(3, 4, 4)}},
        touches_files=True,
    ),
]  # fmt: skip

# Beside those of test_settings, which says what each message must hold.
COUNTS = ("epochs", "batch_size", "train_images", "test_images", "num_workers")
OF_SETTINGS = {
    **{"dataset": choice("brids"), "recipe": choice("labtop"), "precision": choice("float23")},
    **{name: without_none(whole(-1, huge=False)) | {"huge": HUGE} for name in COUNTS},
    **{name: whole(-1) for name in ("seed", "num_processes", "accumulate")},
    **{
        name: flag() | {"zero": 0, "yes": "yes"}
        for name in ("resume", "baselines", "cache", "compiled", "continue_unsaved")
    },
    "learning_rate": without_none(number(0, -0.1, 11)),
    **{name: but(path(""), "None", "nowhere", "too long") for name in ("data_folder", "output_folder")},
    "weights": but(path("", "default"), "None"),
    **{name: without_none(choice("resnet81")) for name in ("backbone", "attention_trunk")},
}
SETTINGS_FUNCTIONS = [
    Function("Settings", Settings, lambda: asdict(Settings()), OF_SETTINGS, touches_files=True),
    *(
        Function(
            f"Settings of {name}",
            lambda **given: Settings.from_cells([f"{name} = {value!r}" for name, value in given.items()]),
            dict,
            {name: {"cell": 3}},
        )
        for name in ("seeed", "Seed", "lr", "output_dir", "gpu", "temperature", "зерно")
    ),
]
