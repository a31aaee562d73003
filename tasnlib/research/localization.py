"""Is the attention on the parts? Measures for data whose parts are known: boxes, or points with a box around each.

Shapes: b images, p parts; a box is (x0, y0, x1, y1) in pixel-edge units of the image, NaN where a part is not to be
seen, and then every measure of that part is NaN. An attention map lies over the whole image, each of its cells equally
large; inside a cell the attention is taken as even.

A measure means little alone. Put beside it what `uniform_attention` and `random_attention` get.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tasnlib.arguments import LARGEST, above, checked, finite, not_negative, readable, sides, within


@checked
def boxes_around(points: Float[Tensor, "b p 2"], side: float) -> Float[Tensor, "b p 4"]:
    """A square box of this side, in pixels, around each point (x, y); NaN stays NaN. For CUB-200-2011's part points.

    >>> boxes_around(torch.tensor([[[10.0, 20.0]]]), side=4).tolist()
    [[[8.0, 18.0, 12.0, 22.0]]]
    """
    above(side, "side", 0)
    within(side, "side", 0, LARGEST)
    return torch.cat([points - side / 2, points + side / 2], dim=-1)


@checked
def area_share(boxes: Float[Tensor, "b p 4"], image_size: int | tuple[int, int]) -> Float[Tensor, "b p"]:
    """The share of the image that a box covers, as far as it lies inside: what uniform attention gives it.

    >>> area_share(torch.tensor([[[0.0, 0.0, 5.0, 10.0]]]), image_size=10).tolist()
    [[0.5]]
    """
    height, width = sides(image_size, "image_size")
    _check_boxes(boxes)
    return _overlap(boxes[..., 0], boxes[..., 2], width, 1)[..., 0] * _overlap(
        boxes[..., 1], boxes[..., 3], height, 1
    )[..., 0]  # fmt: skip


@checked
def attention_mass(
    attention: Float[Tensor, "b h w"], boxes: Float[Tensor, "b p 4"], image_size: int | tuple[int, int]
) -> Float[Tensor, "b p"]:
    """The share of all attention that lies in each part's box. Compare it with `area_share`.

    Attention that is zero everywhere counts as uniform, as for the sampler.

    >>> attention = torch.tensor([[[3.0, 1.0]]])  # the left half gets three times what the right half gets
    >>> attention_mass(attention, torch.tensor([[[0.0, 0.0, 4.0, 8.0]]]), image_size=8).tolist()
    [[0.75]]
    """
    _check(attention, boxes)
    height, width = sides(image_size, "image_size")
    h, w = attention.shape[1:]
    share = _as_shares(attention)  # (b, h, w)
    columns = _overlap(boxes[..., 0], boxes[..., 2], width, w)  # (b, p, w), how much of each column the box covers
    rows = _overlap(boxes[..., 1], boxes[..., 3], height, h)  # (b, p, h)
    return torch.einsum("bhw,bph,bpw->bp", share, rows.to(share), columns.to(share)).to(attention.dtype)


@checked
def pointing_game(
    attention: Float[Tensor, "b h w"], boxes: Float[Tensor, "b p 4"], image_size: int | tuple[int, int]
) -> Float[Tensor, "b p"]:
    """1 where the largest attention lies in the part's box, else 0: the centre of the largest cell is looked at.

    Where several cells are largest, the share of them that lie in the box.

    >>> attention = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    >>> pointing_game(attention, torch.tensor([[[4.0, 0.0, 8.0, 4.0], [0.0, 0.0, 4.0, 4.0]]]), image_size=8).tolist()
    [[1.0, 0.0]]
    """
    _check(attention, boxes)
    height, width = sides(image_size, "image_size")
    h, w = attention.shape[1:]
    largest = attention == attention.amax(dim=(1, 2), keepdim=True)  # (b, h, w)
    largest = largest.to(torch.promote_types(attention.dtype, torch.float32))  # float16 counts up to 2048 only
    x, y = ((torch.arange(n, device=boxes.device) + 0.5) * side / n for n, side in ((w, width), (h, height)))
    columns, rows = _inside(x, boxes[..., 0], boxes[..., 2]), _inside(y, boxes[..., 1], boxes[..., 3])
    hits = torch.einsum("bhw,bph,bpw->bp", largest, rows.to(largest), columns.to(largest))
    return _unseen_is_nan((hits / largest.sum(dim=(1, 2))[:, None]).to(attention.dtype), boxes)


@checked
def magnification(
    x: Float[Tensor, "b m"], y: Float[Tensor, "b n"], boxes: Float[Tensor, "b p 4"], image_size: int | tuple[int, int]
) -> Float[Tensor, "b p"]:
    """How many pixels of a sampled image a part gets, over how many plain resizing would give it.

    Args:
        x, y: where the sampled image is read, of `sampler.sampling_positions`.

    A pixel belongs to a part when it is read inside of its box. Plain resizing gives a part its share of the area.

    >>> x = y = torch.tensor([[0.5, 1.0, 1.5, 6.0]])  # three of four samples in the first quarter
    >>> magnification(x, y, torch.tensor([[[0.0, 0.0, 2.0, 2.0]]]), image_size=8).tolist()
    [[9.0]]
    """
    finite(x, "x must be finite")
    finite(y, "y must be finite")
    _check_boxes(boxes)
    columns = _inside(x[:, None], boxes[..., 0], boxes[..., 2]).sum(dim=-1)  # (b, p)
    rows = _inside(y[:, None], boxes[..., 1], boxes[..., 3]).sum(dim=-1)
    plain = area_share(boxes, image_size) * x.shape[1] * y.shape[1]
    return _unseen_is_nan(columns * rows / plain.clamp_min(1e-12), boxes)


@checked
def coverage(magnifications: Float[Tensor, "draws b p"], at_least: float = 2.0) -> Float[Tensor, " draws"]:
    """Which share of the parts some detail image has reached after 1, 2, ... draws. Unseen parts do not count.

    Args:
        magnifications: of the parts in the detail images of one draw after the other; from 0 up. A part counts, after
            each draw, unless it is NaN in all of them.
        at_least: a part is reached when it is magnified so many times.

    >>> coverage(torch.tensor([[[3.0, 1.0]], [[1.0, 4.0]]])).tolist()
    [0.5, 1.0]
    """
    above(at_least, "at_least", 0)
    if readable(magnifications) and bool((magnifications < 0).any()):  # NaN is not
        raise ValueError(f"magnifications must not be negative; the least is {magnifications.nan_to_num().min():.4g}")
    seen = ~magnifications.isnan().all(dim=0)
    if not bool(seen.any()):
        raise ValueError("magnifications are NaN throughout; at least one part must be seen")
    reached = (magnifications >= at_least).cummax(dim=0).values  # NaN >= anything is False
    return reached.sum(dim=(1, 2)) / seen.sum()


@checked
def diversity(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """How different the maps of an image's channels are: the mean over all pairs of half the absolute difference, after
    each map is made to sum to 1. 0: all the same; 1: no two of them share a place.

    >>> diversity(torch.tensor([[[[1.0, 0.0]], [[0.0, 2.0]]], [[[1.0, 1.0]], [[3.0, 3.0]]]])).tolist()
    [1.0, 0.0]
    """
    if maps.shape[1] < 2:
        raise ValueError(f"maps must be (batch, 2 or more channels, height, width), got {tuple(maps.shape)}")
    not_negative(maps, "maps")
    b, c = maps.shape[:2]
    share = _as_shares(maps.flatten(0, 1)).view(b, c, -1)
    ordered = share.sort(dim=1).values  # at each place, the sum over pairs of |p - q| follows from the order alone
    weights = 2 * torch.arange(c, device=maps.device, dtype=ordered.dtype) - (c - 1)  # (c,)
    total = (ordered * weights[:, None]).sum(dim=(1, 2))  # sum over pairs and places
    return (total / 2 / (c * (c - 1) / 2)).to(maps.dtype)


@checked
def uniform_attention(like: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """The control that looks everywhere alike."""
    return torch.ones_like(like)


@checked
def random_attention(like: Float[Tensor, "b h w"], seed: int = 0) -> Float[Tensor, "b h w"]:
    """The control that looks somewhere: each map of the batch, with its places shuffled. Its peaks are as high as those
    of the maps it is compared with.

    >>> random_attention(torch.eye(3)[None]).sum().item()
    3.0
    """
    within(seed, "seed", 0, 2**63 - 1)
    finite(like, "like must be finite")
    b, h, w = like.shape
    order = torch.rand(b, h * w, generator=torch.Generator().manual_seed(seed)).argsort(dim=1).to(like.device)
    return like.flatten(1).gather(1, order).view(b, h, w)


def _as_shares(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map divided by its sum, in float64; one that is zero everywhere becomes uniform."""
    maps = maps.double()
    total = maps.sum(dim=(1, 2), keepdim=True)
    return torch.where(total > 0, maps / total.clamp_min(1e-300), 1 / (maps.shape[1] * maps.shape[2]))


