"""Widgets of notebook 07: open a picture, change the sampler's settings on it, put two classes side by side."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import ipywidgets
from IPython.display import display
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from tasnlib.course.plots.single_image import settings_view
from tasnlib.course.plots.species_compared import two_classes
from tasnlib.course.widgets.browser_pictures import picture_html, upload_button
from tasnlib.course.widgets.sliders import PRERENDER, Slider, explore, follow
from tasnlib.data.bird_config import EASY, HARD, BirdsConfig
from tasnlib.data.birds import draw_birds
from tasnlib.runs.prediction import Predictor

PRERENDERED_BIRDS = (0, 3, 5, 9, 14)  # on a page without a kernel, where each costs a third of a megabyte
PRERENDERED_CLASSES = 8


def birds_it_knows(predictor: Predictor) -> BirdsConfig | None:
    """The drawn birds that a model was trained on, at its image size; None for a model of anything else.

    >>> birds_it_knows(tasnlib.load("notebooks/saved_run", device="cpu")) == EASY
    True
    """
    for config in (EASY, HARD):
        if predictor.class_names == config.class_names:
            return at_size(config, predictor.image_size)
    return None


def at_size(config: BirdsConfig, image_size: int) -> BirdsConfig:
    """The same birds in images of another size, the stripes scaled with them, but at least 2.5 pixels wide.

    >>> at_size(EASY, 288).stripe_period
    7.0
    """
    period = config.stripe_period * image_size / config.image_size
    return replace(config, image_size=image_size, stripe_period=max(2.5, period))


def a_drawn_bird(number: int, config: BirdsConfig = EASY) -> Image.Image:
    """A bird of the test split as a PIL image, for a predictor.

    >>> a_drawn_bird(5).size
    (144, 144)
    """
    return transforms.to_pil_image(draw_birds(config, seed=0, split="test", indices=[number]).images[0])


def open_a_picture(predictor: Predictor, bird: int = 5) -> None:
    """The prediction for any image file, or for a drawn bird by its number, 0 to 99; `bird` is the first.

    >>> open_a_picture(tasnlib.load("notebooks/saved_run", device="cpu"))
    VBox(...)
    """
    config = birds_it_knows(predictor) or at_size(EASY, predictor.image_size)
    alt = "an image, its attention, its structure image, and the most probable classes"

    def draw(number: int) -> Figure:
        return predictor.predict(a_drawn_bird(number, config)).figure()

    if os.environ.get(PRERENDER):
        explore(draw, [Slider("number", "drawn bird number", sorted({*PRERENDERED_BIRDS, bird}), bird)], alt)
        return
    number = ipywidgets.SelectionSlider(options=range(100), value=bird, description="drawn bird")
    result = ipywidgets.HTML()

    def show(figure: Figure) -> None:
        result.value = picture_html(figure, alt)
        message.value = ""

    upload, message = upload_button(lambda image: show(predictor.predict(image).figure()))
    show(draw(bird))
    number.observe(lambda change: show(draw(change.new)), names="value")
    display(ipywidgets.VBox([ipywidgets.HBox([upload, number, message]), result]))


def view_with(predictor: Predictor, image: Float[Tensor, "3 h w"], mean_map: Float[Tensor, "a b"]) -> partial:
    """`plots.single_image.settings_view` of a model and image: a function of max_zoom, exponent and temperature."""
    model = predictor.model
    classify, names = nn.Sequential(model.backbone, model.classifier), predictor.class_names
    return partial(settings_view, image, mean_map, classify, names, model.out_size, antialias=model.antialias)


def change_the_settings(predictor: Predictor, image: Float[Tensor, "3 h w"], mean_map: Float[Tensor, "a b"]) -> None:
    """Sliders for max_zoom, the structure map's exponent and the temperature, on one image.

    Args:
        image: in [0, 1], on the model's device.
        mean_map: the mean of all channels' maps, not raised to any power yet.

    >>> change_the_settings(tasnlib.load("notebooks/saved_run", "cpu"), torch.rand(3, 144, 144), torch.rand(12, 12))
    VBox(...)
    """
    max_zoom, power = predictor.model.max_zoom, predictor.model.structure_power
    sliders = [
        Slider("max_zoom", "max_zoom", sorted({1, 1.5, 2, 3, 4, 6, 8, max_zoom}), max_zoom),
        Slider("exponent", "map raised to the power", sorted({0.5, 1, 2, 3, 4, power}), power),
        Slider("temperature", "temperature of the prediction", (0.5, 1, 2, 5, 10, 20), 1),
    ]
    alt = "the sampling grid over an image, the structure image, and the probabilities, following three sliders"
    explore(view_with(predictor, image, mean_map), sliders, alt)


def compare_classes(
    images: Float[Tensor, "n 3 height width"],
    labels: Int[Tensor, " n"],
    attention: Float[Tensor, "n h w"],
    structure_images: Float[Tensor, "n 3 s s"],
    class_names: Sequence[str],
    first: str,
    second: str,
) -> None:
    """Two menus of classes; see `plots.species_compared.two_classes`. `first` and `second` are selected at the start.

    Raises ValueError for a name that is no class."""
    draw = partial(two_classes, images, labels, attention, structure_images, class_names)
    alt = "birds of two classes, one row each: attention and structure images; above them what differs in words"
    if os.environ.get(PRERENDER):
        names = list(dict.fromkeys([first, second, *class_names[:PRERENDERED_CLASSES]]))
        explore(draw, [Slider("first", "first class", names, first), Slider("second", "second", names, second)], alt)
        return
    menus = [ipywidgets.Dropdown(options=list(class_names), value=name) for name in (first, second)]
    result = follow(menus, lambda: draw(*(menu.value for menu in menus)), alt)
    display(ipywidgets.VBox([ipywidgets.HBox(menus), result]))
