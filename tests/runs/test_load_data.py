"""Data sets by the names that the settings use: subsets, notices, what is kept where, and training on photographs."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image
from torchvision import datasets

from tasnlib.data import birds
from tasnlib.data.torchvision_sets import SETS
from tasnlib.runs.load_data import _LOADERS, OFFICIAL_SIZES, load_data, workers_for
from tasnlib.runs.results import keep_result, summarise
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import DRAWN, DataSet, Settings
from tests.data.photo_sets import (
    make_cub200,
    make_folder,
    make_grocery,
    make_inat2017,
    make_nabirds,
    make_stanford_cars,
    make_stanford_dogs,
    make_torchvision_set,
)

ROOT = Path(__file__).parents[2]

MAKERS = {
    "cub200": lambda folder: make_cub200(folder),
    "stanford_cars": lambda folder: make_stanford_cars(folder / "cars", "devkit"),
    "inat2017": lambda folder: make_inat2017(folder / "inat"),
    "folder": lambda folder: make_folder(folder / "mine"),
    "nabirds": make_nabirds,
    "stanford_dogs": make_stanford_dogs,
    "grocery": make_grocery,
    "grocery_look_alikes": make_grocery,
    **{name: partial(make_torchvision_set, name=name) for name in SETS},
}
ROW = re.compile(r"^\| `(\w+)`[^|]*\| ([\d,]+) / ([\d,]+), ([\d,]+) \|", re.M)  # a data set, its images, its classes
OFFICIAL = {
    name: f"{train} and {test}" for name, train, test, _ in ROW.findall((ROOT / "docs/training.md").read_text())
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lists = {what: (file, None) for what, (file, _) in datasets.Flowers102._file_dict.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", lists)  # torchvision compares them with their hashes
    return tmp_path / "datasets"


def settings_for(dataset: str, home, **more) -> Settings:
    folder = home / "mine" if dataset == "folder" else home
    given = {"recipe": "smoke", "num_workers": 0, "batch_size": 2, **more}
    return Settings(dataset=dataset, data_folder=str(folder), **given)


@pytest.mark.parametrize("dataset", MAKERS)
def test_every_data_set_is_found_by_its_name(dataset, home, tmp_path, capsys):
    MAKERS[dataset](home)
    settings = settings_for(dataset, home)
    train_set, test_set = load_data(settings)
    size = settings.resolved_recipe.image_size
    for images in (train_set, test_set):
        assert images.take([0]).images.shape == (1, 3, size, size)
        assert re.fullmatch(r"[0-9a-f]{64}", images.data_hash)
    assert train_set.class_names == test_set.class_names
    # The training images change from epoch to epoch, the test images do not.
    again = len(train_set)
    assert not torch.equal(train_set.take([0]).images, train_set.take([again]).images)
    assert torch.equal(test_set.take([0]).images, test_set.take([len(test_set)]).images)
    printed = capsys.readouterr().out
    assert ("not the whole of" in printed) == (dataset != "folder")
    if dataset in OFFICIAL:
        assert f"not the whole of {dataset} ({OFFICIAL[dataset]})" in printed


def test_a_training_set_that_was_unpacked_in_part_is_named_before_anything_is_read(home):
    make_torchvision_set(home, name="inat2021_mini")
    shutil.rmtree(next((home / "2021_train_mini").glob("00002*")))
    with pytest.raises(ValueError, match=r"training images have 2 classes, its test images 3.*unpack"):
        load_data(settings_for("inat2021_mini", home))


def test_settings_loaders_sizes_and_the_page_agree_on_the_data_sets():
    photographs = {*get_args(DataSet)} - {*DRAWN}
    assert photographs == {*_LOADERS} == {*MAKERS} == {*OFFICIAL_SIZES} | {"folder"}
    assert len(OFFICIAL) >= 8
    for name, sizes in OFFICIAL.items():
        assert sizes == "{:,} and {:,}".format(*OFFICIAL_SIZES[name])
    page = (ROOT / "docs/training.md").read_text()
    assert all(f"`{name}`" in page for name in photographs)


def test_a_folder_of_own_images_is_not_ignored_for_drawn_birds(home, tmp_path):
    make_folder(home / "mine")
    before = sorted(home.rglob("*"))
    with pytest.raises(ValueError, match=r"mine', which holds images, but dataset is 'birds'.*dataset folder"):
        load_data(Settings(recipe="smoke", data_folder=str(home / "mine")))
    assert sorted(home.rglob("*")) == before


def test_notes_lie_beside_the_data_but_not_in_a_folder_of_own_images(home, tmp_path):
    make_cub200(home)
    make_folder(home / "mine")
    own = sorted(path.name for path in (home / "mine").iterdir())
    load_data(settings_for("folder", home))
    assert sorted(path.name for path in (home / "mine").iterdir()) == own
    assert list((tmp_path / "datasets" / "cache").iterdir()) != []
    before = sorted((home / "cache").iterdir())
    load_data(settings_for("cub200", home))
    assert sorted((home / "cache").iterdir()) != before


def test_a_number_of_images_takes_them_from_all_over_the_set(home, tmp_path):
    make_cub200(home)
    train_set, test_set = load_data(settings_for("cub200", home, train_images=4, test_images=2, batch_size=2))
    assert (len(train_set), len(test_set)) == (4, 2)
    assert train_set.labels.tolist() == [0, 0, 1, 1]
    assert test_set.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"train_images": 11}, "train_images is 11, but .* has 10"),
        ({"test_images": 11}, "test_images is 11, but .* has 10"),
        ({"batch_size": 12}, "batch_size is 12, but there are only 10 training images"),
    ],
)
def test_more_images_than_there_are_is_rejected_before_any_file_is_opened(home, tmp_path, more, message, capsys):
    make_cub200(home)
    with pytest.raises(ValueError, match=message):
        load_data(settings_for("cub200", home, **more))
    assert not (home / "cache").exists()


def test_an_unreadable_file_is_named_before_training_and_counts_as_wrong(home, tmp_path, capsys):
    cub = make_cub200(home)
    folder = settings_for("cub200", home, epochs=1, batch_size=4, output_folder=str(tmp_path / "run"))
    _, whole = load_data(folder)
    broken = whole.paths[3]
    broken.write_bytes(broken.read_bytes()[:200])
    training = next(path for path in sorted(cub.rglob("*.jpg")) if path not in whole.paths)
    training.write_bytes(b"")
    capsys.readouterr()
    data = load_data(folder)
    printed = capsys.readouterr().out
    assert broken.name in printed
    assert training.name in printed
    trained = {"tasn": train("tasn", folder, prepare_folder(folder), data)}
    assert trained["tasn"].predictions["master"][3].unique().tolist() == [-1]
    result = summarise(folder, trained, data)
    keep_result(tmp_path / "run", result, trained, data[1])
    assert result["data"]["test"] == {"images": 10, "classes": 2, "unreadable": 1, "hash": data[1].data_hash}
    assert result["data"]["train"]["unreadable"] == 1
    assert max(share for share in result["accuracy"].values() if share is not None) <= 0.9
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == json.loads(json.dumps(result))


def test_a_run_on_photographs_is_resumed_as_if_undisturbed(home, tmp_path):
    make_cub200(home)
    settings = settings_for("cub200", home, epochs=2, batch_size=4, output_folder=str(tmp_path / "whole"))
    whole = train("tasn", settings, prepare_folder(settings), load_data(settings))

    stopped = replace(settings, output_folder=str(tmp_path / "stopped"))
    folder, data = prepare_folder(stopped), load_data(stopped)

    class Stop(Exception):
        pass

    import tasnlib.runs.run as experiment

    line, experiment.epoch_line = experiment.epoch_line, lambda *_: (_ for _ in ()).throw(Stop)
    try:
        with pytest.raises(Stop):
            train("tasn", stopped, folder, data)
    finally:
        experiment.epoch_line = line
    resumed = replace(stopped, resume=True, num_workers=2)  # and with other workers
    again = train("tasn", resumed, prepare_folder(resumed), load_data(resumed))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert all(torch.equal(again.predictions[name], prediction) for name, prediction in whole.predictions.items())


@pytest.mark.parametrize("dataset", ["cub200", "folder"])
def test_a_wrong_folder_is_rejected_with_what_was_expected(dataset, home):
    home.mkdir()
    (home / "mine").mkdir()
    with pytest.raises(ValueError, match=r"(?s)Expected:.*Found in"):
        load_data(settings_for(dataset, home))


def test_own_images_of_any_mode_are_trained_on(home, tmp_path):
    for kind, mode in (("grün", "L"), ("붉은", "RGBA")):
        for number in range(6):
            path = tmp_path / "my images" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (40 + number, 30), number * 20).save(path)
    settings = Settings(
        dataset="folder", data_folder=str(tmp_path / "my images"), recipe="smoke", epochs=1, batch_size=4,
        num_workers=0, output_folder=str(tmp_path / "run"),
    )  # fmt: skip
    data = load_data(settings)
    trained = train("tasn", settings, prepare_folder(settings), data)
    assert data[0].class_names == sorted(["grün", "붉은"])
    assert len(trained.predictions["master"]) == 2


def test_workers_are_as_set_or_one_for_each_core(monkeypatch):
    assert workers_for(Settings(dataset="birds", num_workers=4)) == 0
    assert workers_for(Settings(dataset="cub200", num_workers=0)) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(24)), raising=False)
    assert workers_for(Settings(dataset="cub200")) == 24
    assert workers_for(Settings(dataset="cub200", num_processes=8, batch_size=96)) == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # eight processes on two machines
    assert workers_for(Settings(dataset="cub200", num_processes=8, batch_size=96)) == 6
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(128)))
    assert workers_for(Settings(dataset="cub200")) == 32


def test_nested_folders_and_classes_without_training_images_are_reported(home, tmp_path, capsys):
    make_folder(home / "mine")
    kinds = sorted(path.name for path in (home / "mine/train").iterdir())
    more = home / "mine/train" / kinds[0] / "more"
    more.mkdir()
    (more / "1.jpg").write_bytes(b"")
    load_data(settings_for("folder", home))
    message = capsys.readouterr().out
    assert f"{kinds[0]}/more" in message
    assert "no training image" not in message
    make_cub200(home)
    table = home / "CUB_200_2011/train_test_split.txt"
    labels = dict(line.split() for line in (home / "CUB_200_2011/image_class_labels.txt").read_text().splitlines())
    rows = [line.split() for line in table.read_text().splitlines()]
    table.write_text("".join(f"{image} {0 if labels[image] == '2' else train}\n" for image, train in rows))
    load_data(settings_for("cub200", home))
    assert "1 of 2 classes have test images but no training image" in capsys.readouterr().out


# -- Drawn birds -------------------------------------------------------------------------------------------------------

TINY = {"dataset": "birds_hard", "recipe": "smoke", "batch_size": 8, "train_images": 16, "test_images": 5}


def test_drawn_birds_are_as_the_settings_say_and_kept(tmp_path, monkeypatch):
    settings = Settings(**TINY, data_folder=str(tmp_path / "data"))
    train_set, test_set = load_data(settings)
    recipe = settings.resolved_recipe
    assert (len(train_set), len(test_set), train_set.classes) == (16, 5, 64)
    assert train_set.images.shape[-1] == recipe.image_size
    assert train_set.config.stripe_period == test_set.config.stripe_period == recipe.stripe_period
    assert not torch.equal(train_set.images[:5], test_set.images)
    assert list((tmp_path / "data").iterdir()) != []
    monkeypatch.setattr(birds, "draw_birds", None)
    assert torch.equal(load_data(settings)[0].images, train_set.images)


def test_without_a_data_folder_data_are_kept_in_the_project_or_outside_of_one_here(tmp_path, monkeypatch):
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "notebooks" / "05_train_full.ipynb").touch()
    (tmp_path / "elsewhere").mkdir()
    for here, kept in (("project/notebooks", "project"), ("elsewhere", "elsewhere")):
        monkeypatch.chdir(tmp_path / here)
        load_data(Settings(**TINY))
        assert list((tmp_path / kept / "datasets").iterdir()) != []
    assert [path.name for path in (tmp_path / "project" / "notebooks").iterdir()] == ["05_train_full.ipynb"]
