"""NABirds, Stanford Dogs, and the data sets that torchvision reads: the official split, labels and class names."""

from importlib import import_module

import download_torchvision_set
import pytest
from torchvision import datasets

from tasnlib.data.cub200 import load_cub200, load_nabirds
from tasnlib.data.stanford import load_stanford_dogs
from tasnlib.data.torchvision_sets import SETS, load_torchvision
from tasnlib.runs.load_data import OFFICIAL_SIZES
from tests.data.photo_sets import make_cub200, make_nabirds, make_stanford_dogs, make_torchvision_set


@pytest.fixture(autouse=True)
def any_flowers(monkeypatch):
    """torchvision compares the lists of Flowers-102 with their hashes, at each start."""
    lists = {what: (file, None) for what, (file, _) in datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", lists)


def read(load, folder):
    """By split: file names and labels; and the class names, the same in both."""
    train, test = (load(folder, split, 32) for split in ("train", "test"))
    assert train.class_names == test.class_names
    for images in (train, test):
        assert images.take(range(len(images))).images.float().std() > 0
    return train.class_names, *(
        [(p.name, n) for p, n in zip(s.paths, s.labels.tolist(), strict=True)] for s in (train, test)
    )


def test_nabirds_numbers_the_classes_that_have_images(tmp_path):
    home = make_nabirds(tmp_path)
    names, train, test = read(load_nabirds, tmp_path)
    assert names == ["American Crow", "Oak Titmouse (817)", "Oak Titmouse (1003)"]
    assert [label for _, label in train] == [0, 1, 2] * 3
    assert test == [(f"{n:08x}21dc4d0cbfe14cae3c85c829.jpg", n % 3) for n in (9, 10, 11)]
    classes = (home / "classes.txt").read_text()
    (home / "classes.txt").write_text(classes.replace("817 Oak Titmouse\n", ""))
    with pytest.raises(ValueError, match=r"image_class_labels\.txt: class 817 is not in classes\.txt"):
        load_nabirds(tmp_path, "train")


def test_nabirds_and_cub200_side_by_side_are_told_apart(tmp_path):
    make_nabirds(tmp_path)
    make_cub200(tmp_path)
    assert load_nabirds(tmp_path, "train").name == "NABirds, train"
    assert load_cub200(tmp_path, "train").name == "CUB-200-2011, train"


def test_a_label_of_nabirds_that_is_not_the_folder_s_is_an_error(tmp_path):
    table = make_nabirds(tmp_path) / "image_class_labels.txt"
    table.write_text(table.read_text().replace(" 295\n", " 817\n"))
    with pytest.raises(ValueError, match=r"image_class_labels\.txt says class 817, Oak Titmouse .* images\.txt 0295/"):
        load_nabirds(tmp_path, "train")


@pytest.mark.parametrize("place", ["", "lists"])
def test_stanford_dogs(tmp_path, place):
    home = make_stanford_dogs(tmp_path)
    (home / place).mkdir(exist_ok=True)
    for split in ("train", "test"):
        (home / f"{split}_list.mat").rename(home / place / f"{split}_list.mat")
    names, train, test = read(load_stanford_dogs, tmp_path)
    assert names == ["Chihuahua", "German shepherd"]
    assert [label for _, label in train] == [0, 0, 0, 1, 1, 1]
    assert test[-1] == ("n02106662_11.jpg", 1)
    next((home / "Images" / "n02085620-Chihuahua").glob("*_0.jpg")).unlink()
    with pytest.raises(ValueError, match=r"1 of the 6 images in train_list\.mat are missing"):
        load_stanford_dogs(tmp_path, "train")


FLOWERS = datasets.Flowers102.classes
EXPECTED = {
    "aircraft": (["707-320", "Boeing 717"], [0, 1, 0, 1], [0, 1, 0, 1]),
    "flowers102": (FLOWERS, [101, 0, 101, 0], [0, 101, 0, 101]),  # training images, then validation images
    "pets": (["Abyssinian", "American Bulldog"], [0, 0, 1, 1], [0, 0, 1, 1]),
    "food101": (["apple pie", "waffles"], [1, 1, 0, 0], [1, 1, 0, 0]),
    "inat2021": (
        ["Lumbricus terrestris", *(f"0000{i}_{ranks}_Ficus_variegata" for i, ranks in enumerate(
            ("Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae",
             "Plantae_Tracheophyta_Magnoliopsida_Rosales_Moraceae"), 1))],
        [0, 0, 1, 1, 2, 2],
        [0, 0, 1, 1, 2, 2],
    ),
}  # fmt: skip
EXPECTED["inat2021_mini"] = EXPECTED["inat2021"]


@pytest.mark.parametrize("name", SETS)
def test_what_torchvision_reads_has_its_labels_names_and_split(tmp_path, name):
    make_torchvision_set(tmp_path, name)
    names, train, test = read(lambda *given: load_torchvision(name, *given), tmp_path)
    assert (names, [label for _, label in train], [label for _, label in test]) == EXPECTED[name]
    assert {file for file, _ in train}.isdisjoint({file for file, _ in test}) or name.startswith("inat")
    inside = load_torchvision(name, tmp_path / SETS[name].folder, "test", 32)
    assert [path.name for path in inside.paths] == [file for file, _ in test]
    assert name in OFFICIAL_SIZES


@pytest.mark.parametrize("name", SETS)
def test_without_the_images_the_command_that_fetches_them_is_named(tmp_path, name):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=rf"no {SETS[name].folder}/(.|\n)*download_torchvision_set\.py {name}"):
        load_torchvision(name, tmp_path, "train")
    (tmp_path / SETS[name].folder).mkdir()
    with pytest.raises(ValueError, match=r"torchvision cannot read the images for 'train' \((.|\n)*Expected"):
        load_torchvision(name, tmp_path, "train")


