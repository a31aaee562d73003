"""What is unreadable is found, named and remembered; the data hash holds on to names, labels and bytes."""

import errno
import hashlib
import json
import os
import threading
from types import SimpleNamespace

import pytest
from PIL import Image

from tasnlib.data import inspection
from tasnlib.data.inspection import inspected
from tasnlib.data.photographs import ImageFiles


@pytest.fixture
def files(tmp_path):
    root = tmp_path / "사진 모음"
    (root / "b").mkdir(parents=True)
    paths = [root / "a.png", root / "b" / "참새 1.png", root / "b" / "c.png", root / "d.png"]
    for number, path in enumerate(paths):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(path)
    return root, paths


def inspect(files, labels=(0, 1, 2, 3), progress=False, **options):
    """What became known of the files."""
    root, paths = files
    images = ImageFiles(paths, labels, ["a", "b", "c", "d"], 8, "birds, test", root)
    found = inspected(images, workers=2, progress=progress, **options)
    return SimpleNamespace(unreadable=found.unreadable, data_hash=found.data_hash)


def test_the_hash_is_that_of_its_definition(files):
    _, paths = files
    expected = hashlib.sha256()
    for label, (path, name) in enumerate(zip(paths, ["a.png", "b/참새 1.png", "b/c.png", "d.png"], strict=True)):
        expected.update(f"{name}\0{label}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    assert inspect(files) == SimpleNamespace(unreadable=frozenset(), data_hash=expected.hexdigest())


def test_the_hash_follows_bytes_labels_names_and_order_but_not_times(files):
    root, paths = files
    hashes = [inspect(files).data_hash, inspect(files, (0, 1, 2, 2)).data_hash]
    hashes.append(inspect((root, paths[::-1])).data_hash)
    os.utime(paths[0], ns=(0, 0))
    assert inspect(files).data_hash == hashes[0]
    moved = root.rename(root.with_name("elsewhere"))
    assert inspect((moved, [moved / path.relative_to(root) for path in paths])).data_hash == hashes[0]
    moved.rename(root)
    paths[3].rename(root / "e.png")
    hashes.append(inspect((root, [*paths[:3], root / "e.png"])).data_hash)
    (root / "e.png").rename(paths[3])
    content = paths[3].read_bytes()
    paths[3].write_bytes(content + b"\0")  # still readable
    hashes.append(inspect(files).data_hash)
    assert len(set(hashes)) == 5


def test_the_result_is_remembered_for_these_files(files, tmp_path, monkeypatch, capsys):
    _, paths = files
    paths[2].write_bytes(paths[2].read_bytes()[:40])
    reads = []
    monkeypatch.setattr(
        inspection, "decode_image", lambda *given, real=inspection.decode_image: reads.append(given) or real(*given)
    )
    first = inspect(files, folder=tmp_path / "memory")
    assert len(reads) == 4
    assert list(first.unreadable) == [2]
    printed = capsys.readouterr().out
    assert printed.startswith("birds, test: 1 of 4 files cannot be read: b/c.png (it is not a readable image")
    assert inspect(files, folder=tmp_path / "memory") == first
    assert capsys.readouterr().out == printed  # said every time
    assert len(reads) == 4
    inspect(files, (0, 1, 2, 2), folder=tmp_path / "memory")
    assert len(reads) == 8
    os.utime(paths[0], ns=(0, 0))
    assert inspect(files, folder=tmp_path / "memory") == first
    assert len(reads) == 12


@pytest.mark.parametrize("damage", [b"", b'{"data_hash": "ab"}', b"\xff"])
def test_a_damaged_note_is_made_again(files, tmp_path, damage, capsys):
    first = inspect(files, folder=tmp_path / "memory")
    (note,) = (tmp_path / "memory").glob("*.json")
    note.write_bytes(damage)
    assert inspect(files, folder=tmp_path / "memory") == first
    assert "inspecting the files again" in capsys.readouterr().out
    assert json.loads(note.read_bytes())["data_hash"] == first.data_hash


def test_where_nothing_can_be_noted_one_line_says_so(files, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert inspect(files, folder=tmp_path / "file") == inspect(files)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "could not be noted" in printed


@pytest.mark.parametrize(("number", "kept"), [(errno.EIO, False), (errno.ENOENT, True)])
def test_a_disk_that_fails_for_a_moment_is_not_remembered(files, tmp_path, monkeypatch, number, kept):
    path = files[1][1]
    real = type(path).read_bytes

    def fail(self):
        if self == path:
            raise OSError(number, os.strerror(number))
        return real(self)

    monkeypatch.setattr(type(path), "read_bytes", fail)
    assert list(inspect(files, folder=tmp_path / "memory").unreadable) == [1]
    assert any((tmp_path / "memory").glob("*.json")) == kept


def test_ten_names_and_the_number_of_the_rest(tmp_path, capsys):
    paths = [tmp_path / f"{number:02}.png" for number in range(26)]
    for number, path in enumerate(paths):
        Image.new("L", (4, 4)).save(path)
        if number % 2:
            path.write_bytes(b"")
    found = inspect((tmp_path, paths), [0] * 26)  # exactly half
    assert sorted(found.unreadable) == list(range(1, 26, 2))
    printed = capsys.readouterr().out
    assert printed.count(".png") == 10
    assert "13 of 26" in printed
    assert printed.endswith("19.png (it is not a readable image: it is empty, 0 bytes) and 3 more\n")
    paths[0].unlink()
    with pytest.raises(ValueError, match=r"14 of 26.*00\.png \(it cannot be read: No such file.*the right folder"):
        inspect((tmp_path, paths), [0] * 26, folder=tmp_path / "memory")
    assert not any((tmp_path / "memory").glob("*.json"))


def test_a_bar_only_where_one_is_asked_for(files, capsys):
    inspect(files)
    assert capsys.readouterr() == ("", "")
    inspect(files, progress=True)
    printed = capsys.readouterr()
    assert "inspecting birds, test: 100%" in printed.out
    assert printed.err == ""


def test_a_file_that_was_replaced_is_noticed(files, tmp_path):
    _, paths = files
    first = inspect(files, folder=tmp_path / "memory")
    (paths[1].parent / "Thumbs.db").touch()  # changes the folder's time, and no image
    Image.new("L", (5, 4)).save(tmp_path / "other.png")
    os.replace(tmp_path / "other.png", paths[1])
    second = inspect(files, folder=tmp_path / "memory")
    assert second.data_hash != first.data_hash
    paths[2].unlink()
    assert inspect(files, folder=tmp_path / "memory").unreadable == {2}


def test_of_processes_that_start_at_once_one_inspects(files, tmp_path, monkeypatch):
    """Threads stand for the processes of a run: the lock is on a file."""
    decoded, found, gate = [], [], threading.Barrier(4)
    monkeypatch.setattr(
        inspection, "decode_image", lambda *given, real=inspection.decode_image: decoded.append(given) or real(*given)
    )

    def process():
        gate.wait(10)
        found.append(inspect(files, folder=tmp_path / "memory"))

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [inspect(files)] * 4
    assert len(decoded) == 8  # each of the four images once, and once more by the line above
