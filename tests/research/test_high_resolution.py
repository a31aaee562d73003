"""The experiment at high resolution: its drawings, its methods, and that it resumes."""

import doctest
import importlib
import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.high_resolution import costs, drawings, methods, report, runs
from benchmarks.high_resolution import experiment as experiment_module
from benchmarks.high_resolution.__main__ import TABLE, main
from benchmarks.high_resolution.drawings import FIXED, GROWING, Drawings, birds_at
from benchmarks.high_resolution.experiment import experiment
from benchmarks.high_resolution.methods import LOOK, Method, Pictures, View, composed, resize
from benchmarks.high_resolution.runs import FULL, Plan, Run, methods_at, plan_runs
from benchmarks.setting import Setting
from tasnlib.attention_sampler import SamplingGrid
from tasnlib.data.birds import draw_birds
from tasnlib.data.drawing import compose
from tasnlib.model import TASN, downsample
from tasnlib.runs.run_folder import course_folder
from tasnlib.sampler import read_bilinearly, zoom_profiles

MODULES = ("drawings", "methods", "runs", "report")
TINY = Plan(sizes=(256, 512), seeds=(0,), train_images=16, test_images=5, epochs=1, tested_larger=2, batch_size=8)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def small_base(monkeypatch):
    """The experiment at half its sizes, so that a test takes seconds."""
    for module in (drawings, experiment_module, runs, report):
        monkeypatch.setattr(module, "BASE", 256)


def large_images(generator, count=2, size=300):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"benchmarks.high_resolution.{name}")
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert found.failed == 0


# -- Drawings ----------------------------------------------------------------------------------------------------------


def test_an_image_of_2048_px_is_the_same_alone_and_in_a_batch():
    config = birds_at(FIXED, 2048)
    batch, alone = draw_birds(config, 0, "train", [5, 3]), draw_birds(config, 0, "train", [3])
    assert torch.equal(batch.images[1], alone.images[0])
    assert not torch.equal(batch.images[0], alone.images[0])


def test_birds_keep_their_size_in_one_series_and_their_share_in_the_other():
    def length(series, size):
        boxes = compose(birds_at(series, size), 0, "train", np.arange(40)).boxes[:, -1]
        return (boxes[:, 2:] - boxes[:, :2]).mean()

    base = length(FIXED, 512)
    assert base == length(GROWING, 512)
    assert length(FIXED, 1024) == pytest.approx(base, rel=0.01)
    assert length(GROWING, 1024) == pytest.approx(2 * base, rel=0.01)


def test_stored_images_and_views_are_those_that_are_drawn(tmp_path):
    some = Drawings(birds_at(GROWING, 256), "val", 6, tmp_path / "birds")
    assert not some.drawn
    found = some.draw(progress=False)
    assert some.drawn
    assert found["bytes_on_disk"] == sum(path.stat().st_size for path in some.folder.glob("*.uint8"))
    images = draw_birds(some.config, drawings.SEED, "val", range(6))
    pictures = some.pictures([4, 6 + 1])  # numbers go on from the count without end
    for picture, index in zip(pictures.full, (4, 1), strict=True):
        assert torch.equal(picture, images.images[index])
    for view in some.views:
        assert torch.equal(pictures.ready[view], resize(images.images[[4, 1]], view))
        assert torch.equal(pictures.seen(view), Pictures(pictures.full).seen(view))
    assert torch.equal(some.labels, images.labels)


def test_drawings_are_drawn_once_and_again_when_other_birds_are_asked_for(tmp_path):
    some = Drawings(birds_at(GROWING, 256), "val", 2, tmp_path / "birds")
    assert some.draw(progress=False) == some.draw(progress=False)  # seconds are the same: nothing was drawn
    assert not replace(some, count=3).drawn
    assert not replace(some, config=birds_at(FIXED, 512)).drawn


def test_too_small_a_disk_is_rejected_before_drawing(tmp_path):
    with pytest.raises(OSError, match=r"GB free; these images need 12,?\d*"):
        Drawings(birds_at(GROWING, 2048), "val", 10**6, tmp_path).draw()


# -- Methods -----------------------------------------------------------------------------------------------------------


def test_reading_touches_few_pixels_and_reads_what_the_sampler_reads(generator):
    images = large_images(generator)
    x, y = (torch.rand(2, 40, generator=generator, dtype=torch.float64).sort(1).values * 300 for _ in range(2))
    expected = read_bilinearly(images.double() / 255, x, y)
    assert (Pictures(list(images)).read(x, y) - expected).abs().max() < 1e-5


def test_views_are_plain_resizing_in_eight_bits(generator):
    images = large_images(generator)
    for antialias in (True, False):
        close = resize(images, View(48, antialias)).float() - downsample(images.float(), 48, antialias)
        assert close.abs().max() <= 1.01


