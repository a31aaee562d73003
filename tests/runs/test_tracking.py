"""Tracking: what TensorBoard gets of a run, most of it seen by a stand-in; and what happens where it is missing."""

import json
from dataclasses import asdict, replace
from io import BytesIO

import numpy as np
import pytest
import torch
from accelerate import tracking
from accelerate.tracking import GeneralTracker
from accelerate.utils import LoggerType
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tasnlib.networks.build import build_model
from tasnlib.runs import run as running
from tasnlib.runs.__main__ import main
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings, Tracker
from tasnlib.runs.tracking import attention_pictures
from tasnlib.training.recipes import RECIPES


class StandIn(GeneralTracker):
    """Keeps what it is given."""

    name = "tensorboard"
    requires_logging_directory = True
    made: "list[StandIn]" = []  # noqa: RUF012  of all runs
    fails_at: int | None = None
    starts = True

    def __init__(self, run_name, logging_dir, **options):
        super().__init__()
        self.run_name, self.logging_dir = run_name, logging_dir
        self.config, self.curves, self.pictures, self.finished = {}, {}, {}, False
        StandIn.made.append(self)

    @property
    def tracker(self):
        return self

    def start(self):
        if not StandIn.starts:
            raise OSError("the disk is full")

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step=None, **options):
        if step == StandIn.fails_at:
            raise ConnectionError("the server is away")
        self.curves[step] = values

    def log_images(self, values, step=None, **options):
        assert options == {"dataformats": "NHWC"}
        self.pictures[step] = values["attention"]

    def finish(self):
        self.finished = True


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(tracking, "_available_trackers", [LoggerType.TENSORBOARD])
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "tensorboard", StandIn)
    monkeypatch.setattr(StandIn, "made", [])
    return StandIn


@pytest.fixture
def settings(tmp_path, monkeypatch):
    tiny = replace(RECIPES["smoke"], train_images=16, test_images=9, image_size=64, epochs=7)
    monkeypatch.setitem(RECIPES, "smoke", tiny)
    where = {"data_folder": str(tmp_path / "data"), "output_folder": str(tmp_path / "mine")}
    return Settings(recipe="smoke", batch_size=8, track="tensorboard", **where)


def trained(settings, name="tasn"):
    return train(name, settings, prepare_folder(settings), load_data(settings))


def test_a_tracker_gets_the_curves_of_each_epoch_the_recipe_and_pictures_every_few_epochs(settings, stand_in, tmp_path):
    history = trained(settings).history
    (tracker,) = stand_in.made
    assert str(tracker.logging_dir) == str(tmp_path / "mine" / "track" / "tasn")
    assert list(tracker.curves) == [1, 2, 3, 4, 5, 6, 7]
    for entry in history:
        expected = {f"accuracy/{net}": share for net, share in entry["accuracy"].items()}
        expected |= {name: entry[name] for name in ("loss", "seconds", "images_per_second")}
        assert tracker.curves[entry["epoch"]] == expected
    assert {"accuracy/master", "accuracy/part", "accuracy/attention"} <= tracker.curves[1].keys()
    assert tracker.config.keys() == asdict(settings.resolved_recipe).keys()
    assert all(isinstance(value, int | float | str) for value in tracker.config.values())
    assert list(tracker.pictures) == [1, 5, 7]  # the first, every fifth, the last
    first, last = tracker.pictures[1], tracker.pictures[7]
    assert (first.shape, first.dtype) == ((8, 64, 3 * 64, 3), np.uint8)
    _, test = load_data(settings)
    images = test.take([0, 1, 2, 3, 4, 5, 6, 7]).images.permute(0, 2, 3, 1).numpy()
    assert all((pictures[:, :, :64] == images).all() for pictures in (first, last))
    assert (first[:, :, 64:] != last[:, :, 64:]).any()
    assert tracker.finished


def test_tensorboard_itself_reads_the_curves_and_the_pictures(settings, tmp_path):
    history = trained(replace(settings, epochs=2)).history
    found = EventAccumulator(str(next((tmp_path / "mine" / "track" / "tasn").rglob("tasnlib")))).Reload()
    for name in ("loss", "accuracy/master", "seconds"):
        expected = [entry["accuracy"]["master"] if "/" in name else entry[name] for entry in history]
        assert [point.step for point in found.Scalars(name)] == [1, 2]
        assert [point.value for point in found.Scalars(name)] == pytest.approx(expected)
    pictures = found.Images("attention")
    assert [picture.step for picture in pictures] == [1, 2]
    assert all((one.width, one.height) == (8 * 3 * 64, 64) for one in pictures)
    assert Image.open(BytesIO(pictures[0].encoded_image_string)).getextrema()[0][1] > 100