def test_a_list_cut_short_and_a_missing_image_are_named(tmp_path):
    make_torchvision_set(tmp_path, "food101")
    next((tmp_path / "food-101" / "images" / "waffles").glob("10.jpg")).unlink()
    with pytest.raises(ValueError, match=r"Food-101: 1 of the 4 images .*\n    food-101/images/waffles/10\.jpg"):
        load_torchvision("food101", tmp_path, "train")
    lists = tmp_path / "food-101" / "meta" / "train.json"
    lists.write_text(lists.read_text()[:30])
    with pytest.raises(ValueError, match="torchvision cannot read the images for 'train'"):
        load_torchvision("food101", tmp_path, "train")


ARCHIVES = {
    "aircraft": "",
    "food101": "",
    "flowers102": "flowers-102/102flowers.tgz",
    "pets": "oxford-iiit-pet/images.tar.gz",
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_was_unpacked_in_part_is_unpacked_again(tmp_path, monkeypatch, capsys, name):
    """torchvision's own code, but for the archives: it only looks whether the folders are there."""
    module, stopped = import_module(SETS[name].reader.__module__), []
    images = {"aircraft": "data/images", "flowers102": "jpg"}.get(name, "images")

    def unpack(*_, **__):
        make_torchvision_set(tmp_path, name)
        if ARCHIVES[name]:
            (tmp_path / ARCHIVES[name]).write_bytes(b"an archive")
        if not stopped:
            stopped.append(True)
            for image in sorted((tmp_path / SETS[name].folder / images).rglob("*.jpg"))[1:]:
                image.unlink()
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "download_and_extract_archive", unpack)
    if hasattr(module, "download_url"):
        monkeypatch.setattr(module, "download_url", lambda *_, **__: None)
    assert download_torchvision_set.main([name, str(tmp_path)]) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert download_torchvision_set.main([name, str(tmp_path)]) == 0
    assert "test: 4 images of" in capsys.readouterr().out
    assert not list(tmp_path.glob(".*.unfinished"))
    monkeypatch.setattr(module, "download_and_extract_archive", None)  # a third time, nothing is fetched or unpacked
    assert download_torchvision_set.main([name, str(tmp_path)]) == 0


def test_the_script_lets_torchvision_fetch_every_part_and_verifies(tmp_path, monkeypatch, capsys):
    asked = []

    def reader(root, part, download=False):
        if download:
            asked.append(part)
            make_torchvision_set(root, "food101")
        return datasets.Food101(root, part)

    monkeypatch.setitem(SETS, "food101", SETS["food101"]._replace(reader=reader))
    assert download_torchvision_set.main(["food101", str(tmp_path)]) == 0
    assert asked == ["train", "test"]
    assert "Food-101, test: 4 images of 2 classes" in capsys.readouterr().out
    assert download_torchvision_set.main(["food101", str(tmp_path), "--verify"]) == 0
    (tmp_path / "food-101/images/waffles/20.jpg").write_bytes(b"")
    assert download_torchvision_set.main(["food101", str(tmp_path), "--verify"]) == 1
    assert "20.jpg" in capsys.readouterr().out
    assert download_torchvision_set.main(["pets", str(tmp_path), "--verify"]) == 1
    assert "no oxford-iiit-pet/" in capsys.readouterr().err
