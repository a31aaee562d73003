"""The slider of notebook 01: where a channel fires, and with whom."""

from collections.abc import Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor

from tasnlib.course.plots.bilinear import where_and_who
from tasnlib.course.widgets.explore import Slider, explore

SCALES = (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0)


def explore_where_and_who(
    image: Float[Tensor, "3 height width"],
    features: Float[Tensor, "c h w"],
    boxes: Float[Tensor, "parts 4"] | None = None,
    channel: int = 0,
    scales: Sequence[float] = SCALES,
) -> None:
    """Two sliders, channel and inner scale s, over `plots.bilinear.where_and_who`.

    Args:
        image: in [0, 1].
        features: of that image.
        boxes: of its parts, in pixels of the image.
        channel: the one to begin with.
        scales: the values of s to step through; 7 must be among them, the slider begins there.
    """
    explore(
        partial(where_and_who, image, features, boxes=boxes),
        [Slider("channel", "channel", range(len(features)), channel), Slider("scale", "inner scale s", scales, 7.0)],
        "one channel over a bird, the softmax over space of that channel, and its row of R as bars",
    )
