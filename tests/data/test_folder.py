import shutil
from collections import Counter

import pytest

from tasnlib.data.image_folder import load_folder
from tests.data.photo_sets import folder_photos, make_folder


def names(images):
    return [path.relative_to(images.root).as_posix() for path in images.paths]


@pytest.mark.parametrize("layout", ["test", "val", "validation"])
def test_a_folder_that_is_split_already(tmp_path, layout):
    home = make_folder(tmp_path / "finches", layout, classes=3, images_per_class=7)
    for given, split in [(home, "train"), (home, "test"), (tmp_path, "train"), (str(tmp_path), "test")]:
        photos = [p for p in folder_photos(layout, 3, 7) if p.train == (split == "train")]
        images = load_folder(given, split, image_size=40)
        assert names(images) == [p.file for p in photos]
        assert {name.rpartition(".")[2] for name in names(images)} == {"jpg", "PNG", "JPEG"}
        assert images.labels.tolist() == [p.label for p in photos]
        assert images.class_names == ["kind 1", "kind 2", "kind 3"]
        assert (images.name, images.root, images.image_size) == (f"finches, {split}", home, 40)
        assert images.take([0, 8]).images.shape == (2, 3, 40, 40)


def test_test_comes_before_val_and_a_test_folder_without_classes_does_not_count(tmp_path):
    make_folder(tmp_path, "test", seed=1)
    make_folder(tmp_path, "val", seed=2)
    assert {name.split("/")[0] for name in names(load_folder(tmp_path, "test"))} == {"test"}
    for kind in (tmp_path / "test").iterdir():
        shutil.rmtree(kind)
    (tmp_path / "test" / "unlabelled.jpg").write_bytes(b"x")
    assert {name.split("/")[0] for name in names(load_folder(tmp_path, "test"))} == {"val"}


def test_a_seeded_split_is_stratified_and_complete(tmp_path):
    home = make_folder(tmp_path / "mine", "classes", classes=3, images_per_class=10)
    for path in sorted((home / "kind 2").glob("0*"))[:7]:  # a class of 3 beside those of 10
        path.unlink()
    everything = {p.file for p in folder_photos("classes", 3, 10) if (home / p.file).exists()}
    assert len(everything) == 23
    for share, expected in [(0.2, [2, 1, 2]), (0.5, [5, 2, 5]), (0.01, [1, 1, 1]), (0.99, [9, 2, 9])]:
        train, test = (load_folder(tmp_path, split, test_share=share) for split in ("train", "test"))
        assert set(names(train)) | set(names(test)) == everything
        assert not set(names(train)) & set(names(test))
        assert [Counter(test.labels.tolist())[label] for label in range(3)] == expected
        assert all(
            path.parent.name == test.class_names[label] for path, label in zip(test.paths, test.labels, strict=True)
        )


def test_the_split_depends_on_the_seed_and_the_names_alone(tmp_path):
    one, two = (make_folder(tmp_path / name / "mine", "classes", images_per_class=10) for name in "ab")
    assert names(load_folder(one, "test")) == names(load_folder(two, "test"))
    splits = {tuple(names(load_folder(one, "test", seed=seed))) for seed in range(5)}
    assert len(splits) == 5
    # The least of `printf "0/kind 1/000.jpg" | sha256sum` and so on: no version may move an image to the other side.
    assert names(load_folder(one, "test"))[:4] == [
        "kind 1/000.jpg",
        "kind 1/002.JPEG",
        "kind 2/002.JPEG",
        "kind 2/004.PNG",
    ]
    # A new image does not stir the others: with one more, at most that one and one other change sides.
    before = set(names(load_folder(one, "test")))
    shutil.copy(one / "kind 1" / "000.jpg", one / "kind 1" / "new.jpg")
    after = set(names(load_folder(one, "test")))
    assert len(before ^ after) <= 2


def test_classes_are_numbered_by_code_point_whatever_the_language(tmp_path):
    kinds = ["Zaunkönig", "amsel", "Ähre", "a b", "a", "a-b", "10", "9"]
    for kind in kinds:
        folder = tmp_path / kind
        folder.mkdir()
        for i in range(2):
            (folder / f"{i}.png").write_bytes(b"x")
    assert load_folder(tmp_path, "test").class_names == ["10", "9", "Zaunkönig", "a", "a b", "a-b", "amsel", "Ähre"]


