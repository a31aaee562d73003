"""Checkpoints: kept bit for bit, never half written, never unpickled."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tasnlib.data.files import write_atomically
from tasnlib.networks.build import build_model
from tasnlib.training import checkpoints
from tasnlib.training.checkpoints import (
    load_model,
    load_training_state,
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
def kept(tmp_path) -> Path:
    """A folder in which a checkpoint already stands."""
    save_weights(tmp_path / "tasn.safetensors", scrambled("tasn"), "tasn", SMOKE, CLASS_NAMES)
    return tmp_path / "tasn.safetensors"


# -- Writing -----------------------------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "result.json"
    for content in (b"first and longer", b"second", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_takes_its_name_only_when_it_is_whole_and_on_disk(tmp_path, monkeypatch):
    path, steps = tmp_path / "file", []
    path.write_bytes(b"earlier")
    fsync, rename = os.fsync, os.replace

    def watched_fsync(descriptor):
        (part,) = set(tmp_path.iterdir()) - {path}
        steps.append(("fsync", part.read_bytes(), path.read_bytes()))
        fsync(descriptor)

    def watched_replace(source, target):
        steps.append(("replace", Path(source).read_bytes(), path.read_bytes()))
        assert Path(target) == path
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, b"later")
    assert steps[:2] == [("fsync", b"later", b"earlier"), ("replace", b"later", b"earlier")]
    assert path.read_bytes() == b"later"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_checkpoint(kept, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(kept, scrambled("tasn", seed=1), "tasn", SMOKE, CLASS_NAMES)
    monkeypatch.undo()
    assert list(kept.parent.iterdir()) == [kept]
    assert same_weights(load_model(kept)[0], scrambled("tasn"))


def test_a_keyboard_interrupt_leaves_the_earlier_checkpoint(kept, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(kept, b"half")
    assert list(kept.parent.iterdir()) == [kept]
    assert same_weights(load_model(kept)[0], scrambled("tasn"))


def test_a_process_killed_while_it_writes_leaves_the_earlier_checkpoint(kept):
    program = """
        import os, sys, time
        from pathlib import Path
        from tasnlib.networks.build import build_model
        from tasnlib.training.checkpoints import save_weights
        from tasnlib.training.recipes import RECIPES

        def wait_to_be_killed(_):
            print("writing", flush=True)
            time.sleep(60)

        os.fsync = wait_to_be_killed
        model = build_model("tasn", RECIPES["smoke"], 4)
        save_weights(Path(sys.argv[1]), model, "tasn", RECIPES["smoke"], ["other"] * 4)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(kept)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    model, class_names = load_model(kept)
    assert class_names == CLASS_NAMES
    assert same_weights(model, scrambled("tasn"))
    save_weights(kept, scrambled("tasn", seed=1), "tasn", SMOKE, CLASS_NAMES)  # what it left is in nobody's way
    assert same_weights(load_model(kept)[0], scrambled("tasn", seed=1))


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
    expected, answers = (one.eval()(images, **channel).logits for one in (model, loaded))
    assert list(answers) == list(expected)
    assert all(torch.equal(answers[name], expected[name]) for name in expected)


def test_the_recipe_comes_back_with_the_weights(tmp_path):
    changed = replace(
        SMOKE, scale=3.0, structure_power=1.0, max_zoom=2.5, antialias=True, out_size=40, milestones=(0.5,)
    )
    save_weights(tmp_path / "model", build_model("tasn", changed, 4), "tasn", changed, CLASS_NAMES)
    model, _ = load_model(tmp_path / "model")
    found = (model.scale, model.structure_power, model.max_zoom, model.antialias, model.out_size)
    assert found == (3.0, 1.0, 2.5, True, 40)


def test_weights_can_be_read_without_this_library(kept):
    expected = scrambled("tasn").state_dict()
    tensors = safetensors.torch.load_file(kept)
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
def test_a_hostile_pickle_is_refused_and_never_executed(tmp_path, read, write):
    path, marker = tmp_path / "tasn.safetensors", tmp_path / "executed"
    write(Bomb(marker), path)
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        read(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Bomb(marker)))  # it would have gone off
    assert marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.00005, 0.003, 0.01, 0.5, 0.99999])
def test_a_truncated_file_is_refused(kept, read, share):
    content = kept.read_bytes()
    kept.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"tasn\.safetensors.*damaged"):
        read(kept)


def test_a_missing_file_is_named(tmp_path, read):
    for path in (tmp_path / "nowhere.safetensors", tmp_path):
        with pytest.raises(FileNotFoundError, match=path.name):
            read(path)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"tasn": "no JSON"}, {"tasn": "{}"}, {"tasn": "[]"}], ids=str
)
def test_somebody_elses_weights_are_refused(tmp_path, read, metadata):
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.ones(3)}, path, metadata)
    with pytest.raises(ValueError, match=r"other\.safetensors"):
        read(path)


# Weights and training state lie side by side in a run's folder.


def test_a_training_state_is_not_taken_for_weights(kept):
    model = scrambled("tasn")
    save_training_state(kept, model, build_optimizer(model, SMOKE), {"identity": {}, "history": []})
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        load_model(kept)


def test_weights_are_not_taken_for_a_training_state(kept):
    with pytest.raises(ValueError, match=r"tasn\.safetensors"):
        read_state(kept)


# -- Training state ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_model_and_optimizers_memory_and_progress_come_back_bit_for_bit(tmp_path, optimizer_name):
    recipe = replace(SMOKE, optimizer=optimizer_name)

    def stepped(seed: int):
        model = scrambled("downsampled", seed)
        optimizer = build_optimizer(model, recipe)
        for weight in model.parameters():
            weight.grad = torch.rand_like(weight)
        optimizer.step()
        return model, optimizer

    progress = {"identity": {"seed": 3, "learning_rate": 0.1 + 0.2}, "history": [{"epoch": 1, "loss": 1 / 3}]}
    model, optimizer = stepped(0)
    save_training_state(tmp_path / "state", model, optimizer, progress)
    other_model, other_optimizer = stepped(1)
    assert load_training_state(tmp_path / "state", other_model, other_optimizer) == progress
    assert same_weights(other_model, model)
    memory, other_memory = (one.state_dict()["state"] for one in (optimizer, other_optimizer))
    assert memory.keys() == other_memory.keys() == set(range(len(list(model.parameters()))))
    for number, quantities in memory.items():
        assert quantities.keys() == other_memory[number].keys()
        assert all(torch.equal(value, other_memory[number][name]) for name, value in quantities.items())


def test_a_state_before_the_first_step_can_be_kept_too(tmp_path):
    model, progress = scrambled("downsampled"), {"identity": {}, "history": []}
    save_training_state(tmp_path / "state", model, build_optimizer(model, SMOKE), progress)
    other = scrambled("downsampled", seed=1)
    assert load_training_state(tmp_path / "state", other, build_optimizer(other, SMOKE)) == progress
    assert same_weights(other, model)
