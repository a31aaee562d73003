"""Killed at any moment, a run goes on to the same weights and the same figures, bit for bit."""

import os
import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from tasnlib.training.checkpoints import progress_in
from tests.training.processes import EPOCHS, finish, outcome, parameters, start, words

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
NAME = "tasn"
STATE = f"{NAME}.training.safetensors"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, float]:
    """A whole run beside its data, and how long it trained."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    process = start([str(folder), NAME, *parameters(data_folder=folder.parent / "data")])
    wait_until_it_trains(folder, process)
    began = time.monotonic()
    assert finish(process) == 0, words(folder)
    return folder, time.monotonic() - began


def wait_until_it_trains(folder: Path, process: BaseProcess) -> None:
    """Until the process holds the folder, and the data are noted, which is right before the first step."""
    while process.is_alive() and not ((folder / "data.json").is_file() and (folder / ".lock").is_file()):
        time.sleep(0.001)


def wait_until_it_writes(folder: Path, process: BaseProcess) -> None:
    """Until a checkpoint is being written. Its file is there, under another name, before the first byte is."""
    while process.is_alive() and not any(folder.glob(".*.part")):
        pass


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kill_and_resume(folder: Path, data_folder: Path, seconds: float, kills: int, chance: random.Random) -> list[str]:
    """Train until done, resumed after up to `kills` kills. Where each of them hit."""
    hit: list[str] = []
    while True:
        # An earlier process, if there was one, was killed at any moment, maybe before it noted its settings.
        process = start([str(folder), NAME, *parameters(data_folder=data_folder, resume=True)])
        if len(hit) == kills:
            assert finish(process) == 0, words(folder)
            return hit
        wait_until_it_trains(folder, process)
        time.sleep(chance.uniform(0, seconds))
        if aimed := chance.random() < 0.5:
            wait_until_it_writes(folder, process)
            time.sleep(chance.uniform(0, 0.004))
        process.kill()
        if finish(process) == 0:  # it was done before it was hit
            return hit
        left = [path.name for path in folder.glob(".*.part")]
        done = progress_in(folder / STATE) if (folder / STATE).is_file() else 0
        hit.append(f"after epoch {done}, {'aimed at writing' if aimed else 'at any moment'}, half written: {left}")


def test_runs_that_are_killed_twenty_times_end_as_an_undisturbed_one(undisturbed, tmp_path):
    (expected_folder, seconds), seed, kills = undisturbed, time.time_ns() % 10**6, 20
    chance, hit, runs = random.Random(seed), [], 0
    print(f"seed {seed}")
    expected, files = outcome(expected_folder, NAME), names(expected_folder)
    assert len(expected[1]) == EPOCHS
    while len(hit) < kills:
        folder, runs = tmp_path / f"run {runs}", runs + 1
        hit += kill_and_resume(folder, expected_folder.parent / "data", seconds / 2, kills - len(hit), chance)
        assert outcome(folder, NAME) == expected
        assert names(folder) == files  # and nothing half written
    print("\n".join([*hit, f"{len(hit)} kills in {runs} runs"]))
