"""How long a slider of the notebooks takes to answer: python -m benchmarks.sliders

Seconds from a new value to the picture in the page, on one thread: the median and the slowest of ten drawings, the
first left out because it loads fonts. The aim is under 0.2 s: a picture that follows the hand.
"""

import statistics
import time
from collections.abc import Callable

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from tasnlib.course.plots import (
    bent_grid,
    channel_maps,
    raw_and_trilinear,
    single_image,
    soft_targets,
    student_and_teacher,
)
from tasnlib.course.widgets.browser_pictures import picture_html

AIM = 0.2


def drawings() -> dict[str, Callable[[], Figure]]:
    """Each slider's drawing function, on inputs as large as in the notebooks."""
    image, large = torch.rand(3, 144, 144), torch.rand(3, 288, 288)
    features, attention = torch.rand(32, 12, 12), torch.rand(12, 12)
    names = [f"class {number}" for number in range(16)]
    history = [{"epoch": epoch, "accuracy": {"master": 0.9, "part": 0.8, "attention": 0.2}} for epoch in range(1, 9)]
    epochs = (torch.rand(4, 3, 144, 144), torch.rand(9, 4, 12, 12), torch.rand(9, 4, 3, 48, 48))
    pair = torch.tensor([4.0, 2.0, 0.0, -2.0])
    return {
        "01 channel and scale": lambda: channel_maps.where_and_who(image, features, channel=3, scale=7.0),
        "02 channel and scale": lambda: raw_and_trilinear.explain_channel(
            image, features, box=torch.tensor([40.0, 40.0, 90.0, 80.0]), channel=3, scale=7.0
        ),
        "03 zoom, exponent, sharpness": lambda: bent_grid.sampler_view(image, attention),
        "03 drag a bump": lambda: bent_grid.bump_view(large, 0.4, 0.4, 0.15, 4.0),
        "04 temperature and logits": lambda: soft_targets.softened(pair.flip(0), pair, 3.0, list("abcd")),
        "04 epochs": lambda: student_and_teacher.training_epoch(*epochs, history, 5, torch.rand(4, 3, 4) * 100),
        "07 click a channel": lambda: single_image.channel_view(image, attention, image, torch.rand(16), names, 3),
        "07 zoom, exponent, temperature": lambda: single_image.settings_view(
            image, attention, lambda _: torch.rand(1, 16), names, 48
        ),
    }


def main() -> None:
    mpl.use("Agg")
    torch.set_num_threads(1)
    rows = []
    for name, draw in tqdm(drawings().items(), unit=" sliders"):
        picture_html(draw(), name)
        seconds = []
        for _ in range(10):
            begun = time.perf_counter()
            picture_html(draw(), name)
            seconds.append(time.perf_counter() - begun)
        rows.append((name, statistics.median(seconds), max(seconds)))
    print(f"{'slider':34} median, s   slowest, s   share of the {AIM} s aimed at")
    for name, median, slowest in rows:
        print(f"{name:34} {median:9.3f} {slowest:12.3f} {median / AIM:12.0%}")


if __name__ == "__main__":
    main()
