"""Figures: what is drawn is what was given, labelled, and nothing is left open or changed."""

import copy
import io

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pytest
import torch

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from tasnlib.course import plots

ACCURACY = {
    "master": 0.9,
    "part": 0.25,
    "attention": 0.5,
    "downsampled": 0.3,
    "downsampled_aliased": None,
    "chance": 0.1,
}


def history(*names: str) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "loss": 9.0 / epoch,
            "accuracy": {name: (epoch + number) / 10 for number, name in enumerate(names)},
        }
        for epoch in (1, 2, 3)
    ]


def images(count: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator)


def usual_input(name: str) -> dict:
    """What each public function that makes a figure is usually given."""
    levels, boxes = (
        (images(5) * 255).byte(),
        torch.tensor([[[1.0, 2.0, 9.0, 8.0], [3.0, 3.0, 15.0, 12.0]]]).repeat(5, 1, 1),
    )
    return {
        "contact_sheet": {"images": levels, "titles": list("abcde"), "boxes": boxes, "columns": 3},
        "image_row": {"images": [images(1, 8)[0], images(1, 4)[0]], "titles": ["large", "small"]},
        "sampling_overview": {
            "images": images(2), "attention": torch.rand(2, 5, 5), "structure_images": images(2, 8, seed=1),
            "detail_images": images(2, 8, seed=2), "plain_images": images(2, 8, seed=3), "boxes": boxes[:2],
        },
        "training_curves": {
            "histories": {"tasn": history("master", "part", "attention"), "downsampled": history("downsampled")},
            "chance": 1 / 16,
        },
        "confusion": {
            "labels": torch.tensor([0, 1, 2, 3, 3]),
            "answers": {"master": torch.tensor([0, 1, 2, 3, 2]), "downsampled": torch.tensor([0, 0, 0, 0, 0])},
            "class_names": ["red, along", "red, across", "blue, along", "blue, across"],
            "genera": 2,
        },
        "accuracy_bars": {"accuracy": ACCURACY},
    }[name]  # fmt: skip


FIGURES = ["contact_sheet", "image_row", "sampling_overview", "training_curves", "confusion", "accuracy_bars"]


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    plt.close("all")
    yield
    plt.close("all")


def draw(name: str) -> Figure:
    return getattr(plots, name)(**usual_input(name))


def rgb(colour) -> tuple:
    return matplotlib.colors.to_rgb(colour)


def same(first, second) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


# -- All figures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_gives_a_figure_that_can_be_drawn(name):
    figure = draw(name)
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 5


@pytest.mark.parametrize("name", FIGURES)
def test_no_function_changes_what_it_is_given(name):
    given = usual_input(name)
    before = copy.deepcopy(given)
    figure = getattr(plots, name)(**given)
    figure.canvas.draw()
    assert same(given, before)


@pytest.mark.parametrize("name", FIGURES)
def test_every_function_makes_one_figure_of_its_own(name):
    other, axes = plt.subplots()
    figure = draw(name)
    assert figure is not other
    assert axes.has_data() is False
    assert len(plt.get_fignums()) == 2


@pytest.mark.parametrize("name", ["training_curves", "confusion"])
def test_axes_are_labelled(name):
    for axes in draw(name).axes:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel()
            assert axes.get_ylabel()
            assert axes.get_title()


def test_every_public_name_is_there():
    assert all(hasattr(plots, name) for name in plots.__all__)
    assert set(FIGURES) <= set(plots.__all__)


# -- Into a notebook ---------------------------------------------------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw, metadata: shown.append((data, metadata)))
    return shown


@pytest.mark.parametrize("name", FIGURES)
def test_show_displays_a_png_with_its_text_and_closes_the_figure(displayed, name):
    plots.show(draw(name), "what it shows")
    assert plt.get_fignums() == []
    ((data, metadata),) = displayed
    assert Image.open(io.BytesIO(data["image/png"])).format == "PNG"
    assert data["text/plain"] == "[picture: what it shows]"
    assert metadata == {"image/png": {"alt": "what it shows"}}


def test_a_strip_shows_all_its_figures_below_one_another_and_closes_them(displayed):
    sizes = [(2, 1), (3, 2), (1, 1)]
    figures = [
        plt.figure(figsize=size, facecolor=colour) for size, colour in zip(sizes, ("red", "lime", "blue"), strict=True)
    ]
    plots.show_strip(figures, "three")
    assert plt.get_fignums() == []
    ((data, metadata),) = displayed
    strip = Image.open(io.BytesIO(data["image/png"])).convert("RGB")
    assert strip.size == (3 * 80, (1 + 2 + 1) * 80)
    assert [strip.getpixel((20, height)) for height in (40, 160, 280)] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert (data["text/plain"], metadata["image/png"]["alt"]) == ("[picture: three]", "three")


