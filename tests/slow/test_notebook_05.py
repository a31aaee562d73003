"""Notebook 05 headless, as a researcher runs it: papermill from a terminal, at smoke size."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tasnlib.training.checkpoints import load_model

ROOT = Path(__file__).parent.parent.parent
NOTEBOOK = ROOT / "notebooks" / "05_train_full.ipynb"


def papermill(output: Path, *parameters: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), str(output), "--no-progress-bar"]
    return subprocess.run([*command, *parameters], capture_output=True, text=True, timeout=300, check=False)


def printed(output: Path) -> str:
    book = nbformat.read(output, as_version=4)
    return "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", []))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    where = ("-p", "data_folder", str(folder / "data"), "-p", "output_folder", str(folder / "out"))
    done = papermill(folder / "out.ipynb", *where, "-p", "recipe", "smoke", "-p", "epochs", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_last_line_is_the_result_which_also_stands_beside_the_checkpoint(first_run):
    last = printed(first_run / "out.ipynb").strip().splitlines()[-1]
    result = json.loads(last)
    assert json.loads((first_run / "out" / "result.json").read_text()) == result
    assert result["recipe"] == "smoke"
    assert result["epochs"] == 1
    assert result["test_images"] == 50
    assert set(result["accuracy"]) == {"master", "part", "attention", "downsampled", "downsampled_aliased", "chance"}
    assert all(0 <= share <= 1 for share in result["accuracy"].values())
    model, class_names = load_model(result["checkpoint"])
    assert len(class_names) == 16
    assert not model.training


def test_a_finished_run_is_not_overwritten(first_run):
    where = ("-p", "data_folder", str(first_run / "data"), "-p", "output_folder", str(first_run / "out"))
    again = papermill(first_run / "again.ipynb", *where, "-p", "recipe", "smoke", "-p", "epochs", "1")
    assert again.returncode != 0
    assert "already holds a run" in again.stderr


def test_a_finished_run_can_be_resumed_and_says_the_same(first_run):
    where = ("-p", "data_folder", str(first_run / "data"), "-p", "output_folder", str(first_run / "out"))
    before = json.loads((first_run / "out" / "result.json").read_text())
    again = papermill(
        first_run / "again.ipynb", *where, "-p", "recipe", "smoke", "-p", "epochs", "1", "-p", "resume", "True"
    )
    assert again.returncode == 0, again.stderr[-3000:]
    after = json.loads((first_run / "out" / "result.json").read_text())
    assert after["accuracy"] == before["accuracy"]


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (("-p", "epoch", "3"), "there is no parameter 'epoch'. Did you mean 'epochs'?"),
        (("-p", "epochs", "three"), "epochs is 'three'; it must be a whole number from 1 up"),
        (("-p", "learning_rate", "-1"), "learning_rate is -1"),
        (("-p", "recipe", "labtop"), "Did you mean 'laptop'?"),
    ],
)
def test_papermill_itself_stops_on_a_bad_parameter(tmp_path, parameters, told):
    done = papermill(tmp_path / "out.ipynb", *parameters)
    assert done.returncode != 0
    assert told in done.stderr
    assert "ValueError" in done.stderr
