"""The methods that are compared: from a batch of large images to logits, within a small network's budget.

Whatever a method does to an image of 2048 px, its classifier sees 48 to 192 px; and whatever looks for the bird sees
the whole image resized to LOOK px, so that its cost does not grow with the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from tasnlib.attention import pooled_attention
from tasnlib.attention_sampler import SamplingGrid
from tasnlib.networks.small import NormalizedAttentionNet, small_backbone, small_trunk
from tasnlib.sampler import zoom_profiles

LOOK = 128  # side of what every attention network sees
TILE = 128
SCALE, STRUCTURE_POWER = 7.0, 2.0  # of the course's recipes


class View(NamedTuple):
    """A way to resize whole images."""

    side: int
    antialias: bool = True


def resize(images: UInt8[Tensor, "b 3 h w"], view: View) -> UInt8[Tensor, "b 3 side side"]:
    """As image libraries do it: bilinear, in 8 bits.

    >>> resize(torch.full((1, 3, 200, 200), 7, dtype=torch.uint8), View(50)).unique().tolist()
    [7]
    """
    return F.interpolate(images, (view.side, view.side), mode="bilinear", antialias=view.antialias)


class Pictures:
    """A batch of large images, of which nothing is read before it is needed, and the views of them that are ready.

    >>> pictures = Pictures([torch.zeros(3, 512, 512, dtype=torch.uint8)])
    >>> pictures.seen(View(48)).shape
    torch.Size([1, 3, 48, 48])
    """

    def __init__(self, full: Sequence[UInt8[Tensor, "3 size size"]], ready: dict[View, Tensor] | None = None):
        self.full, self.ready = full, ready or {}

    def seen(self, view: View) -> Float[Tensor, "b 3 side side"]:
        """All of each image, resized, in [0, 1]."""
        small = self.ready[view] if view in self.ready else torch.cat([resize(one[None], view) for one in self.full])
        return small.float() / 255

    def read(self, x: Float[Tensor, "b n"], y: Float[Tensor, "b n"]) -> Float[Tensor, "b 3 n n"]:
        """Bilinear reading at the grid of all (x, y), as `sampler.read_bilinearly`, touching only the pixels needed."""
        return torch.stack([_read(image, *place) for image, *place in zip(self.full, x, y, strict=True)])

    def windows(self, centres: Float[Tensor, "b 2"], side: int, out: int) -> Float[Tensor, "b 3 out out"]:
        """Squares of `side` pixels around these (x, y), moved inside, resized to `out` with antialias."""
        size = self.full[0].shape[1]
        corners = (centres - side / 2).round().long().clamp(0, size - side).tolist()
        squares = [image[:, y : y + side, x : x + side] for image, (x, y) in zip(self.full, corners, strict=True)]
        return resize(torch.stack(squares), View(out)).float() / 255


def _read(image: UInt8[Tensor, "3 size size"], x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Tensor:
    places = []
    for positions in (y, x):
        centred = (positions - 0.5).clamp(0, image.shape[1] - 1)
        first = centred.long()
        both = torch.stack([first, (first + 1).clamp_max(image.shape[1] - 1)], dim=1)  # (n, 2)
        places.append((both.flatten(), (centred - first).float()))
    (rows, down), (columns, across) = places
    pixels = image[:, rows[:, None], columns].float().view(3, len(y), 2, len(x), 2) / 255
    pixels = torch.lerp(pixels[:, :, 0], pixels[:, :, 1], down[:, None, None])  # (3, n, n, 2)
    return torch.lerp(pixels[..., 0], pixels[..., 1], across)


@dataclass(frozen=True)
class Method:
    """Every number of a method. The classifier sees `out` pixels.

    kind: "plain" (the whole image resized), "crop" (a window of `window` pixels at the attention's maximum), "sampled"
    (TASN's structure image), "full" (each pixel of the image).
    """

    kind: str
    out: int
    antialias: bool = True
    window: int = 0
    max_zoom: float = 4.0
    stages: int = 1

    def build(self, classes: int) -> "Recogniser":
        return {"plain": Plain, "crop": Crop, "sampled": Sampled, "full": Full}[self.kind](self, classes)


class Recogniser(nn.Module):
    """The backbone and classifier that all methods share; logits by net, the prediction under "master"."""

    views: tuple[View, ...] = ()  # what it sees of whole images

    def __init__(self, method: Method, classes: int):
        super().__init__()
        self.method = method
        self.backbone, features = small_backbone()
        self.classifier = nn.Linear(features, classes)

    def recognise(self, images: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b k"]:
        return self.classifier(self.backbone(images))


class Plain(Recogniser):
    """Shrinks evenly."""

    @property
    def views(self) -> tuple[View, ...]:
        return (View(self.method.out, self.method.antialias),)

    def forward(self, pictures: Pictures) -> dict[str, Tensor]:
        return {"master": self.recognise(pictures.seen(self.views[0]))}


class Full(Recogniser):
    """Every pixel, at once or tile by tile: the backbone ends in the maximum over space."""

    def forward(self, pictures: Pictures) -> dict[str, Tensor]:
        return {"master": self.recognise(torch.stack(list(pictures.full)).float() / 255)}

    def by_tiles(self, image: UInt8[Tensor, "3 size size"], batch: int = 16) -> dict[str, Float[Tensor, "1 k"]]:
        """The logits of the maximum over tiles of the features, and the maximum over tiles of the logits.

        >>> model = Method("full", 0).build(classes=5).eval()
        >>> {name: logits.shape for name, logits in model.by_tiles(torch.zeros(3, 256, 256, dtype=torch.uint8)).items()}
        {'features': torch.Size([1, 5]), 'logits': torch.Size([1, 5])}
        """
        corners = [(y, x) for y in range(0, image.shape[1], TILE) for x in range(0, image.shape[2], TILE)]
        features = []
        for start in range(0, len(corners), batch):
            tiles = [image[:, y : y + TILE, x : x + TILE] for y, x in corners[start : start + batch]]
            features.append(self.backbone(torch.stack(tiles).float() / 255))
        found = torch.cat(features)  # (tiles, d)
        return {
            "features": self.classifier(found.amax(dim=0, keepdim=True)),
            "logits": self.classifier(found).amax(dim=0, keepdim=True),
        }


class MaximumAttentionNet(NormalizedAttentionNet):
    """Its classifier sees the maximum over space. A mean over 1,024 cells hides what covers two of them: with it, the
    network learns nothing from birds that cover a thousandth of the image, and its maps are blind to them."""

    def forward(self, images: Float[Tensor, "b 3 n n"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b c h w"]]:
        _, features = super().forward(images)
        return self.classifier(features.amax(dim=(2, 3))), features


class Attentive(Recogniser):
    """An attention network looks at the whole image, resized to LOOK px, and learns from the same labels."""

    views = (View(LOOK),)

    def __init__(self, method: Method, classes: int):
        super().__init__(method, classes)
        self.looks = nn.ModuleList(MaximumAttentionNet(*small_trunk(), classes) for _ in range(method.stages))

    def look(self, stage: int, seen: Float[Tensor, "b 3 n n"]) -> tuple[Tensor, Float[Tensor, "b h w"]]:
        """The logits of this stage's attention network, and the structure map, as `TASN.attend` makes it."""
        logits, features = self.looks[stage](seen)
        structure = pooled_attention(features, SCALE, torch.zeros(len(seen), dtype=torch.int64)).structure
        structure = structure / structure.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(structure.dtype).tiny)
        return logits, structure**STRUCTURE_POWER


class Crop(Attentive):
    """Cuts out a window around the attention's maximum."""

    def forward(self, pictures: Pictures) -> dict[str, Tensor]:
        logits, attention = self.look(0, pictures.seen(View(LOOK)))
        cells = attention.shape[2]
        highest = attention.flatten(1).argmax(dim=1)
        place = torch.stack([highest % cells, highest // cells], dim=1) + 0.5  # (b, 2)
        centres = place * (pictures.full[0].shape[1] / cells)
        return {
            "attention": logits,
            "master": self.recognise(pictures.windows(centres, self.method.window, self.method.out)),
        }


class Sampled(Attentive):
    """TASN without its part net. With two stages it looks again, at what the first sampling shows, by a second
    attention network of its own; the second sampling reads the original image through both grids."""

    def forward(self, pictures: Pictures) -> dict[str, Tensor]:
        size, out, zoom = pictures.full[0].shape[1], self.method.out, self.method.max_zoom
        logits, attention = self.look(0, pictures.seen(View(LOOK)))
        result = {"attention": logits}
        if self.method.stages == 1:
            grid = SamplingGrid(*zoom_profiles(attention, size, zoom), (out, out))
            x, y = grid.x, grid.y
        else:
            first = SamplingGrid(*zoom_profiles(attention, size, zoom), (LOOK, LOOK))
            result["second attention"], again = self.look(1, pictures.read(first.x, first.y))
            x, y = composed(first, SamplingGrid(*zoom_profiles(again, LOOK, zoom), (out, out)))
        return result | {"master": self.recognise(pictures.read(x, y))}


def composed(first: SamplingGrid, second: SamplingGrid) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
    """Where in the image the columns and rows come from that `second` reads in the image that `first` has sampled.

    The way back through `first` is exact, so nothing is interpolated twice, and the zooms multiply.
    """
    x, y = first.to_image(torch.stack([second.x, second.y], dim=2)).unbind(dim=2)
    return x, y
