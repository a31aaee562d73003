"""The whole path of a researcher, on 20 images in the exact form of CUB-200-2011: download script, notebook 05 under
papermill, result, prediction. `make smoke-cub` runs it, at the paper's size too."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import tasnlib
from tests.data_scripts.archives import cub_archive, cub_facts
from tests.data_scripts.server import Server

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """What the download script made of the archive that a local server gave it."""
    folder = tmp_path_factory.mktemp("cub")
    with Server() as server:
        server.content = cub_archive(folder)
        facts = cub_facts(folder, server.content, server.url)
        command = [sys.executable, str(ROOT / "data_scripts/download_cub200.py"), str(folder / "datasets")]
        done = subprocess.run([*command, "--facts", str(facts)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        verified = subprocess.run(
            [*command, "--facts", str(facts), "--verify"], capture_output=True, text=True, check=False
        )
        assert verified.returncode == 0, verified.stderr
    return folder / "datasets"


SMALL = ("-p", "recipe", "smoke", "-p", "batch_size", "4")
PAPER = (
    *("-p", "recipe", "paper", "-p", "weights", "none", "-p", "batch_size", "5", "-p", "baselines", "False"),
    *("-p", "precision", "bfloat16"),
)


@pytest.mark.parametrize("parameters", [SMALL, PAPER], ids=["smoke", "paper"])
def test_from_the_download_to_a_result_and_a_prediction(datasets, tmp_path, parameters):
    output, run = tmp_path / "out.ipynb", tmp_path / "run"
    where = ("-p", "dataset", "cub200", "-p", "data_folder", str(datasets), "-p", "output_folder", str(run))
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks/05_train_full.ipynb"), str(output)]
    done = subprocess.run(
        [*command, "--no-progress-bar", *where, "-p", "epochs", "1", "-p", "num_workers", "1", *parameters],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((run / "result.json").read_text())
    printed = [out.text for cell in nbformat.read(output, 4).cells for out in cell.get("outputs", []) if "text" in out]
    assert json.loads("".join(printed).splitlines()[-1]) == result  # a kernel may send a line and its end apart
    assert "not the whole of cub200" in "".join(printed)
    assert (result["dataset"], result["test_images"], result["epochs"]) == ("cub200", 10, 1)
    assert result["data"]["train"]["images"] == result["data"]["test"]["images"] == 10
    assert result["data"]["train"]["unreadable"] == 0
    by_class = json.loads((run / "by_class.json").read_text())["master"]
    assert sum(share * 5 for share in by_class.values()) == pytest.approx(10 * result["accuracy"]["master"])

    picture = next((datasets / "CUB_200_2011" / "images").rglob("*.jpg"))
    prediction = tasnlib.load(run).predict(picture)
    assert set(prediction.class_names) == set(by_class)
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-4)
    assert prediction.attention.min() >= 0
