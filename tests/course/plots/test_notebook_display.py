"""Figures reach a notebook as PNG with their alternative text, and are closed."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from tasnlib.course import plots
from tasnlib.course.plots.notebook_display import figure_bytes


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: "a kernel")
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: shown.append((data, metadata)))
    yield shown
    assert plt.get_fignums() == []


def noisy_figure_with_a_red_spot():
    figure, axes = plt.subplots(figsize=(4, 4))
    noise = np.random.default_rng(0).uniform(0.4, 0.6, (300, 300, 1)).repeat(3, axis=2)
    noise[150:156, 150:156] = (1, 0, 0)
    axes.imshow(noise, interpolation="nearest")
    return figure


def test_show_displays_a_png_with_its_alternative_text(displayed):
    plots.show(plt.figure(), "what it shows")
    ((data, metadata),) = displayed
    assert Image.open(io.BytesIO(data["image/png"])).format == "PNG"
    assert data["text/plain"] == "[picture: what it shows]"
    assert metadata == {"image/png": {"alt": "what it shows"}}


def test_a_script_prints_the_alternative_text(capsys):
    plots.show(plt.figure(), "what it shows")
    assert capsys.readouterr().out == "[picture: what it shows]\n"


def test_a_large_png_gets_a_palette_that_keeps_a_small_coloured_part(displayed):
    for largest in (10**9, 100):
        plots.show(noisy_figure_with_a_red_spot(), "noise", largest)
    full, small = (data["image/png"] for data, _ in displayed)
    assert len(small) < 0.8 * len(full)
    red = []
    for png in (full, small):
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
        red.append(((pixels[..., 0] > 150) & (pixels[..., 1] < 80)).sum())
    assert red[0] > 5
    assert red[1] == pytest.approx(red[0], abs=4)


def test_a_strip_shows_its_figures_below_one_another(displayed):
    figures = [plt.figure(figsize=size, facecolor=colour) for size, colour in (((2, 1), "red"), ((3, 2), "lime"))]
    plots.show_strip(figures, "two")
    ((data, metadata),) = displayed
    strip = Image.open(io.BytesIO(data["image/png"])).convert("RGB")
    assert strip.size == (3 * 80, (1 + 2) * 80)
    assert [strip.getpixel((20, height)) for height in (40, 160)] == [(255, 0, 0), (0, 255, 0)]
    assert (data["text/plain"], metadata["image/png"]["alt"]) == ("[picture: two]", "two")


def test_the_bytes_of_a_figure_are_a_png_of_its_size():
    picture = Image.open(io.BytesIO(figure_bytes(plt.figure(figsize=(2, 1), facecolor="red"))))
    assert (picture.format, picture.size) == ("PNG", (160, 80))
    assert plt.get_fignums() == []
