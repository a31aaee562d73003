import csv
import re
import shutil

import pytest

from tasnlib.data.cub200 import load_cub200
from tests.data.photo_sets import cub200_photos, make_cub200


@pytest.fixture
def home(tmp_path):
    return make_cub200(tmp_path, classes=3, images_per_class=5, seed=1)


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_read_is_what_was_written(home, split):
    birds = load_cub200(home, split, image_size=48)
    photos = [p for p in cub200_photos(3, 5, 1) if p.train == (split == "train")]
    assert len(photos) == {"train": 9, "test": 6}[split]
    assert birds.paths == [home / p.file for p in photos]
    assert birds.labels.tolist() == [p.label for p in photos]
    assert birds.class_names == ["Black footed Albatross", "Laysan Albatross", "Sooty Albatross"]
    assert (birds.name, birds.image_size, birds.root) == (f"CUB-200-2011, {split}", 48, home)
    assert birds.take(range(len(birds))).images.shape == (len(photos), 3, 48, 48)


def test_it_reads_the_files_as_the_readme_of_the_data_set_describes_them(home):
    """A second reader, by columns and without any check."""

    def columns(file):
        with (home / file).open() as lines:
            return list(csv.reader(lines, delimiter=" "))

    file, label = dict(columns("images.txt")), dict(columns("image_class_labels.txt"))
    tests = [image for image, train in columns("train_test_split.txt") if train == "0"]
    birds = load_cub200(home, "test")
    assert [path.relative_to(home / "images").as_posix() for path in birds.paths] == [file[image] for image in tests]
    assert [str(number + 1) for number in birds.labels.tolist()] == [label[image] for image in tests]


def test_the_folder_above_will_do(home):
    above, itself = load_cub200(home.parent, "test"), load_cub200(str(home), "test")
    assert above.paths == itself.paths
    assert above.root == home


def test_a_copy_without_parts_can_be_trained_on(home):
    shutil.rmtree(home / "parts")
    birds = load_cub200(home, "train")
    assert len(birds) == 9


def test_windows_line_ends_and_empty_lines_do_not_matter(home):
    expected = load_cub200(home, "test")
    for table in home.glob("**/*.txt"):
        table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    birds = load_cub200(home, "test")
    assert birds.paths == expected.paths


def test_a_byte_order_mark_does_not_matter(home):
    expected = load_cub200(home, "test")
    for table in home.glob("**/*.txt"):
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    birds = load_cub200(home, "test")
    assert birds.paths == expected.paths
    assert birds.class_names == expected.class_names


WRONG_LINES = [
    ("images.txt", "\n3 001.", "\nx 001."),
    ("images.txt", "\n3 001.", "\n2 001."),
    ("images.txt", "\n3 001.Black", "\n3 ../001.Black"),
    ("image_class_labels.txt", "\n7 2\n", "\n7 4\n"),
    ("image_class_labels.txt", "\n7 2\n", "\n7 0\n"),
    ("image_class_labels.txt", "\n7 2\n", "\n7 1.5\n"),
    ("image_class_labels.txt", "\n7 2\n", "\n7\n"),
    ("image_class_labels.txt", "\n7 2\n", "\n"),
    ("image_class_labels.txt", "\n7 2\n", "\n7 2\n99 2\n"),
    ("train_test_split.txt", "\n11 1\n", "\n11 2\n"),
    ("classes.txt", "\n2 002", "\n5 002"),
]


def test_a_wrong_line_is_rejected_naming_the_file(home):
    for table, old, new in WRONG_LINES:
        path = home / table
        text = path.read_text()
        assert text.count(old) == 1, (table, old)
        path.write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=re.escape(path.name)) as caught:
            [load_cub200(home, split) for split in ("train", "test")]
        assert str(home) in str(caught.value)
        path.write_text(text)


def test_one_image_under_two_numbers_in_both_splits(home):
    photos = cub200_photos(3, 5, 1)
    train, test = (next(p for p in photos if p.train == side) for side in (True, False))
    change(home / "images.txt", test.file.removeprefix("images/"), train.file.removeprefix("images/"))
    with pytest.raises(ValueError, match=rf"{train.file.removeprefix('images/')} is listed twice"):
        load_cub200(home, "train")


def test_a_label_that_is_not_the_folder_s_is_an_error(home):
    swap = str.maketrans("12", "21")
    table = home / "image_class_labels.txt"
    lines = [line.split() for line in table.read_text().splitlines()]
    table.write_text("".join(f"{image} {label.translate(swap)}\n" for image, label in lines))
    with pytest.raises(ValueError, match=r"image_class_labels\.txt says class [12], .* of image \d+, images\.txt 0"):
        load_cub200(home, "train")


def test_missing_images_are_counted_and_the_first_three_named(home):
    gone = load_cub200(home, "train").paths[2:7]
    for path in gone:
        path.unlink()
    with pytest.raises(ValueError, match=r"5 of the 9 images in images\.txt are missing") as caught:
        load_cub200(home, "train")
    assert [path.name in str(caught.value) for path in gone] == [True] * 3 + [False] * 2
    assert "python data_scripts/download_cub200.py" in str(caught.value)
    assert len(load_cub200(home, "test")) == 6
    shutil.rmtree(home / "images")
    with pytest.raises(ValueError, match="6 of the 6 images"):
        load_cub200(home, "test")


@pytest.mark.parametrize(
    ("spoil", "problem", "found"),
    [
        (shutil.rmtree, "no images.txt, here or in a folder inside", ": attributes.txt."),
        (lambda home: (home / "images.txt").unlink(), "no images.txt, here or in", ": CUB_200_2011/, attributes.txt."),
        (lambda home: (home / "classes.txt").unlink(), "no classes.txt", "/CUB_200_2011: README, attributes/, "),
    ],
)
def test_a_wrong_folder_shows_what_is_expected_and_what_was_found(home, spoil, problem, found):
    spoil(home)
    with pytest.raises(ValueError, match=problem) as caught:
        load_cub200(home.parent, "test")
    message = str(caught.value)
    assert "\n├── train_test_split.txt" in message
    assert f"\nFound in {home.parent}" in message
    assert found in message
    assert message.endswith("\nDownload it with: python data_scripts/download_cub200.py")


def test_no_folder_and_a_file(home):
    with pytest.raises(ValueError, match="there is no such folder"):
        load_cub200(home / "nowhere", "test")
    with pytest.raises(ValueError, match="this is not a folder"):
        load_cub200(home / "images.txt", "test")


def test_two_copies_beside_each_other(home):
    shutil.copytree(home, home.parent / "copy")
    with pytest.raises(ValueError, match=r"several folders .* \(CUB_200_2011, copy\); give one of them"):
        load_cub200(home.parent, "test")


def test_a_table_that_is_no_text(home):
    (home / "images.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"images\.txt is not a text file"):
        load_cub200(home, "test")
