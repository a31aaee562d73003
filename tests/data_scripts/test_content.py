"""What an archive holds must be the whole data set; --verify opens every file of it."""

import re
from pathlib import Path

import download_cub200
import pytest

from tasnlib.data.cub200 import load_cub200
from tests.data.photo_sets import make_cub200
from tests.data_scripts.archives import cub_facts, pack, tar_of
from tests.data_scripts.running import is_one_error, names_in, tree


@pytest.fixture
def cub_set(tmp_path, cub) -> Path:
    """A whole CUB_200_2011 in tmp_path/data."""
    archive = tmp_path / "CUB_200_2011.tgz"
    archive.write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 0
    assert archive.read_bytes() == cub
    return tmp_path / "data" / "CUB_200_2011"


@pytest.mark.parametrize("trouble", ["hostile", "truncated", "an image too few", "no lists"])
def test_archives_that_must_not_become_a_data_set(tmp_path, capfd, trouble):
    home = make_cub200(tmp_path / "source")
    victim = next(home.glob("images/*/*.jpg"))
    if trouble == "an image too few":
        victim.unlink()
    if trouble == "no lists":
        (home / "train_test_split.txt").unlink()
    archive = pack(tmp_path / "CUB_200_2011.tgz", {"CUB_200_2011": home})
    if trouble == "hostile":
        archive.write_bytes(tar_of(("CUB_200_2011/images.txt", {}, b"x"), ("../../outside", {}, b"x")))
    if trouble == "truncated":
        archive.write_bytes(archive.read_bytes()[:-5_000])
    facts = str(cub_facts(tmp_path, archive.read_bytes()))
    assert download_cub200.main([str(tmp_path / "a/data"), "--facts", facts, "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert is_one_error(err)
    expected = {
        "hostile": "leads out of the folder",
        "truncated": "truncated or damaged",
        "an image too few": f"1 of 20 images are missing or empty, the first is images/{victim.parent.name}",
        "no lists": "no train_test_split.txt",
    }
    assert expected[trouble] in err
    assert names_in(tmp_path / "a" / "data") == []
    assert names_in(tmp_path / "a") == ["data"]


@pytest.mark.parametrize(
    ("file", "line", "text", "said"),
    [
        ("images.txt", 2, "1 a/b.jpg", "line 2: the number 1 stands twice"),
        ("images.txt", 1, "1 ../../outside.jpg", "line 1: '../../outside.jpg' leads out of the folder"),
        ("classes.txt", 2, "3 002.Laysan_Albatross", "line 2: the number is 3; 2 lines must be 1 to 2 without gaps"),
    ],
)
def test_lists_that_the_loader_refuses_are_not_called_complete(tmp_path, cub_set, cub, capfd, file, line, text, said):
    (cub_set.parent / "outside.jpg").write_bytes(b"x")
    lines = (cub_set / file).read_text().split("\n")
    lines[line - 1] = text
    (cub_set / file).write_text("\n".join(lines))
    if file == "classes.txt":  # the classes of the images fit
        labels = cub_set / "image_class_labels.txt"
        labels.write_text(labels.read_text().replace(" 2\n", " 3\n"))
    assert download_cub200.main([str(cub_set.parent), "--facts", str(cub_facts(tmp_path, cub))]) == 1
    err = capfd.readouterr().err
    assert file in err
    assert said in err
    with pytest.raises(ValueError, match=re.escape(file)):
        load_cub200(cub_set, "train")


def test_classes_in_another_order_are_read_as_the_loader_does(tmp_path, cub_set, cub):
    lines = (cub_set / "classes.txt").read_text().split()
    (cub_set / "classes.txt").write_text(" ".join(lines[2:]) + "\n" + " ".join(lines[:2]) + "\n")
    assert download_cub200.main([str(cub_set.parent), "--facts", str(cub_facts(tmp_path, cub))]) == 0
    assert len(load_cub200(cub_set, "train")) == 10


def test_counts_must_be_the_known_ones(tmp_path, cub, capfd):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub, train=11, classes=3))
    given = [str(tmp_path / "data"), "--facts", facts, "--from", str(tmp_path / "CUB_200_2011.tgz")]
    assert download_cub200.main(given) == 1
    assert "10 training images, expected 11; 2 classes, expected 3" in capfd.readouterr().err


def test_a_damaged_set_in_its_place_is_reported_not_touched(tmp_path, cub_set, cub, capfd):
    next(cub_set.glob("images/*/*.jpg")).unlink()
    before = tree(cub_set)
    facts = str(cub_facts(tmp_path, cub, "http://127.0.0.1:9/"))
    assert download_cub200.main([str(cub_set.parent), "--facts", facts]) == 1
    assert "exists but is incomplete: 1 of 20 images" in capfd.readouterr().err
    assert tree(cub_set) == before
    (cub_set / "images.txt").unlink()
    assert download_cub200.main([str(cub_set.parent), "--facts", facts]) == 1
    assert "Remove or rename that folder" in capfd.readouterr().err


def test_verify(tmp_path, cub_set, cub, capfd):
    given = [str(cub_set.parent), "--facts", str(cub_facts(tmp_path, cub)), "--verify"]
    assert download_cub200.main(given) == 0
    assert "10 training and 10 test images of 2 classes; every file opens" in capfd.readouterr().out
    cut, missing, text, *_ = sorted(cub_set.glob("images/*/*.jpg"))
    cut.write_bytes(cut.read_bytes()[:-300])  # its header is whole: only decoding shows it
    missing.unlink()
    text.write_text("not an image")
    assert download_cub200.main(given) == 1
    out = capfd.readouterr().out
    broken = [line for line in out.replace("\r", "\n").split("\n") if line.startswith("broken: ")]
    assert [line.split(": ")[1] for line in broken] == [str(f.relative_to(cub_set)) for f in (cut, missing, text)]
    assert "3 problems" in out


def test_verify_without_a_set(tmp_path, capfd):
    assert download_cub200.main([str(tmp_path), "--verify"]) == 1
    assert "run the same command without --verify first" in capfd.readouterr().err
