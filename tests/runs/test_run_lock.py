"""Two runs in one folder: the second is refused at once, and a lock never outlives its process."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasnlib.runs import run_lock
from tasnlib.runs.run import load_data, train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.run_lock import alone_in
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import progress_in
from tests.training.faults import TINY, finish, parameters, start, words

needs_locks = pytest.mark.skipif(run_lock.fcntl is None, reason="nothing is locked on Windows")


@pytest.fixture
def long_run(tmp_path):
    """A process that trains for an hour."""
    folder = tmp_path / "run"
    arguments = [str(folder), "downsampled", *parameters(epochs=100_000, data_folder=tmp_path / "data")]
    process = start(arguments)
    while not (folder / "downsampled.training.safetensors").is_file() and process.is_alive():
        time.sleep(0.01)
    assert process.is_alive(), words(folder)
    yield folder, process, arguments
    process.kill()
    process.join()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}


@needs_locks
def test_a_second_run_in_the_folder_is_refused_at_once_and_told_by_whom(long_run, tmp_path):
    folder, process, arguments = long_run
    holder = re.escape(f"is in use: process {process.pid} on {socket.gethostname()} trains there")
    settings = Settings(**{**TINY, "epochs": 100_000}, data_folder=str(tmp_path / "data"), output_folder=str(folder))
    for again in (settings, replace(settings, resume=True), replace(settings, seed=1)):
        with pytest.raises(ValueError, match=rf"{holder}.*name another output_folder"):
            prepare_folder(again)
    (tmp_path / "run.txt").rename(tmp_path / "first.txt")
    before = progress_in(folder / "downsampled.training.safetensors")
    assert finish(start([str(folder), "tasn", *arguments[2:], "-p", "resume", "True"])) == 1  # another of its models
    assert re.search(holder, words(folder).splitlines()[-1])
    while progress_in(folder / "downsampled.training.safetensors") == before:
        assert process.is_alive()
        time.sleep(0.01)
    assert not any("tasn" in path.name for path in folder.iterdir())


@needs_locks
def test_what_a_killed_run_left_is_in_nobody_s_way(long_run):
    folder, process, _ = long_run
    process.kill()
    process.join()
    assert (folder / ".lock").is_file()
    left = folder / ".downsampled.training.safetensors.4711.part"
    left.write_bytes(b"half")
    with alone_in(folder):
        assert not left.exists()
        assert (folder / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert not (folder / ".lock").exists()


@needs_locks
def test_the_lock_of_a_killed_run_does_not_live_on_in_its_workers(tmp_path):
    program = f"""
        import os, signal, time
        from pathlib import Path
        from tasnlib.runs.run_lock import alone_in

        with alone_in(Path({str(tmp_path)!r})):
            if os.fork():
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(2)
            os._exit(0)
    """
    killed = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=environment())
    assert killed.wait() == -signal.SIGKILL
    with alone_in(tmp_path):
        assert "process" in (tmp_path / ".lock").read_text()


def test_one_process_may_hold_a_folder_twice_and_holds_it_to_the_end(tmp_path):
    with alone_in(tmp_path / "new"):
        with alone_in(tmp_path / "new"):
            pass
        assert (tmp_path / "new/.lock").exists() == (run_lock.fcntl is not None)
    assert list((tmp_path / "new").iterdir()) == []


@needs_locks
def test_a_disk_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def unknown(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(run_lock.fcntl, "lockf", unknown)
    with alone_in(tmp_path):
        assert "cannot be locked (Function not implemented): see that no other run uses it" in capsys.readouterr().out


def test_where_the_system_has_no_locks_nothing_is_locked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    spec = importlib.util.spec_from_file_location("run_lock_on_windows", run_lock.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.alone_in(tmp_path / "new"):
        assert list((tmp_path / "new").iterdir()) == []


def test_settings_that_somebody_noted_meanwhile_are_not_mixed_with_these(tmp_path):
    settings = Settings(**TINY, data_folder=str(tmp_path / "data"), output_folder=str(tmp_path / "run"))
    folder = prepare_folder(settings)
    prepare_folder(replace(settings, seed=1))  # before the first has trained
    with pytest.raises(ValueError, match=r"seed is 0, but the run in .* was begun with 1"):
        train("downsampled", settings, folder, load_data(settings))
