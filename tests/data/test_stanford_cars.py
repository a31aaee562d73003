import shutil

import numpy as np
import pytest
import scipy.io

from tasnlib.data.stanford import load_stanford_cars
from tests.data.photo_sets import make_stanford_cars, stanford_cars_photos

COMMAND = "python data_scripts/download_stanford_cars.py"


def rewrite(path, variable, change):
    """Change a variable of a MATLAB file, with the structure it had."""
    contents = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    change(contents[variable])
    scipy.io.savemat(path, contents)


@pytest.mark.parametrize(("layout", "labels_at"), [("devkit", "beside"), ("nested", "inside"), ("car_ims", "beside")])
def test_what_is_read_is_what_was_written(tmp_path, layout, labels_at):
    for split in ("train", "test"):
        home = make_stanford_cars(
            tmp_path / "stanford_cars", layout, classes=4, images_per_class=5, test_labels=labels_at
        )
        photos = [
            p for p in stanford_cars_photos(layout, classes=4, images_per_class=5) if p.train == (split == "train")
        ]
        for folder in (home, tmp_path):
            cars = load_stanford_cars(folder, split, image_size=40)
            assert len(cars) == {"train": 12, "test": 8}[split]
            assert cars.paths == [home / p.file for p in photos]
            assert cars.labels.tolist() == [p.label for p in photos]
            assert cars.class_names[-1] == "Ram C/V Cargo Van 2012"
            assert (cars.classes, cars.name, cars.root) == (4, f"Stanford Cars, {split}", home)
        assert cars.take([0, 3]).images.shape == (2, 3, 40, 40)
        assert sorted(set(cars.labels.tolist())) == [0, 1, 2, 3]


