"""A class has the name of a folder, which may hold anything. matplotlib takes text between two $ for a formula."""

import pytest
import torch
from matplotlib.text import Text

from tasnlib.course import plots
from tasnlib.course.plots import explore
from tasnlib.course.plots.prediction import prediction_figure

NAMES = ["US$ 5 or C$ 7", r"a$\frac{1$b"]


def two(*shape: int) -> torch.Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))


FIGURES = {
    "contact sheet": lambda: plots.contact_sheet(two(3, 9, 9).byte(), NAMES),
    "row": lambda: plots.image_row([*two(3, 9, 9)], NAMES),
    "prediction": lambda: prediction_figure(two(3, 9, 9)[0], two(3, 3)[0], two(3, 6, 6)[0], NAMES, [0.9, 0.1]),
    "confusion": lambda: plots.confusion(torch.arange(2), {"master": torch.arange(2)}, NAMES, genera=1),
    "channel": lambda: explore.channel_view(two(3, 9, 9)[0], two(3, 3)[0], two(3, 6, 6)[0], two(), NAMES, 0),
    "knobs": lambda: explore.knobs_view(two(3, 9, 9)[0], two(3, 3)[0], lambda _: two()[None], NAMES, 6),
    "hard cases": lambda: explore.hard_cases(two(3, 9, 9), two(3, 3), two(3, 6, 6), NAMES),
    "two species": lambda: explore.two_species(
        two(3, 9, 9), torch.arange(2), two(3, 3), two(3, 6, 6), NAMES, *NAMES, birds=1
    ),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_dollar_is_a_dollar(kind):
    figure = FIGURES[kind]()
    plots.figure_bytes(figure)
    holding = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert holding
    assert not any(text.get_parse_math() for text in holding)
