"""Notebook 05 as researchers run it, at smoke size: papermill, IPython, a script, several processes, on Windows."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
import torch

from tasnlib.training.checkpoints import load_model, progress_in

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "05_train_full.ipynb"
SMOKE = {"recipe": "smoke", "epochs": 1, "baselines": False}


def call(command: list[str], where: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(where / ".ipython")}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=where, env=environment)


def papermill(output: Path, *parameters: str) -> subprocess.CompletedProcess:
    return call(["-m", "papermill", NOTEBOOK, output, "--no-progress-bar", *parameters], output.parent)


def options(**values) -> list[str]:
    return [word for name, value in values.items() for word in ("-p", name, str(value))]


def printed(output: Path) -> str:
    book = nbformat.read(output, as_version=4)
    return "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", []))


# -- papermill ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Whose paths papermill injects as well."""
    folder = tmp_path_factory.mktemp("run")
    where = {"data_folder": folder / "data", "output_folder": folder / "out"}
    done = papermill(folder / "out.ipynb", "--inject-paths", *options(**where, recipe="smoke", epochs=1))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_last_line_is_the_result_which_also_stands_beside_the_checkpoint(first_run):
    result = json.loads(printed(first_run / "out.ipynb").strip().splitlines()[-1])
    assert json.loads((first_run / "out" / "result.json").read_text()) == result
    assert (result["recipe"], result["epochs"], result["test_images"]) == ("smoke", 1, 50)
    assert set(result["accuracy"]) == {"master", "part", "attention", "downsampled", "downsampled_aliased", "chance"}
    assert all(0 <= share <= 1 for share in result["accuracy"].values())
    model, class_names = load_model(first_run / result["checkpoint"])
    assert len(class_names) == 16
    assert not model.training


def test_a_finished_run_is_not_overwritten_and_says_the_same_when_resumed(first_run):
    given = options(data_folder=first_run / "data", output_folder=first_run / "out", recipe="smoke", epochs=1)
    before = json.loads((first_run / "out" / "result.json").read_text())
    again = papermill(first_run / "again.ipynb", *given)
    assert again.returncode != 0
    assert "already holds a run" in again.stderr
    again = papermill(first_run / "again.ipynb", *given, "-p", "resume", "True")
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads((first_run / "out" / "result.json").read_text())["accuracy"] == before["accuracy"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("-p", "seeed", "1"), "there is no parameter 'seeed'. Did you mean 'seed'?"),
        (("-p", "epochs", "three"), "epochs is 'three'; it must be a valid integer"),
        (("-p", "output_folder", "007"), "-r output_folder"),
    ],
)
def test_papermill_itself_stops_on_a_bad_parameter(tmp_path, parameters, message):
    done = papermill(tmp_path / "out.ipynb", *parameters)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "runs").exists()


# -- Without papermill -------------------------------------------------------------------------------------------------


def with_values(source: str, **values) -> str:
    """The cell of parameters with other values in it."""
    lines = source.splitlines()
    for name, value in values.items():
        (at,) = [n for n, line in enumerate(lines) if line.startswith((f"{name} = ", f"{name}: str = "))]
        lines[at] = f"{name} = {value!r}"
    return "\n".join(lines)


@pytest.fixture
def edited(tmp_path, first_run) -> Path:
    """Notebook 05 with other values in its cell of parameters."""
    shutil.copytree(first_run / "data", tmp_path / "data")
    book = nbformat.read(NOTEBOOK, as_version=4)
    cell = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = with_values(cell.source, **SMOKE, seed=3, data_folder="data", output_folder="mine")
    nbformat.write(book, tmp_path / "edited.ipynb")
    return tmp_path / "edited.ipynb"


def test_run_by_ipython_it_uses_the_values_that_stand_in_it(edited, tmp_path):
    done = call(["-m", "IPython", "--no-banner", "--no-simple-prompt", "-c", f"%run {edited.name}"], tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads((tmp_path / "mine" / "result.json").read_text())
    assert (result["recipe"], result["seed"], result["epochs"]) == ("smoke", 3, 1)


# Modules and functions that Windows has not. Those of the standard library and of packages that need them are imported
# before.
HIDE = """
    import asyncio, multiprocessing, os, pathlib, runpy, signal, subprocess, sys, tempfile
    import accelerate, IPython, matplotlib.pyplot, papermill, psutil, seaborn, timm, torch.distributed.run, torchvision

    for module in ("fcntl", "pwd", "grp", "resource", "termios"):
        sys.modules[module] = None
    for module, names in ((os, ("sched_getaffinity", "fork", "getuid", "geteuid", "getpgid", "killpg", "O_DIRECTORY")),
                          (signal, ("SIGKILL", "SIGHUP", "SIGALRM", "pthread_sigmask"))):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
"""


def test_its_script_runs_where_nothing_of_unix_is_to_be_had(edited, tmp_path):
    done = call(["-m", "nbconvert", "--to", "script", edited], tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "windows.py").write_text(textwrap.dedent(HIDE) + "runpy.run_path('edited.py', run_name='__main__')\n")
    done = call(["windows.py"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "mine" / "result.json").read_text())
    assert (result["recipe"], result["seed"], result["epochs"]) == ("smoke", 3, 1)
    assert json.loads(done.stdout.splitlines()[-1]) == result


def test_every_module_can_be_imported_on_windows(tmp_path):
    program = f"""
        import benchmarks, importlib, pkgutil, tasnlib
        sys.path.insert(0, {str(ROOT / "data_scripts")!r})
        places = (tasnlib.__path__, "tasnlib."), (benchmarks.__path__, "benchmarks."), (sys.path[:1], "")
        for folder, prefix in places:
            for module in pkgutil.walk_packages(folder, prefix):
                importlib.import_module(module.name)
                print(module.name)
    """
    (tmp_path / "windows.py").write_text(textwrap.dedent(HIDE) + textwrap.dedent(program))
    done = call(["windows.py"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"tasnlib.runs.__main__", "benchmarks.high_resolution.drawings", "make_birds"} <= set(done.stdout.split())


# -- Several processes -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.accelerator.is_available(), reason="two processes on the CPU")
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_run_of_two_processes_is_stopped_and_resumed_through_the_notebook(tmp_path):
    run, state = tmp_path / "run", tmp_path / "run" / "tasn.training.safetensors"
    small = {"recipe": "smoke", "epochs": 8, "train_images": 64, "test_images": 20, "baselines": False}
    values = {**small, "num_processes": 2, "output_folder": run, "data_folder": tmp_path / "data"}
    command = [sys.executable, "-m", "tasnlib.course.headless", str(NOTEBOOK), str(tmp_path / "out.ipynb")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *options(**values)],
        cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as first:  # fmt: skip
        while first.poll() is None and not state.is_file():
            time.sleep(0.1)
        assert first.poll() is None, first.stderr.read()[-3000:]
        first.send_signal(signal.SIGINT)
        said = first.stderr.read()
        assert first.wait(60) == 130, said
    assert "To continue: " in said
    done = progress_in(state)
    assert 1 <= done < 8
    resumed = subprocess.run(
        [*command, *options(**values, resume=True)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert f"tasn: continuing after epoch {done}" in resumed.stdout
    assert f"epoch {done + 1:2d}/8 " in resumed.stdout
    assert f"epoch {done:2d}/8 " not in resumed.stdout
    assert json.loads((run / "result.json").read_text())["epochs"] == 8
