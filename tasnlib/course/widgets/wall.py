"""The wall of channels: the attention maps of all channels over one image. A click on a tile shows that channel."""

import os
from pathlib import Path

import anywidget
import ipywidgets
import torch
import traitlets
from IPython.display import display
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.attention import trilinear_attention
from tasnlib.course.plots.channel_tiles import COLUMNS, GAP, MOST, TILE, strongest, wall
from tasnlib.course.plots.single_image import channel_view
from tasnlib.course.widgets.browser_pictures import jpeg_address
from tasnlib.course.widgets.sliders import PRERENDER, Slider, explore, follow
from tasnlib.runs.prediction import Predictor

ALT = "one channel's map over the image, its detail image, and the part net's five most probable classes"


class Channels:
    """Every channel of a trained TASN on one image.

    Args:
        predictor: of `tasnlib.load`.
        image: in [0, 1], as `Prediction.image`.
        most: how many channels to show, the strongest on this image.

    >>> channels = Channels(tasnlib.load("notebooks/saved_run", device="cpu"), torch.rand(3, 144, 144), most=5)
    >>> channels.maps.shape, len(channels.shown)
    (torch.Size([32, 12, 12]), 5)
    """

    @torch.no_grad()
    def __init__(self, predictor: Predictor, image: Float[Tensor, "3 height width"], most: int = MOST):
        self.model, self.class_names, self.image = predictor.model, predictor.class_names, image
        self.device = next(self.model.parameters()).device
        _, features = self.model.look(image[None].to(self.device))  # (1, c, h, w)
        self.features = features[0].cpu()
        self.maps = trilinear_attention(features, self.model.scale)[0].cpu()  # (c, h, w)
        self.shown = strongest(self.features, most)  #: numbers of the channels on the wall, the strongest first

    @torch.no_grad()
    def view(self, channel: int) -> Figure:
        """One channel: its map, its detail image, and the part net's prediction from that."""
        attention = self.maps[channel]
        detail = self.model.sample(self.image[None].to(self.device), attention[None].to(self.device))
        probabilities = self.model.classifier(self.model.backbone(detail)).float().softmax(1)[0].cpu()
        dead = not self.features[channel].any()
        return channel_view(self.image, attention, detail[0].cpu(), probabilities, self.class_names, channel, dead)


class Wall(anywidget.AnyWidget):
    """A picture of tiles. Click one, or move with the arrow keys; `chosen` counts them from 0."""

    _esm = Path(__file__).with_name("wall.js")
    picture = traitlets.Unicode().tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # tiles, columns, pixels per tile, per gap
    chosen = traitlets.Int(0).tag(sync=True)


def click_a_channel(channels: Channels) -> None:
    """The wall, to click on; below it the chosen channel. On a page without a kernel a slider replaces the wall.

    >>> predictor = tasnlib.load("notebooks/saved_run", device="cpu")
    >>> click_a_channel(Channels(predictor, torch.rand(3, 144, 144), most=8))
    VBox(...)
    """
    if os.environ.get(PRERENDER):
        some = channels.shown[:COLUMNS]
        explore(channels.view, [Slider("channel", "channel, the strongest first", some, some[0])], ALT)
        return
    tiles = Wall(
        picture=jpeg_address(wall(channels.image, channels.maps[channels.shown])),
        labels=[str(channel) for channel in channels.shown],
        shape=[len(channels.shown), COLUMNS, TILE, GAP],
    )
    result = follow([tiles], lambda: channels.view(channels.shown[tiles.chosen]), ALT, traits=["chosen"])
    display(ipywidgets.VBox([tiles, result]))
