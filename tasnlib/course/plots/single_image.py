"""One image: the effect of one channel, or of the sampler's settings, on what the network predicts.

Axes are placed by hand: a slider or a click draws these, and a layout solver takes longer.
"""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.bent_grid import draw_grid, small_enough
from tasnlib.course.plots.style import COLOURS, draw_attention, draw_image
from tasnlib.sampler import attention_sample


def _three_panels() -> tuple[Figure, Axes, Axes, Axes]:
    """Two square pictures and a panel for bars."""
    figure = plt.figure(figsize=(8.9, 2.5))
    left, middle = figure.add_axes((0.005, 0.02, 0.245, 0.86)), figure.add_axes((0.268, 0.02, 0.245, 0.86))
    return figure, left, middle, figure.add_axes((0.535, 0.19, 0.46, 0.69))


def _draw_best(axes: Axes, probabilities: Tensor, class_names: Sequence[str], net: str) -> None:
    shares, order = (100 * probabilities).topk(min(5, len(class_names)))
    names = [class_names[number] for number in order.tolist()]
    labels = [f"{name}  {share:.1f}" for name, share in zip(names, shares.tolist(), strict=True)]
    bars = axes.barh(range(len(names)), shares.tolist(), color=COLOURS[net])
    axes.bar_label(bars, labels, padding=3, fontsize=9, parse_math=False)  # a class name may contain a $
    axes.set(xlim=(0, 290), xticks=[0, 50, 100], yticks=[])  # room for the names
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xlabel("probability, %", x=0.2)
    axes.set_title(f"{net} net: {names[0]}, {shares[0]:.1f} %", fontsize=10, parse_math=False)
    axes.invert_yaxis()


def channel_view(
    image: Float[Tensor, "3 height width"],
    attention: Float[Tensor, "h w"],
    detail_image: Float[Tensor, "3 n n"],
    probabilities: Float[Tensor, " classes"],
    class_names: Sequence[str],
    channel: int,
    dead: bool = False,
) -> Figure:
    """One channel: its map over the image, its detail image, and the part net's five most probable classes.

    Args:
        dead: whether its features are 0 in every cell of this image.

    >>> figure = channel_view(
    ...     torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6), torch.tensor([0.1, 0.9]), ["wren", "robin"], 4)
    >>> [axes.get_title() for axes in figure.axes]
    ['channel 4', 'detail image', 'part net: robin, 90.0 %']
    """
    figure, left, middle, bars = _three_panels()
    draw_attention(left, small_enough(image), attention, f"channel {channel}" + (", dead here" if dead else ""))
    draw_image(middle, detail_image, "detail image", COLOURS["detail"])
    _draw_best(bars, probabilities, class_names, "part")
    return figure


def settings_view(
    image: Float[Tensor, "3 height width"],
    mean_map: Float[Tensor, "h w"],
    classify: Callable[[Tensor], Tensor],
    class_names: Sequence[str],
    out_size: int,
    max_zoom: float | int = 4,
    exponent: float | int = 1,
    temperature: float | int = 1,
    antialias: bool = False,
) -> Figure:
    """The effect of three settings on a prediction: the sampling grid, the structure image, the probabilities.

    Args:
        image: in [0, 1].
        mean_map: the mean of all channels' maps, not raised to any power yet.
        classify: structure images (1, 3, n, n) to logits (1, classes).
        out_size: n.
        max_zoom: see `sampler.sampling_positions`.
        exponent: the map is raised to it.
        temperature: the logits are divided by it before the softmax.
        antialias: see `sampler.attention_sample`.

    >>> figure = settings_view(torch.rand(3, 9, 9), torch.rand(3, 3), lambda x: torch.ones(1, 2), ["wren", "robin"], 6)
    >>> [axes.get_title() for axes in figure.axes]
    ['the sampling grid', 'structure image, 6 px', 'master net: wren, 50.0 %']
    """
    attention = (mean_map.float() / mean_map.max().clamp_min(1e-12)) ** exponent
    structure_image = attention_sample(image[None], attention[None], out_size, float(max_zoom), antialias)
    with torch.no_grad():
        probabilities = (classify(structure_image)[0].float() / temperature).softmax(0)
    figure, left, middle, bars = _three_panels()
    draw_attention(left, small_enough(image), attention, "the sampling grid")
    draw_grid(left, small_enough(image), attention, float(max_zoom), alpha=0.7)
    draw_image(middle, structure_image[0], f"structure image, {out_size} px", COLOURS["structure"])
    _draw_best(bars, probabilities, class_names, "master")
    return figure
