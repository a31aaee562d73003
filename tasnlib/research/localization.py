"""Is the attention on the parts? Measures for data whose parts are known, as boxes.

Shapes: b images, p parts; a box is (x0, y0, x1, y1) in pixel-edge units of the image. It is NaN where a part is not
visible, and so is every measure of that part. An attention map covers the whole image with cells of equal size; within
a cell, attention is constant.

A measure means little alone: compare it with that of the controls, `uniform_attention` and `random_attention`.

All functions raise a ValueError for negative attention and for boxes with x0 > x1 or y0 > y1.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasnlib.sampler import Size, sides


def area_share(boxes: Float[Tensor, "b p 4"], image_size: Size) -> Float[Tensor, "b p"]:
    """The share of the image that lies in each box: the mass of uniform attention.

    >>> area_share(torch.tensor([[[0.0, 0.0, 5.0, 10.0]]]), image_size=10).tolist()
    [[0.5]]
    """
    return attention_mass(boxes.new_ones(len(boxes), 1, 1), boxes, image_size)  # of a single cell


def attention_mass(
    attention: Float[Tensor, "b h w"], boxes: Float[Tensor, "b p 4"], image_size: Size
) -> Float[Tensor, "b p"]:
    """The share of the attention that lies in each part's box. Compare it with `area_share`.

    Attention that is zero everywhere means uniform, as for the sampler.

    >>> attention = torch.tensor([[[3.0, 1.0]]])
    >>> attention_mass(attention, torch.tensor([[[0.0, 0.0, 4.0, 8.0]]]), image_size=8).tolist()
    [[0.75]]
    """
    _check_boxes(boxes)
    height, width = sides(image_size, "image_size")
    h, w = attention.shape[1:]
    share = _as_shares(attention)  # (b, h, w)
    columns = _overlap(boxes[..., 0], boxes[..., 2], width, w)  # (b, p, w), how much of each column the box covers
    rows = _overlap(boxes[..., 1], boxes[..., 3], height, h)  # (b, p, h)
    return torch.einsum("bhw,bph,bpw->bp", share, rows.to(share), columns.to(share)).to(attention.dtype)


def pointing_game(
    attention: Float[Tensor, "b h w"], boxes: Float[Tensor, "b p 4"], image_size: Size
) -> Float[Tensor, "b p"]:
    """1 where the centre of the cell with the most attention lies in the part's box, else 0.

    If several cells share the maximum, the share of them that lies in the box.

    >>> attention = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    >>> pointing_game(attention, torch.tensor([[[4.0, 0.0, 8.0, 4.0], [0.0, 0.0, 4.0, 4.0]]]), image_size=8).tolist()
    [[1.0, 0.0]]
    """
    _check_boxes(boxes)
    height, width = sides(image_size, "image_size")
    h, w = attention.shape[1:]
    share = _as_shares(attention)  # (b, h, w)
    largest = _as_shares((share == share.amax(dim=(1, 2), keepdim=True)).to(share))
    x, y = ((torch.arange(n, device=boxes.device) + 0.5) * side / n for n, side in ((w, width), (h, height)))
    columns, rows = _inside(x, boxes[..., 0], boxes[..., 2]), _inside(y, boxes[..., 1], boxes[..., 3])
    hits = torch.einsum("bhw,bph,bpw->bp", largest, rows.to(largest), columns.to(largest))
    return hits.to(attention.dtype).where(~boxes.isnan().any(dim=-1), torch.nan)


def magnification(
    x: Float[Tensor, "b m"], y: Float[Tensor, "b n"], boxes: Float[Tensor, "b p 4"], image_size: Size
) -> Float[Tensor, "b p"]:
    """How many pixels of the sampled image show a part, relative to plain resizing.

    Args:
        x, y: from `sampler.sampling_positions`.

    A pixel shows a part if it is read inside the part's box. Plain resizing gives a part its share of the area.

    >>> x = y = torch.tensor([[0.5, 1.0, 1.5, 6.0]])  # three of four samples in the first quarter
    >>> magnification(x, y, torch.tensor([[[0.0, 0.0, 2.0, 2.0]]]), image_size=8).tolist()
    [[9.0]]
    """
    columns = _inside(x[:, None], boxes[..., 0], boxes[..., 2]).sum(dim=-1)  # (b, p)
    rows = _inside(y[:, None], boxes[..., 1], boxes[..., 3]).sum(dim=-1)
    plain = area_share(boxes, image_size) * x.shape[1] * y.shape[1]  # NaN for a hidden part
    return columns * rows / plain.clamp_min(1e-12)


def coverage(magnifications: Float[Tensor, "draws b p"], at_least: float = 2.0) -> Float[Tensor, " draws"]:
    """The share of the visible parts that at least one detail image has magnified after 1, 2, ... draws.

    Args:
        magnifications: of the parts, in the detail images of each draw; NaN in all draws means not visible.
        at_least: the magnification at which a part counts.

    Raises:
        ValueError: if no part is visible, a magnification is negative, or at_least is not above 0.

    >>> coverage(torch.tensor([[[3.0, 1.0]], [[1.0, 4.0]]])).tolist()
    [0.5, 1.0]
    """
    if not at_least > 0 or (magnifications < 0).any():  # NaN is not
        raise ValueError(f"at_least must be above 0, magnifications not negative; got {at_least}, {magnifications}")
    visible = ~magnifications.isnan().all(dim=0)
    if not visible.any():
        raise ValueError("magnifications are all NaN; at least one part must be visible")
    reached = (magnifications >= at_least).cummax(dim=0).values  # NaN >= anything is False
    return reached.sum(dim=(1, 2)) / visible.sum()


def diversity(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """How different the maps of an image's channels are: the mean total variation distance over all pairs of maps, each
    normalised to sum 1. 0: all the same; 1: no two of them overlap.

    >>> diversity(torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]], [[[1.0, 1.0]], [[3.0, 3.0]]]])).tolist()
    [1.0, 0.0]
    """
    b, c = maps.shape[:2]
    if c < 2:
        raise ValueError(f"maps has {c} channel; it must have at least 2")
    share = _as_shares(maps.flatten(0, 1)).view(b, c, -1)
    distances = torch.cdist(share, share, p=1)  # (b, c, c), the sum of |p - q|: twice the total variation
    return (distances.sum(dim=(1, 2)) / 2 / (c * (c - 1))).to(maps.dtype)


def uniform_attention(like: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """The control that attends to every cell equally."""
    return torch.ones_like(like)


def random_attention(like: Float[Tensor, "b h w"], seed: int = 0) -> Float[Tensor, "b h w"]:
    """The control that attends to random cells: each map with its cells shuffled, so with peaks of the same height.

    >>> random_attention(torch.eye(3)[None]).sum().item()
    3.0
    """
    b, h, w = like.shape
    order = torch.rand(b, h * w, generator=torch.Generator().manual_seed(seed)).argsort(dim=1).to(like.device)
    return like.flatten(1).gather(1, order).view(b, h, w)


def _as_shares(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map divided by its sum, in float64 where there is one; all zeros become uniform."""
    if not (maps >= 0).all():  # also false for NaN
        raise ValueError("attention must be neither negative nor NaN")
    maps = maps.to(torch.float32 if maps.device.type == "mps" else torch.float64)  # which Apple's GPUs do not have
    total = maps.sum(dim=(1, 2), keepdim=True)
    share = maps / total.clamp_min(torch.finfo(maps.dtype).tiny)
    return torch.where(total > 0, share, 1 / maps[0].numel())


def _overlap(low: Tensor, high: Tensor, size: int, cells: int) -> Float[Tensor, "b p cells"]:
    """The share of each of the equal cells of [0, size] that the interval [low, high] covers."""
    precise = torch.float32 if low.device.type == "mps" else torch.float64
    edges = torch.linspace(0, size, cells + 1, device=low.device, dtype=precise)
    left, right = torch.maximum(low[..., None], edges[:-1]), torch.minimum(high[..., None], edges[1:])
    return ((right - left).clamp_min(0) * cells / size).to(torch.promote_types(low.dtype, torch.float32))


def _inside(positions: Tensor, low: Tensor, high: Tensor) -> Bool[Tensor, "b p n"]:
    return (positions >= low[..., None]) & (positions < high[..., None])


def _check_boxes(boxes: Tensor) -> None:
    if (boxes[..., :2] > boxes[..., 2:]).any():  # NaN, for a part that is not visible, is not
        raise ValueError("boxes must be (x0, y0, x1, y1), with x0 <= x1 and y0 <= y1")
