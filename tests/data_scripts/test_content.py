"""What an archive holds must be the whole data set; --verify opens every file of it."""

from pathlib import Path

import download_cub200
import pytest

from tests.data_scripts.archives import cub_facts, pack, tar_of
from tests.data_scripts.running import is_one_error, names_in, tree
from tests.photo_sets import make_cub200


@pytest.fixture
def cub_set(tmp_path, cub) -> Path:
    """A whole CUB_200_2011 in tmp_path/data."""
    archive = tmp_path / "CUB_200_2011.tgz"
    archive.write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 0
    assert archive.read_bytes() == cub
    return tmp_path / "data" / "CUB_200_2011"


@pytest.mark.parametrize("trouble", ["hostile", "truncated", "an image too few", "no lists", "empty image"])
def test_archives_that_must_not_become_a_data_set(tmp_path, capfd, trouble):
    home = make_cub200(tmp_path / "source")
    victim = next(home.glob("images/*/*.jpg"))
    if trouble == "an image too few":
        victim.unlink()
    if trouble == "empty image":
        victim.write_bytes(b"")
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
        "empty image": "1 of 20 images are missing or empty",
        "no lists": "no train_test_split.txt",
    }
    assert expected[trouble] in err
    assert names_in(tmp_path / "a" / "data") == []
    assert names_in(tmp_path / "a") == ["data"]


def test_counts_must_be_the_known_ones(tmp_path, cub, capfd):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub, train=11, classes=3))
    given = [str(tmp_path / "data"), "--facts", facts, "--from", str(tmp_path / "CUB_200_2011.tgz")]
    assert download_cub200.main(given) == 1
    assert "10 training images, expected are 11; 2 classes, expected are 3" in capfd.readouterr().err


def test_a_damaged_set_in_its_place_is_reported_not_touched(tmp_path, cub_set, cub, capfd):
    next(cub_set.glob("images/*/*.jpg")).unlink()
    before = tree(cub_set)
    facts = str(cub_facts(tmp_path, cub, "http://127.0.0.1:9/"))
    assert download_cub200.main([str(cub_set.parent), "--facts", facts]) == 1
    assert "is there but not whole: 1 of 20 images" in capfd.readouterr().err
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
