"""The files of a run, cut short or edited by hand: named, with what to do; nothing is trained or lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import tasnlib
from tasnlib.data.files import expanded
from tasnlib.data.image_folder import load_folder
from tasnlib.runs.__main__ import main
from tasnlib.runs.load_data import Data, load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import _load
from tests.training.processes import EPOCHS, TINY

pytestmark = pytest.mark.usefixtures("one_thread")
NAME = "downsampled"
STATE = f"{NAME}.training.safetensors"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, one_thread) -> tuple[Path, tuple[Data, Data]]:
    folder = tmp_path_factory.mktemp("finished")
    settings = Settings(**TINY, data_folder=str(folder / "data"), output_folder=str(folder / "run"))
    data = load_data(settings)
    train(NAME, settings, prepare_folder(settings), data)
    return folder / "run", data


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


def resume(run: Path, finished) -> None:
    settings = Settings(**TINY, data_folder=str(finished[0].parent / "data"), output_folder=str(run), resume=True)
    train(NAME, settings, prepare_folder(settings), finished[1])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", ".holder")}


def rejected(run: Path, finished, message: str) -> None:
    before = contents(run)
    with pytest.raises(ValueError, match=message):
        resume(run, finished)
    assert contents(run) == before


# -- Notes, in JSON ----------------------------------------------------------------------------------------------------

NO_NOTES = [b"", b"[]", b"\xff\xfe", b"[" * 100_000]


@pytest.mark.parametrize("note", ["settings.json", "data.json"])
@pytest.mark.parametrize("content", NO_NOTES, ids=lambda content: repr(content[:4]))
def test_a_damaged_note_is_named_with_what_to_do(run, finished, note, content):
    (run / note).write_bytes(content)
    rejected(run, finished, rf"run/{note} is damaged: .*Put an undamaged copy in its place; or delete it")
    (run / note).unlink()
    resume(run, finished)
    assert json.loads((run / note).read_text()).keys() == json.loads((finished[0] / note).read_text()).keys()


@pytest.mark.parametrize(
    ("note", "change", "message"),
    [
        ("settings.json", {"epoch": 3}, "is damaged: there is no parameter 'epoch'"),
        ("settings.json", {"epochs": "3"}, "is damaged: epochs is '3'"),
        ("data.json", {"class_names": 5}, "data.json is damaged: .*not iterable"),
        ("data.json", {"test": {}}, "data.json is damaged: .*hash"),
        ("data.json", {"class_names": [1, "a"]}, "other classes .only then: .*2 then"),
    ],
)
def test_an_edited_note_is_rejected_with_what_is_wrong(run, finished, note, change, message):
    noted = json.loads((run / note).read_text())
    (run / note).write_text(json.dumps(noted | change))
    rejected(run, finished, message)


def test_the_command_names_it_too(run, capsys):
    (run / "settings.json").write_text("{")
    assert main(["train", str(run), NAME, "-p", "resume", "True"]) == 1
    assert "run/settings.json is damaged" in capsys.readouterr().err


# -- Checkpoints -------------------------------------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[dict, dict], Any]) -> None:
    """Let a function change a checkpoint's tensors and its description."""
    tensors, description = _load(path)
    change(tensors, description)
    safetensors.torch.save_file(tensors, path, {"tasn": json.dumps(description)})


ENTRIES = [{"epoch": number} for number in range(1, EPOCHS + 3)]
PROGRESS = {"history": [{}, [{"epoch": 2}]], "identity": [[]], "begun": [{"step": 1}]}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in PROGRESS.items() for value in values])
def test_progress_that_makes_no_sense_is_rejected(run, finished, name, value):
    rewrite(run / STATE, lambda _, description: description.update({name: value}))
    rejected(run, finished, rf"{STATE} is not a checkpoint of this kind, or is damaged: .*")


def test_more_progress_than_the_run_has_is_rejected(run, finished):
    rewrite(run / STATE, lambda _, description: description.update({"history": ENTRIES}))
    rejected(run, finished, rf"{STATE} is damaged: .*this run has {EPOCHS}")


def test_a_tensor_of_the_optimiser_without_a_number_is_rejected(run, finished):
    rewrite(run / STATE, lambda tensors, _: tensors.update({"optimizer/x": torch.zeros(1)}))
    rejected(run, finished, rf"{STATE} is not a checkpoint of this kind, or is damaged")


def test_weights_that_are_not_finite_never_become_a_model(run, finished):
    def spoil(tensors: dict, _: dict) -> None:
        tensors["model/classifier.weight"][0, 0] = torch.nan

    rewrite(run / STATE, spoil)
    rejected(run, finished, rf"{STATE} is damaged: weights in it are not finite, classifier\.weight for one")


def test_a_finished_model_is_not_trained_anew_where_its_state_is_missing(run, finished):
    (run / STATE).unlink()
    rejected(run, finished, rf"{NAME}\.safetensors is a finished model, but {STATE}.*put it back, or train in another")
    assert main(["train", str(run), NAME, "-p", "resume", "True"]) == 1


@pytest.mark.parametrize("names", [[1] * 16, "0123456789abcdef"])
def test_classes_without_names_are_rejected_with_the_file(run, names):
    path = run / f"{NAME}.safetensors"
    rewrite(path, lambda _, description: description.update({"class_names": names}))
    with pytest.raises(ValueError, match=rf"{NAME}\.safetensors is not a checkpoint of this kind, or is damaged"):
        tasnlib.load(path)


def test_a_header_that_is_nested_without_end_is_rejected(run):
    path = run / f"{NAME}.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"tasn": "[" * 100_000})
    with pytest.raises(ValueError, match="is not a checkpoint of this kind, or is damaged"):
        tasnlib.load(path)


# -- Paths -------------------------------------------------------------------------------------------------------------


NOBODYS = "~nobody-has-this-name/x"
USES = {
    "output_folder": lambda: prepare_folder(Settings(**TINY, output_folder=NOBODYS)),
    "data_folder": lambda: load_data(Settings(**TINY, data_folder=NOBODYS)),
    "folder": lambda: load_folder(NOBODYS, "train"),
    "run": lambda: tasnlib.load(NOBODYS),
}


@pytest.mark.parametrize("use", USES)
def test_a_home_that_nobody_has_is_named(use):
    with pytest.raises(ValueError, match=rf"{NOBODYS}', but there is no such home folder; write the path in full"):
        USES[use]()
    assert expanded("~", use) == Path.home()
