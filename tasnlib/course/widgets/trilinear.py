"""The slider of notebook 02: one channel's raw map, its weights, its trilinear map."""

from functools import partial

from jaxtyping import Float
from torch import Tensor

from tasnlib.course.plots.trilinear import explain_channel
from tasnlib.course.widgets.explore import Slider, explore

SCALES = (0.1, 0.3, 1.0, 2.0, 7.0, 20.0)


def channel_explorer(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    box: Float[Tensor, "4"],
    channel: int = 0,
    scale: float = 7.0,
) -> None:
    """Sliders for the channel and for the inner scale s.

    Args:
        image: in [0, 1]; square.
        features: of this image, not negative.
        box: x0, y0, x1, y1 in pixels; the titles say how much of each map lies in it.
        channel, scale: where the sliders start; the scale one of 0.1, 0.3, 1, 2, 7 and 20.
    """
    explore(
        partial(explain_channel, image, features, box=box),
        [
            Slider("channel", "channel", range(len(features)), channel),
            Slider("scale", "inner scale s", SCALES, scale),
        ],
        "over a bird, the raw map of the chosen channel; its weights for all channels; the trilinear map they make",
    )
