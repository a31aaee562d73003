import re
from pathlib import Path

import pytest

from tasnlib.data.grocery import LOOK_ALIKES, coarse_names, load_grocery
from tests.data.photo_sets import grocery_photos, make_grocery

REAL = Path(__file__).parents[2].parent / "shared" / "grocery"
APPLES = ["Golden Delicious", "Granny Smith", "Pink Lady", "Red Delicious", "Royal Gala"]
needs_photographs = pytest.mark.skipif(not REAL.is_dir(), reason="the Grocery Store Dataset is not here")


@pytest.fixture
def home(tmp_path):
    return make_grocery(tmp_path / "GroceryStoreDataset")


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_what_is_read_is_what_was_written(home, split):
    photos = grocery_photos(split)
    for folder in (home, home.parent):
        groceries = load_grocery(folder, split, image_size=40)
        assert groceries.paths == [home / "dataset" / photo.file for photo in photos]
        assert groceries.labels.tolist() == [photo.label for photo in photos]
    assert groceries.class_names == [*APPLES, "Avocado"]
    assert groceries.name == f"Grocery Store Dataset, {split}"
    assert groceries.take([0, 1]).images.shape == (2, 3, 40, 40)


def test_coarse_names_are_those_of_the_labels(home):
    assert coarse_names(home) == ["Apple"] * 5 + ["Avocado"]
    assert coarse_names(home, look_alikes=True) == ["Apple"] * 5


def test_only_look_alikes(home):
    groceries = load_grocery(home, "train", look_alikes=True)
    assert groceries.class_names == APPLES
    assert groceries.labels.tolist() == [photo.label for photo in grocery_photos("train") if photo.label < 5]
    assert LOOK_ALIKES[:6] == (0, 1, 2, 3, 4, 11)


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(home):
    expected = load_grocery(home, "val")
    for table in (home / "dataset").glob("*.*"):
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    groceries = load_grocery(home, "val")
    assert (groceries.paths, groceries.class_names) == (expected.paths, expected.class_names)


def test_another_folder_is_an_error_that_shows_the_layout(tmp_path, home):
    (tmp_path / "photos" / "Apple").mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"no dataset/classes\.csv.*\nExpected:\n.*dataset/\n.*classes\.csv(.|\n)*Found in .*Apple/"
    ) as caught:
        load_grocery(tmp_path / "photos", "train")
    assert "data_scripts/download_grocery.py" in str(caught.value)
    (home / "dataset" / "val.txt").unlink()
    with pytest.raises(ValueError, match=r"no val\.txt"):
        load_grocery(home, "train")
    with pytest.raises(ValueError, match="split is 'valid'; it must be one of train, val, test"):
        load_grocery(home, "valid")


def test_everything_wrong_with_a_list_is_said_at_once(home):
    table = home / "dataset" / "train.txt"
    change(table, "Granny-Smith_002.jpg, 1, 0", "Granny-Smith_002.jpg, 81, 0")
    change(table, "Avocado_001.jpg, 5, 1", "Avocado_001.jpg, 5, 0")
    (home / "dataset" / "train" / "Fruit" / "Avocado" / "Avocado" / "Avocado_002.jpg").unlink()
    for look_alikes in (False, True):
        with pytest.raises(ValueError, match="not in classes") as caught:
            load_grocery(home, "train", look_alikes=look_alikes)
        said = str(caught.value)
        for part in ("train.txt", "Granny-Smith_002.jpg, 81, 0", "Avocado_001.jpg, 5, 0", "1 of the 12 images in"):
            assert part in said


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("train.txt", "Avocado_001.jpg, 5, 1", "Avocado_001.jpg 5", "should be <image file>, <class>"),
        ("train.txt", "Avocado_001.jpg", "Avocado_002.jpg", "Avocado_002.jpg is listed twice"),
        ("train.txt", "train/Fruit/Avocado/Avocado/Avocado_001.jpg", "../outside.jpg", "outside of the data set"),
        (
            "train.txt",
            "train/Fruit/Avocado/Avocado/Avocado_001",
            "train/./Fruit/Avocado/Avocado/Avocado_002",
            "plainly named",
        ),
        ("classes.csv", "Granny-Smith,1", "Golden-Delicious,1", "Golden Delicious is listed twice"),
        (
            "train.txt",
            "train/Fruit/Avocado/Avocado/Avocado_001",
            "test/Fruit/Avocado/Avocado/Avocado_001",
            "and in test",
        ),
        ("classes.csv", "Avocado,5,Avocado,1", "Avocado,6,Avocado,1", "should be <name>,<class>"),
        (
            "classes.csv",
            "Avocado,5,Avocado,1,/iconic/Avocado.jpg,/iconic/Avocado.txt",
            "Avocado,5",
            "should be <name>,<class>",
        ),
    ],
)
def test_a_wrong_line_is_rejected_naming_the_file(home, table, old, new, said):
    change(home / "dataset" / table, old, new)
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        load_grocery(home, "train")
    assert str(home) in str(caught.value)


@needs_photographs
def test_the_real_one_has_its_official_counts():
    for look_alikes, counts in ((False, (2640, 296, 2485)), (True, (1011, 93, 974))):
        sets = [load_grocery(REAL, split, look_alikes=look_alikes) for split in ("train", "val", "test")]
        assert tuple(map(len, sets)) == counts
    coarse = coarse_names(REAL, look_alikes=True)
    assert (len(coarse), coarse.count("Apple"), coarse.count("Milk")) == (len(LOOK_ALIKES), 5, 6)
    assert len(set(coarse_names(REAL))) == 43  # often quoted as 42