def test_what_is_no_image_is_left_out(tmp_path):
    home = make_folder(tmp_path, "classes", classes=2, images_per_class=4)
    expected = names(load_folder(home, "train")) + names(load_folder(home, "test"))
    for litter in ("notes.txt", "film.mpg", "table.h5", ".hidden.jpg", "jpg"):
        (home / "kind 1" / litter).write_bytes(b"x")
    (home / "kind 1" / "folder.jpg").mkdir()
    for folder in (".git", "__MACOSX"):
        (home / folder).mkdir()
        (home / folder / "index.json").write_bytes(b"x")
    assert names(load_folder(home, "train")) + names(load_folder(home, "test")) == expected
    for more in ("a.webp", "b.GIF", "c.bmp", "d.TIFF"):
        (home / "kind 1" / more).write_bytes(b"x")
    assert len(load_folder(home, "train")) + len(load_folder(home, "test")) == len(expected) + 4


def test_trains_may_be_a_class(tmp_path):
    home = make_folder(tmp_path, "classes", classes=2)
    (home / "kind 1").rename(home / "train")
    assert load_folder(home, "train").class_names == ["kind 2", "train"]


def test_classes_must_agree(tmp_path):
    home = make_folder(tmp_path, "val")
    (home / "train" / "kind 2").rename(home / "train" / "kind 9")
    with pytest.raises(ValueError, match=r"Only in train/: kind 9\. Only in val/: kind 2\.") as caught:
        load_folder(home, "train")
    assert "train/ and val/ must have the same classes" in str(caught.value)
    shutil.rmtree(home / "train" / "kind 9")
    with pytest.raises(ValueError, match=r"Only in train/: none\. Only in val/: kind 2\."):
        load_folder(home, "test")


def only_loose_images(home):
    for side in ("train", "test"):
        shutil.rmtree(home / side)
        (home / side).mkdir()
        (home / side / "loose.jpg").write_bytes(b"x")


def no_images_in_a_class(home):
    (home / "test" / "kind 3").rename(home / "kind 3")
    (home / "test" / "kind 3").mkdir()


@pytest.mark.parametrize(
    ("spoil", "problem", "found"),
    [
        (lambda home: shutil.rmtree(home / "train"), "there is test/ but no train/ with folders", ": test/."),
        (lambda home: shutil.rmtree(home / "test"), "there is train/ but no test/, val/ or validation/", ": train/."),
        (only_loose_images, "no images by class, here or in a folder inside", ": test/, train/."),
        (no_images_in_a_class, r"no image in kind 3/", ": kind 1/, kind 2/, kind 3/."),
        (shutil.rmtree, "there is no such folder", ": nothing."),
    ],
)
def test_a_wrong_folder_shows_what_is_expected_and_what_was_found(tmp_path, spoil, problem, found):
    home = make_folder(tmp_path / "mine", "test")
    spoil(home)
    with pytest.raises(ValueError, match=problem) as caught:
        load_folder(home, "train")
    message = str(caught.value)
    assert "<folder>/train/<class>/*.jpg    <folder>/<class>/*.jpg" in message
    assert f"\nFound in {home}" in message
    assert found in message


def test_a_single_image_cannot_be_split(tmp_path):
    home = make_folder(tmp_path, "classes", images_per_class=1)
    with pytest.raises(ValueError, match=r"3 classes have a single image \(.*kind 1.*000\.jpg.*kind 3"):
        load_folder(home, "train")


def test_two_data_sets_in_the_folder(tmp_path):
    for name in ("one", "two"):
        make_folder(tmp_path / name, "test")
    with pytest.raises(ValueError, match=r"several folders in .* hold it \(one, two\); give one of them"):
        load_folder(tmp_path, "train")


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "split is 'val'; it must be 'train' or 'test'"),
        ({"test_share": 0}, "test_share is 0; it must be a number between 0 and 1"),
        ({"test_share": 1}, "test_share is 1;"),
        ({"test_share": float("nan")}, "test_share is nan;"),
        ({"test_share": "0.2"}, "test_share is '0.2';"),
        ({"seed": 1.0}, r"seed is 1\.0; it must be a whole number"),
        ({"image_size": 0}, "image_size is 0"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    make_folder(tmp_path, "classes")
    with pytest.raises(ValueError, match=message):
        load_folder(**({"folder": tmp_path, "split": "train"} | arguments))
