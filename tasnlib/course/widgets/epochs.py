"""Slider of notebook 04: the epochs of a training run that was kept."""

from collections.abc import Mapping, Sequence
from functools import partial

from jaxtyping import Float, UInt8
from torch import Tensor

from tasnlib.course.plots.distillation import training_epoch
from tasnlib.course.widgets.explore import Slider, explore


def training_epochs(
    images: UInt8[Tensor, "b 3 h w"],
    structure: Float[Tensor, "epochs b m n"],
    structure_images: UInt8[Tensor, "epochs b 3 s s"],
    history: Sequence[Mapping],
    boxes: Float[Tensor, "b parts 4"] | None = None,
) -> None:
    """Step through the epochs; 0 is before training. Arguments: see `plots.distillation.training_epoch`."""
    draw = partial(training_epoch, images, structure, structure_images, history, boxes=boxes)
    epochs = list(range(len(history) + 1))
    alt = "attention over four images, their structure images, and the accuracy of each net up to the chosen epoch"
    explore(draw, [Slider("epoch", "epochs trained", epochs, epochs[-1])], alt)
