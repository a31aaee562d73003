"""Images of your own: which folders are classes, which images are tested on, and what is left out with a word."""

import os
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasnlib.data import image_folder
from tasnlib.data.files import print_once
from tasnlib.data.image_folder import load_folder
from tasnlib.data.inspection import inspected
from tests.data.photo_sets import folder_photos, make_folder


@pytest.fixture(autouse=True)
def nothing_printed_yet():
    print_once.cache_clear()


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
            for folder in Path(name).rglob("*"):
                if folder.is_dir():
                    folder.chmod(0o700)


def names(images):
    return [path.relative_to(images.root).as_posix() for path in images.paths]


@pytest.mark.parametrize("layout", ["test", "val"])
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


def rename(folder: Path, name: str) -> None:
    """Also on disks that take two cases of letters for one."""
    folder.rename(folder.with_name("between")).rename(folder.with_name(name))


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("Training", "Testing"), ("TRAIN", "valid")])
def test_the_names_that_people_give_the_two_sides(tmp_path, capsys, train, test):
    home = make_folder(tmp_path, "test")
    expected = {
        split: [p.file for p in folder_photos("test") if p.file.startswith(split)] for split in ("train", "test")
    }
    rename(home / "train", train)
    rename(home / "test", test)
    assert names(load_folder(home, "train")) == [file.replace("train/", f"{train}/") for file in expected["train"]]
    assert names(load_folder(home, "test")) == [file.replace("test/", f"{test}/") for file in expected["test"]]
    assert load_folder(tmp_path, "train").classes == 3
    assert ("is the test set" in capsys.readouterr().out) == test.lower().startswith("val")


def test_a_validation_set_beside_a_test_set_is_said_to_be_unused(tmp_path, capsys):
    make_folder(tmp_path, "test", seed=1)
    make_folder(tmp_path, "valid", seed=2)
    for _ in range(2):
        assert {name.split("/")[0] for name in names(load_folder(tmp_path, "test"))} == {"test"}
    printed = capsys.readouterr().out
    assert printed.count("used neither for training nor for testing: valid/") == 1


def test_two_training_sets_are_rejected(tmp_path):
    home = make_folder(tmp_path, "test")
    shutil.copytree(home / "train", home / "Training")
    with pytest.raises(ValueError, match="Training/ and train/ both are train sets"):
        load_folder(home, "train")


def test_an_unreadable_test_folder_is_no_missing_one(as_nobody):
    make_folder(as_nobody, "test")
    make_folder(as_nobody, "val")
    (as_nobody / "test").chmod(0)
    for split in ("train", "test"):
        with pytest.raises(PermissionError, match=r"/test cannot be read: Permission denied; make it readable"):
            load_folder(as_nobody, split)


def test_an_unreadable_class_is_named(as_nobody):
    make_folder(as_nobody, "classes")
    (as_nobody / "kind 2").chmod(0)
    with pytest.raises(PermissionError, match=r"kind 2 cannot be read"):
        load_folder(as_nobody, "train")


def test_a_link_into_a_forbidden_folder_is_named(as_nobody):
    (as_nobody / "closed" / "kind 9").mkdir(parents=True)
    make_folder(as_nobody / "open", "classes")
    (as_nobody / "open" / "kind 9").symlink_to(as_nobody / "closed" / "kind 9")
    (as_nobody / "closed").chmod(0)
    with pytest.raises(PermissionError, match=r"kind 9 cannot be read: Permission denied"):
        load_folder(as_nobody / "open", "train")


