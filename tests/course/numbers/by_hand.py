"""The saved run on the drawn birds once more, in short code of its own: what the notebooks claim is computed here
without the library's attention, sampler and measures. From the library come the birds and the networks with their
weights."""

from functools import cache

import torch
from torch import Tensor

from tasnlib.data.birds import EASY, BirdsBatch, draw_birds
from tasnlib.model import TASN
from tasnlib.runs.run_folder import saved_run
from tasnlib.training.checkpoints import load_model
from tasnlib.training.evaluation import draw_channels

SIZE, SMALL, CELLS = 144, 48, 12  # pixels of an image, pixels that a network sees, cells of a map; each along a side


@cache
def tasn() -> TASN:
    return load_model(saved_run() / "tasn.safetensors")[0].eval()


@cache
def birds(split: str = "test") -> BirdsBatch:
    return draw_birds(EASY, seed=0, split=split, indices=range(100 if split == "val" else 300))


@cache
def images(split: str = "test") -> Tensor:
    return birds(split).images.float() / 255


def boxes(part: str, split: str = "test") -> Tensor:
    return birds(split).boxes[:, EASY.parts.index(part)]


def triangle(old: int, new: int) -> Tensor:
    """(new, old): a new pixel's weights fall linearly with the distance, to 0 at the next new pixel's centre."""
    step = old / new
    centres, pixels = (torch.arange(new) + 0.5) * step, torch.arange(old) + 0.5
    weights = (1 - (centres[:, None] - pixels).abs() / step).clamp_min(0)
    return weights / weights.sum(1, keepdim=True)


def antialiased(pictures: Tensor) -> Tensor:
    filtered = triangle(pictures.shape[-1], SMALL)
    return filtered @ pictures @ filtered.T


def aliased(pictures: Tensor) -> Tensor:
    return pictures[..., 1::3, 1::3]  # the middle one of every three pixels


@cache
@torch.no_grad()
def features(split: str = "test") -> Tensor:
    """(birds, 32, 144), cells in a row."""
    return tasn().attention_net(antialiased(images(split)))[1].flatten(2)


def relation(x: Tensor, s: float = 7.0) -> Tensor:
    """R of features (..., channels, cells): (..., channels, channels)"""
    weights = torch.exp(s * (x - x.amax(-1, keepdim=True)))
    together = weights @ x.mT / weights.sum(-1, keepdim=True)
    scores = torch.exp(together - together.amax(-1, keepdim=True))
    return scores / scores.sum(-1, keepdim=True)


@cache
def maps() -> Tensor:
    """(birds, 32, 144)"""
    return relation(features()) @ features()


def squared(found: Tensor) -> Tensor:
    """The structure map of maps (birds, channels, cells): (birds, cells)"""
    return found.mean(1) ** 2


def cover(box: Tensor, cells: int = CELLS, size: int = SIZE) -> Tensor:
    """Boxes (n, 4) in pixels to (n, cells²): how much of each cell lies inside."""
    edges = torch.arange(cells + 1) * (size / cells)

    def along(low: Tensor, high: Tensor) -> Tensor:
        inside = torch.minimum(high[:, None], edges[1:]) - torch.maximum(low[:, None], edges[:-1])
        return inside.clamp_min(0) * (cells / size)

    return (along(box[:, 1], box[:, 3])[:, :, None] * along(box[:, 0], box[:, 2])[:, None]).flatten(1)


def mass(found: Tensor, box: Tensor) -> Tensor:
    """Of each map (n, cells²), the share inside its box; a map of zeros counts as uniform."""
    found = torch.where(found.sum(-1, keepdim=True) > 0, found, 1.0)
    return (found * cover(box, cells=round(found.shape[-1] ** 0.5))).sum(-1) / found.sum(-1)


