"""Training one model of a run: the same from the same seed, resumed as if undisturbed, never over a finished one."""

import copy
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tasnlib.data.birds import Birds, BirdsBatch
from tasnlib.runs import run as running
from tasnlib.runs.__main__ import main, train_here
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import epoch_line, train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training import fit as fitting
from tasnlib.training.checkpoints import load_model
from tasnlib.training.evaluation import evaluate

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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def run(settings: Settings, name: str = "downsampled") -> running.Trained:
    return train(name, settings, prepare_folder(settings), load_data(settings))


def test_the_test_images_are_evaluated_once_after_each_epoch(tiny, monkeypatch):
    rounds = []
    for module in (fitting, running):
        monkeypatch.setattr(module, "evaluate", lambda *args: rounds.append(args) or evaluate(*args), raising=False)
    trained = run(tiny)
    assert len(rounds) == len(trained.history) == 2
    kept = safetensors.torch.load_file(trained.weights_path.with_name("downsampled.predictions.safetensors"))
    assert torch.equal(kept["downsampled"], trained.predictions["downsampled"])


def test_a_run_leaves_weights_history_and_what_resume_needs(tiny, capsys):
    folder, data = prepare_folder(tiny), load_data(tiny)
    capsys.readouterr()
    trained = train("tasn", tiny, folder, data)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [epoch_line(entry, 2) for entry in trained.history]
    assert [entry["epoch"] for entry in trained.history] == [1, 2]
    names = {"tasn.safetensors", "tasn.training.safetensors", "tasn.history.json", "tasn.predictions.safetensors"}
    assert contents(folder).keys() == {"settings.json", "data.json"} | names
    assert json.loads((folder / "tasn.history.json").read_text()) == trained.history
    model, class_names = load_model(trained.weights_path)
    assert same_weights(model, trained.model)
    assert class_names == data[0].class_names
    names = ["master", "part", "attention"]
    assert list(trained.predictions) == list(trained.accuracy) == names
    assert all(len(best) == 5 for best in trained.predictions.values())
    assert trained.accuracy == trained.history[-1]["accuracy"]


@pytest.mark.parametrize("name", ["tasn", "downsampled"])
def test_the_seed_decides_the_weights_whatever_ran_before(tiny, tmp_path, name):
    def once(number: int, seed: int) -> torch.nn.Module:
        torch.manual_seed(1000 + number)
        return run(replace(tiny, epochs=1, seed=seed, output_folder=str(tmp_path / str(number))), name).model

    first, again, other = once(1, seed=0), once(2, seed=0), once(3, seed=1)
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_data_do_not_depend_on_the_seed_of_the_run(tiny):
    assert torch.equal(load_data(tiny)[0].images, load_data(replace(tiny, seed=1))[0].images)


# -- Again, and resumed ------------------------------------------------------------------------------------------------


def test_a_stopped_run_is_resumed_as_if_undisturbed(tiny, tmp_path, monkeypatch, capsys):
    expected = run(tiny)
    stopped = replace(tiny, output_folder=str(tmp_path / "stopped"))
    folder = prepare_folder(stopped)

    def stop(entry, epochs):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "epoch_line", stop)
    with pytest.raises(KeyboardInterrupt):
        train("downsampled", stopped, folder, load_data(stopped))
    monkeypatch.undo()
    assert not (folder / "downsampled.safetensors").exists()
    capsys.readouterr()
    trained = run(replace(stopped, resume=True))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "downsampled: continuing after epoch 1"
    assert printed[1].startswith("epoch  2/2")
    assert same_weights(trained.model, expected.model)
    assert trained.accuracy == expected.accuracy


def test_a_finished_or_begun_model_is_not_trained_anew(tiny):
    """As where a notebook's cell is run twice."""
    folder, data = prepare_folder(tiny), load_data(tiny)
    train("downsampled", tiny, folder, data)
    before = contents(folder)
    with pytest.raises(ValueError, match=r"already holds downsampled; pass resume=True .* or name another"):
        train("downsampled", tiny, folder, data)
    assert contents(folder) == before
    (folder / "downsampled.safetensors").unlink()
    with pytest.raises(ValueError, match="already holds downsampled"):
        train("downsampled", tiny, folder, data)


def test_resuming_a_finished_run_changes_nothing(tiny, capsys):
    fresh = replace(tiny, resume=True)
    first = run(fresh)
    assert "downsampled: nothing to continue, starting at epoch 1" in capsys.readouterr().out
    again = run(fresh)
    assert "downsampled: continuing after epoch 2" in capsys.readouterr().out
    assert again.history == first.history
    assert same_weights(first.model, again.model)


OTHER_SETTINGS = [("dataset", "birds_hard"), ("seed", 1), ("learning_rate", 0.5), ("train_images", 17)]


@pytest.mark.parametrize(("name", "value"), OTHER_SETTINGS)
def test_a_run_is_not_resumed_with_other_settings(tiny, name, value):
    run(tiny)
    folder = Path(tiny.output_folder)
    before = contents(folder)
    with pytest.raises(ValueError, match=name):
        run(replace(tiny, resume=True, **{name: value}))
    assert contents(folder) == before


