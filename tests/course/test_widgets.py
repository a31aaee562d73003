"""Widgets: every control changes the picture, an opened file is shown, and pages without a kernel get sliders."""

import base64
import gc
import html
import io
import json
import re
from datetime import datetime, timezone

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

import tasnlib
from tasnlib.attention import trilinear_attention
from tasnlib.course.plots.channel_tiles import COLUMNS, GAP, TILE
from tasnlib.course.widgets import bump, gallery, sliders, wall
from tasnlib.course.widgets.sliders import PRERENDER, Slider
from tasnlib.data.birds import EASY, HARD, draw_birds
from tasnlib.runs.prediction import Predictor

NAMES = ["grey, head along", "grey, head across"]


@pytest.fixture(scope="module")
def predictor(request):
    return tasnlib.load(request.config.rootpath / "notebooks/saved_run", device="cpu")


@pytest.fixture(scope="module")
def prediction(predictor):
    return predictor.predict(gallery.a_drawn_bird(5))


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    assert plt.get_fignums() == []
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What a widget displays."""
    displayed = []
    for module in (bump, gallery, sliders, wall):
        monkeypatch.setattr(module, "display", displayed.append)
    return displayed


def parts(widget, kind):
    children = getattr(widget, "children", ())
    return ([widget] if isinstance(widget, kind) else []) + [one for child in children for one in parts(child, kind)]


def picture(widget):
    return next(one.value for one in parts(widget, ipywidgets.HTML) if "<img" in one.value)


def upload(widget, name, content):
    """Open a file as the browser hands it over."""
    (button,) = parts(widget, ipywidgets.FileUpload)
    file = {"name": name, "type": "image/png", "size": len(content), "last_modified": datetime.now(timezone.utc)}
    if ipywidgets.__version__.startswith("7."):
        button.metadata, button.data = [file], [content]
        button._counter += 1
    else:
        button.value = [file | {"content": content}]


def png(size=(40, 90)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "brown").save(file, "PNG")
    return file.getvalue()


def four_birds():
    return torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1]), torch.rand(4, 3, 3), torch.rand(4, 3, 8, 8), NAMES


# -- Sliders -----------------------------------------------------------------------------------------------------------


def counted_figure(drawn):
    def draw(number, name="a"):
        drawn.append((number, name))
        return plt.figure(figsize=(1, 1), facecolor=str(number / 10))

    return draw


def test_a_slider_draws_its_start_and_then_each_new_value(shown):
    drawn = []
    sliders.explore(counted_figure(drawn), [Slider("number", "n", [1, 2, 3], 2), Slider("name", "m", "ab", "a")], "alt")
    number, name = parts(shown[0], ipywidgets.SelectionSlider)
    before = picture(shown[0])
    number.value = 3
    name.value = "b"
    assert drawn == [(2, "a"), (3, "a"), (3, "b")]
    assert picture(shown[0]) != before
    assert 'alt="alt"' in picture(shown[0])


def test_a_slider_leaves_the_garbage_collector_of_the_kernel_alone(shown):
    frozen = gc.get_freeze_count()
    sliders.explore(counted_figure([]), [Slider("number", "n", [1, 2], 1)], "alt")
    assert gc.get_freeze_count() == frozen


def test_an_error_in_the_drawing_ends_the_cell(shown):
    with pytest.raises(ZeroDivisionError):
        sliders.explore(lambda n: plt.figure(1 / n), [Slider("n", "n", [0, 1], 0)], "alt")


def test_without_a_kernel_every_value_is_on_the_page_as_text_and_nothing_else(shown, monkeypatch):
    monkeypatch.setenv(PRERENDER, "1")
    names = ["<script>alert(1)</script>", 'a|b "c"', 0.1]
    sliders.explore(lambda name: plt.figure(), [Slider("name", "name", names, names[0])], "alt")
    page = shown[0].data
    assert page.count("<script>") == 1  # the one that turns the pages
    (values,) = re.findall(r'data-values="([^"]*)"', page)
    assert json.loads(html.unescape(values)) == [*names[:2], "0.1"]
    assert f"<output>{html.escape(names[0])}</output>" in page
    assert page.count('class="frame"') == 3
    assert page.count('class="frame" hidden') == 2


# -- A bump of attention -----------------------------------------------------------------------------------------------


def test_the_bump_follows_the_pad_and_the_sliders_and_samples_an_opened_picture(shown):
    bump.drag_attention(torch.rand(3, 48, 48))
    pad, (width, zoom) = parts(shown[0], bump.Pad)[0], parts(shown[0], ipywidgets.FloatSlider)
    for control, trait, value in ((pad, "x", 0.2), (pad, "y", 0.9), (width, "value", 0.3), (zoom, "value", 1.0)):
        before = picture(shown[0])
        setattr(control, trait, value)
        assert picture(shown[0]) != before
    before, old = picture(shown[0]), pad.picture
    upload(shown[0], "brown.png", png((300, 200)))
    assert picture(shown[0]) != before
    assert pad.picture != old
    jpeg = Image.open(io.BytesIO(base64.b64decode(pad.picture.partition(",")[2])))
    assert jpeg.size == (432, 288)


def test_a_broken_file_is_named_and_the_picture_stays(shown):
    bump.drag_attention(torch.rand(3, 24, 24))
    before = picture(shown[0])
    upload(shown[0], "<b>.png", b"no image")
    assert any("&lt;b&gt;.png" in one.value for one in parts(shown[0], ipywidgets.HTML))
    assert picture(shown[0]) == before


def test_without_a_kernel_two_sliders_move_the_bump(shown, monkeypatch):
    monkeypatch.setenv(PRERENDER, "1")
    bump.drag_attention(torch.rand(3, 24, 24))
    assert shown[0].data.count('class="frame"') == 18


# -- The wall of channels ----------------------------------------------------------------------------------------------


def test_channels_are_those_of_the_network(predictor, prediction):
    channels = wall.Channels(predictor, prediction.image)
    output = predictor.model(prediction.image[None], channel=torch.tensor([6]))
    torch.testing.assert_close(channels.maps[6], output.detail[0])
    torch.testing.assert_close(channels.maps, trilinear_attention(channels.features[None], predictor.model.scale)[0])
    bars = channels.view(6).axes[2].patches
    plt.close("all")
    best = output.logits["part"].softmax(1)[0].sort(descending=True).values[:5]
    assert [bar.get_width() for bar in bars] == pytest.approx((100 * best).tolist(), abs=1e-2)
    totals = channels.features.sum(dim=(1, 2))[channels.shown]
    assert sorted(channels.shown) == list(range(32))
    assert (totals.diff() <= 0).all()


def test_a_click_shows_the_channel_of_its_tile(predictor, prediction, shown, monkeypatch):
    channels = wall.Channels(predictor, prediction.image, most=10)
    seen, view = [], channels.view
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


# -- Notebook 07 -------------------------------------------------------------------------------------------------------


def test_a_drawn_bird_or_any_file_can_be_opened(predictor, shown):
    gallery.open_a_picture(predictor, bird=5)
    slider = parts(shown[0], ipywidgets.SelectionSlider)[0]
    pictures = [picture(shown[0])]
    slider.value = 3
    pictures.append(picture(shown[0]))
    upload(shown[0], "brown.png", png())
    pictures.append(picture(shown[0]))
    assert len(set(pictures)) == 3
    upload(shown[0], "broken.png", b"no image")
    assert any("broken.png" in one.value for one in parts(shown[0], ipywidgets.HTML))
    assert picture(shown[0]) == pictures[2]
    slider.value = 4
    assert not any("broken.png" in one.value for one in parts(shown[0], ipywidgets.HTML))


def test_a_drawn_bird_is_one_of_the_test_split():
    batch = draw_birds(EASY, seed=0, split="test", indices=[5])
    pixels = torch.frombuffer(bytearray(gallery.a_drawn_bird(5).tobytes()), dtype=torch.uint8)
    assert pixels.view(144, 144, 3).permute(2, 0, 1).equal(batch.images[0])


def test_a_model_knows_the_birds_it_was_trained_on_at_its_image_size(predictor):
    assert gallery.birds_it_knows(Predictor(predictor.model, ["wren", "robin"], 448)) is None
    larger = gallery.birds_it_knows(Predictor(predictor.model, HARD.class_names, 288))
    assert larger == gallery.at_size(HARD, 288)
    assert larger.stripe_period == 2 * HARD.stripe_period
    assert gallery.a_drawn_bird(0, gallery.at_size(EASY, 32)).size == (32, 32)  # stripes cannot be as fine as that


def test_the_settings_start_at_the_prediction_itself(predictor, prediction):
    model = predictor.model
    view = gallery.view_with(predictor, prediction.image, prediction.attention ** (1 / model.structure_power))
    figure = view(max_zoom=model.max_zoom, exponent=model.structure_power, temperature=1)
    plt.close("all")
    widths = [bar.get_width() for bar in figure.axes[2].patches]
    assert widths == pytest.approx([100 * share for share in prediction.probabilities[:5]], abs=1e-2)


def test_every_setting_and_every_menu_changes_the_picture(predictor, prediction, shown):
    gallery.change_the_settings(predictor, prediction.image, prediction.attention**0.5)
    gallery.compare_classes(*four_birds(), *NAMES)
    settings, menus = parts(shown[0], ipywidgets.SelectionSlider), parts(shown[1], ipywidgets.Dropdown)
    assert [control.value for control in settings] == [4, 2, 1]
    for widget, controls in zip(shown, (settings, menus), strict=True):
        for control in controls:
            before = picture(widget)
            control.index = control.index - 1 if control.index else 1
            assert picture(widget) != before


def test_without_a_kernel_sliders_take_the_place_of_widgets(predictor, prediction, shown, monkeypatch):
    monkeypatch.setenv(PRERENDER, "1")
    monkeypatch.setattr(gallery, "PRERENDERED_BIRDS", (4,))
    wall.click_a_channel(wall.Channels(predictor, prediction.image, most=3))
    gallery.open_a_picture(predictor, bird=5)
    gallery.compare_classes(*four_birds(), *NAMES)
    assert [page.data.count('class="frame"') for page in shown] == [3, 2, 4]
