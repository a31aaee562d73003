"""Figures of notebook 07: one channel, the knobs, mistakes, and two species.

The wall of channels is in `plots.wall`, the measures in `plots.measures`; the notebook finds both here too. Axes are
placed by hand where a slider or a click draws the figure, as in `plots.sampler`: a layout solver takes longer.
"""

import textwrap
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.grid import GRID_LINES, draw_grid, small_enough
from tasnlib.course.plots.measures import measures
from tasnlib.course.plots.prediction import draw_answer
from tasnlib.course.plots.style import COLOURS, draw_attention, draw_boxes, draw_image
from tasnlib.course.plots.wall import wall_figure
from tasnlib.sampler import attention_sample, sampling_positions

__all__ = [
    "channel_view",
    "differences",
    "hard_cases",
    "knobs_view",
    "measures",
    "two_species",
    "wall_figure",
]


def channel_view(
    image: Float[Tensor, "3 height width"],
    attention: Float[Tensor, "h w"],
    detail_image: Float[Tensor, "3 n n"],
    probabilities: Float[Tensor, " classes"],
    class_names: Sequence[str],
    channel: int,
    fires: bool = True,
) -> Figure:
    """One channel: its map over the image, its detail image, and the part net's five most probable classes.

    Args:
        fires: whether it has any feature above 0 on this image.

    >>> figure = channel_view(
    ...     torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6), torch.tensor([0.1, 0.9]), ["wren", "robin"], 4)
    >>> [axes.get_title() for axes in figure.axes]
    ['channel 4', 'detail image', 'part net: robin, 90.0 %']
    """
    figure, (left, middle, bars) = _three_panels()
    title = f"channel {channel}" + ("" if fires else ", silent here")
    draw_attention(left, small_enough(image), attention, title)
    draw_image(middle, detail_image, "detail image", COLOURS["detail"])
    _draw_answer(bars, probabilities, class_names, COLOURS["part"], "part net: ")
    return figure


def knobs_view(
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
    """What three knobs do to an answer: the bent grid over the image, the structure image, the probabilities.

    Args:
        image: in [0, 1].
        mean_map: the mean of all channels' maps, not raised to any power yet.
        classify: structure images (1, 3, n, n) to logits (1, classes).
        out_size: n.
        max_zoom: see `sampler.sampling_positions`.
        exponent: the map is raised to it.
        temperature: the logits are divided by it before the softmax.
        antialias: see `sampler.attention_sample`.

    >>> figure = knobs_view(torch.rand(3, 9, 9), torch.rand(3, 3), lambda x: torch.ones(1, 2), ["wren", "robin"], 6)
    >>> [axes.get_title() for axes in figure.axes]
    ['where it is read', 'structure image, 6 px', 'wren, 50.0 %']
    """
    attention = (mean_map.float() / mean_map.max().clamp_min(1e-12)) ** exponent
    structure_image = attention_sample(image[None], attention[None], out_size, float(max_zoom), antialias)
    with torch.no_grad():
        probabilities = (classify(structure_image)[0].float() / temperature).softmax(0)
    figure, (left, middle, bars) = _three_panels()
    drawn = small_enough(image)
    size = drawn.shape[1], drawn.shape[2]
    x, y = (one[0] for one in sampling_positions(attention[None], size, GRID_LINES, float(max_zoom)))
    draw_attention(left, drawn, attention, "where it is read")
    draw_grid(left, x, y, size, "white", alpha=0.7)
    draw_image(middle, structure_image[0], f"structure image, {out_size} px", COLOURS["structure"])
    _draw_answer(bars, probabilities, class_names, COLOURS["master"])
    return figure


def _three_panels() -> tuple[Figure, tuple[Axes, Axes, Axes]]:
    """Two square pictures and a panel for bars."""
    figure = plt.figure(figsize=(8.9, 2.5))
    left, middle = figure.add_axes((0.005, 0.02, 0.245, 0.86)), figure.add_axes((0.268, 0.02, 0.245, 0.86))
    return figure, (left, middle, figure.add_axes((0.535, 0.19, 0.46, 0.69)))


def _draw_answer(
    axes: Axes, probabilities: Float[Tensor, " classes"], class_names: Sequence[str], colour: str, who: str = ""
) -> None:
    shares, order = probabilities.topk(min(5, len(class_names)))
    draw_answer(axes, [class_names[place] for place in order.tolist()], shares.tolist(), colour, who)


def hard_cases(
    images: Float[Tensor, "n 3 height width"],
    attention: Float[Tensor, "n h w"],
    structure_images: Float[Tensor, "n 3 s s"],
    titles: Sequence[str],
    boxes: Float[Tensor, "n parts 4"] | None = None,
) -> Figure:
    """One column a bird: above, where the attention lay and where the parts are; below, the structure image.

    Args:
        titles: of up to four lines.
        boxes: of the parts, in pixels of the image.

    >>> len(hard_cases(torch.rand(2, 3, 9, 9), torch.rand(2, 3, 3), torch.rand(2, 3, 6, 6), ["a", "b"]).axes)
    4
    """
    count = len(images)
    figure, grid = plt.subplots(2, count, figsize=(2.2 * count, 5.0), squeeze=False)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.86, 0.06, 0.03)
    for number, (above, below) in enumerate(grid.T):
        draw_attention(above, images[number], attention[number], titles[number])
        above.title.set_fontsize(8.5)
        if boxes is not None:
            draw_boxes(above, boxes[number])
        draw_image(below, structure_images[number], "", COLOURS["structure"])
    return figure


