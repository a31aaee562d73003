"""The script that trains the run which the notebooks load."""

import json
from dataclasses import replace

import safetensors

from data_scripts import make_saved_run
from tasnlib.training.recipes import RECIPES


def test_a_saved_run_is_trained_and_measured(tmp_path, monkeypatch, capsys):
    tiny = replace(RECIPES["smoke"], train_images=32, test_images=20, epochs=1, batch_size=16)
    monkeypatch.setattr(make_saved_run, "FOLDER", tmp_path / "notebooks" / "saved_run")
    monkeypatch.setattr(make_saved_run, "CHOSEN", [3, 1])
    monkeypatch.setitem(RECIPES, "laptop", tiny)
    (tmp_path / "notebooks" / "saved_run").mkdir(parents=True)
    make_saved_run.main()
    make_saved_run.main_plain()
    make_saved_run.measure()
    result = json.loads((make_saved_run.FOLDER / "result.json").read_text())
    assert result["test_images"] == 20
    assert set(result["accuracy"]) == {"master", "part", "attention", "full"}
    assert f"'master': '{result['accuracy']['master']:.1%}'" in capsys.readouterr().out
    with safetensors.safe_open(make_saved_run.FOLDER / "epochs.safetensors", "pt") as file:
        assert file.get_tensor("structure").shape[:2] == (2, 2)  # before training and after the epoch, two images
        (entry,) = json.loads(file.metadata()["history"])
    assert entry["epoch"] == 1
    assert "seconds" not in entry