def test_the_bytes_of_a_figure_are_a_png_and_the_figure_is_closed():
    picture = Image.open(io.BytesIO(plots.figure_bytes(plt.figure(figsize=(2, 1), facecolor="red"))))
    assert (picture.format, picture.size) == ("PNG", (160, 80))
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert plt.get_fignums() == []


def test_a_png_that_is_too_large_gets_fewer_colours_but_keeps_a_small_coloured_part(tmp_path):
    figure, axes = plt.subplots(figsize=(4, 4))
    noise = np.random.default_rng(0).uniform(0.4, 0.6, (300, 300, 1)).repeat(3, axis=2)
    noise[150:156, 150:156] = (1, 0, 0)
    axes.imshow(noise, interpolation="nearest")
    for largest, name in ((10**9, "full.png"), (100, "small.png")):
        plots.save_png(figure, tmp_path / name, largest=largest)
    full, small = Image.open(tmp_path / "full.png"), Image.open(tmp_path / "small.png")
    assert full.size == small.size
    assert len(small.convert("RGB").getcolors(10**6)) <= 256
    assert (tmp_path / "small.png").stat().st_size < 0.8 * (tmp_path / "full.png").stat().st_size

    def red(picture) -> int:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        return ((pixels[..., 0] > 150) & (pixels[..., 1] < 80)).sum()

    assert red(small) == pytest.approx(red(full), abs=4)
    assert red(full) > 5
    assert plt.fignum_exists(figure.number)


# -- Images ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float", "levels", "beyond", "gradient"])
def test_an_image_is_drawn_with_its_own_pixels_in_pixel_edge_units(kind):
    image = images(1, 6)[0, :, :4]  # 4 high, 6 wide
    given = {
        "float": image,
        "levels": (image * 255).byte(),
        "beyond": image * 3 - 1,
        "gradient": image.clone().requires_grad_(),
    }[kind]
    before = given.detach().clone()
    figure, axes = plt.subplots()
    plots.draw_image(axes, given, "a title")
    assert torch.equal(given, before)
    (drawn,) = axes.images
    assert list(drawn.get_extent()) == [0, 6, 4, 0]
    expected = before.clamp(0, 1) if kind != "levels" else given
    assert np.array_equal(np.asarray(drawn.get_array()), expected.permute(1, 2, 0).numpy())
    assert axes.get_title() == "a title"
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == []
    figure.canvas.draw()


def test_a_colour_frames_an_image():
    _, (plain, framed) = plt.subplots(1, 2)
    plots.draw_image(plain, images(1)[0])
    plots.draw_image(framed, images(1)[0], colour=plots.COLOURS["detail"])
    assert not any(spine.get_visible() for spine in plain.spines.values())
    for spine in framed.spines.values():
        assert spine.get_visible()
        assert rgb(spine.get_edgecolor()) == rgb(plots.COLOURS["detail"])