def test_links_that_lead_nowhere_are_named(tmp_path):
    home = make_folder(tmp_path / "mine", "classes")
    (home / "loop").symlink_to(home / "loop")
    with pytest.raises(OSError, match=r"mine/loop cannot be read: .*; mend or remove the link"):
        load_folder(home, "train")
    with pytest.raises(OSError, match="mine/loop cannot be read"):
        load_folder(home / "loop", "train")
    (home / "loop").unlink()
    (home / "lost").symlink_to(tmp_path / "unplugged")
    with pytest.raises(OSError, match="mine/lost cannot be read"):
        load_folder(home, "train")
    (home / "lost").unlink()
    (home / "kind 1" / "lost.jpg").symlink_to(tmp_path / "unplugged.jpg")
    images = inspected(load_folder(home, "train"), progress=False)
    both = {path.name for path in images.paths} | {path.name for path in load_folder(home, "test").paths}
    assert "lost.jpg" in both
    assert {images.paths[number].name for number in images.unreadable} <= {"lost.jpg"}


def test_a_folder_that_cannot_be_read_beside_the_data_set_does_not_matter(as_nobody):
    home = make_folder(as_nobody / "finches", "test")
    (as_nobody / "others").mkdir()
    (as_nobody / "others").chmod(0)
    assert load_folder(as_nobody, "train").root == home
    shutil.rmtree(home)
    with pytest.raises(PermissionError, match="others cannot be read"):
        load_folder(as_nobody, "train")


@pytest.mark.parametrize("layout", ["classes", "test"])
def test_what_servers_and_notebooks_leave_beside_classes_is_left_out_and_named_once(tmp_path, capsys, layout):
    home = make_folder(tmp_path, layout)
    expected = [load_folder(home, split).paths for split in ("train", "test")]
    litter = ("@eaDir", "lost+found", "__MACOSX", ".ipynb_checkpoints", ".git", "$RECYCLE.BIN", "#recycle")
    for place in [home] if layout == "classes" else [home / "train", home / "test", home]:
        for name in litter:
            (place / name).mkdir()
            (place / name / "thumbnail.jpg").write_bytes(b"x")
    (home / "lost+found").chmod(0)
    for _ in range(2):
        assert [load_folder(home, split).paths for split in ("train", "test")] == expected
    printed = capsys.readouterr().out
    assert printed.count("@eaDir") == (1 if layout == "classes" else 2)  # once a folder
    assert "and 2 more" in printed


def test_names_that_are_composed_differently_are_one_class(tmp_path):
    home = make_folder(tmp_path, "test")
    for side, form in (("train", "NFC"), ("test", "NFD")):
        (home / side / "kind 1").rename(home / side / unicodedata.normalize(form, "Grünfink"))
    for split in ("train", "test"):
        assert load_folder(home, split).class_names == [unicodedata.normalize("NFC", "Grünfink"), "kind 2", "kind 3"]


def test_two_folders_of_one_name_are_rejected(tmp_path):
    home = make_folder(tmp_path, "classes")
    for form, number in (("NFC", 1), ("NFD", 2)):
        (home / f"kind {number}").rename(home / unicodedata.normalize(form, "Grünfink"))
    if len(list(home.glob("Gr*"))) < 2:
        pytest.skip("this disk takes the two names for one")
    with pytest.raises(ValueError, match="two folders are called 'Grünfink'"):
        load_folder(home, "train")


def test_the_split_does_not_depend_on_how_names_are_composed(tmp_path):
    sides = []
    for form in ("NFC", "NFD"):
        home = tmp_path / form
        for kind in ("Grünfink", "Tümmler"):
            folder = home / unicodedata.normalize(form, kind)
            folder.mkdir(parents=True)
            for number in range(9):
                (folder / unicodedata.normalize(form, f"é{number}.jpg")).write_bytes(b"x")
        sides.append([unicodedata.normalize("NFC", name) for name in names(load_folder(home, "test"))])
    assert sides[0] == sides[1]


