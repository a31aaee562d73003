"""Data sets by the names that the settings use: subsets, notices, what is kept where, and training on photographs."""

import json
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tasnlib.runs.load_data import read_data, workers_for
from tasnlib.runs.results import keep_result, summarise
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tests.data.photo_sets import make_cub200, make_folder, make_inat2017, make_stanford_cars

MAKERS = {
    "cub200": lambda folder: make_cub200(folder),
    "stanford_cars": lambda folder: make_stanford_cars(folder / "cars", "devkit"),
    "inat2017": lambda folder: make_inat2017(folder / "inat"),
    "folder": lambda folder: make_folder(folder / "mine"),
}
OFFICIAL = {"cub200": "5,994 and 5,794", "stanford_cars": "8,144 and 8,041", "inat2017": "579,184 and 95,986"}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "datasets"


def settings_for(dataset: str, home, **more) -> Settings:
    folder = home / "mine" if dataset == "folder" else home
    given = {"recipe": "smoke", "num_workers": 0, "batch_size": 2, **more}
    return Settings(dataset=dataset, data_folder=str(folder), **given)


@pytest.mark.parametrize("dataset", MAKERS)
def test_every_data_set_is_found_by_its_name_and_ready_for_training(dataset, home, tmp_path, capsys):
    MAKERS[dataset](home)
    settings = settings_for(dataset, home)
    train_set, test_set = read_data(settings, tmp_path / "default")
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
    if dataset in OFFICIAL:
        assert f"not the whole of {dataset} ({OFFICIAL[dataset]})" in printed
    else:
        assert "whole" not in printed


def test_a_folder_of_one_s_own_images_is_not_passed_over_for_drawn_birds(home, tmp_path):
    make_folder(home / "mine")
    before = sorted(home.rglob("*"))
    with pytest.raises(
        ValueError, match=r"mine', which holds images in folders, but dataset is 'birds'.*dataset folder"
    ):
        read_data(Settings(recipe="smoke", data_folder=str(home / "mine")), tmp_path)
    assert sorted(home.rglob("*")) == before


def test_what_is_kept_lies_beside_the_data_but_not_in_one_s_own_folder(home, tmp_path):
    make_cub200(home)
    make_folder(home / "mine")
    own = sorted(path.name for path in (home / "mine").iterdir())
    read_data(settings_for("folder", home, cache=True), tmp_path / "default")
    assert sorted(path.name for path in (home / "mine").iterdir()) == own
    assert len(list((tmp_path / "default" / "cache").glob("*.rgb"))) == 2
    read_data(settings_for("cub200", home, cache=True), tmp_path / "default")
    assert len(list((home / "cache").glob("*.rgb"))) == 2


def test_the_cache_changes_nothing(home, tmp_path):
    make_cub200(home)
    plain, cached = (read_data(settings_for("cub200", home, cache=cache), tmp_path) for cache in (False, True))
    for one, other in zip(plain, cached, strict=True):
        assert torch.equal(one.take(range(30)).images, other.take(range(30)).images)
        assert one.data_hash == other.data_hash


def test_a_number_of_images_takes_them_from_all_over_the_set(home, tmp_path):
    make_cub200(home)
    train_set, test_set = read_data(settings_for("cub200", home, train_images=4, test_images=2, batch_size=2), tmp_path)
    assert (len(train_set), len(test_set)) == (4, 2)
    assert train_set.labels.tolist() == [0, 0, 1, 1]
    assert test_set.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"train_images": 11}, "train_images is 11, but .* has 10"),
        ({"test_images": 11}, "test_images is 11, but .* has 10"),
        ({"batch_size": 12}, "batch_size is 12, but there are only 10 training images"),
    ],
)
def test_more_than_there_is_is_refused_before_any_file_is_opened(home, tmp_path, more, told, capsys):
    make_cub200(home)
    with pytest.raises(ValueError, match=told):
        read_data(settings_for("cub200", home, **more), tmp_path)
    assert not (home / "cache").exists()


