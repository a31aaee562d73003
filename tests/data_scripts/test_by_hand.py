"""Archives and folders fetched by hand, in every known layout; the user's own files stay as they are."""

import errno
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import download_cub200
import download_inat2017
import download_stanford_cars
import pytest

from tests.data.photo_sets import make_cub200, make_inat2017, make_stanford_cars
from tests.data_scripts.archives import cub_facts, pack
from tests.data_scripts.running import command, images, names_in, tree, write_facts

SMALL_CARS = {"train": 9, "test": 9, "classes": 3}


@pytest.mark.parametrize("where", ["above", "archive in a folder", "renamed archive"])
def test_cub_from(tmp_path, cub, where):
    home = make_cub200(tmp_path / "source")
    (home / "README").chmod(0o444)
    source = {"itself": home, "above": home.parent}.get(where, tmp_path / "packed")
    if source == tmp_path / "packed":
        source.mkdir()
        name = "CUB_200_2011.tgz" if where == "archive in a folder" else "CUB_200_2011 (1).tgz"
        (source / name).write_bytes(cub)
        source = source if where == "archive in a folder" else source / name
    before = tree(tmp_path / "source")
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(source)]) == 0
    result = tmp_path / "data" / "CUB_200_2011"
    assert images(result) == images(home)
    assert (result / "attributes.txt").is_file()
    assert tree(tmp_path / "source") == before
    if where in ("itself", "above"):
        assert (result / "images.txt").samefile(home / "images.txt")  # linked: takes no room


def test_where_links_are_not_possible_files_are_copied(tmp_path, monkeypatch):
    home = make_cub200(tmp_path / "source")

    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", refuse)
    facts = write_facts(tmp_path, train=10, test=10, classes=2)
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    result = tmp_path / "data" / "CUB_200_2011"
    assert images(result) == images(home)
    assert not (result / "images.txt").samefile(home / "images.txt")


def test_links_in_the_users_folder_become_files(tmp_path):
    home = make_cub200(tmp_path / "source")
    (home / "images").rename(tmp_path / "elsewhere")
    (home / "images").symlink_to(tmp_path / "elsewhere")
    facts = write_facts(tmp_path, train=10, test=10, classes=2)
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    assert not any(path.is_symlink() for path in (tmp_path / "data").rglob("*"))
    assert len(images(tmp_path / "data")) == 20


def test_cub_from_a_wrong_archive_is_refused_and_kept(tmp_path, cub, capfd):
    archive = tmp_path / "CUB_200_2011.tgz"
    archive.write_bytes(cub[:-1] + b"?")
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert hashlib.sha256(cub).hexdigest() in err
    assert hashlib.sha256(cub[:-1] + b"?").hexdigest() in err
    assert archive.is_file()


def test_cars_without_from_gives_manual_steps(tmp_path):
    done = subprocess.run(command("stanford_cars", tmp_path / "data"), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == ""
    for archive in download_stanford_cars.FACTS.archives:
        assert f"{archive.name:<32} {archive.md5}" in done.stdout
    assert "--from FOLDER" in done.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("layout", "packed"),
    [("devkit", "archives"), ("nested", "one zip"), ("car_ims", "folder")],
)
def test_cars_from_every_layout(tmp_path, layout, packed, capfd):
    home = make_stanford_cars(tmp_path / "source", layout)
    before = tree(home)
    sources = [home]
    if packed == "one zip":
        sources = [pack(tmp_path / "archive.zip", {"stanford_cars": home})]
    if packed == "archives":
        names = {"devkit": "car_devkit.tgz"}
        folders = [path for path in home.iterdir() if path.is_dir()]
        sources = [pack(tmp_path / names.get(at.name, f"{at.name}.tgz"), {at.name: at}) for at in folders]
        labels = shutil.copy(next(home.glob("*.mat")), tmp_path / next(home.glob("*.mat")).name)
        sources.append(Path(labels))
    given = [str(tmp_path / "data"), "--facts", write_facts(tmp_path, **SMALL_CARS)]
    for source in sources:
        given += ["--from", str(source)]
    assert download_stanford_cars.main(given) == 0
    out = capfd.readouterr().out
    assert (out.count("is not one of the known files") > 0) == (packed != "folder")
    result = tmp_path / "data" / "stanford_cars"
    assert images(result) == images(home)
    assert len(images(result)) == 18
    assert tree(home) == before
    assert not any(path.is_symlink() for path in result.rglob("*"))
    assert download_stanford_cars.main([*given[:3], "--verify"]) == 0


