"""Checkpoints: bit for bit, never half written, never unpickled."""

import errno
import json
import multiprocessing
import os
import pickle
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tasnlib.networks.build import build_model
from tasnlib.training import checkpoints
from tasnlib.training.checkpoints import (
    FORMAT,
    Progress,
    load_model,
    load_recipe,
    load_training_state,
    progress_in,
    save_training_state,
    save_weights,
)
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import build_optimizer

SMOKE = RECIPES["smoke"]
KINDS = ("tasn", "downsampled", "downsampled_aliased")
CLASS_NAMES = ["red-yellow, head along", "größer", "", "3"]


def scrambled(kind: str, seed: int = 0) -> torch.nn.Module:
    """A model in which no weight, running mean or counter is what a new model has."""
    torch.manual_seed(seed)
    model = build_model(kind, SMOKE, len(CLASS_NAMES))
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1.0)
        else:
            tensor.fill_(41)
    return model


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def saved(tmp_path) -> Path:
    """A checkpoint."""
    save_weights(tmp_path / "tasn.safetensors", scrambled("tasn"), "tasn", SMOKE, CLASS_NAMES)
    return tmp_path / "tasn.safetensors"


# -- Writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_checkpoint(saved, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(saved, scrambled("tasn", seed=1), "tasn", SMOKE, CLASS_NAMES)
    monkeypatch.undo()
    assert list(saved.parent.iterdir()) == [saved]
    assert same_weights(load_model(saved)[0], scrambled("tasn"))


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_a_process_killed_while_it_writes_leaves_the_earlier_checkpoint(saved):
    context, other = multiprocessing.get_context("fork"), scrambled("tasn", seed=1)
    writing = context.Event()

    def write() -> None:
        os.fsync = lambda _: writing.set() or time.sleep(60)
        save_weights(saved, other, "tasn", SMOKE, ["other"] * 4)

    process = context.Process(target=write)
    process.start()
    assert writing.wait(60)
    process.kill()
    process.join()
    model, class_names = load_model(saved)
    assert class_names == CLASS_NAMES
    assert same_weights(model, scrambled("tasn"))
    save_weights(saved, other, "tasn", SMOKE, CLASS_NAMES)  # what it left does not matter
    assert same_weights(load_model(saved)[0], other)


# -- Weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_back_bit_for_bit_and_ready_to_predict(tmp_path, kind):
    model, path = scrambled(kind), tmp_path / "model.safetensors"
    save_weights(path, model, kind, SMOKE, CLASS_NAMES)
    loaded, class_names = load_model(str(path))
    assert class_names == CLASS_NAMES
    assert same_weights(loaded, model)
    assert not any(module.training for module in loaded.modules())
    images = torch.rand(2, 3, 48, 48)
    channel = {"channel": torch.tensor([3, 4])} if kind == "tasn" else {}
    expected, found = (one.eval()(images, **channel).logits for one in (model, loaded))
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_recipe_comes_back_with_the_weights(tmp_path):
    changed = replace(
        SMOKE, scale=3.0, structure_power=1.0, max_zoom=2.5, antialias=True, out_size=40, milestones=(0.5,)
    )
    save_weights(tmp_path / "model", build_model("tasn", changed, 4), "tasn", changed, CLASS_NAMES)
    model, _ = load_model(tmp_path / "model")
    found = (model.scale, model.structure_power, model.max_zoom, model.antialias, model.out_size)
    assert found == (3.0, 1.0, 2.5, True, 40)


def test_weights_can_be_read_without_this_library(saved):
    expected = scrambled("tasn").state_dict()
    tensors = safetensors.torch.load_file(saved)
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def test_loading_weights_fetches_no_others(tmp_path, monkeypatch):
    asked_for = []

    def watched(kind, recipe, classes):
        asked_for.append(recipe.weights)
        return build_model(kind, recipe, classes)

    save_weights(tmp_path / "model", scrambled("tasn"), "tasn", replace(SMOKE, weights="DEFAULT"), CLASS_NAMES)
    monkeypatch.setattr(checkpoints, "build_model", watched)
    assert same_weights(load_model(tmp_path / "model")[0], scrambled("tasn"))
    assert asked_for == [None]