@pytest.mark.parametrize(("change", "message"), [("names", "only then.*only now"), ("images", "test images")])
def test_a_run_is_not_resumed_on_other_data(tiny, change, message):
    folder, (train_set, test_set) = prepare_folder(tiny), load_data(tiny)
    train("downsampled", tiny, folder, (train_set, test_set))
    before = contents(folder)
    if change == "names":
        train_set = copy.copy(train_set)
        train_set.class_names = ["renamed", *train_set.class_names[1:]]
    else:
        test_set = Birds(BirdsBatch(test_set.images, test_set.labels, test_set.boxes + 1), test_set.config)
    with pytest.raises(ValueError, match=message):
        train("downsampled", replace(tiny, resume=True), folder, (train_set, test_set))
    assert contents(folder) == before


def test_the_command_printed_after_ctrl_c_is_valid_in_any_folder(tiny, tmp_path, monkeypatch):
    """It is typed in a terminal, whose working folder need not be the notebook's."""
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "notebooks" / "05_train_full.ipynb").touch()
    monkeypatch.chdir(tmp_path / "project" / "notebooks")
    settings = replace(tiny, data_folder=None, output_folder="../my run", seed=3)
    folder, data = prepare_folder(settings), load_data(tiny)

    def stop(entry, epochs):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "epoch_line", stop)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train("downsampled", settings, folder, data)
    command = shlex.split(re.search(r"To continue: (.*) \(in a", str(stopped.value))[1])
    assert command[:3] == [sys.executable, "-m", "tasnlib.course.headless"]
    assert command[3] == str(tmp_path / "project" / "notebooks" / "05_train_full.ipynb")
    given = dict(zip(command[5::3], command[6::3], strict=True))
    assert Path(given["output_folder"]).is_absolute()
    assert Path(given["output_folder"]).samefile(folder)
    assert given["data_folder"] == str(tmp_path / "project" / "datasets")
    assert (given["seed"], given["resume"]) == ("3", "True")


# -- In several processes (with real ones: tests/slow/test_several_processes.py) ---------------------------------------


def test_a_process_ends_soon_after_the_one_it_belongs_to_was_killed(tmp_path):
    child = "import os, time; from tasnlib.training.devices import end_with; end_with(os.getppid()); print('up'); "
    child += "time.sleep(30); print('survived')"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-uc', {child!r}]); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.kill()
        assert process.stdout.read() == ""  # ends when the child, who holds the other end, is gone


def test_a_process_that_fails_is_reported_with_its_last_lines(tiny, launcher, capsys):
    launcher("echo 'epoch  1/2 fine'\necho 'Traceback: the reason' >&2\nexit 3\n")
    with pytest.raises(RuntimeError, match=r"one of 2 processes failed(.|\n)*Traceback: the reason"):
        run(replace(tiny, num_processes=2))
    assert "epoch  1/2 fine\n" in capsys.readouterr().out


def test_processes_are_started_with_all_settings(tiny, launcher, tmp_path):
    launcher(f'echo "$@" > {tmp_path}/arguments\nexit 3\n')
    tiny = replace(tiny, num_processes=4, resume=True, accumulate=2)
    with pytest.raises(RuntimeError, match="4 processes"):
        run(tiny)
    arguments = (tmp_path / "arguments").read_text()
    assert re.search(r"-m torch\.distributed\.run .*--nproc-per-node 4 ", arguments)
    assert f"-m tasnlib.runs train {tiny.output_folder} downsampled " in arguments
    for words in ("resume True", "accumulate 2", "epochs 2", f"data_folder {tiny.data_folder}"):
        assert f"-p {words}" in arguments


def test_a_process_reads_its_settings_from_the_folder(tiny, tmp_path):
    expected = run(replace(tiny, output_folder=str(tmp_path / "other")))
    folder = prepare_folder(tiny)
    train_here(folder, "downsampled", {})
    assert same_weights(load_model(folder / "downsampled.safetensors")[0], expected.model)


# -- The command -------------------------------------------------------------------------------------------------------


def test_the_command_makes_the_folder_and_never_overwrites_it(tiny, capsys):
    given = ["-p", "recipe", "smoke", "-p", "epochs", "1", "-p", "batch_size", "8", "-p", "train_images", "8",
             "-p", "test_images", "5", "-p", "data_folder", tiny.data_folder]  # fmt: skip
    command = ["train", tiny.output_folder, "downsampled"]
    assert main([*command, *given]) == 0
    folder = Path(tiny.output_folder)
    noted = Settings(**json.loads((folder / "settings.json").read_text()))
    assert noted == replace(tiny, epochs=1, train_images=8)
    before = contents(folder)
    longer = ["-p", "epochs", "2", "-p", "resume", "True"]
    for again, message in (
        (given, "already holds downsampled"),
        (longer, "begun with 1"),
    ):
        assert main([*command, *again]) == 1
        assert message in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("parameter", "message"),
    [(("accumulate", "half"), "accumulate is 'half'"), (("seeed", "1"), "no parameter 'seeed'. Did you mean 'seed'?"),
     (("backbone", "resnet51"), "there is no network 'resnet51'; nearest: resnet50")],
)  # fmt: skip
def test_a_bad_parameter_is_rejected_before_a_folder_is_made(tiny, capsys, parameter, message):
    assert main(["train", tiny.output_folder, "tasn", "-p", *parameter]) == 1
    assert "error: " in (shown := capsys.readouterr().err)
    assert message in shown
    assert not Path(tiny.output_folder).exists()


def test_an_unknown_model_is_rejected(tiny, capsys):
    with pytest.raises(SystemExit):
        main(["train", tiny.output_folder, "resnet"])
    assert "invalid choice: 'resnet'" in capsys.readouterr().err