def _overlap(low: Tensor, high: Tensor, size: int, cells: int) -> Float[Tensor, "b p cells"]:
    """Which share of each of equally large cells along [0, size] the interval [low, high] covers."""
    edges = torch.linspace(0, size, cells + 1, device=low.device, dtype=torch.float64)
    left, right = torch.maximum(low[..., None], edges[:-1]), torch.minimum(high[..., None], edges[1:])
    return ((right - left).clamp_min(0) * cells / size).to(torch.promote_types(low.dtype, torch.float32))


def _inside(places: Tensor, low: Tensor, high: Tensor) -> Bool[Tensor, "b p n"]:
    return (places >= low[..., None]) & (places < high[..., None])


def _unseen_is_nan(measure: Float[Tensor, "b p"], boxes: Float[Tensor, "b p 4"]) -> Float[Tensor, "b p"]:
    return measure.where(~boxes.isnan().any(dim=-1), torch.nan)


def _check(attention: Tensor, boxes: Tensor) -> None:
    not_negative(attention, "attention")
    _check_boxes(boxes)


def _check_boxes(boxes: Tensor) -> None:
    if readable(boxes) and bool((boxes[..., :2] > boxes[..., 2:]).any()):  # NaN is not
        raise ValueError("boxes must be (x0, y0, x1, y1), with x0 <= x1 and y0 <= y1; some are turned round")