def test_a_file_that_cannot_be_read_is_named_before_training_and_counts_as_wrong(home, tmp_path, capsys):
    cub = make_cub200(home)
    folder = settings_for("cub200", home, epochs=1, batch_size=4, output_folder=str(tmp_path / "run"))
    _, whole = read_data(folder, tmp_path)
    broken = whole.paths[3]
    broken.write_bytes(broken.read_bytes()[:200])
    training = next(path for path in sorted(cub.rglob("*.jpg")) if path not in whole.paths)
    training.write_bytes(b"")
    capsys.readouterr()
    data = read_data(folder, tmp_path)
    printed = capsys.readouterr().out
    assert broken.name in printed
    assert training.name in printed
    trained = {"tasn": train("tasn", folder, prepare_folder(folder), data)}
    assert trained["tasn"].answers["master"][3].unique().tolist() == [-1]
    result = summarise(folder, trained, data)
    keep_result(tmp_path / "run", result, trained, data[1])
    assert result["data"]["test"] == {"images": 10, "classes": 2, "unreadable": 1, "hash": data[1].data_hash}
    assert result["data"]["train"]["unreadable"] == 1
    assert max(share for share in result["accuracy"].values() if share is not None) <= 0.9
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == json.loads(json.dumps(result))


def test_a_run_on_photographs_is_resumed_as_if_nothing_had_happened(home, tmp_path):
    make_cub200(home)
    settings = settings_for("cub200", home, epochs=2, batch_size=4, output_folder=str(tmp_path / "whole"))
    whole = train("tasn", settings, prepare_folder(settings), read_data(settings, tmp_path))

    stopped = replace(settings, output_folder=str(tmp_path / "stopped"))
    folder, data = prepare_folder(stopped), read_data(stopped, tmp_path)

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
    again = train("tasn", resumed, prepare_folder(resumed), read_data(resumed, tmp_path))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert all(torch.equal(again.answers[name], answer) for name, answer in whole.answers.items())


@pytest.mark.parametrize("dataset", MAKERS)
def test_a_wrong_folder_is_told_what_was_expected(dataset, home, tmp_path):
    home.mkdir()
    (home / "mine").mkdir()
    with pytest.raises(ValueError, match=r"(?s)Expected:.*Found in"):
        read_data(settings_for(dataset, home), tmp_path)


def test_one_s_own_images_of_odd_kinds_are_trained_on(tmp_path):
    for kind, mode in (("grün", "L"), ("붉은", "RGBA")):
        for number in range(6):
            path = tmp_path / "my images" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new(mode, (40 + number, 30), number * 20).save(path)
    settings = Settings(
        dataset="folder", data_folder=str(tmp_path / "my images"), recipe="smoke", epochs=1, batch_size=4,
        num_workers=0, output_folder=str(tmp_path / "run"),
    )  # fmt: skip
    data = read_data(settings, tmp_path)
    trained = train("tasn", settings, prepare_folder(settings), data)
    assert data[0].class_names == sorted(["grün", "붉은"])
    assert len(trained.answers["master"]) == 2


def test_workers_are_as_many_as_asked_for_or_as_there_are_cores(monkeypatch):
    assert workers_for(Settings(dataset="birds", num_workers=4)) == 0
    assert workers_for(Settings(dataset="cub200", num_workers=0)) == 0
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(24)))
    assert workers_for(Settings(dataset="cub200")) == 24
    assert workers_for(Settings(dataset="cub200", num_processes=8, batch_size=96)) == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # eight processes on two machines
    assert workers_for(Settings(dataset="cub200", num_processes=8, batch_size=96)) == 6
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(128)))
    assert workers_for(Settings(dataset="cub200")) == 32


def test_images_below_a_class_s_folder_and_classes_without_training_images_are_told(home, tmp_path, capsys):
    make_folder(home / "mine")
    kinds = sorted(path.name for path in (home / "mine/train").iterdir())
    more = home / "mine/train" / kinds[0] / "more"
    more.mkdir()
    (more / "1.jpg").write_bytes(b"")
    read_data(settings_for("folder", home), tmp_path)
    told = capsys.readouterr().out
    assert f"1 folders inside of classes left out, the first is {kinds[0]}/more/" in told
    assert "no training image" not in told
    make_cub200(home)
    table = home / "CUB_200_2011/train_test_split.txt"
    labels = dict(line.split() for line in (home / "CUB_200_2011/image_class_labels.txt").read_text().splitlines())
    rows = [line.split() for line in table.read_text().splitlines()]
    table.write_text("".join(f"{image} {0 if labels[image] == '2' else train}\n" for image, train in rows))
    read_data(settings_for("cub200", home), tmp_path)
    assert "1 of 2 classes have test images but no training image" in capsys.readouterr().out
