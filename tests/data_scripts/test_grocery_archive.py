"""The Grocery Store Dataset comes as a repository's archive, whose photographs are compared one by one."""

import hashlib
import json
from pathlib import Path

import download_grocery
import pytest
from archive_facts import replaced
from verify_data_set import problems_of

from tests.data.photo_sets import make_grocery
from tests.data_scripts.archives import pack
from tests.data_scripts.running import is_one_error

COUNTS = {"train": 12, "val": 5, "test": 12, "classes": 6}
TOP = f"GroceryStoreDataset-{download_grocery.COMMIT}"
REAL = Path(__file__).parents[2].parent / "shared" / "grocery"


@pytest.fixture
def source(tmp_path):
    home = make_grocery(tmp_path / "source")
    (home / "dataset" / "iconic-images-and-descriptions").mkdir()
    (home / "dataset" / "iconic-images-and-descriptions" / "Avocado.txt").write_text("Avocado from Peru")
    return home


def facts_file(folder, **facts) -> Path:
    file = folder / "facts.json"
    file.write_text(json.dumps(COUNTS | facts))
    return file


def test_the_repository_s_archive_is_downloaded_and_its_licence_kept(tmp_path, source, server, capfd):
    server.content = pack(tmp_path / "archive.tgz", {TOP: source}).read_bytes()
    facts = facts_file(tmp_path, url=server.url)
    assert download_grocery.main([str(tmp_path / "data"), "--facts", str(facts), "--timeout", "1"]) == 0
    home = tmp_path / "data" / "GroceryStoreDataset"
    assert sorted(path.name for path in home.iterdir()) == ["LICENSE", "dataset"]
    assert "Marcus Klasson" in (home / "LICENSE").read_text()
    assert not (home / "dataset" / "iconic-images-and-descriptions").exists()
    said = capfd.readouterr().out
    assert "MIT licence, (c) 2019 Marcus Klasson" in said
    assert "12 training, 5 validation and 12 test images of 6 classes" in said


@pytest.mark.parametrize("trouble", ["no LICENSE", "no val.txt", "a wrong line", "an image too few"])
def test_a_folder_that_is_not_the_whole_data_set(tmp_path, source, capfd, trouble):
    photo = source / "dataset" / "test" / "Fruit" / "Avocado" / "Avocado" / "Avocado_001.jpg"
    if trouble == "a wrong line":
        with (source / "dataset" / "test.txt").open("a") as lines:
            lines.write("test/Fruit/Avocado/Avocado/Avocado_001.jpg, 5, 7\n")
    else:
        {"no LICENSE": source / "LICENSE", "no val.txt": source / "dataset" / "val.txt"}.get(trouble, photo).unlink()
    given = [str(tmp_path / "data"), "--facts", str(facts_file(tmp_path)), "--from", str(source)]
    assert download_grocery.main(given) == 1
    expected = {"a wrong line": "test.txt, line 13", "an image too few": "1 of 29 images are missing or empty"}
    err = capfd.readouterr().err
    assert is_one_error(err)
    assert expected.get(trouble, f"there is no {source}") in err


def test_a_changed_photograph_is_named(tmp_path, source):
    contents = download_grocery.read(source)
    names = []
    for file in [*contents.files, *contents.lists]:
        content = (source / file).read_bytes()
        names.append(hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest())
    blobs = tmp_path / "blobs.txt"
    blobs.write_text("\n".join(names))
    known = download_grocery.FACTS
    facts = replaced(known, facts_file(tmp_path))
    assert (known.blobs.is_file(), facts.blobs) == (True, None)  # of another set no hashes are known
    facts = type(facts)(**(vars(facts) | {"blobs": blobs}))
    assert problems_of(facts, source, download_grocery.read)[0] == []
    changed = source / contents.val[1]
    changed.write_bytes(changed.read_bytes() + b"\n")
    (problem,) = problems_of(facts, source, download_grocery.read)[0]
    assert problem.startswith("1 of 29 images and 4 lists are not those of the data set")
    assert problem.endswith(contents.val[1])
    changed.write_bytes(changed.read_bytes()[:-1])
    for name in ("classes.csv", "train.txt"):
        table = source / "dataset" / name
        text = table.read_bytes()
        table.write_bytes(text.replace(b"\n", b"\r\n"))  # as git writes text files on Windows
        assert problems_of(facts, source, download_grocery.read)[0] == []
        table.write_bytes(text.replace(b"Granny", b"Grumpy").replace(b".jpg, 0, 0", b".jpg, 1, 0"))
        (problem,) = problems_of(facts, source, download_grocery.read)[0]
        assert problem.endswith(f"the first is dataset/{name}") or "missing" in problem
        table.write_bytes(text)


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("train.txt", "Avocado_002.jpg", "Avocado_001.jpg", "1 images are listed twice"),
        ("classes.csv", "Avocado,5,", "Avocado,6,", "numbered from 0 without gaps"),
        (
            "classes.csv",
            "Avocado,5,Avocado,1,/iconic/Avocado.jpg,/iconic/Avocado.txt",
            "Avocado",
            "each line should be",
        ),
    ],
)
def test_lists_that_the_loader_rejects_are_not_called_complete(tmp_path, source, capfd, table, old, new, said):
    path = source / "dataset" / table
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new) + "\n")  # an empty line does not matter
    given = [str(tmp_path / "data"), "--facts", str(facts_file(tmp_path)), "--from", str(source)]
    assert download_grocery.main(given) == 1
    assert said in capfd.readouterr().err


def test_git_gives_a_photograph_the_same_hash(tmp_path):
    """The name that git's own documentation gives for this content."""
    assert hashlib.sha1(b"blob 16\0what is up, doc?").hexdigest() == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    assert len(download_grocery.FACTS.blobs.read_text().split()) == 2_640 + 296 + 2_485 + 4  # and the four lists


@pytest.mark.skipif(not REAL.is_dir(), reason="the Grocery Store Dataset is not here")
def test_the_real_photographs_have_the_known_hashes(tmp_path):
    for name in ("LICENSE", "dataset"):
        (tmp_path / name).symlink_to(REAL.resolve() / name)
    assert problems_of(download_grocery.FACTS, tmp_path, download_grocery.read)[0] == []
