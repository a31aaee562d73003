"""Sliders of notebook 03."""

from functools import partial

from jaxtyping import Float
from torch import Tensor

from tasnlib.course.plots.sampler import sampler_view
from tasnlib.course.widgets.explore import Slider, explore

MAX_ZOOMS = (1, 1.5, 2, 3, 4, 6, 8)
EXPONENTS = (0.5, 1, 2, 3, 4)
SHARPNESS = (-3, -2, -1, 0, 1, 2)


def turn_the_sampler(image: Float[Tensor, "3 h w"], attention: Float[Tensor, "a b"]) -> None:
    """Sliders for the limit of the zoom, the power of the map, and how blurred or sharpened it is.

    >>> import torch
    >>> turn_the_sampler(torch.rand(3, 24, 24), torch.rand(4, 4))
    VBox(...)
    """
    explore(
        partial(sampler_view, image, attention),
        [
            Slider("max_zoom", "max_zoom", MAX_ZOOMS, 4),
            Slider("exponent", "map raised to the power", EXPONENTS, 2),
            Slider("sharpness", "blur (–) or sharpen (+)", SHARPNESS, 0),
        ],
        "an attention map, the bent grid it lays over an image, and the sampled image, following three sliders",
    )
