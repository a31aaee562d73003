"""Is my run on track? The public log of the authors' code on CUB-200-2011, with your own curve over it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tasnlib.course.plots.style import COLOURS, LABELS

# Test accuracy in percent after so many epochs of an independent rerun of the authors' MXNet code on CUB-200-2011
# (github.com/wkcn/AttentionSampler, training_tasn.log, which counts epochs from 0): the master net's by the shared
# classifier, and the attention net's. The log divides by 5,760 or 5,856 images (padded batches) instead of 5,794.
PUBLISHED_EPOCHS = (1, 6, 11, 21, 41, 61, 100, 101, 111, 151, 200, 206, 266)
PUBLISHED = {
    "master": (31.1, 69.3, 78.8, 79.4, 82.6, 83.0, 82.3, 84.7, 85.8, 86.3, 86.5, 86.8, 87.0),
    "attention": (11.8, 64.3, 69.3, 76.1, 78.6, 80.0, 79.5, 80.0, 80.1, 80.4, 80.8, 80.7, 80.9),
}


def on_track(history: Sequence[Mapping] = (), epochs: int = 300) -> Figure:
    """The published log, dashed; the history of your own run on CUB-200-2011, solid, if given.

    Args:
        history: of `training.fit`.
        epochs: of the whole run; the axis reaches at least as far as the log.

    >>> axes, = on_track([{"epoch": 1, "accuracy": {"master": 0.3, "attention": 0.1}}]).axes
    >>> len(axes.lines)
    4
    """
    figure, axes = plt.subplots(figsize=(8.5, 3.6), layout="constrained")
    for name, percent in PUBLISHED.items():
        label = f"{LABELS[name]}, published log"
        axes.plot(PUBLISHED_EPOCHS, percent, "o--", color=COLOURS[name], markersize=3, linewidth=1, label=label)
    for name in PUBLISHED if history else ():
        own = [100 * entry["accuracy"][name] for entry in history]
        label = f"{LABELS[name]}, this run"
        axes.plot([entry["epoch"] for entry in history], own, "o-", color=COLOURS[name], markersize=3, linewidth=2.5,
                  label=label)  # fmt: skip
    axes.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 100), xlim=(0, max(epochs, PUBLISHED_EPOCHS[-1]) + 5))
    axes.legend(loc="lower right", fontsize=9)
    return figure


def published_at(epoch: int, name: str = "master") -> float:
    """Accuracy in the published log after so many epochs, in percent: linear between its entries, flat beyond them.

    >>> published_at(6), round(published_at(16), 1)
    (69.3, 79.1)
    """
    return float(np.interp(epoch, PUBLISHED_EPOCHS, PUBLISHED[name]))