def test_a_folder_as_people_paste_it(tmp_path):
    for number, typed in enumerate(["{} ", "'{}'"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        home = make_folder(folder / "my birds", "test")
        assert load_folder(typed.format(home), "train").root == home


def test_a_test_folder_without_classes_does_not_count(tmp_path):
    make_folder(tmp_path, "test", seed=1)
    make_folder(tmp_path, "val", seed=2)
    for kind in (tmp_path / "test").iterdir():
        shutil.rmtree(kind)
    (tmp_path / "test" / "unlabelled.jpg").write_bytes(b"x")
    assert {name.split("/")[0] for name in names(load_folder(tmp_path, "test"))} == {"val"}


def test_the_split_is_stratified_and_complete(tmp_path, monkeypatch):
    home = make_folder(tmp_path / "mine", "classes", classes=3, images_per_class=10)
    for path in sorted((home / "kind 2").glob("0*"))[:7]:  # a class of 3 beside those of 10
        path.unlink()
    everything = {p.file for p in folder_photos("classes", 3, 10) if (home / p.file).exists()}
    assert len(everything) == 23
    for share, expected in [(0.2, [2, 1, 2]), (0.5, [5, 2, 5]), (0.01, [1, 1, 1]), (0.99, [9, 2, 9])]:
        monkeypatch.setattr(image_folder, "TEST_SHARE", share)
        train, test = (load_folder(tmp_path, split) for split in ("train", "test"))
        assert set(names(train)) | set(names(test)) == everything
        assert not set(names(train)) & set(names(test))
        assert [Counter(test.labels.tolist())[label] for label in range(3)] == expected
        assert all(
            path.parent.name == test.class_names[label] for path, label in zip(test.paths, test.labels, strict=True)
        )


def test_the_split_depends_on_the_names_alone(tmp_path):
    one, two = (make_folder(tmp_path / name / "mine", "classes", images_per_class=10) for name in "ab")
    assert names(load_folder(one, "test")) == names(load_folder(two, "test"))
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
    with pytest.raises(ValueError, match=r"only in one: kind 2, kind 9") as caught:
        load_folder(home, "train")
    assert "train/ and val/ must have the same classes" in str(caught.value)
    shutil.rmtree(home / "train" / "kind 9")
    with pytest.raises(ValueError, match=r"only in one: kind 2"):
        load_folder(home, "test")


def only_loose_images(home):
    for side in ("train", "test"):
        shutil.rmtree(home / side)
        (home / side).mkdir()
        (home / side / "loose.jpg").write_bytes(b"x")


def no_images_in_a_class(home):
    (home / "test" / "kind 3").rename(home / "kind 3")
    (home / "test" / "kind 3").mkdir()


def test_a_wrong_folder_shows_what_is_expected_and_what_was_found(tmp_path):
    for number, (spoil, problem, found) in enumerate(
        [
            (lambda home: shutil.rmtree(home / "train"), "there is test/ but no train/ with folders", ": test/."),
            (lambda home: shutil.rmtree(home / "test"), "there is train/ but no test/ or val/", ": train/."),
            (only_loose_images, "no images by class, here or in a folder inside", ": test/, train/."),
            (no_images_in_a_class, r"no image in kind 3/", ": kind 1/, kind 2/, kind 3/."),
            (shutil.rmtree, "there is no such folder", ": nothing."),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        home = make_folder(folder / "mine", "test")
        spoil(home)
        with pytest.raises(ValueError, match=problem) as caught:
            load_folder(home, "train")
        message = str(caught.value)
        assert "<folder>/train/<class>/*.jpg    <folder>/<class>/*.jpg" in message
        assert f"\nFound in {home}" in message
        assert found in message


def test_a_single_image_cannot_be_split(tmp_path):
    home = make_folder(tmp_path, "classes", images_per_class=1)
    with pytest.raises(ValueError, match="each class needs two images; there is only one in kind 1, kind 2, kind 3"):
        load_folder(home, "train")


def test_two_data_sets_in_the_folder(tmp_path):
    for name in ("one", "two"):
        make_folder(tmp_path / name, "test")
    with pytest.raises(ValueError, match=r"several folders in .* contain it \(one, two\); give one of them"):
        load_folder(tmp_path, "train")


def test_bad_arguments(tmp_path):
    for number, arguments in enumerate([{"split": "val"}, {"image_size": 0}, {"folder": ""}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        make_folder(folder, "classes")
        with pytest.raises(ValueError, match=next(iter(arguments))):
            load_folder(**({"folder": folder, "split": "train"} | arguments))
