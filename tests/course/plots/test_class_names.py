"""A class has the name of a folder, which may contain a $. matplotlib takes text between two $ for a formula."""

import pytest
import torch
from matplotlib.text import Text

from tasnlib.course.plots import picture_grids, single_image, species_compared, training_curves
from tasnlib.course.plots.notebook_display import figure_bytes

NAMES = ["US$ 5 or C$ 7", r"a$\frac{1$b"]
IMAGES, MAPS = torch.rand(2, 3, 9, 9), torch.rand(2, 3, 3)
FIGURES = {
    "contact sheet": lambda: picture_grids.contact_sheet((255 * IMAGES).byte(), NAMES),
    "confusion": lambda: training_curves.confusion(torch.arange(2), {"master": torch.arange(2)}, NAMES, genera=1),
    "genera": lambda: training_curves.confusion(torch.arange(4), {"master": torch.arange(4)}, 2 * NAMES, genera=2),
    "channel": lambda: single_image.channel_view(IMAGES[0], MAPS[0], IMAGES[1], torch.tensor([0.1, 0.9]), NAMES, 0),
    "species": lambda: species_compared.two_classes(IMAGES, torch.arange(2), MAPS, IMAGES, NAMES, *NAMES),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_a_dollar_is_a_dollar(kind):
    figure = FIGURES[kind]()
    figure_bytes(figure)
    texts = [text for text in figure.findobj(Text) if "$" in text.get_text()]
    assert texts or kind == "confusion"  # without genera, classes are numbered
    assert not any(text.get_parse_math() for text in texts)