def invert_by_loop(zoom, share):
    """Where the integral of the zoom reaches this share of its total, pixel by pixel."""
    target, total = share * sum(zoom), 0.0
    for pixel, height in enumerate(zoom):
        if total + height >= target:
            return pixel + (target - total) / height
        total += height
    raise AssertionError


def test_two_stages_are_composed_as_by_a_loop(generator):
    first_map, second_map = (torch.rand(2, 9, 9, generator=generator, dtype=torch.float64) ** 6 for _ in range(2))
    first = SamplingGrid(*zoom_profiles(first_map, 200, 4.0), (50, 50))
    second = SamplingGrid(*zoom_profiles(second_map, 50, 4.0), (12, 12))
    for places, axis in zip(composed(first, second), ("zoom_x", "zoom_y"), strict=True):
        for image in range(2):
            outer, inner = (getattr(grid, axis)[image].tolist() for grid in (first, second))
            for i in range(12):
                in_first = invert_by_loop(inner, (i + 0.5) / 12)  # of 50 pixels
                assert places[image, i].item() == pytest.approx(invert_by_loop(outer, in_first / 50), abs=1e-9)


def test_the_zooms_of_two_stages_multiply():
    one_cell = torch.zeros(1, 16, 16, dtype=torch.float64)
    one_cell[0, 5, 5] = 1
    first = SamplingGrid(*zoom_profiles(one_cell, 1600, 4.0), (64, 64))
    place = first.to_sampled(torch.tensor([[[550.0, 550.0]]], dtype=torch.float64))[0, 0, 0] / 64
    again = torch.zeros(1, 64, 64, dtype=torch.float64)
    again[0, int(place * 64), int(place * 64)] = 1
    x, _ = composed(first, SamplingGrid(*zoom_profiles(again, 64, 4.0), (64, 64)))
    assert x.diff().min() == pytest.approx(1600 / 64 / 16, rel=0.02)  # 16 times as fine as plain resizing


def test_the_attention_is_that_of_tasn(generator):
    model = methods_at(512)["TASN"].build(classes=16).eval()
    tasn = TASN(model.looks[0], model.backbone, model.classifier, LOOK, 64)
    pictures = Pictures(list(large_images(generator, 2, 512)))
    _, features = tasn.look(torch.stack(pictures.full).float() / 255)
    expected = tasn.attend(features, torch.zeros(2, dtype=torch.int64)).structure
    _, attention = model.look(0, pictures.seen(View(LOOK)))
    assert torch.allclose(attention, expected, atol=0.02)  # of its maximum, 1: the view has 8 bits
    expected = tasn.sample(torch.stack(pictures.full).float() / 255, attention)
    grid = SamplingGrid(*zoom_profiles(attention, 512, 4.0), (64, 64))
    assert torch.allclose(pictures.read(grid.x, grid.y), expected, atol=1e-4)


