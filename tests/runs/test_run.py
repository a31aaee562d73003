"""A run from settings to result: one folder, nothing overwritten, the same again from the same seed."""

import copy
import importlib.metadata
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import torch

from tasnlib.data import birds as birds_module
from tasnlib.data.birds import EASY, Birds, BirdsBatch
from tasnlib.runs import run as experiment
from tasnlib.runs import run_folder
from tasnlib.runs.results import Trained, keep_result, summarise
from tasnlib.runs.run import epoch_line, load_data, train
from tasnlib.runs.run_folder import as_typed, prepare_folder, project_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import load_model

ACCURACY_KEYS = {"master", "part", "attention", "downsampled", "downsampled_aliased", "chance"}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def tiny(tmp_path, data_folder) -> Settings:
    return Settings(
        recipe="smoke", epochs=2, batch_size=8, train_images=16, test_images=5,
        data_folder=str(data_folder), output_folder=str(tmp_path / "run"),
    )  # fmt: skip


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# -- Folders -----------------------------------------------------------------------------------------------------------


def test_the_folder_is_made_and_holds_the_settings(tiny, tmp_path):
    tiny = replace(tiny, output_folder=str(tmp_path / "not" / "yet" / "there"))
    folder = prepare_folder(tiny)
    assert folder == tmp_path / "not" / "yet" / "there"
    assert Settings(**json.loads((folder / "settings.json").read_text())) == tiny


def test_a_tilde_is_the_home_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepare_folder(replace(tiny, output_folder="~/run")) == tmp_path / "run"