def test_the_fake_is_what_matlab_would_have_written(tmp_path):
    """Struct arrays 1×N whose fields are 1×1 arrays, as those of the real files, read here without squeezing."""
    for number, (layout, file) in enumerate([("devkit", "devkit/cars_train_annos.mat"), ("car_ims", "cars_annos.mat")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        contents = scipy.io.loadmat(make_stanford_cars(folder, layout) / file)
        annotations = contents["annotations"]
        assert annotations.shape == (1, 9 if layout == "devkit" else 18)
        assert annotations[0, 0]["class"].shape == (1, 1)
        assert annotations["class"].dtype == object
        train = [p for p in stanford_cars_photos(layout) if p.train]
        if layout == "car_ims":
            assert {str(a["relative_im_path"][0]) for a in annotations[0] if a["test"].item() == 0} == {
                p.file for p in train
            }
            assert contents["class_names"].shape == (1, 3)
            assert str(contents["class_names"][0, 1][0]) == "Acura RL Sedan 2012"
        else:
            assert annotations.dtype.names == ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
            assert [a["class"].item() for a in annotations[0]] == [p.label + 1 for p in train]


def test_an_unpacked_car_devkit_and_a_single_class_are_read_too(tmp_path):
    home = make_stanford_cars(tmp_path, "nested", classes=1, images_per_class=2, test_labels="inside")
    (home / "devkit").rename(home / "car_devkit")
    cars = load_stanford_cars(home, "test")
    assert cars.class_names == ["AM General Hummer SUV 2000"]
    assert cars.labels.tolist() == [0]


def test_labels_as_matlab_doubles(tmp_path):
    home = make_stanford_cars(tmp_path, "car_ims")
    expected = load_stanford_cars(home, "train")

    def as_doubles(annotations):
        for row in annotations[0]:
            row["class"], row["test"] = np.float64(row["class"]), np.float64(row["test"])

    rewrite(home / "cars_annos.mat", "annotations", as_doubles)
    assert load_stanford_cars(home, "train").labels.equal(expected.labels)


def test_without_test_labels_training_works_and_testing_names_the_file(tmp_path):
    home = make_stanford_cars(tmp_path, "devkit", test_labels="missing")
    assert len(load_stanford_cars(home, "train")) == 9
    with pytest.raises(ValueError, match=r"no cars_test_annos_withlabels\.mat, the labels of the test images") as e:
        load_stanford_cars(home, "test")
    assert "cars_test_annos.mat has none" in str(e.value)
    assert COMMAND in str(e.value)
    # The unlabelled file under the labelled one's name, as in some copies.
    shutil.copy(home / "devkit" / "cars_test_annos.mat", home / "cars_test_annos_withlabels.mat")
    with pytest.raises(ValueError, match=r"cars_test_annos_withlabels\.mat has no annotations with fname and class"):
        load_stanford_cars(home, "test")


@pytest.mark.parametrize(
    ("layout", "file", "value"), [("devkit", "cars_test_annos_withlabels.mat", 4), ("car_ims", "cars_annos.mat", 1.5)]
)
def test_a_label_out_of_range_is_named(tmp_path, layout, file, value):
    home = make_stanford_cars(tmp_path, layout)
    number = [
        p.file for p in sorted(stanford_cars_photos(layout), key=lambda p: p.file) if not p.train or layout == "car_ims"
    ]
    photo = next(p for p in stanford_cars_photos(layout) if not p.train)

    def change(annotations):
        annotations[0, number.index(photo.file)]["class"] = value

    rewrite(home / file, "annotations", change)
    with pytest.raises(ValueError, match=rf"image {photo.file} has {value}; .* from 1 to 3"):
        load_stanford_cars(home, "test")


def test_an_image_in_both_splits_or_twice(tmp_path):
    one, two = (make_stanford_cars(tmp_path / layout, layout) for layout in ("car_ims", "devkit"))
    train, test = (next(p for p in stanford_cars_photos("car_ims") if p.train == side) for side in (True, False))
    place = int(test.file[-10:-4]) - 1

    def same_path(annotations):
        annotations[0, place]["relative_im_path"] = train.file

    rewrite(one / "cars_annos.mat", "annotations", same_path)
    with pytest.raises(ValueError, match=rf"{train.file} is listed twice"):
        load_stanford_cars(one, "train")

    def same_name(annotations):
        annotations[0, 1]["fname"] = "00001.jpg"

    rewrite(two / "devkit" / "cars_train_annos.mat", "annotations", same_name)
    with pytest.raises(ValueError, match=r"the image 00001\.jpg is listed twice"):
        load_stanford_cars(two, "train")


def test_neither_training_nor_test(tmp_path):
    home = make_stanford_cars(tmp_path, "car_ims")

    def change(annotations):
        annotations[0, 2]["test"] = 2

    rewrite(home / "cars_annos.mat", "annotations", change)
    with pytest.raises(ValueError, match=r"image car_ims/000003\.jpg has 2; .* from 0 to 1"):
        load_stanford_cars(home, "train")


def test_missing_images(tmp_path):
    home = make_stanford_cars(tmp_path, "nested")
    for number in (2, 3, 5, 7):
        (home / "cars_test" / "cars_test" / f"{number:05d}.jpg").unlink()
    with pytest.raises(ValueError, match=r"4 of the 9 images in cars_test_annos_withlabels\.mat") as caught:
        load_stanford_cars(home, "test")
    assert [f"{number:05d}.jpg" in str(caught.value) for number in (2, 3, 5, 7)] == [True, True, True, False]
    assert len(load_stanford_cars(home, "train")) == 9


def test_a_wrong_folder_shows_what_is_expected_and_what_was_found(tmp_path):
    for number, (layout, spoil, problem) in enumerate(
        [
            (
                "devkit",
                lambda home: shutil.rmtree(home / "devkit"),
                r"neither cars_annos\.mat nor devkit/cars_meta\.mat",
            ),
            ("devkit", lambda home: shutil.rmtree(home / "cars_train"), r"no folder cars_train/"),
            (
                "nested",
                lambda home: (home / "devkit/devkit/cars_train_annos.mat").unlink(),
                "no cars_train_annos",
            ),
            ("car_ims", lambda home: (home / "car_ims").rename(home / "cars_train"), "car_ims/, which is missing"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        home = make_stanford_cars(folder, layout)
        spoil(home)
        with pytest.raises(ValueError, match=problem) as caught:
            load_stanford_cars(home, "train")
        message = str(caught.value)
        assert "├── devkit/cars_train_annos.mat" in message
        assert "car_ims/000001.jpg" in message
        assert f"Found in {home}: c" in message
        assert message.endswith(COMMAND)


def test_a_broken_file_is_named(tmp_path):
    for number, broken in enumerate([b"", b"not MATLAB at all", "half"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = make_stanford_cars(folder, "devkit") / "devkit" / "cars_train_annos.mat"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if broken == "half" else broken)
        with pytest.raises(ValueError, match=r"cars_train_annos\.mat cannot be read as a MATLAB file"):
            load_stanford_cars(folder, "train")


def test_a_file_with_something_else_in_it(tmp_path):
    home = make_stanford_cars(tmp_path, "devkit")
    scipy.io.savemat(home / "devkit" / "cars_meta.mat", {"something": 1})
    with pytest.raises(ValueError, match=r"cars_meta\.mat has no class_names; it is not the file of that name"):
        load_stanford_cars(home, "train")