def differences(first: str, second: str) -> str:
    """What differs between two classes, in the words of their names.

    >>> differences("red-yellow, head along, wing along", "red-yellow, head across, wing along")
    'head along against head across'
    >>> differences("wren", "wren")
    'nothing: it is the same class'
    """
    if first == second:
        return "nothing: it is the same class"
    one, other = first.split(", "), second.split(", ")
    if len(one) != len(other):
        return f"{first} against {second}"
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
    return "; ".join(f"{a} against {b}" for a, b in pairs)


def two_species(
    images: Float[Tensor, "n 3 height width"],
    labels: Int[Tensor, " n"],
    attention: Float[Tensor, "n h w"],
    structure_images: Float[Tensor, "n 3 s s"],
    class_names: Sequence[str],
    first: str,
    second: str,
    birds: int = 2,
) -> Figure:
    """Birds of two species, one row each: attention and structure image of the first few, and what differs in words.

    Args:
        class_names: by label.
        first, second: two of them.

    Raises:
        ValueError: for a name that is no class.

    >>> n = 4
    >>> figure = two_species(torch.rand(n, 3, 9, 9), torch.tensor([0, 1, 0, 1]), torch.rand(n, 3, 3),
    ...     torch.rand(n, 3, 6, 6), ["grey, head along", "grey, head across"], "grey, head along", "grey, head across")
    >>> figure.get_suptitle()
    'what differs: head along against head across'
    """
    for name in (first, second):
        if name not in class_names:
            raise ValueError(f"{name!r} is no class; choose among {', '.join(class_names)}")
    figure, grid = plt.subplots(2, 2 * birds, figsize=(1.8 * 2 * birds, 4.6), squeeze=False)
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.83, 0.05, 0.14)
    words = textwrap.fill(f"what differs: {differences(first, second)}", 45 * birds)
    figure.suptitle(words, fontsize=10, y=0.985, parse_math=False)
    for row, name in zip(grid, (first, second), strict=True):
        chosen = (labels == list(class_names).index(name)).nonzero().flatten()[:birds].tolist()
        for axes in row:
            axes.set_axis_off()
        for place, number in enumerate(chosen):
            left, right = row[2 * place], row[2 * place + 1]
            for axes in (left, right):
                axes.set_axis_on()
            draw_attention(left, small_enough(images[number]), attention[number])
            draw_image(right, structure_images[number], "", COLOURS["structure"])
        row[0].set_title(name, fontsize=10, loc="left", parse_math=False)
    return figure