@pytest.mark.parametrize("file", ["tasn.safetensors", "tasn.training.safetensors", "downsampled.safetensors"])
def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tiny, file):
    folder = prepare_folder(tiny)
    (folder / file).write_bytes(b"weights")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=r"output_folder.*holds a run.*resume"):
        prepare_folder(replace(tiny, seed=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert prepare_folder(replace(tiny, resume=True)) == folder


def test_without_a_name_the_folder_is_new_in_runs_and_tells_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = prepare_folder(Settings(dataset="birds_hard", recipe="smoke", seed=3))
    assert folder.parent == tmp_path / "runs"
    assert all(word in folder.name for word in ("birds_hard", "smoke", "3"))
    assert (folder / "settings.json").is_file()


def test_two_runs_started_in_the_same_second_do_not_share_a_folder(tmp_path, monkeypatch):
    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 21, 12, 0, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", StoppedClock)
    first, second = (prepare_folder(Settings(learning_rate=rate)) for rate in (0.1, 0.2))
    assert first != second
    assert json.loads((first / "settings.json").read_text())["learning_rate"] == 0.1


def test_the_project_is_found_from_any_folder_in_it(tmp_path, monkeypatch):
    (tmp_path / "project" / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "project" / "notebooks" / "05_train_full.ipynb").touch()
    for folder in (tmp_path / "project", tmp_path / "project" / "notebooks" / "deep"):
        monkeypatch.chdir(folder)
        assert project_folder() == tmp_path / "project"
        assert as_typed(tmp_path / "project" / "runs" / "one") == str(Path("runs") / "one")
        assert as_typed(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert project_folder() == tmp_path


# -- Data --------------------------------------------------------------------------------------------------------------


def test_data_are_as_the_settings_say_and_kept(tiny, tmp_path, monkeypatch):
    tiny = replace(tiny, dataset="birds_hard", data_folder=str(tmp_path / "data"))
    train_set, test_set = load_data(tiny)
    recipe = tiny.resolved_recipe
    assert (len(train_set), len(test_set)) == (16, 5)
    assert train_set.classes == 64
    assert train_set.images.shape[-1] == recipe.image_size
    assert train_set.config.stripe_period == test_set.config.stripe_period == recipe.stripe_period
    assert not torch.equal(train_set.images[:5], test_set.images)
    assert len(list((tmp_path / "data").iterdir())) == 2
    monkeypatch.setattr(birds_module, "draw_birds", None)
    assert torch.equal(load_data(tiny)[0].images, train_set.images)


def test_without_a_data_folder_data_are_kept_in_the_project(tiny, tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "notebooks").mkdir(parents=True)
    (project / "notebooks" / "05_train_full.ipynb").touch()
    monkeypatch.chdir(project / "notebooks")
    load_data(replace(tiny, data_folder=None))
    assert len(list((project / "datasets").iterdir())) == 2


def test_outside_of_the_project_a_data_folder_must_be_named(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="outside of the project; start it inside, or name a data_folder"):
        load_data(replace(tiny, data_folder=None))
    assert list(tmp_path.iterdir()) == []


def test_the_data_do_not_change_with_the_seed_of_the_run(tiny):
    assert torch.equal(load_data(tiny)[0].images, load_data(replace(tiny, seed=1))[0].images)


# -- Training ----------------------------------------------------------------------------------------------------------


def test_a_run_leaves_weights_history_and_what_resume_needs(tiny, capsys):
    folder, data = prepare_folder(tiny), load_data(tiny)
    capsys.readouterr()
    trained = train("tasn", tiny, folder, data)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [epoch_line(entry, 2) for entry in trained.history]
    # So few steps leave every map at 0, and that is told.
    assert lines[2].startswith(f"attention is 0 everywhere on {len(data[1])} of the first {len(data[1])} test images")
    assert len(lines) == 3
    assert [entry["epoch"] for entry in trained.history] == [1, 2]
    names = {"settings.json", "data.json", "tasn.safetensors", "tasn.training.safetensors", "tasn.history.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "tasn.history.json").read_text()) == trained.history
    assert trained.weights_path == folder / "tasn.safetensors"
    model, class_names = load_model(trained.weights_path)
    assert same_weights(model, trained.model)
    assert class_names == data[0].class_names
    names = ["master", "part", "attention", "master+part", "master+part+attention"]
    assert list(trained.answers) == list(trained.accuracy) == names
    assert all(len(answers) == 5 for answers in trained.answers.values())
    assert trained.accuracy == trained.history[-1]["accuracy"]


@pytest.mark.parametrize("name", ["tasn", "downsampled", "downsampled_aliased"])
def test_the_seed_decides_the_first_weights_whatever_ran_before(tiny, tmp_path, name):
    def run(number: int, seed: int) -> torch.nn.Module:
        torch.manual_seed(1000 + number)
        settings = replace(tiny, epochs=1, seed=seed, output_folder=str(tmp_path / str(number)))
        return train(name, settings, prepare_folder(settings), load_data(settings)).model

    first, again, other = run(1, seed=0), run(2, seed=0), run(3, seed=1)
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_a_run_may_be_resumed_after_it_was_stopped(tiny, tmp_path, monkeypatch, capsys):
    expected = train("downsampled", tiny, prepare_folder(tiny), load_data(tiny))
    stopped = replace(tiny, output_folder=str(tmp_path / "stopped"))
    folder = prepare_folder(stopped)

    def stop(entry, epochs):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "epoch_line", stop)
    with pytest.raises(KeyboardInterrupt):
        train("downsampled", stopped, folder, load_data(stopped))
    monkeypatch.undo()
    assert not (folder / "downsampled.safetensors").exists()
    resumed = replace(stopped, resume=True)
    capsys.readouterr()
    trained = train("downsampled", resumed, prepare_folder(resumed), load_data(resumed))
    printed = capsys.readouterr().out.splitlines()
    assert [line[:40] for line in printed] == ["downsampled: continuing after epoch 1", printed[1][:40]]
    assert printed[1].startswith("epoch  2/2")
    assert same_weights(trained.model, expected.model)
    assert trained.accuracy == expected.accuracy


OTHER_SETTINGS = [("dataset", "birds_hard"), ("seed", 1), ("learning_rate", 0.5), ("epochs", 3), ("train_images", 17)]


@pytest.mark.parametrize(("name", "value"), OTHER_SETTINGS)
def test_a_run_is_not_resumed_with_other_settings(tiny, name, value):
    train("downsampled", tiny, prepare_folder(tiny), load_data(tiny))
    other = replace(tiny, resume=True, **{name: value})
    with pytest.raises(ValueError, match=name):
        train("downsampled", other, prepare_folder(other), load_data(other))


@pytest.mark.parametrize(("name", "value"), OTHER_SETTINGS)
def test_after_a_refused_resume_the_settings_are_still_those_of_the_weights_beside_them(tiny, name, value):
    folder = prepare_folder(tiny)
    train("downsampled", tiny, folder, load_data(tiny))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = replace(tiny, resume=True, **{name: value})
    with pytest.raises((ValueError, RuntimeError)):
        train("downsampled", other, prepare_folder(other), load_data(other))
    assert [path.name for path in folder.iterdir() if path.read_bytes() != before.get(path.name)] == []


@pytest.mark.parametrize(
    ("change", "told"), [("names", "was begun with 16 classes.*only now"), ("images", "test images")]
)
def test_a_run_is_not_resumed_on_other_data(tiny, change, told):
    folder, (train_set, test_set) = prepare_folder(tiny), load_data(tiny)
    train("downsampled", tiny, folder, (train_set, test_set))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if change == "names":
        train_set = copy.copy(train_set)
        train_set.class_names = ["renamed", *train_set.class_names[1:]]
    else:
        test_set = Birds(BirdsBatch(test_set.images, test_set.labels, test_set.boxes + 1), test_set.config)
    with pytest.raises(ValueError, match=told):
        train("downsampled", replace(tiny, resume=True), folder, (train_set, test_set))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_resume_says_where_it_goes_on_or_that_there_is_nothing(tiny, capsys):
    fresh = replace(tiny, resume=True)
    folder, data = prepare_folder(fresh), load_data(fresh)
    train("downsampled", fresh, folder, data)
    assert "downsampled: nothing to continue, starting at epoch 1" in capsys.readouterr().out
    train("downsampled", fresh, folder, data)
    assert "downsampled: continuing after epoch 2" in capsys.readouterr().out


def test_a_resume_does_not_ask_for_the_first_weights_again(tmp_path):
    """They were read long ago, and may lie elsewhere by now."""
    for place in ("before", "now"):
        (tmp_path / place).mkdir()
    begun = Settings(recipe="paper", weights=str(tmp_path / "before"), output_folder=str(tmp_path / "run"))
    folder = prepare_folder(begun)
    (folder / "tasn.training.safetensors").touch()
    (tmp_path / "before").rmdir()
    assert prepare_folder(replace(begun, weights=str(tmp_path / "now"), resume=True)) == folder
    with pytest.raises(ValueError, match="precision is 'bfloat16'"):
        prepare_folder(replace(begun, weights="none", resume=True, precision="bfloat16"))


def test_a_process_ends_soon_after_the_one_it_belongs_to_was_killed(tmp_path):
    child = "import os, time; from tasnlib.training.devices import end_with; end_with(os.getppid()); print('up'); "
    child += "time.sleep(30); print('survived')"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-uc', {child!r}]); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.read() == ""  # ends when the child, who holds the other end, is gone


def test_a_process_that_fails_is_told_with_its_last_words(tiny, launcher, capsys):
    launcher("echo 'epoch  1/2 fine'\necho 'Traceback: the reason' >&2\nexit 3\n")
    tiny = replace(tiny, num_processes=2)
    with pytest.raises(RuntimeError, match=r"one of 2 processes failed(.|\n)*Traceback: the reason"):
        train("tasn", tiny, prepare_folder(tiny), load_data(tiny))
    assert "epoch  1/2 fine\n" in capsys.readouterr().out


def test_processes_are_started_as_many_as_asked_for(tiny, launcher, tmp_path):
    launcher(f'echo "$@" > {tmp_path}/arguments\nexit 3\n')
    tiny = replace(tiny, num_processes=4)
    folder = prepare_folder(tiny)
    with pytest.raises(RuntimeError, match="4 processes"):
        train("downsampled", tiny, folder, load_data(tiny))
    arguments = (tmp_path / "arguments").read_text()
    assert re.search(r"-m torch\.distributed\.run .*--nproc-per-node 4 ", arguments)
    assert arguments.endswith(f"-m tasnlib.runs.run {folder} downsampled\n")


def test_what_each_process_runs_reads_its_settings_from_the_folder(tiny, tmp_path, monkeypatch):
    expected = train(
        "downsampled", replace(tiny, output_folder=str(tmp_path / "other")), tmp_path / "other", load_data(tiny)
    )
    folder = prepare_folder(tiny)
    experiment.main(folder, "downsampled")
    assert same_weights(load_model(folder / "downsampled.safetensors")[0], expected.model)


# -- Results -----------------------------------------------------------------------------------------------------------


def trained(folder: Path, **accuracy: float) -> Trained:
    history = [
        {"epoch": 1, "loss": 3.0, "accuracy": accuracy, "seconds": 10.0, "images_per_second": 100.0},
        {"epoch": 2, "loss": 2.0, "accuracy": accuracy, "seconds": 30.0, "images_per_second": 20.0},
    ]
    answers = {name: torch.arange(20).view(4, 5) % 4 for name in accuracy}
    return Trained(torch.nn.Identity(), history, answers, accuracy, folder / "tasn.safetensors")


@pytest.fixture
def four_birds():
    style = replace(EASY, image_size=32)
    return tuple(Birds.load(style, split, count, progress=False) for split, count in (("train", 6), ("test", 4)))


def test_a_result_holds_all_that_is_needed_to_compare_it_and_is_json(tmp_path, monkeypatch, four_birds):
    monkeypatch.chdir(tmp_path)
    ran = {
        "tasn": trained(tmp_path / "runs", master=0.9, part=0.8, attention=0.7, part_own=0.6, **{"master+part": 0.95}),
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
        "recipe_values": json.loads(json.dumps(vars(settings.resolved_recipe))),
        "other_accuracy": {"master+part": 0.95, "part_own": 0.6},
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
    nets = ("master", "part", "attention", "part_own", "master+part", "downsampled", "downsampled_aliased")
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