def points_into(found: Tensor, box: Tensor) -> Tensor:
    """Does the centre of the brightest cell of each map (n, cells²) lie in its box?"""
    cells = round(found.shape[-1] ** 0.5)
    best = found.argmax(-1)
    x, y = ((place + 0.5) * SIZE / cells for place in (best % cells, best // cells))
    return ((x > box[:, 0]) & (x < box[:, 2]) & (y > box[:, 1]) & (y < box[:, 3])).double()


def zooms(found: Tensor, max_zoom: float = 4.0) -> tuple[Tensor, Tensor]:
    """Maps (n, cells²) to the zoom of each column and each row (n, 144), by bisection instead of sorting."""
    cells = round(found.shape[-1] ** 0.5)
    grid = found.view(-1, cells, cells).double()
    places = ((torch.arange(SIZE).double() + 0.5) * cells / SIZE - 0.5).clamp(0, cells - 1)
    finer = (1 - (places[:, None] - torch.arange(cells)).abs()).clamp_min(0)  # (144, cells), linear
    both = [(one @ finer.T).amax(1) for one in (grid, grid.mT)]
    both = [one / one.mean(1, keepdim=True) for one in both]
    cap = torch.minimum(*(one.amax(1, keepdim=True) for one in both)).clamp_max(max_zoom)
    limited = []
    for one in both:
        low, high = torch.zeros_like(cap), cap
        for _ in range(50):
            middle = (low + high) / 2
            short = torch.minimum(one + middle, cap).mean(1, keepdim=True) < 1
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        limited.append(torch.minimum(one + high, cap))
    return limited[0], limited[1]


def positions(zoom: Tensor, out: int = SMALL, shift: float = 0.5) -> Tensor:
    """Where the running sum of a zoom (n, 144) reaches the middles of `out` equal steps: (n, out)."""
    edges = torch.nn.functional.pad(zoom.cumsum(1), (1, 0))
    heights = (torch.arange(out) + shift) / out * edges[:, -1:]
    pixel = (edges[:, None, 1:-1] < heights[:, :, None]).sum(2)
    return pixel + (heights - edges.gather(1, pixel)) / zoom.gather(1, pixel).clamp_min(1e-12)


def times_the_pixels(found: Tensor, box: Tensor) -> Tensor:
    """Positions inside each box, per axis, over the number that evenly spaced ones would put there."""
    x, y = (positions(zoom) for zoom in zooms(found))
    within = ((x > box[:, :1]) & (x < box[:, 2:3])).sum(1) * ((y > box[:, 1:2]) & (y < box[:, 3:])).sum(1)
    return within * 9 / ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))


def sampled(pictures: Tensor, found: Tensor, max_zoom: float = 4.0) -> Tensor:
    """Pictures (n, 3, 144, 144) read linearly at the positions of their maps: (n, 3, 48, 48)."""
    reading = []
    for zoom in zooms(found, max_zoom):
        places = (positions(zoom) - 0.5).clamp(0, SIZE - 1)  # (n, 48), pixel j's centre at j
        reading.append((1 - (places[:, :, None] - torch.arange(SIZE)).abs()).clamp_min(0).float()[:, None])
    return reading[1] @ pictures @ reading[0].mT


@cache
@torch.no_grad()
def master() -> Tensor:
    """Logits of the 300 test birds."""
    return tasn().classifier(tasn().backbone(sampled(images(), squared(maps()))))


@cache
@torch.no_grad()
def part() -> Tensor:
    """Logits of the 300 test birds, each seen through the map of one channel, as notebook 04 draws it."""
    drawn = draw_channels(torch.arange(300), 32, seed=0, epoch=0)
    return tasn().classifier(tasn().backbone(sampled(images(), maps()[torch.arange(300), drawn])))


def soft(logits, temperature=1.0):
    powers = torch.exp((logits - logits.amax(-1, keepdim=True)) / temperature)
    return powers / powers.sum(-1, keepdim=True)


def length(student, teacher, temperature):
    """Of the distillation gradient at the student's logits, one per bird."""
    return ((soft(student, temperature) - soft(teacher, temperature)) / temperature).square().sum(-1).sqrt()