class Peak(nn.Module):
    """An attention network whose attention is one cell."""

    def __init__(self, row, column):
        super().__init__()
        self.place = row, column

    def forward(self, images):
        features = torch.zeros(len(images), 4, LOOK // 4, LOOK // 4)
        features[:, :, self.place[0], self.place[1]] = 5
        return torch.zeros(len(images), 5), features


@pytest.mark.parametrize(("row", "column"), [(10, 20), (0, 31)])
def test_a_crop_is_cut_around_the_maximum_and_stays_inside(generator, row, column):
    model = Method("crop", 64, window=100).build(classes=5)
    model.looks[0] = Peak(row, column)
    seen = []
    model.backbone = nn.Sequential(nn.Identity(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.LazyLinear(96))
    model.backbone[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    image = large_images(generator, 1, 640)
    model(Pictures(list(image)))
    top, left = (min(max(20 * cell + 10 - 50, 0), 540) for cell in (row, column))
    assert torch.equal(seen[0] * 255, resize(image[:, :, top : top + 100, left : left + 100], View(64)).float())


def test_tiles_of_an_image_of_one_tile_are_the_image(generator):
    model = Method("full", 0).build(classes=5).eval()
    (image,) = large_images(generator, 1, methods.TILE)
    whole = model(Pictures([image]))["master"]
    for logits in model.by_tiles(image).values():
        assert torch.equal(logits, whole)


def test_the_maximum_over_tiles(generator):
    model = Method("full", 0).build(classes=5).eval()
    (image,) = large_images(generator, 1, 2 * methods.TILE)
    tiles = torch.stack([tile for half in image.chunk(2, 1) for tile in half.chunk(2, 2)]).float() / 255
    expected = model.classifier(model.backbone(tiles)).amax(0, keepdim=True)
    assert torch.allclose(model.by_tiles(image, batch=3)["logits"], expected, atol=1e-5)


@pytest.mark.parametrize("title", methods_at(512))
def test_every_method_trains_all_its_weights(title, generator):
    model = methods_at(512)[title].build(classes=16)
    logits = model(Pictures(list(large_images(generator, 2, 512))))
    sum(scores.square().mean() for scores in logits.values()).backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert all(scores.shape == (2, 16) for scores in logits.values())


# -- Runs --------------------------------------------------------------------------------------------------------------


def test_an_experiment_resumes_and_a_run_is_the_same_again(tmp_path, small_base, capsys):
    folder, data = tmp_path / "results", tmp_path / "data"
    experiment(TINY, folder, data)
    runs_planned = plan_runs(TINY)
    written = {run.file_name: json.loads((folder / run.file_name).read_text()) for run in runs_planned}
    assert (
        len(written) == len(runs_planned) == 10 + 9 + 8
    )  # both series share the smallest size, and two crops are one at 512 px
    assert not list(data.glob("*/images.uint8"))
    assert json.loads((folder / "drawn-fixed-512.json").read_text())["peak_memory"] > 1e8

    lost = [Run(FIXED, 512, title, 0, TINY) for title in ("TASN, two stages", FULL)]
    for run in lost:
        (folder / run.file_name).unlink()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*px-*")}
    shutil.rmtree(data)  # also the weights that full resolution needs at the larger size
    experiment(TINY, folder, data)
    again = {path.name: path.stat().st_mtime_ns for path in folder.glob("*px-*")}
    base = lost[1].base.file_name
    assert {name for name in again if before.get(name) != again[name]} == {base, *(run.file_name for run in lost)}
    for name in (base, *(run.file_name for run in lost)):
        assert {**json.loads((folder / name).read_text()), "seconds": 0} == {**written[name], "seconds": 0}
    assert "GB of memory to draw" in capsys.readouterr().out

    rows = report.read_rows(TINY, folder)
    assert [row.title for row in rows if row.size == 256] == [*methods_at(256), *report.TILED]
    assert all(0 <= row.mean <= 100 for row in rows)
    header = " ".join(report.as_text(rows).splitlines()[0].split())
    assert header == "accuracy, % 256 px fixed 512 px growing 512 px"


def test_what_decides_a_result_is_in_the_name_of_its_file():
    run = Run(FIXED, 1024, "TASN", 0, Plan())
    others = [
        replace(run, **change)
        for change in (
            {"series": GROWING},
            {"size": 2048},
            {"title": "TASN, two stages"},
            {"seed": 1},
            {"plan": Plan(epochs=9)},
        )
    ]
    assert len({run.file_name, *(other.file_name for other in others)}) == 6
    assert replace(run, plan=Plan(sizes=(1024,), seeds=(7,))).file_name == run.file_name
    assert replace(run, size=512).file_name == replace(run, size=512, series=GROWING).file_name


def test_costs_are_measured_once_and_counted(tmp_path):
    plan = Plan(sizes=(256,))
    found = costs.costs(plan, tmp_path, Setting(torch.device("cpu"), "small"))
    assert costs.costs(plan, tmp_path) == found
    cost = {title: one["multiply_adds"] for title, one in found["sizes"]["256"].items()}
    assert set(cost) == {*methods_at(256), costs.TILES}
    assert cost["plain, 96 px"] == pytest.approx(4 * cost["plain, 48 px"], rel=0.01)
    assert cost[costs.TILES] == pytest.approx(cost[FULL], rel=0.01)
    assert cost["plain, 48 px"] < cost["TASN"] < cost["TASN, two stages"] < cost["plain, 96 px"]
    assert all(one["milliseconds"] > 0 for one in found["sizes"]["256"].values())


def test_the_committed_table_is_that_of_the_committed_results():
    folder = course_folder() / "high_resolution"
    rows = [asdict(row) for row in report.read_rows(Plan(), folder)]
    assert len(rows) == 5 * 12 - 2 * 3  # full resolution and its tiles were not tested on growing birds
    assert all(len(row["accuracies"]) == 3 and row["milliseconds"] > 0 for row in rows)
    assert json.loads((folder / TABLE).read_text()) == json.loads(json.dumps(rows))
    assert {path.name for path in folder.glob("*px-*.json")} == {run.file_name for run in plan_runs(Plan())}


def test_the_command_measures_costs_alone_and_rejects_sizes_that_hold_no_bird(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(costs, "Setting", lambda device, _: Setting(device, "small"))
    folders = ["--results", str(tmp_path), "--data", str(tmp_path / "data")]
    assert main(["--only", "costs", "--sizes", "256", *folders]) == []
    assert set(json.loads((tmp_path / costs.FILE).read_text())["sizes"]) == {"256"}
    assert not (tmp_path / "data").exists()
    with pytest.raises(SystemExit):
        main(["--sizes", "128", *folders])
    assert "--sizes must be 256 or more" in capsys.readouterr().err
