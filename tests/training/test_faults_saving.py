"""A full disk, a folder that may not be written: what was saved stays, and the run goes on from it."""

import contextlib
import ctypes
import errno
import os
import re
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasnlib.data.files import write_atomically
from tasnlib.runs import run as experiment
from tasnlib.runs.load_data import Data, load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import progress_in
from tests.training.faults import TINY, finish, outcome, parameters, start, words

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="limits and signals of Unix"),
    pytest.mark.usefixtures("one_thread"),
]
NAME = "downsampled"
STATE = f"{NAME}.training.safetensors"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert finish(start([str(folder), NAME, *parameters(data_folder=folder.parent / "data")])) == 0, words(folder)
    return folder


@pytest.fixture(scope="module")
def expected(undisturbed) -> tuple[bytes, list[dict]]:
    return outcome(undisturbed, NAME)


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


# -- A full disk -------------------------------------------------------------------------------------------------------


def after_epoch(number: int, function) -> None:
    """Call a function in this process when that epoch was saved."""
    line = experiment.epoch_line

    def watched(entry: dict, epochs: int) -> str:
        if entry["epoch"] == number:
            function()
        return line(entry, epochs)

    experiment.epoch_line = watched


def limit(size: int) -> None:
    """The system itself refuses to write longer files, as it does where a disk is full or a quota used up."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextlib.contextmanager
def full_after_two_epochs(_: Path) -> Iterator[None]:
    after_epoch(2, lambda: limit(100_000))
    yield


@contextlib.contextmanager
def full_for_one_epoch(_: Path) -> Iterator[None]:
    after_epoch(2, lambda: limit(100_000))
    after_epoch(3, lambda: limit(resource.RLIM_INFINITY))
    yield


def test_a_full_disk_stops_the_run_says_what_to_do_and_leaves_the_earlier_checkpoint(arguments, undisturbed):
    folder = Path(arguments[0])
    assert finish(start(arguments, full_after_two_epochs)) == 1
    told = words(folder).splitlines()[-1]
    assert re.match(rf"OSError: .*{STATE} \(1\.\d MB\) cannot be written: File too large", told)
    for remedy in ("make room on its disk", "name another folder", "resume goes on after epoch 2", "continue_unsaved"):
        assert remedy in told
    assert names(folder) == {"settings.json", "data.json", STATE}
    assert progress_in(folder / STATE) == (2, 0)
    assert finish(start([*arguments, *RESUME])) == 0, words(folder)
    assert outcome(folder, NAME) == outcome(undisturbed, NAME)


def test_training_goes_on_without_a_checkpoint_where_the_user_says_so(arguments, undisturbed):
    folder = Path(arguments[0])
    assert finish(start([*arguments, "-p", "continue_unsaved", "True"], full_for_one_epoch)) == 0, words(folder)
    told = re.findall(r"^.*cannot be written.*$", words(folder), re.MULTILINE)
    assert len(told) == 1
    assert told[0].endswith("Training goes on, because continue_unsaved is True.")
    assert outcome(folder, NAME) == outcome(undisturbed, NAME)


def test_weights_that_cannot_be_kept_in_the_end_are_an_error_whatever_the_user_says(arguments):
    folder = Path(arguments[0])
    assert finish(start([*arguments, "-p", "continue_unsaved", "True"], full_after_two_epochs)) == 1
    assert words(folder).count("Training goes on") == 2
    assert re.search(rf"OSError: .*{NAME}\.safetensors .*cannot be written", words(folder).splitlines()[-1])
    assert progress_in(folder / STATE) == (2, 0)


NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000


def mount(folder: Path, megabytes: int) -> None:
    """A small disk in memory, which only this process sees and which goes with it."""
    libc, user = ctypes.CDLL(None, use_errno=True), os.geteuid()
    folder.mkdir(exist_ok=True)
    for failed in (
        libc.unshare(NEW_NAMESPACE | (NEW_USER if user else 0)),
        libc.mount(b"none", b"/", None, (1 << 18) | (1 << 14), None),  # nobody else is to see what follows
        libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, f"size={megabytes}m".encode()),
    ):
        if failed:
            print("no disk can be mounted here")
            os._exit(77)


@contextlib.contextmanager
def on_a_disk_of_two_megabytes(folder: Path) -> Iterator[None]:
    mount(folder, 2)  # one checkpoint and its successor are more
    try:
        yield
    finally:
        print(sorted(names(folder)), progress_in(folder / STATE))


def test_a_disk_that_is_really_full(arguments):
    folder = Path(arguments[0])
    code = finish(start(arguments, on_a_disk_of_two_megabytes))
    if code == 77:
        pytest.skip("no disk can be mounted here")
    assert code == 1
    assert f"{sorted(['settings.json', 'data.json', STATE])} (1, 0)" in words(folder)
    assert re.search(r"cannot be written: No space left on device\..*make room", words(folder).splitlines()[-1])


# -- A folder that may not be written ----------------------------------------------------------------------------------


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of this process, which for a while has no more rights than any user's."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            Path(name).chmod(0o777)
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(os.getuid())


def test_a_read_only_folder_is_named_with_what_to_do(as_nobody):
    (as_nobody / "closed").mkdir()
    (as_nobody / "closed/file").write_bytes(b"earlier")
    (as_nobody / "closed").chmod(0o555)
    for path in (as_nobody / "closed/file", as_nobody / "closed/new", as_nobody / "closed/folder/file"):
        with pytest.raises(PermissionError, match=rf"{path}.*Permission denied.*make the folder writable, or name an"):
            write_atomically(path, b"later")
    with pytest.raises(PermissionError, match=r"closed/run.*Permission denied.*name another folder"):
        prepare_folder(Settings(output_folder=str(as_nobody / "closed/run")))
    assert names(as_nobody / "closed") == {"file"}
    assert (as_nobody / "closed/file").read_bytes() == b"earlier"


def test_a_folder_that_may_not_be_entered_is_named_with_what_to_do(as_nobody):
    (as_nobody / "closed/birds").mkdir(parents=True)
    (as_nobody / "closed").chmod(0)
    with pytest.raises(PermissionError, match=r"closed/birds may not be looked at: Permission denied; ask"):
        Settings(dataset="folder", data_folder=str(as_nobody / "closed/birds"))
    (as_nobody / "closed").chmod(0o700)


@pytest.mark.parametrize("path", ["file/new", "file/folder/new"])
def test_a_file_in_the_folder_s_place_is_named(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=rf"{path}.*cannot be written: (Not a directory|File exists).*name another") as e:
        write_atomically(tmp_path / path, b"content")
    assert e.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_folder_that_becomes_read_only_leaves_the_earlier_checkpoint(data, expected, as_nobody, monkeypatch):
    settings = Settings(**TINY, output_folder=str(as_nobody / "run"))
    folder, line = prepare_folder(settings), experiment.epoch_line
    monkeypatch.setattr(experiment, "epoch_line", lambda *given: folder.chmod(0o555) or line(*given))
    with pytest.raises(PermissionError, match=r"make the folder writable.*resume goes on after epoch 1"):
        train(NAME, settings, folder, data)
    assert names(folder) - {".lock"} == {"settings.json", "data.json", STATE}
    assert progress_in(folder / STATE) == (1, 0)
    folder.chmod(0o755)
    monkeypatch.undo()
    resumed = replace(settings, resume=True)
    train(NAME, resumed, prepare_folder(resumed), data)
    assert ".lock" not in names(folder)
    assert outcome(folder, NAME) == expected
