import json
import shutil

import pytest

from tasnlib.data import data_set_folder
from tasnlib.data.data_set_folder import DataSetFolder
from tasnlib.data.inat2017 import load_inat2017
from tests.data.photo_sets import inat2017_photos, make_inat2017

COMMAND = "python data_scripts/download_inat2017.py"


@pytest.fixture
def home(tmp_path):
    return make_inat2017(tmp_path / "inat2017", classes=4, images_per_class=5)


def rewrite(path, change):
    contents = json.loads(path.read_text())
    change(contents)
    path.write_text(json.dumps(contents))


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_read_is_what_was_written(home, split):
    photos = [p for p in inat2017_photos(classes=4, images_per_class=5) if p.train == (split == "train")]
    for folder in (home, home.parent):
        nature = load_inat2017(folder, split, image_size=40)
        assert len(nature) == {"train": 12, "test": 8}[split]
        assert nature.paths == [home / p.file for p in photos]
        assert nature.labels.tolist() == [p.label for p in photos]
        assert nature.class_names == ["Accipiter badius", "Abaeis nicippe", "Abies balsamea", "Drawn species0003"]
        assert (nature.classes, nature.name, nature.root) == (4, f"iNaturalist-2017, {split}", home)
    assert nature.take([0, 3]).images.shape == (2, 3, 40, 40)


def test_the_split_is_that_of_the_files_and_labels_follow_the_sorted_ids(home):
    """Ids with gaps, categories and annotations in any order, and an id of val2017.json that train2017.json has too."""
    expected = {path: load_inat2017(home, "test").labels[i] for i, path in enumerate(load_inat2017(home, "test").paths)}
    new = {0: 70, 1: 500, 2: 1001, 3: 5088}

    def change(contents):
        contents["categories"] = [c | {"id": new[c["id"]]} for c in contents["categories"]][::-1]
        contents["annotations"] = [a | {"category_id": new[a["category_id"]]} for a in contents["annotations"]][::-1]
        least = min(image["id"] for image in contents["images"])
        for image in contents["images"]:
            image["id"] -= least
        for annotation in contents["annotations"]:
            annotation["image_id"] -= least

    for file in ("train2017.json", "val2017.json"):
        rewrite(home / file, change)
    nature = load_inat2017(home, "test")
    assert nature.class_names[3] == "Drawn species0003"
    assert {path: nature.labels[i] for i, path in enumerate(nature.paths)} == expected
    # Which image belongs to which category, read without the loader.
    contents = json.loads((home / "val2017.json").read_text())
    file = {image["id"]: image["file_name"] for image in contents["images"]}
    category = {file[a["image_id"]]: a["category_id"] for a in contents["annotations"]}
    assert [sorted(new.values()).index(category[p.relative_to(home).as_posix()]) for p in nature.paths] == (
        nature.labels.tolist()
    )


def test_a_byte_order_mark_does_not_matter(home):
    expected = load_inat2017(home, "test").paths
    for file in ("train2017.json", "val2017.json"):
        (home / file).write_bytes(b"\xef\xbb\xbf" + (home / file).read_bytes())
    assert load_inat2017(home, "test").paths == expected


def test_the_files_in_a_folder_of_their_own(home):
    (home / "train_val2017").mkdir()
    for file in ("train2017.json", "val2017.json"):
        (home / file).rename(home / "train_val2017" / file)
    assert len(load_inat2017(home.parent, "train")) == 12


def first(table, **changes):
    return lambda contents: contents[table][0].update(changes)


WRONG_ENTRIES = [
    (first("images", id=1), "the image 1 is listed twice"),
    (first("images", id="0"), "image 0 must be both in images and in annotations"),
    (first("images", file_name="../secret.jpg"), r"the image '\.\./secret\.jpg' is outside"),
    (first("images", file_name="/etc/secret.jpg"), r"the image '/etc/secret\.jpg' is outside"),
    (first("annotations", category_id=4), "the category 4, which is not in categories"),
    (first("annotations", image_id=999), "image 0 must be both in images and in annotations"),
    (first("annotations", image_id=1), "the annotation of image 1 is listed twice"),
    (first("categories", id=1), "the category 1 is listed twice"),
    (lambda c: c["images"][0].pop("file_name"), r"train2017\.json is not as it should be .*file_name"),
    (lambda c: c["images"][1].update(file_name=c["images"][0]["file_name"]), r"the image .* is listed twice"),
    (lambda c: c.pop("categories"), r"train2017\.json is not as it should be .*categories"),
    (lambda c: c.update(images=3), "not iterable"),
    (lambda c: c.update(images=[], annotations=[]), "has no images for 'train'"),
    (first("categories", name="Accipiter nisus"), r"same categories; the first lacks \(0, 'Accipiter badius"),
]


