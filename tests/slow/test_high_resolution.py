"""The experiment at high resolution: its memory, and several processes."""

import json
import shlex
import subprocess
import sys
from dataclasses import replace

from benchmarks.high_resolution.experiment import experiment
from benchmarks.high_resolution.runs import plan_runs
from tests.research.test_high_resolution import TINY

PROGRAM = """
from pathlib import Path
from benchmarks.high_resolution.drawings import GROWING, Drawings, birds_at
print(Drawings(birds_at(GROWING, 2048), "train", 6, Path("birds")).draw(progress=False)["peak_memory"])
"""


def test_drawing_and_storing_birds_at_2048_px_takes_less_than_a_gigabyte(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    assert 1e8 < int(printed.stdout) < 1e9


def test_several_processes_give_the_same_results(tmp_path):
    plan = replace(TINY, sizes=(512,))  # processes of their own do not see a changed BASE
    for processes in (1, 2):
        experiment(plan, tmp_path / str(processes), tmp_path / "data", processes)
    for run in plan_runs(plan):
        one, two = (json.loads((tmp_path / name / run.file_name).read_text()) for name in ("1", "2"))
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_the_command_in_two_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    numbers = "--processes 2 --sizes 512 --seeds 0 --train-images 8 --test-images 2 --epochs 1 --only runs"
    folders = ["--results", tmp_path / "results", "--data", tmp_path / "data"]
    command = [sys.executable, "-m", "benchmarks.high_resolution", *shlex.split(numbers), *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    table = done.stdout[done.stdout.index("accuracy, %") :].splitlines()
    assert [line.split("  ")[0].strip() for line in table[1:3]] == ["plain, 48 px", "plain, 96 px"]
    assert len(table) == 1 + 10 + 2  # the crops are one run and two lines; tiles are two more
    assert len(list((tmp_path / "results").glob("512px-*"))) == 9
    kept = json.loads((tmp_path / "results" / "table.json").read_text())
    assert [row["title"] for row in kept] == [line[:37].strip() for line in table[1:]]
    assert {len(row["accuracies"]) for row in kept} == {1}