def test_the_same_weights_are_the_same_bytes(tmp_path):
    for number in range(8):
        save_weights(tmp_path / str(number), scrambled("tasn"), "tasn", SMOKE, CLASS_NAMES)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


# -- Files that are no checkpoints -------------------------------------------------------------------------------------


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def read_state(path: Path) -> None:
    model = build_model("tasn", SMOKE, len(CLASS_NAMES))
    load_training_state(path, model, build_optimizer(model, SMOKE))


@pytest.fixture(params=[load_model, read_state], ids=["load_model", "load_training_state"])
def read(request):
    return request.param


@pytest.mark.parametrize(
    "write", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save], ids=["pickle", "torch.save"]
)
def test_a_hostile_pickle_is_rejected_and_never_executed(tmp_path, read, write):
    path, marker = tmp_path / "tasn.safetensors", tmp_path / "executed"
    write(Bomb(marker), path)
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        read(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))  # it would have gone off
    assert marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99999])
def test_a_truncated_file_is_rejected(saved, read, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"tasn\.safetensors.*damaged"):
        read(saved)


def test_a_missing_file_is_named(tmp_path, read):
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=path.name):
            read(path)


@pytest.mark.parametrize("metadata", [None, {"tasn": "{}"}, {"tasn": "[" * 10_000}], ids=["none", "empty", "nested"])
def test_somebody_elses_weights_are_rejected(tmp_path, read, metadata):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(3)}, path, metadata)
    with pytest.raises(ValueError, match=r"other\.safetensors"):
        read(path)


# Weights and training state lie side by side in a run's folder.


def test_a_training_state_is_not_taken_for_weights(saved):
    model = scrambled("tasn")
    save_training_state(saved, model, build_optimizer(model, SMOKE), Progress({}))
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        load_model(saved)


def test_weights_are_not_taken_for_a_training_state(saved):
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        read_state(saved)


# -- Versions ----------------------------------------------------------------------------------------------------------


def rewrite(path: Path, description: dict) -> None:
    safetensors.torch.save_file(
        safetensors.torch.load_file(path), path, {"tasn": json.dumps({"format": FORMAT, **description})}
    )


def test_a_checkpoint_of_a_newer_format_is_called_newer(saved, read):
    rewrite(saved, {"format": FORMAT + 1, "networks": "elsewhere"})
    with pytest.raises(
        ValueError, match=rf"tasn\.safetensors was written by a newer version .*format is {FORMAT + 1}.*update tasnlib"
    ):
        read(saved)


# Format 1: attention maps of features after the norm.


def as_format_1(path: Path, recipe: dict) -> None:
    del recipe["attention_stages"]
    description = {"kind": "tasn", "recipe": recipe | {"light_attention": False}, "class_names": CLASS_NAMES}
    rewrite(path, description | {"format": 1})


def test_small_networks_of_format_1_still_predict(saved):
    images, expected = torch.rand(2, 3, 144, 144), load_model(saved)[0]
    as_format_1(saved, asdict(SMOKE))
    model, names = load_model(saved)
    assert (names, load_recipe(saved)) == (CLASS_NAMES, SMOKE)
    assert torch.equal(model.predict(images), expected.predict(images))


def test_other_attention_networks_of_format_1_are_rejected_with_the_reason(saved):
    as_format_1(saved, asdict(replace(SMOKE, attention_trunk="resnet18")))
    for read in (load_model, load_recipe):
        with pytest.raises(ValueError, match=r"tasn\.safetensors is from before .*in front of the norm.*train anew"):
            read(saved)


def test_a_training_state_of_format_1_is_not_resumed(tmp_path):
    model, path = scrambled("tasn"), tmp_path / "state"
    optimizer = build_optimizer(model, SMOKE)
    save_training_state(path, model, optimizer, Progress({}))
    rewrite(path, {"identity": {}, "history": [], "format": 1})
    for read in (lambda: progress_in(path), lambda: load_training_state(path, model, optimizer)):
        with pytest.raises(ValueError, match=r"state is from before .*in front of the norm.*or train anew"):
            read()


