"""Widgets of notebook 07: a click shows the channel that was clicked, and every control changes the picture."""

import base64
import html
import importlib
import io
import json
import re
import sys
from datetime import datetime, timezone

import ipywidgets
import matplotlib as mpl
import pytest
import torch
from PIL import Image

mpl.use("Agg")

import matplotlib.pyplot as plt

import tasnlib
from tasnlib.attention import trilinear_attention
from tasnlib.course.exercises.explore import EXERCISES
from tasnlib.course.plots.wall import COLUMNS, GAP, TILE
from tasnlib.course.widgets import PRERENDER, gallery, wall
from tasnlib.data.birds import EASY, HARD, draw_birds
from tasnlib.research import localization

RUN = "notebooks/saved_run"
explore_module = importlib.import_module("tasnlib.course.widgets.explore")  # the package lends its function's name


@pytest.fixture(scope="module")
def predictor(request):
    return tasnlib.load(request.config.rootpath / RUN, device="cpu")


@pytest.fixture(scope="module")
def prediction(predictor):
    return predictor.predict(gallery.a_drawn_bird(5))


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    assert plt.get_fignums() == []
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What a widget displays."""
    displayed = []
    for module in (
        wall,
        gallery,
        sys.modules["tasnlib.course.widgets.explore"],
    ):  # not the function
        monkeypatch.setattr(module, "display", displayed.append)
    return displayed


def parts(widget, kind):
    children = getattr(widget, "children", ())
    return ([widget] if isinstance(widget, kind) else []) + [one for child in children for one in parts(child, kind)]


def picture(widget):
    return next(one.value for one in parts(widget, ipywidgets.HTML) if "<img" in one.value)


def test_channels_are_those_of_the_network(predictor, prediction):
    channels = wall.Channels(predictor, prediction.image)
    output = predictor.model(prediction.image[None], channel=torch.tensor([6]))
    torch.testing.assert_close(channels.maps[6], output.detail[0])
    torch.testing.assert_close(channels.maps, trilinear_attention(channels.features[None], predictor.model.scale)[0])
    bars = channels.view(6).axes[2].patches
    plt.close("all")
    shares = output.logits["part"].softmax(1)[0].sort(descending=True).values[:5]
    assert [bar.get_width() for bar in bars] == pytest.approx((100 * shares).tolist(), abs=1e-2)
    totals = channels.features.sum(dim=(1, 2))[channels.shown]
    assert sorted(channels.shown) == list(range(32))
    assert (totals.diff() <= 0).all()


def test_a_click_shows_the_channel_that_was_clicked(predictor, prediction, shown, monkeypatch):
    channels = wall.Channels(predictor, prediction.image, most=10)
    seen = []
    view = channels.view
    monkeypatch.setattr(channels, "view", lambda channel: seen.append(channel) or view(channel))
    wall.click_a_channel(channels)
    tiles = parts(shown[0], wall.Wall)[0]
    before = picture(shown[0])
    tiles.chosen = 7
    assert seen == [channels.shown[0], channels.shown[7]]
    assert picture(shown[0]) != before
    assert tiles.labels == [str(channel) for channel in channels.shown]
    jpeg = Image.open(io.BytesIO(base64.b64decode(tiles.picture.partition(",")[2])))
    assert tiles.shape == [10, COLUMNS, TILE, GAP]
    assert jpeg.size == (8 * (TILE + GAP) - GAP, 2 * (TILE + GAP) - GAP)  # as the script places its tiles


def uploaded(name, content):
    """A file as the browser hands it over."""
    now = datetime.now(timezone.utc)
    return {"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": now}


def test_a_drawn_bird_or_any_file_can_be_opened(predictor, shown):
    gallery.open_a_picture(predictor, bird=5)
    slider = parts(shown[0], ipywidgets.SelectionSlider)[0]
    upload = parts(shown[0], ipywidgets.FileUpload)[0]
    pictures = [picture(shown[0])]
    slider.value = 3
    pictures.append(picture(shown[0]))
    png = io.BytesIO()
    Image.new("RGB", (40, 90), "brown").save(png, "PNG")
    upload.value = [uploaded("brown.png", png.getvalue())]
    pictures.append(picture(shown[0]))
    assert len(set(pictures)) == 3
    upload.value = [uploaded("<b>.png", b"not an image")]
    message = next(one.value for one in parts(shown[0], ipywidgets.HTML) if "&lt;b&gt;.png" in one.value)
    assert "<b>" not in message
    assert picture(shown[0]) == pictures[2]
    slider.value = 4
    assert not any("&lt;b&gt;" in one.value for one in parts(shown[0], ipywidgets.HTML))


def test_a_drawn_bird_is_that_of_the_test_split():
    batch = draw_birds(EASY, seed=0, split="test", indices=[5])
    pixels = torch.frombuffer(bytearray(gallery.a_drawn_bird(5).tobytes()), dtype=torch.uint8)
    assert pixels.view(144, 144, 3).permute(2, 0, 1).equal(batch.images[0])


def test_a_model_of_photographs_knows_no_drawn_birds(predictor):
    stranger = tasnlib.runs.prediction.Predictor(predictor.model, ["wren", "robin"], 448)
    assert gallery.birds_it_knows(stranger) is None
    larger = tasnlib.runs.prediction.Predictor(predictor.model, HARD.class_names, 288)
    assert gallery.birds_it_knows(larger) == gallery.at_size(HARD, 288)
    assert gallery.at_size(HARD, 288).stripe_period == 2 * HARD.stripe_period
    assert gallery.a_drawn_bird(0, gallery.at_size(EASY, 32)).size == (32, 32)  # stripes cannot be as fine as that


def test_the_knobs_begin_at_the_answer_itself(predictor, prediction):
    mean_map = prediction.attention ** (1 / predictor.model.structure_power)
    draw = gallery.knobs_of(predictor, prediction.image, mean_map)
    figure = draw(max_zoom=predictor.model.max_zoom, exponent=predictor.model.structure_power, temperature=1)
    plt.close("all")
    widths = [bar.get_width() for bar in figure.axes[2].patches]
    assert widths == pytest.approx([100 * share for share in prediction.probabilities[:5]], abs=1e-2)


def test_every_knob_changes_the_picture(predictor, prediction, shown):
    gallery.turn_the_knobs(predictor, prediction.image, prediction.attention**0.5)
    controls = parts(shown[0], ipywidgets.SelectionSlider)
    assert [control.value for control in controls] == [4, 2, 1]
    for control in controls:
        before = picture(shown[0])
        control.index = control.index - 1
        assert picture(shown[0]) != before


def test_either_menu_changes_the_species(shown):
    names = ["grey, head along", "grey, head across"]
    images = torch.rand(4, 3, 8, 8)
    gallery.compare_species(images, torch.tensor([0, 1, 0, 1]), torch.rand(4, 3, 3), images, names, *names)
    for menu in parts(shown[0], ipywidgets.Dropdown):
        before = picture(shown[0])
        menu.index = 1 - menu.index
        assert picture(shown[0]) != before


def test_without_a_kernel_sliders_stand_in(predictor, prediction, shown, monkeypatch):
    monkeypatch.setenv(PRERENDER, "1")
    channels = wall.Channels(predictor, prediction.image, most=3)
    wall.click_a_channel(channels)
    page = shown[0].data
    assert page.count('class="frame"') == 3
    values = html.unescape(re.search(r'data-values="([^"]*)"', page)[1])
    assert json.loads(values) == [str(channel) for channel in channels.shown]
    monkeypatch.setattr(gallery, "PRERENDERED_BIRDS", (4,))
    gallery.open_a_picture(predictor, bird=5)
    assert shown[1].data.count('class="frame"') == 2
    names = ["grey, head along", "grey, head across"]
    images = torch.rand(2, 3, 8, 8)
    gallery.compare_species(images, torch.tensor([0, 1]), torch.rand(2, 3, 3), images, names, *names)
    assert shown[2].data.count('class="frame"') == 4
    assert html.escape("birds of two species") in shown[2].data


def solution(name):
    return next(exercise.solution for exercise in EXERCISES if exercise.name == name)


def test_solutions_agree_with_the_library():
    attention = torch.rand(5, 7, dtype=torch.float64)
    box = torch.tensor([[[1.0, 2.0, 4.0, 4.0]]])
    by_library = localization.attention_mass(attention[None], box, (5, 7)).item()
    assert solution("mass_in_box")(attention, (1, 2, 4, 4)) == pytest.approx(by_library)
    place = solution("largest_place")(attention, 50, 140)
    around = localization.boxes_around(place[None, None], side=1.0)
    assert localization.pointing_game(attention[None], around, (50, 140)).item() == 1
    magnifications = 5 * torch.rand(6, 4)
    reached = solution("share_reached")(magnifications, 3.0)
    torch.testing.assert_close(reached, localization.coverage(magnifications[:, None], at_least=3.0))


def test_a_slider_s_value_is_text_on_the_page_and_nothing_else(monkeypatch):
    pages = []
    monkeypatch.setenv(PRERENDER, "1")
    monkeypatch.setattr(explore_module, "display", lambda page: pages.append(page.data))
    names = ["<script>alert(1)</script>", 'a|b "c"']
    explore_module.explore(lambda name: plt.figure(), [explore_module.Slider("name", "name", names, names[0])], "alt")
    (page,) = pages
    assert page.count("<script>") == 1  # the one that turns the pages
    (values,) = re.findall(r'data-values="([^"]*)"', page)
    assert json.loads(html.unescape(values)) == names
    assert f"<output>{html.escape(names[0])}</output>" in page
