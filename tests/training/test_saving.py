"""A full disk, a folder that is not writable: what was saved stays, and the run continues from it."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasnlib.data.files import write_atomically
from tasnlib.training.checkpoints import progress_in
from tests.training.tiny import new_model, run, same_weights

resource = pytest.importorskip("resource", reason="limits and users of Unix")
pytestmark = pytest.mark.usefixtures("one_thread")
STATE = "state.safetensors"


# -- Whole or not at all -----------------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "result.json"
    for content in (b"first and longer", b"second", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_takes_its_name_only_when_it_is_whole_and_on_disk(tmp_path, monkeypatch):
    path, steps = tmp_path / "file", []
    path.write_bytes(b"earlier")
    fsync, rename = os.fsync, os.replace

    def watched_fsync(descriptor):
        (part,) = set(tmp_path.iterdir()) - {path}
        steps.append(("fsync", part.read_bytes(), path.read_bytes()))
        fsync(descriptor)

    def watched_replace(source, target):
        steps.append(("replace", Path(source).read_bytes(), path.read_bytes()))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(path, b"later")
    assert steps[:2] == [("fsync", b"later", b"earlier"), ("replace", b"later", b"earlier")]
    assert path.read_bytes() == b"later"


def test_a_keyboard_interrupt_leaves_the_earlier_file(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    write_atomically(tmp_path / "file", b"earlier")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"half")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


# -- A full disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def limit() -> Iterator:
    """Lets the system refuse longer files, as it does where a disk is full or a quota used up."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before if size is None else size, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_full_disk_stops_the_run_and_the_earlier_checkpoint_resumes(tmp_path, birds, limit):
    undisturbed, stopped, resumed = new_model(), new_model(), new_model(seed=9)
    expected = run(tmp_path / "undisturbed", birds, undisturbed)
    folder = tmp_path / "run"
    with pytest.raises(OSError, match="cannot be written: File too large") as reason:
        run(folder, birds, stopped, report=lambda entry: limit(100_000))
    for remedy in (STATE, "make room on its disk", "resume continues after epoch 1"):
        assert remedy in str(reason.value)
    assert [path.name for path in folder.iterdir()] == [STATE]
    assert progress_in(folder / STATE) == 1
    limit(None)
    assert run(folder, birds, resumed, resume=True) == expected
    assert same_weights(resumed, undisturbed)


# -- A folder that is not writable -------------------------------------------------------------------------------------


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
    closed = as_nobody / "closed"
    closed.mkdir()
    (closed / "file").write_bytes(b"earlier")
    closed.chmod(0o555)
    for path in (closed / "file", closed / "folder/file"):
        with pytest.raises(PermissionError, match=rf"{path}.*Permission denied.*make the folder writable, or name an"):
            write_atomically(path, b"later")
    assert [path.read_bytes() for path in closed.iterdir()] == [b"earlier"]


@pytest.mark.parametrize("path", ["file/new", "file/folder/new"])
def test_a_file_in_the_folder_s_place_is_named(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=rf"{path}.*cannot be written: (Not a directory|File exists)") as reason:
        write_atomically(tmp_path / path, b"content")
    assert reason.value.errno in (errno.ENOTDIR, errno.EEXIST)


def test_a_folder_that_becomes_read_only_leaves_the_earlier_checkpoint(birds, as_nobody):
    folder, expected, resumed = as_nobody / "run", new_model(), new_model(seed=9)
    run(as_nobody / "undisturbed", birds, expected)
    with pytest.raises(PermissionError, match=r"make the folder writable.*resume continues after epoch 1"):
        run(folder, birds, new_model(), report=lambda entry: folder.chmod(0o555))
    assert progress_in(folder / STATE) == 1
    folder.chmod(0o755)
    run(folder, birds, resumed, resume=True)
    assert same_weights(resumed, expected)