def test_boxes_are_drawn_where_they_are():
    _, axes = plt.subplots()
    plots.draw_boxes(axes, torch.tensor([[1.0, 2.0, 9.0, 8.0], [3.0, 3.0, 15.0, 12.0]]))
    assert [patch.get_bbox().extents.tolist() for patch in axes.patches] == [[1, 2, 9, 8], [3, 3, 15, 12]]
    assert not any(patch.get_fill() for patch in axes.patches)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_attention_is_drawn_over_the_grey_image_brightest_where_it_is_highest(scale):
    attention = torch.zeros(4, 4)
    attention[1, 2] = scale
    image = images(1, 16)[0]
    _, axes = plt.subplots()
    plots.draw_attention(axes, image, attention, "where")
    grey, over = axes.images
    assert np.allclose(grey.get_array(), image.mean(0).numpy(), atol=1e-6)
    assert list(grey.get_extent()) == list(over.get_extent()) == [0, 16, 16, 0]
    y, x = np.unravel_index(np.argmax(over.get_array()), (16, 16))
    assert (y // 4, x // 4) == (1, 2)
    assert over.get_array().max() == pytest.approx(1)
    assert 0 < over.get_alpha() < 1


def test_levels_and_shares_give_the_same_grey_and_no_attention_gives_no_error():
    _, (first, second) = plt.subplots(1, 2)
    levels = (images(1)[0] * 255).byte()
    plots.draw_attention(first, levels, torch.zeros(4, 4))
    plots.draw_attention(second, levels.float() / 255, torch.zeros(4, 4))
    assert np.allclose(first.images[0].get_array(), second.images[0].get_array(), atol=1e-6)
    assert (first.images[1].get_array() == 0).all()


def test_a_contact_sheet_shows_every_image_with_its_title_and_boxes():
    given = usual_input("contact_sheet")
    figure = plots.contact_sheet(**given)
    assert len(figure.axes) == 6  # two rows of three
    for number, axes in enumerate(figure.axes[:5]):
        expected = given["images"][number].permute(1, 2, 0).numpy()
        assert np.array_equal(np.asarray(axes.images[0].get_array()), expected)
        assert axes.get_title() == "abcde"[number]
        assert len(axes.patches) == 2
    assert not figure.axes[5].images
    bare = plots.contact_sheet(given["images"])
    assert not any(axes.get_title() or axes.patches for axes in bare.axes)


def test_an_overview_shows_each_image_and_what_became_of_it_in_the_colours_of_the_course():
    given = usual_input("sampling_overview")
    figure = plots.sampling_overview(**given)
    rows = np.array(figure.axes).reshape(2, 5)
    for row, axes in enumerate(rows):
        for column, name in ((0, "images"), (2, "structure_images"), (3, "detail_images"), (4, "plain_images")):
            expected = given[name][row].permute(1, 2, 0).numpy()
            assert np.array_equal(np.asarray(axes[column].images[0].get_array()), expected)
        assert len(axes[0].patches) == 2
        assert len(axes[1].images) == 2
        for column, name in ((2, "structure"), (3, "detail"), (4, "downsampled")):
            assert rgb(axes[column].spines["left"].get_edgecolor()) == rgb(plots.COLOURS[name])
    assert [axes.get_title().split(",")[0].split(" ")[0] for axes in rows[0]] == [
        "image", "attention", "structure", "detail", "plain"
    ]  # fmt: skip


# -- Training ----------------------------------------------------------------------------------------------------------


def test_curves_show_every_epoch_of_every_net():
    given = usual_input("training_curves")
    left, right = plots.training_curves(**given).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 9.0], [2, 4.5], [3, 3.0]]
    shown = {line.get_label(): line for line in right.lines}
    for model, names in (("tasn", ("master", "part", "attention")), ("downsampled", ("downsampled",))):
        for name in names:
            line = shown[plots.LABELS[name]]
            expected = [[entry["epoch"], 100 * entry["accuracy"][name]] for entry in given["histories"][model]]
            assert line.get_xydata().tolist() == expected
            assert rgb(line.get_color()) == rgb(plots.COLOURS[name])
    assert list(shown[plots.LABELS["chance"]].get_ydata()) == [6.25, 6.25]
    assert {text.get_text() for text in right.get_legend().get_texts()} == set(shown)


def test_a_confusion_shows_the_share_of_each_true_class():
    figure = plots.confusion(**usual_input("confusion"))
    master, downsampled = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    shares = master.collections[0].get_array().reshape(4, 4)
    assert shares.tolist() == [[100, 0, 0, 0], [0, 100, 0, 0], [0, 0, 100, 0], [0, 0, 50, 50]]  # truth down
    shares = downsampled.collections[0].get_array().reshape(4, 4)
    assert shares.tolist() == [[100, 0, 0, 0]] * 4
    assert [axes.get_title() for axes in (master, downsampled)] == [plots.LABELS["master"], plots.LABELS["downsampled"]]
    assert [label.get_text() for label in master.get_xticklabels()] == ["red", "blue"]
    assert "answer" in master.get_xlabel()
    assert master.get_ylabel() == "truth"


def test_bars_are_as_long_as_the_accuracies_and_what_did_not_run_has_none():
    (axes,) = plots.accuracy_bars(ACCURACY).axes
    ran = [name for name, share in ACCURACY.items() if share is not None]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([90, 25, 50, 30, 10])
    assert [label.get_text() for label in axes.get_yticklabels()] == [plots.LABELS[name] for name in ran]
    assert [rgb(patch.get_facecolor()) for patch in axes.patches] == [rgb(plots.COLOURS[name]) for name in ran]
    assert [text.get_text() for text in axes.texts] == ["90.0", "25.0", "50.0", "30.0", "10.0"]
    assert "accuracy" in axes.get_xlabel()
    top = [axes.transData.transform((0, row))[1] for row in range(5)]
    assert top == sorted(top, reverse=True)  # the first on top


def test_one_colour_means_one_thing():
    assert plots.COLOURS["structure"] == plots.COLOURS["master"]
    assert plots.COLOURS["detail"] == plots.COLOURS["part"]
    others = {"master_own", "part_own", "master+part", "master+part+attention"}
    assert set(plots.LABELS) == set(ACCURACY) | others
    assert set(plots.LABELS) <= set(plots.COLOURS)
    assert len({plots.COLOURS[name] for name in plots.LABELS}) == len(plots.LABELS)