def test_a_wrong_entry_is_named(home):
    for change, message in WRONG_ENTRIES:
        text = (home / "train2017.json").read_text()
        rewrite(home / "train2017.json", change)
        with pytest.raises(ValueError, match=message) as caught:
            load_inat2017(home, "train")
        assert str(home) in str(caught.value)
        (home / "train2017.json").write_text(text)


def test_an_image_in_both_files(home):
    train, test = (next(p for p in inat2017_photos(4, 5) if p.train == side) for side in (True, False))
    rewrite(home / "val2017.json", first("images", file_name=train.file))
    assert json.loads((home / "val2017.json").read_text())["images"][0]["id"] == test.number
    with pytest.raises(ValueError, match=rf"1 images are in both JSON files, as {train.file}"):
        load_inat2017(home, "train")


def test_a_file_cut_short(home, cut=1000):  # noqa: PT028
    (home / "val2017.json").write_bytes((home / "val2017.json").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"val2017\.json is not as it should be .*Is it cut short"):
        load_inat2017(home, "train")


def test_missing_images_are_counted_and_the_first_three_named(home):
    gone = load_inat2017(home, "test").paths[1:6]
    for path in gone:
        path.unlink()
    with pytest.raises(ValueError, match=r"5 of the 8 images in val2017\.json are missing") as caught:
        load_inat2017(home, "test")
    assert [path.name in str(caught.value) for path in gone] == [True] * 3 + [False] * 2
    assert COMMAND in str(caught.value)
    assert len(load_inat2017(home, "train")) == 12
    shutil.rmtree(home / "train_val_images" / "Aves")
    with pytest.raises(ValueError, match="3 of the 12 images"):
        load_inat2017(home, "train")
    shutil.rmtree(home / "train_val_images")
    with pytest.raises(ValueError, match="12 of the 12 images"):
        load_inat2017(home, "train")


def test_folders_are_listed_once_instead_of_asking_for_every_file(tmp_path, monkeypatch):
    """200,000 images in 40 folders, none of them on the disk."""
    files = [f"group/species {i % 40}/{i}.jpg" for i in range(200_000)]
    nature, listed = DataSetFolder("nature", "", "Look again."), []

    def listdir(folder):
        listed.append(folder)
        kind = int(folder.name.split()[1])
        return [f"{i}.jpg" for i in range(kind, 200_000, 40) if i != 123_456]

    monkeypatch.setattr(data_set_folder.os, "listdir", listdir)
    monkeypatch.setattr(data_set_folder.os, "stat", lambda *_: pytest.fail("a file was asked for"))
    with pytest.raises(ValueError, match=r"1 of the 200,000 images .*\n    group/species 16/123456\.jpg\n") as caught:
        nature.photographs(tmp_path, "train", dict.fromkeys(files, 0), ["x"], 40, tmp_path / "list.json")
    assert len(listed) == 40
    assert str(caught.value).endswith("Look again.")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda home: (home / "train2017.json").unlink(), r"no train2017\.json, here or in a folder inside"),
        (lambda home: (home / "val2017.json").unlink(), r"no val2017\.json beside train2017\.json"),
    ],
)
def test_a_wrong_folder_shows_what_is_expected_and_what_was_found(home, spoil, problem):
    spoil(home)
    with pytest.raises(ValueError, match=problem) as caught:
        load_inat2017(home, "test")
    message = str(caught.value)
    assert "\n└── train_val_images/<group>/<species>/*.jpg" in message
    assert f"\nFound in {home}: {', '.join(sorted(p.name + '/' * p.is_dir() for p in home.iterdir()))}." in message
    assert message.endswith(COMMAND)