def test_cars_whose_test_labels_lie_in_the_devkit(tmp_path):
    home = make_stanford_cars(tmp_path / "source", "devkit", test_labels="inside")
    facts = write_facts(tmp_path, **SMALL_CARS)
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    assert (tmp_path / "data" / "stanford_cars" / "cars_test_annos_withlabels.mat").is_file()


def test_cars_without_test_labels(tmp_path, capfd):
    home = make_stanford_cars(tmp_path / "source", "devkit", test_labels="missing")
    facts = write_facts(tmp_path, **SMALL_CARS)
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 1
    assert "there is no cars_test_annos_withlabels.mat" in capfd.readouterr().err


def test_a_known_file_of_cars_is_recognised_whatever_its_name(tmp_path, capfd):
    home = make_stanford_cars(tmp_path / "source", "car_ims")
    archive = pack(tmp_path / "download.tgz", {"stanford_cars": home})
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    facts = write_facts(tmp_path, **SMALL_CARS, archives={"cars_train.tgz": {"md5": md5}})
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 0
    assert "download.tgz is the known cars_train.tgz" in capfd.readouterr().out


@pytest.fixture
def inat(tmp_path) -> dict[str, Path]:
    home = make_inat2017(tmp_path / "source")
    lists = {name: home / name for name in ("train2017.json", "val2017.json")}
    packed = {
        "train_val_images.tar.gz": {"train_val_images": home / "train_val_images"},
        "train_val2017.zip": lists,
    }
    return {name: pack(tmp_path / name, members) for name, members in packed.items()}


def test_inat_downloads_both_archives(tmp_path, inat, server, capfd):
    from tests.data_scripts.server import Server

    with Server() as second:
        archives = {}
        for at, (name, file) in zip((server, second), inat.items(), strict=True):
            at.content = file.read_bytes()
            archives[name] = {"url": at.url, "md5": hashlib.md5(at.content).hexdigest()}
        facts = write_facts(tmp_path, train=9, test=9, classes=3, archives=archives)
        assert download_inat2017.main([str(tmp_path / "data"), "--facts", facts]) == 0
    out = capfd.readouterr().out
    assert "research and education only; the images must not be passed on" in out
    assert "9 training and 9 test images of 3 classes" in out
    assert images(tmp_path / "data" / "inat2017") == images(tmp_path / "source")
    assert names_in(tmp_path / "data") == ["inat2017"]


@pytest.mark.parametrize("given", ["folder", "archive and folder", "one only"])
def test_inat_from(tmp_path, inat, given, capfd):
    source = tmp_path / "source"
    sources = {
        "archives": [*inat.values()],
        "folder": [source],
        "archive and folder": [source / "train_val_images", inat["train_val2017.zip"]],
        "one only": [inat["train_val_images.tar.gz"]],
    }[given]
    facts = write_facts(tmp_path, train=9, test=9, classes=3, archives={"train_val_images.tar.gz": {"md5": None}})
    arguments = [str(tmp_path / "data"), "--facts", facts]
    for path in sources:
        arguments += ["--from", str(path)]
    code = download_inat2017.main(arguments)
    if given == "one only":
        assert code == 1
        assert "no train2017.json found; it is in train_val2017.zip" in capfd.readouterr().err
    else:
        assert code == 0
        assert images(tmp_path / "data" / "inat2017") == images(source)


def test_inat_refuses_images_with_another_hash(tmp_path, inat, capfd):
    archive = inat["train_val_images.tar.gz"]
    assert download_inat2017.main([str(tmp_path / "data"), "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert "expected 7c784ea5e424efaec655bd392f87301f" in err
    assert hashlib.md5(archive.read_bytes()).hexdigest() in err


def test_from_what_is_not_there(tmp_path, capfd):
    assert download_cub200.main([str(tmp_path), "--from", str(tmp_path / "nothing")]) == 1
    assert "there is no such file or folder" in capfd.readouterr().err