def test_a_recipe_with_more_values_is_called_newer(saved):
    recipe = asdict(SMOKE) | {"heads": 3}
    rewrite(saved, {"kind": "tasn", "recipe": recipe, "class_names": CLASS_NAMES})
    for read in (load_model, load_recipe):
        with pytest.raises(ValueError, match=r"tasn\.safetensors was written by a newer version.* heads"):
            read(saved)


@pytest.mark.parametrize(("name", "value"), [("scale", -1.0), ("epochs", "many"), ("class_names", [1, 2, 3, 4])])
def test_a_description_that_cannot_be_is_called_damaged(saved, name, value):
    description = {"kind": "tasn", "recipe": asdict(SMOKE), "class_names": CLASS_NAMES}
    (description if name in description else description["recipe"])[name] = value
    rewrite(saved, description)
    with pytest.raises(
        ValueError, match=rf"tasn\.safetensors is not a checkpoint of this kind, or is damaged: .*{name}"
    ):
        load_model(saved)


def test_the_committed_run_loads():
    path = Path(__file__).parents[2] / "notebooks" / "saved_run" / "tasn.safetensors"
    model, class_names = load_model(path)
    assert load_recipe(path) == RECIPES["laptop"]
    assert model(torch.rand(1, 3, 144, 144)).logits["master"].shape == (1, len(class_names))


# -- Training state ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_model_optimiser_and_progress_come_back_bit_for_bit(tmp_path, optimizer_name):
    recipe = replace(SMOKE, optimizer=optimizer_name)

    def stepped(seed: int):
        model = scrambled("downsampled", seed)
        optimizer = build_optimizer(model, recipe)
        for weight in model.parameters():
            weight.grad = torch.rand_like(weight)
        optimizer.step()
        return model, optimizer

    progress = Progress({"learning_rate": 0.1 + 0.2}, [{"epoch": 1, "loss": 1 / 3}])
    model, optimizer = stepped(0)
    save_training_state(tmp_path / "state", model, optimizer, progress)
    other_model, other_optimizer = stepped(1)
    assert load_training_state(tmp_path / "state", other_model, other_optimizer) == progress
    assert progress_in(tmp_path / "state") == 1
    assert same_weights(other_model, model)
    states, other_states = (one.state_dict()["state"] for one in (optimizer, other_optimizer))
    assert states.keys() == other_states.keys() == set(range(len(list(model.parameters()))))
    for number, quantities in states.items():
        assert quantities.keys() == other_states[number].keys()
        assert all(torch.equal(value, other_states[number][name]) for name, value in quantities.items())


def test_a_state_before_the_first_step_can_be_saved(tmp_path):
    model, other = scrambled("downsampled"), scrambled("downsampled", seed=1)
    save_training_state(tmp_path / "state", model, build_optimizer(model, SMOKE), Progress({}))
    assert load_training_state(tmp_path / "state", other, build_optimizer(other, SMOKE)) == Progress({})
    assert same_weights(other, model)


@pytest.mark.parametrize(
    "changes",
    [
        {"history": [{"epoch": 2}]},
        {"history": [None]},
        {"identity": []},
        {"more": 1},
    ],
    ids=str,
)
def test_progress_that_makes_no_sense_is_rejected(tmp_path, changes):
    model, path = scrambled("downsampled"), tmp_path / "state"
    save_training_state(path, model, build_optimizer(model, SMOKE), Progress({}))
    rewrite(path, {"identity": {}, "history": [], **changes})
    with pytest.raises(ValueError, match="progress makes no sense"):
        progress_in(path)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="shows what a process has mapped on Linux")
def test_a_loaded_state_does_not_keep_its_file_mapped(tmp_path):
    """Windows cannot replace a file that is."""
    model = scrambled("downsampled")
    optimizer = build_optimizer(model, SMOKE)
    for weight in model.parameters():
        weight.grad = torch.rand_like(weight)
    optimizer.step()
    save_training_state(tmp_path / "state", model, optimizer, Progress({}))
    load_training_state(tmp_path / "state", model, optimizer)
    assert str(tmp_path / "state") not in Path("/proc/self/maps").read_text()