def test_tracking_changes_no_result_and_a_baseline_has_curves_only(settings, stand_in, tmp_path):
    short = replace(settings, epochs=2)
    trained(short)
    plain = replace(short, track=None, output_folder=str(tmp_path / "plain"))
    trained(plain)
    weights = [(tmp_path / folder / "tasn.safetensors").read_bytes() for folder in ("mine", "plain")]
    assert weights[0] == weights[1]
    data = load_data(short)
    train("downsampled", short, tmp_path / "mine", data)
    assert [list(one.pictures) for one in stand_in.made] == [[1, 2], []]
    assert stand_in.made[1].curves.keys() == {1, 2}


def test_a_resumed_run_is_tracked_from_where_it_goes_on(settings, stand_in, monkeypatch):
    short = replace(settings, epochs=3)

    def stop(entry, epochs, real=running.epoch_line):
        if entry["epoch"] == 2:
            raise KeyboardInterrupt
        return real(entry, epochs)

    with monkeypatch.context() as patch:
        patch.setattr(running, "epoch_line", stop)
        with pytest.raises(KeyboardInterrupt, match="saved after epoch 2"):
            trained(short)
    trained(replace(short, resume=True))
    assert [list(one.curves) for one in stand_in.made] == [[1], [3]]
    assert all(one.finished for one in stand_in.made)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_tracker_that_fails_on_the_way_does_not_stop_the_training(settings, stand_in, monkeypatch, capsys, epoch):
    monkeypatch.setattr(stand_in, "fails_at", epoch)
    history = trained(replace(settings, epochs=3)).history
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert list(stand_in.made[0].curves) == list(range(1, epoch))
    printed = capsys.readouterr().out
    assert printed.count("tracked") == 1
    assert f"nothing more is tracked from epoch {epoch} on; the training goes on" in printed
    assert "the server is away" in printed


def test_a_tracker_that_cannot_start_is_rejected_in_a_sentence(settings, stand_in, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(stand_in, "starts", False)
    with pytest.raises(ValueError, match="the tracker cannot be started: the disk is full; set it up, or leave track"):
        trained(settings)
    words = ["-p", "resume", "True"]
    assert main(["train", str(tmp_path / "mine"), "tasn", *words]) == 1
    assert "error: the tracker cannot be started: the disk is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("track", "command"), [("tensorboard", r"pip install 'tasnlib\[track\]'"), ("wandb", "pip install wandb")]
)
def test_a_tracker_that_is_not_installed_is_said_before_anything_begins(
    settings, monkeypatch, tmp_path, track, command
):
    monkeypatch.setattr(tracking, "_available_trackers", [])
    with pytest.raises(
        ValueError, match=rf"^track is '{track}', but it is not installed; {command}, or leave track out"
    ):
        prepare_folder(replace(settings, track=track))
    assert not (tmp_path / "mine").exists()


def test_the_trackers_are_those_that_accelerate_knows():
    assert set(Tracker.__args__) == {name for name in LoggerType.list() if name != "all"}


def test_the_note_of_a_tracked_run_is_read_where_its_tracker_is_missing(settings, stand_in, monkeypatch):
    folder = prepare_folder(settings)
    assert json.loads((folder / "settings.json").read_text())["track"] == "tensorboard"
    monkeypatch.setattr(tracking, "_available_trackers", [])
    assert prepare_folder(replace(settings, track=None, resume=True)) == folder


def test_attention_is_shown_where_it_is_high():
    model = build_model("tasn", replace(RECIPES["smoke"], image_size=64), 4)
    images = torch.full((2, 3, 64, 64), 200, dtype=torch.uint8)
    features = torch.zeros(2, 32, 12, 12)
    features[0, :, 2, 9] = features[1, :, 10, 1] = 5.0
    model.look = lambda pixels: (None, features)
    pictures = attention_pictures(model, images)
    assert pictures.shape == (2, 64, 192, 3)
    for picture, (row, column) in zip(pictures, ((2, 9), (10, 1)), strict=True):
        bright = picture[:, 64:128, 0]
        y, x = np.unravel_index(bright.argmax(), bright.shape)
        assert abs(y / 64 * 12 - row - 0.5) < 1
        assert abs(x / 64 * 12 - column - 0.5) < 1
        assert bright.max() > 150
        assert bright.min() < 20
