"""A run's folder: never overwritten, held by one run at a time, and its notes are checked when it is resumed."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from filelock import FileLock

from tasnlib.runs import run_folder
from tasnlib.runs.run_folder import as_typed, locked, prepare_folder, project_folder, saved_run
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import progress_in
from tests.training.processes import TINY, finish, parameters, start, words

needs_locks = pytest.mark.skipif(os.name == "nt", reason="signals of Unix")


@pytest.fixture
def tiny(tmp_path) -> Settings:
    return Settings(**TINY, data_folder=str(tmp_path / "data"), output_folder=str(tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- Made and found ----------------------------------------------------------------------------------------------------


def test_the_folder_is_made_and_holds_the_settings(tiny, tmp_path):
    tiny = replace(tiny, output_folder=str(tmp_path / "not" / "yet" / "there"))
    folder = prepare_folder(tiny)
    assert folder == tmp_path / "not" / "yet" / "there"
    assert Settings(**json.loads((folder / "settings.json").read_text())) == tiny


def test_the_noted_paths_are_valid_in_any_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = prepare_folder(Settings(data_folder="data", output_folder="run"))
    noted = json.loads((folder / "settings.json").read_text())
    assert (noted["data_folder"], noted["output_folder"]) == (str(tmp_path / "data"), str(tmp_path / "run"))


def test_a_tilde_is_the_home_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepare_folder(replace(tiny, output_folder="~/run")) == tmp_path / "run"


@pytest.mark.parametrize("file", ["tasn.safetensors", "downsampled.training.safetensors"])
def test_a_folder_that_holds_a_run_is_left_alone_unless_resumed(tiny, file):
    folder = prepare_folder(tiny)
    (folder / file).write_bytes(b"weights")
    before = contents(folder)
    with pytest.raises(ValueError, match=r"output_folder.*holds a run.*resume"):
        prepare_folder(replace(tiny, seed=1))
    assert contents(folder) == before
    assert prepare_folder(replace(tiny, resume=True)) == folder
    with pytest.raises(ValueError, match=r"seed is 1, but the run in .* was begun with 0"):
        prepare_folder(replace(tiny, seed=1, resume=True))


def test_resuming_does_not_need_the_initial_weights(tmp_path):
    for place in ("before", "now"):
        (tmp_path / place).mkdir()
    begun = Settings(recipe="paper", weights=str(tmp_path / "before"), output_folder=str(tmp_path / "run"))
    folder = prepare_folder(begun)
    (folder / "tasn.training.safetensors").touch()
    (tmp_path / "before").rmdir()
    assert prepare_folder(replace(begun, weights=str(tmp_path / "now"), resume=True)) == folder
    with pytest.raises(ValueError, match="precision is 'bfloat16'"):
        prepare_folder(replace(begun, weights="none", resume=True, precision="bfloat16"))


def test_a_run_of_an_earlier_version_which_had_a_cache_can_be_resumed(tiny):
    folder = prepare_folder(tiny)
    (folder / "tasn.safetensors").touch()
    noted = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(noted | {"cache": True}))
    assert prepare_folder(replace(tiny, resume=True)) == folder


def test_without_a_name_the_folder_is_new_in_runs_and_named_after_the_run(tmp_path, monkeypatch):
    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 21, 12, 0, 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", StoppedClock)
    first, second = (prepare_folder(Settings(dataset="birds_hard", learning_rate=rate)) for rate in (0.1, 0.2))
    assert first == tmp_path / "runs" / "birds_hard-laptop-seed0-20261121-120000"
    assert first != second
    assert json.loads((first / "settings.json").read_text())["learning_rate"] == 0.1


def test_the_project_is_found_from_any_folder_in_it(tmp_path, monkeypatch):
    (tmp_path / "project" / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "project" / "notebooks" / "05_train_full.ipynb").touch()
    for folder in (tmp_path / "project", tmp_path / "project" / "notebooks" / "deep"):
        monkeypatch.chdir(folder)
        assert project_folder() == tmp_path / "project"
        assert as_typed(tmp_path / "project" / "runs" / "one") == str(Path("runs") / "one")
        assert as_typed(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert project_folder() == tmp_path


def test_the_saved_run_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (saved_run() / "tasn.safetensors").is_file()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "05_train_full.ipynb").touch()  # notebooks that somebody copied, without the saved run
    assert (saved_run() / "tasn.safetensors").is_file()


def test_an_installed_package_carries_the_saved_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "site-packages" / "tasnlib"
    monkeypatch.setattr(run_folder, "__file__", str(package / "runs" / "run_folder.py"))
    with pytest.raises(FileNotFoundError, match="installed without the saved runs"):
        saved_run()
    (package / "notebooks" / "saved_run").mkdir(parents=True)
    assert saved_run() == package / "notebooks" / "saved_run"


# -- Held by one process -----------------------------------------------------------------------------------------------


@pytest.fixture
def long_run(tmp_path):
    """A process that trains for an hour."""
    folder = tmp_path / "run"
    process = start([str(folder), "downsampled", *parameters(epochs=100_000, data_folder=tmp_path / "data")])
    while not (folder / "downsampled.training.safetensors").is_file() and process.is_alive():
        time.sleep(0.01)
    assert process.is_alive(), words(folder)
    yield folder, process
    process.kill()
    process.join()


def test_a_second_run_in_the_folder_is_rejected_with_the_process_that_holds_it(long_run, tiny, tmp_path):
    folder, process = long_run
    holder = re.escape(f"is in use: process {process.pid} on {socket.gethostname()} trains there")
    for again in (replace(tiny, epochs=100_000, resume=True), replace(tiny, seed=1)):
        with pytest.raises(ValueError, match=rf"{holder}.*name another output_folder"):
            prepare_folder(again)
    (tmp_path / "run.txt").rename(tmp_path / "first.txt")
    before = progress_in(folder / "downsampled.training.safetensors")
    other = [str(folder), "tasn", *parameters(epochs=100_000, data_folder=tmp_path / "data", resume=True)]
    assert finish(start(other)) == 1
    assert re.search(holder, words(folder).splitlines()[-1])
    while progress_in(folder / "downsampled.training.safetensors") == before:
        assert process.is_alive()
        time.sleep(0.01)


def test_what_a_killed_run_left_does_not_block(long_run):
    folder, process = long_run
    process.kill()
    process.join()
    left = folder / ".downsampled.training.safetensors.4711.part"
    left.write_bytes(b"half")
    with locked(folder):
        assert not left.exists()
        assert (folder / ".holder").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert not (folder / ".holder").exists()


@needs_locks
def test_the_lock_of_a_killed_run_does_not_live_on_in_its_workers(tmp_path):
    program = f"""
        import os, signal, time
        from pathlib import Path
        from tasnlib.runs.run_folder import locked

        with locked(Path({str(tmp_path)!r})):
            if os.fork():
                time.sleep(0.5)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(20)
            os._exit(0)
    """
    killed = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.DEVNULL,
    )
    assert killed.wait() == -signal.SIGKILL
    with locked(tmp_path):
        assert "process" in (tmp_path / ".holder").read_text()


def test_one_process_may_hold_a_folder_twice_and_holds_it_to_the_end(tmp_path):
    with locked(tmp_path / "new"):
        with locked(tmp_path / "new"):
            pass
        assert (tmp_path / "new/.holder").exists()
        outsider = FileLock(tmp_path / "new" / ".lock", timeout=0)
        with pytest.raises((TimeoutError, RuntimeError)):  # the latter from filelock's own search for deadlocks
            outsider.acquire()
    with FileLock(tmp_path / "new" / ".lock", timeout=0):
        assert not (tmp_path / "new/.holder").exists()


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOLCK, None), (errno.ENOSYS, None), (errno.EROFS, "make the folder writable")]
)
def test_a_disk_without_locks_is_used_with_a_warning_and_a_read_only_one_is_rejected(
    tmp_path, monkeypatch, capsys, number, expected
):
    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", failing)
    if expected:
        with pytest.raises(OSError, match=expected), locked(tmp_path / "run"):
            pass
        return
    with locked(tmp_path / "run"):
        assert "cannot be locked" in capsys.readouterr().out


def test_settings_that_changed_meanwhile_are_not_mixed_with_these(tiny):
    folder = prepare_folder(tiny)
    prepare_folder(replace(tiny, seed=1))  # before the first has trained
    with pytest.raises(ValueError, match=r"seed is 0, but the run in .* was begun with 1"):
        run_folder.same_settings(folder, tiny)
