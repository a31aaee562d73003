"""Ctrl-C: the last whole epoch is kept, and the message names the command that continues."""

import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jupyter_client
import pytest

from tasnlib.runs.load_data import Data, load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training import fit as training
from tasnlib.training.checkpoints import progress_in
from tests.training.processes import STEPS, TINY, finish, outcome, parameters, start, words

pytestmark = [pytest.mark.skipif(os.name == "nt", reason="signals of Unix"), pytest.mark.usefixtures("one_thread")]
NAME = "downsampled"
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_train_full.ipynb"
STATE = f"{NAME}.training.safetensors"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert finish(start([str(folder), NAME, *parameters(data_folder=folder.parent / "data")])) == 0, words(folder)
    return folder


@pytest.fixture(scope="module")
def data(undisturbed) -> tuple[Data, Data]:
    return load_data(Settings(**TINY, data_folder=str(undisturbed.parent / "data")))


@pytest.fixture
def arguments(tmp_path, undisturbed) -> list[str]:
    """Of the same run, in another folder."""
    return [str(tmp_path / "run"), NAME, *parameters(data_folder=undisturbed.parent / "data")]


RESUME = ["-p", "resume", "True"]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def at_step(number: int, function) -> None:
    """Call a function in this process in the middle of that step, counted from 1 over all epochs."""
    rate, steps = training.learning_rate_at, []

    def watched(*given) -> float:
        steps.append(given)
        if len(steps) == number:
            function()
        return rate(*given)

    training.learning_rate_at = watched


@contextlib.contextmanager
def pressed_in_the_second_epoch(_: Path) -> Iterator[None]:
    at_step(STEPS + 3, press_ctrl_c)
    yield


@contextlib.contextmanager
def pressed_in_the_last_step_of_an_epoch(_: Path) -> Iterator[None]:
    at_step(2 * STEPS, press_ctrl_c)
    yield


@contextlib.contextmanager
def pressed_while_saving(_: Path) -> Iterator[None]:
    fsync, saved = os.fsync, []

    def press(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}").resolve().name
        saved.extend([name] * name.startswith(f".{STATE}"))
        if len(saved) == 2:  # in the second epoch
            press_ctrl_c()
        fsync(file)

    os.fsync = press
    yield


@contextlib.contextmanager
def pressed_in_the_first_step(_: Path) -> Iterator[None]:
    at_step(1, press_ctrl_c)
    yield


PRESSED = [
    pressed_in_the_second_epoch,
    pressed_in_the_last_step_of_an_epoch,
    pressed_while_saving,
]


@pytest.mark.parametrize("around", PRESSED, ids=[one.__name__ for one in PRESSED])
def test_ctrl_c_keeps_the_last_epoch_and_names_the_command_that_goes_on(arguments, undisturbed, around):
    folder = Path(arguments[0])
    assert finish(start(arguments, around)) == 130
    assert "Traceback" not in words(folder)
    last = words(folder).splitlines()[-1]
    done = progress_in(folder / STATE)
    assert done == 1
    command = f"{sys.executable} -m tasnlib.runs train "
    assert f"stopped; {folder / STATE} was saved after epoch {done}. To continue: {command}" in last
    assert names(folder) == {".lock", "settings.json", "data.json", STATE}
    command = shlex.split(re.search(r"To continue: .* -m tasnlib.runs train (.*) \(in a", last)[1])
    assert finish(start(command)) == 0, words(folder)
    assert outcome(folder, NAME) == outcome(undisturbed, NAME)


def test_ctrl_c_before_anything_was_saved_says_so(arguments):
    folder = Path(arguments[0])
    assert finish(start(arguments, pressed_in_the_first_step)) == 130
    assert words(folder).splitlines()[-1] == "stopped before anything was saved"


def test_in_a_notebook_the_error_itself_says_how_to_go_on(data, undisturbed, tmp_path, monkeypatch):
    settings = Settings(**TINY, data_folder=str(undisturbed.parent / "data"), output_folder=str(tmp_path / "my run"))
    folder = prepare_folder(settings)
    monkeypatch.setattr(training, "learning_rate_at", training.learning_rate_at)
    at_step(STEPS + 3, press_ctrl_c)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        train(NAME, settings, folder, data)
    message = str(interrupted.value)
    assert "was saved after epoch 1" in message
    assert "in a notebook: the same output_folder, and resume = True" in message
    command = shlex.split(re.search(r"To continue: (.*) \(in a", message)[1])
    assert command[:4] == [
        sys.executable,
        "-m",
        "tasnlib.course.headless",
        str(Path("notebooks/05_train_full.ipynb").resolve()),
    ]
    given = dict(zip(command[5::3], command[6::3], strict=True))
    assert given.pop("resume") == "True"
    assert given.pop("output_folder") == str(folder)
    assert given == {name: str(value) for name, value in (TINY | {"data_folder": settings.data_folder}).items()}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = replace(settings, resume=True)
    train(NAME, resumed, prepare_folder(resumed), data)
    assert outcome(folder, NAME) == outcome(undisturbed, NAME)


CELL = """
import os, signal
from tasnlib.training import fit as training
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tests.slow.test_ctrl_c import at_step, press_ctrl_c

at_step({step}, press_ctrl_c)
settings = Settings(**{settings!r})
train({name!r}, settings, prepare_folder(settings), load_data(settings))
"""


def test_in_a_real_kernel_too(undisturbed, tmp_path):
    settings = {**TINY, "data_folder": str(undisturbed.parent / "data"), "output_folder": str(tmp_path / "run")}
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}
    said = []
    manager, client = jupyter_client.manager.start_new_kernel(env=environment)
    try:
        code = CELL.format(step=STEPS + 3, settings=settings, name=NAME)
        reply = client.execute_interactive(code, timeout=120, output_hook=said.append)["content"]
        alive = client.execute_interactive("1 + 1", timeout=30)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert (reply["ename"], alive["status"]) == ("KeyboardInterrupt", "ok"), said
    assert f"{STATE} was saved after epoch 1. To continue: " in reply["evalue"]
    assert progress_in(tmp_path / "run" / STATE) == 1
