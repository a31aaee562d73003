"""Paths as people type them, files that are written whole, and modules that import on Windows."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasnlib.data.files import expanded, is_file, is_folder, read_json, write_atomically

ROOT = Path(__file__).parents[2]


def test_a_path_as_people_type_it(monkeypatch):
    for typed, meant in [
        ("runs/one", "runs/one"),
        ("  /data/birds \n", "/data/birds"),
        ("'/data/my birds'", "/data/my birds"),
        ('"/data/my birds" ', "/data/my birds"),
        ("\u201c/data/my birds\u201d", "/data/my birds"),
        ("~/birds", "/home/ada/birds"),
        ("'~/birds'", "/home/ada/birds"),
        (Path("~/birds"), "/home/ada/birds"),
        ("it's", "it's"),
    ]:
        monkeypatch.setenv("HOME", "/home/ada")
        assert expanded(typed, "folder") == Path(meant)


def test_a_file_that_is_really_called_so_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("'quoted'", "spaces ", "file:x"):
        Path(name).touch()
        assert expanded(name, "path") == Path(name)
    Path("~").mkdir()  # an accident of another program
    assert expanded("~", "path") == Path.home()


def test_a_path_that_cannot_be_meant_is_rejected():
    for typed in ["", "  ", "''", "a\0b", "file:///data/birds", "FILE://server/share", "~nobody-of-this-name/birds"]:
        with pytest.raises(ValueError, match=r"^folder is "):
            expanded(typed, "folder")


@given(st.text(st.characters(blacklist_characters="\0~", blacklist_categories=("Cs",)), min_size=1).map("/".__add__))
def test_quotes_and_spaces_around_a_path_do_not_matter(path):
    plain = expanded(path, "folder")
    assert expanded(f" '{path}' ", "folder") in (plain, Path(path))


def test_what_is_not_there_and_what_cannot_be_told(tmp_path):
    for absent in (tmp_path / "nothing", tmp_path / "nothing" / "in it", "n" * 5000, "a\0b"):
        assert not is_file(absent)
        assert not is_folder(absent)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop cannot be read"):
        is_folder(tmp_path / "loop")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "note.json"
    write_atomically(path, b"{}")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"note\.json .*cannot be written: No space.*make room"):
        write_atomically(path, b"[]")
    assert [file.name for file in tmp_path.iterdir()] == ["note.json"]
    assert read_json(path) == {}


def test_damaged_json_is_named(tmp_path):
    for number, content in enumerate([b"", b"[]", b"{", b"\xff", b"[" * 100_000]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "note.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"note\.json is damaged"):
            read_json(folder / "note.json")


def test_json_that_begins_with_a_byte_order_mark(tmp_path):
    (tmp_path / "note.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "note.json") == {"a": 1}


def test_all_modules_import_without_what_windows_lacks():
    """After their libraries, which look for themselves."""
    rooms = sorted((ROOT / "tasnlib" / "data").glob("*.py"))
    modules = [f"tasnlib.data.{path.stem}" for path in rooms if path.stem != "__init__"]
    scripts = [path.stem for path in sorted((ROOT / "data_scripts").glob("*.py")) if not path.stem.startswith("make")]
    program = (
        "import sys, os, errno, filelock, multiprocessing.pool, pydantic, requests, safetensors.torch, scipy.io, tqdm\n"
        "import torch.utils.data, torchvision.transforms.v2\n"
        f"sys.path.insert(0, {str(ROOT / 'data_scripts')!r})\n"
        "for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios', 'tty'): sys.modules[name] = None\n"
        "for name in ('fork', 'geteuid', 'getuid', 'pwrite', 'pread', 'sched_getaffinity', 'O_NONBLOCK'):\n"
        "    if hasattr(os, name): delattr(os, name)\n"
        "del errno.EDQUOT\n"
        f"import {', '.join(modules)}\nimport {', '.join(scripts)}\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
