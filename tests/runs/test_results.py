"""The result of a run: all that is needed to compare it, as JSON."""

import importlib.metadata
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tasnlib.data.birds import EASY, Birds
from tasnlib.runs.results import effective_values, keep_result, summarise
from tasnlib.runs.run import Trained, epoch_line
from tasnlib.runs.settings import Settings

ACCURACY_KEYS = {"master", "part", "attention", "downsampled", "downsampled_aliased", "chance"}


def trained(folder: Path, **accuracy: float) -> Trained:
    history = [
        {"epoch": 1, "loss": 3.0, "accuracy": accuracy, "seconds": 10.0, "images_per_second": 100.0},
        {"epoch": 2, "loss": 2.0, "accuracy": accuracy, "seconds": 30.0, "images_per_second": 20.0},
    ]
    predictions = {name: torch.arange(20).view(4, 5) % 4 for name in accuracy}
    return Trained(torch.nn.Identity(), history, predictions, accuracy, folder / "tasn.safetensors")


@pytest.fixture
def four_birds():
    style = replace(EASY, image_size=32)
    return tuple(Birds.load(style, split, count, progress=False) for split, count in (("train", 6), ("test", 4)))


def test_recipe_values_are_those_that_had_an_effect():
    photographs = effective_values(Settings(dataset="cub200", recipe="official", weights="none"))
    assert not photographs.keys() & {"stripe_period", "train_images", "test_images", "weights", "fresh_multiplier"}
    assert photographs.keys() >= {"augmentation", "momentum", "own_weight", "temperature", "image_size"}
    assert "train_images" in effective_values(Settings(dataset="cub200", recipe="official", train_images=100))
    modern = effective_values(Settings(dataset="cub200", recipe="modern"))
    assert modern.keys() >= {"nesterov", "weights", "fresh_multiplier"}
    assert not modern.keys() & {"temperature", "own_weight"}  # no distillation, no own classifiers


def test_a_result_holds_all_that_is_needed_to_compare_it_and_is_json(tmp_path, monkeypatch, four_birds):
    monkeypatch.chdir(tmp_path)
    ran = {
        "tasn": trained(tmp_path / "runs", master=0.9, part=0.8, attention=0.7, part_own=0.6),
        "downsampled": trained(tmp_path / "runs", downsampled=0.3),
        "downsampled_aliased": trained(tmp_path / "runs", downsampled_aliased=0.5),
    }
    settings = Settings(dataset="birds_hard", recipe="smoke", seed=4, epochs=7)
    result = summarise(settings, ran, four_birds)
    expected = {
        "dataset": "birds_hard",
        "recipe": "smoke",
        "seed": 4,
        "epochs": 2,
        "seconds": 40.0,
        "images_per_second": 40.0,  # 1600 images in 40 s
        "checkpoint": str(Path("runs") / "tasn.safetensors"),
        "test_images": 4,
        "accuracy": {
            "master": 0.9, "part": 0.8, "attention": 0.7, "downsampled": 0.3, "downsampled_aliased": 0.5,
            "chance": 1 / 16,
        },
        "recipe_values": {
            name: json.loads(json.dumps(value))
            for name, value in vars(settings.resolved_recipe).items()
            if name not in ("augmentation", "momentum", "nesterov", "own_weight", "weights", "fresh_multiplier")
            and not name.startswith("attention_st")
        },
        "other_accuracy": {"part_own": 0.6},
        "precision": "float32",
        "num_processes": 1,
        "accumulate": 1,
        "compiled": False,
    }  # fmt: skip
    assert {name: json.loads(json.dumps(result[name])) for name in expected} == expected
    assert set(result) - set(expected) == {"top5", "data", "device", "versions"}
    labels = four_birds[1].labels.tolist()
    rows = (torch.arange(20).view(4, 5) % 4).tolist()
    share = sum(label in row for label, row in zip(labels, rows, strict=True)) / 4
    nets = ("master", "part", "attention", "part_own", "downsampled", "downsampled_aliased")
    assert result["top5"] == dict.fromkeys(nets, share)
    for split, birds in zip(("train", "test"), four_birds, strict=True):
        described = {"images": len(birds), "classes": 16, "unreadable": 0, "hash": birds.data_hash}
        assert result["data"][split] == described
    assert result["data"]["train"]["hash"] != result["data"]["test"]["hash"]
    assert result["versions"]["torch"] == importlib.metadata.version("torch")
    assert json.loads(json.dumps(result)).keys() == result.keys()


def test_what_did_not_run_is_none_in_the_result(tmp_path, four_birds):
    ran = {"tasn": trained(tmp_path, master=0.0, part=0.8, attention=0.7)}
    accuracy = summarise(Settings(), ran, four_birds)["accuracy"]
    assert accuracy.keys() == ACCURACY_KEYS
    assert (accuracy["master"], accuracy["downsampled"], accuracy["downsampled_aliased"]) == (0.0, None, None)


def test_a_result_is_kept_with_the_accuracy_of_every_class(tmp_path, four_birds):
    ran = {"tasn": trained(tmp_path, master=0.5)}
    keep_result(tmp_path, {"one": 1}, ran, four_birds[1])
    assert json.loads((tmp_path / "result.json").read_text()) == {"one": 1}
    by_class = json.loads((tmp_path / "by_class.json").read_text())["master"]
    assert list(by_class) == four_birds[1].class_names
    first = (torch.arange(20).view(4, 5) % 4)[:, 0].tolist()
    for number, name in enumerate(by_class):
        mine = [a == label for a, label in zip(first, four_birds[1].labels.tolist(), strict=True) if label == number]
        assert by_class[name] == (sum(mine) / len(mine) if mine else None)


def test_an_epoch_is_one_line_with_every_net(tmp_path):
    entry = trained(tmp_path, master=1.0, part=0.051, attention=0.5).history[1]
    line = epoch_line(entry, 12)
    assert "\n" not in line
    assert re.sub(" +", " ", line) == (
        "epoch 2/12 loss 2.000 master 100.0 % part 5.1 % attention 50.0 % 30 s 20 images/s"
    )
    assert len(line) == len(epoch_line({**entry, "epoch": 11, "seconds": 4.0, "images_per_second": 1234.0}, 12))
