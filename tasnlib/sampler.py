"""The attention sampler: an attention map decides how many pixels of the output each place of the image gets.

attention map -> zoom along x and y -> positions -> resampled image. Section 3.2 of the paper.

Pixel-edge units throughout: the image covers [0, W] and pixel j covers [j, j + 1], so its centre is at j + 0.5. A
*zoom* u has mean 1; where u is 3, three times as many samples are taken as plain resizing would take.

Positions are computed in float64 (float32 where a device has no float64): there are only W of them, and in float64
every property of the sampler holds to far below a thousandth of a pixel.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tasnlib.arguments import checked, finite, not_negative, on_one_device, readable, sides, within

# A zoom of exactly zero over a stretch would leave the inverse of its integral undefined there. This floor, far below
# anything visible, makes every zoom positive. A sample tied between two equal peaks then falls midway between them.
_ZOOM_FLOOR = 1e-8
# How many numbers of an image a CPU's cache holds beside what is made of them.
_CACHED = 2**18
NOT_FINITE = "images must be finite; what was read of them is not"


def _marginal_zoom(attention: Float[Tensor, "b h w"], size: int) -> Float[Tensor, "b size"]:
    """The zoom along the last axis, before any limit: rows interpolated to `size`, their maximum, mean 1."""
    profile = F.interpolate(attention, size=size, mode="linear", align_corners=False).amax(dim=1)  # (b, size)
    mean = profile.mean(dim=1, keepdim=True)
    return profile / mean.clamp_min(torch.finfo(mean.dtype).tiny)  # all zeros stay so; the limit makes them uniform


def _limit_zoom(zoom: Float[Tensor, "b n"], cap: Float[Tensor, "b 1"]) -> Float[Tensor, "b n"]:
    """min(u + d, cap) with the d >= 0 that makes the mean 1 again.

    With the k largest entries at the cap, mean 1 asks for d = (n - k·cap - sum of the rest) / (n - k). The right k is
    the first for which the next entry stays under the cap. All n candidates are computed at once.
    """
    n = zoom.shape[1]
    largest_first = zoom.sort(dim=1, descending=True).values
    rest = largest_first.flip(1).cumsum(1).flip(1)  # sum from entry k on
    k = torch.arange(n, device=zoom.device, dtype=zoom.dtype)
    d = (n - k * cap - rest) / (n - k)  # (b, n)
    fits = largest_first + d <= cap
    fits[:, -1] = True  # the smallest entry fits: cap >= 1; rounding must not say otherwise
    d = d.gather(1, fits.int().argmax(dim=1, keepdim=True)).clamp_min(0)
    return torch.minimum(zoom + d, cap)


@checked
def zoom_profiles(
    attention: Float[Tensor, "b h w"], image_size: int | tuple[int, int], max_zoom: float = 4.0
) -> tuple[Float[Tensor, "b width"], Float[Tensor, "b height"]]:
    """How strongly each column and each row of the image is magnified.

    Args:
        attention: finite, not negative. All zeros means uniform.
        image_size: of the image to be sampled: one number, or (height, width).
        max_zoom: no place gets more than this many times the samples of plain resizing along each axis, so its square
            in area; from 1 up.

    Returns:
        The zoom of every pixel column (b, W) and row (b, H): positive, mean 1, at most max_zoom, float64.

    Raises:
        ValueError: for a wrong shape, an image_size below 1, a max_zoom below 1; on a CPU, also for negative or NaN
            attention.

    Source: section 3.2: marginals by maximum, which the authors found more robust than the sum. The limit follows the
    authors' code, which the paper does not describe: both axes are held under the smaller of their peaks.

    >>> attention = torch.tensor([[[1.0, 1.0, 6.0, 0.0]]])
    >>> x, y = zoom_profiles(attention, image_size=(2, 4))
    >>> x.tolist(), y.tolist()  # a single row: nothing to zoom along y, so the smaller peak is 1
    ([[1.0, 1.0, 1.0, 1.0]], [[1.0, 1.0]])
    """
    not_negative(attention, "attention")
    within(max_zoom, "max_zoom", 1)
    height, width = sides(image_size, "image_size")
    attention = attention.detach().to(torch.float32 if attention.device.type == "mps" else torch.float64)
    # The size of the values does not matter, and dividing first keeps sums of huge or tiny values finite.
    attention = attention / attention.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(attention.dtype).tiny)
    zoom_x = _marginal_zoom(attention, width)
    zoom_y = _marginal_zoom(attention.mT, height)
    cap = torch.minimum(zoom_x.amax(1, keepdim=True), zoom_y.amax(1, keepdim=True)).clamp(1, max_zoom)  # (b, 1)
    x, y = ((_limit_zoom(zoom, cap) + _ZOOM_FLOOR) / (1 + _ZOOM_FLOOR) for zoom in (zoom_x, zoom_y))
    return x, y


def _invert(zoom: Float[Tensor, "b size"], shares: Float[Tensor, " n"]) -> Float[Tensor, "b n"]:
    """Where F reaches these shares of its total, F being the integral of the zoom over [0, size]."""
    size = zoom.shape[1]
    at_edges = F.pad(zoom.cumsum(dim=1), (1, 0))  # (b, size + 1), F at every pixel edge
    targets = shares * at_edges[:, -1:]  # (b, n)
    pixel = torch.searchsorted(at_edges[:, 1:].contiguous(), targets.contiguous()).clamp_max(size - 1)
    into = (targets - at_edges.gather(1, pixel)) / zoom.gather(1, pixel)  # F is a straight line inside a pixel
    return pixel + into.clamp(0, 1)


@checked
def sampling_positions(
    attention: Float[Tensor, "b h w"],
    image_size: int | tuple[int, int],
    out_size: int | tuple[int, int],
    max_zoom: float = 4.0,
) -> tuple[Float[Tensor, "b n_w"], Float[Tensor, "b n_h"]]:
    """Where the image is read: x of every output column, y of every output row.

    F is the integral of the zoom, piecewise linear over pixel edges; position i = F⁻¹((i + ½)/n · F(W)). Positions
    strictly increase, stay inside (0, W), and are never closer than W / (n · max_zoom).

    Args:
        attention, image_size, max_zoom: see `zoom_profiles`.
        out_size: of the sampled image: one number, or (height, width).

    Returns:
        x (b, n_w) and y (b, n_h) in pixel-edge units; float64 for float64 attention, else float32.

    Raises:
        ValueError: as `zoom_profiles`, and for an out_size below 1.

    Source: equations 6 to 8 of the paper, with bin centres where the authors' code takes left edges.

    >>> x, y = sampling_positions(torch.ones(1, 3, 3), image_size=8, out_size=4)
    >>> x.tolist()
    [[1.0, 3.0, 5.0, 7.0]]
    """
    n_h, n_w = sides(out_size, "out_size")
    zoom_x, zoom_y = zoom_profiles(attention, image_size, max_zoom)
    dtype = torch.float64 if attention.dtype == torch.float64 else torch.float32
    x, y = (
        _invert(zoom, (torch.arange(n, device=zoom.device, dtype=zoom.dtype) + 0.5) / n).to(dtype)
        for zoom, n in ((zoom_x, n_w), (zoom_y, n_h))
    )
    return x, y


def _reading_matrix(positions: Float[Tensor, "b n"], size: int) -> Float[Tensor, "b n size"]:
    """Bilinear reading at these positions: two entries a row, one where both fall on a repeated border pixel."""
    nearest, next_one, share = _neighbours(positions, size)
    matrix = positions.new_zeros(*positions.shape, size)
    matrix.scatter_add_(2, nearest[..., None], 1 - share[..., None])
    return matrix.scatter_add_(2, next_one[..., None], share[..., None])


def _averaging_matrix(edges: Float[Tensor, "b edges"], size: int) -> Float[Tensor, "b edges-1 size"]:
    """Means over the cells between neighbouring edges: each pixel weighs as much of the cell as it covers."""
    pixel = torch.arange(size, device=edges.device, dtype=edges.dtype)
    low, high = edges[:, :-1, None], edges[:, 1:, None]  # (b, n, 1)
    overlap = (torch.minimum(high, pixel + 1) - torch.maximum(low, pixel)).clamp_min(0)  # (b, n, size)
    return overlap / overlap.sum(dim=2, keepdim=True)


@checked
def sampling_matrices(
    attention: Float[Tensor, "b h w"],
    image_size: int | tuple[int, int],
    out_size: int | tuple[int, int],
    max_zoom: float = 4.0,
    antialias: bool = False,
) -> tuple[Float[Tensor, "b n_h height"], Float[Tensor, "b n_w width"]]:
    """The sampler as a pair of matrices: the sampled image is A_y · image · A_xᵀ. Every row sums to 1.

    Args:
        attention, image_size, out_size, max_zoom: see `sampling_positions`.
        antialias: False reads bilinearly at the positions (two entries a row). True takes the mean of the image over
            each output pixel's own cell, from F⁻¹(i/n) to F⁻¹((i + 1)/n) (a short band a row): ours, not the paper's.

    Returns:
        A_y (b, n_h, H) and A_x (b, n_w, W); float64 for float64 attention, else float32.

    Raises:
        ValueError: as `sampling_positions`.

    >>> a_y, a_x = sampling_matrices(torch.ones(1, 3, 3), image_size=4, out_size=2)
    >>> a_x[0].tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    height, width = sides(image_size, "image_size")
    if not antialias:
        x, y = sampling_positions(attention, image_size, out_size, max_zoom)
        return _reading_matrix(y, height), _reading_matrix(x, width)
    n_h, n_w = sides(out_size, "out_size")
    zoom_x, zoom_y = zoom_profiles(attention, image_size, max_zoom)
    dtype = torch.float64 if attention.dtype == torch.float64 else torch.float32
    edges_x, edges_y = (
        _invert(zoom, torch.arange(n + 1, device=zoom.device, dtype=zoom.dtype) / n)
        for zoom, n in ((zoom_x, n_w), (zoom_y, n_h))
    )
    return _averaging_matrix(edges_y, height).to(dtype), _averaging_matrix(edges_x, width).to(dtype)


def _neighbours(positions: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels whose centres a position lies between, border pixels repeated, and the second one's share."""
    centred = (positions - 0.5).clamp(0, size - 1)
    first = centred.floor()
    share = centred - first
    first = first.long()
    return first, (first + 1).clamp_max(size - 1), share


def _read(images: Float[Tensor, "b c height width"], x: Tensor, y: Tensor) -> Float[Tensor, "b c n_h n_w"]:
    """Bilinear reading at the grid of all (x, y): rows first, because rows lie together in memory."""
    # Compiled, a piece at a time would be a graph that grows with the batch.
    return (_read_one_by_one if readable(images) else _read_together)(images, x, y)


def _read_together(images: Tensor, x: Tensor, y: Tensor) -> Float[Tensor, "b c n_h n_w"]:
    b, c, height, width = images.shape
    top, bottom, share = _neighbours(y, height)
    # (b, 1, n_h, 1) chooses rows of (b, c, height, width)
    above, below = (images.gather(2, i[:, None, :, None].expand(b, c, -1, width)) for i in (top, bottom))
    strip = torch.lerp(above, below, share[:, None, :, None].to(images.dtype))  # (b, c, n_h, width)
    left, right, share = _neighbours(x, width)
    before, after = (strip.gather(3, i[:, None, None, :].expand(b, c, strip.shape[2], -1)) for i in (left, right))
    return torch.lerp(before, after, share[:, None, None, :].to(images.dtype))  # (b, c, n_h, n_w)


def _read_one_by_one(images: Tensor, x: Tensor, y: Tensor) -> Float[Tensor, "b c n_h n_w"]:
    """The same, to the last bit, for a CPU: a piece that stays in its cache at a time, which is 2 to 5 times faster. A
    GPU would wait for 6 small kernels a piece. On a CPU `index_select` copies whole rows at once; of columns it is
    slower than `gather`."""
    b, c, height, width = images.shape
    channels = c if c * height * width <= _CACHED else 1  # in a piece: an image or, of a large one, a channel
    pieces = images.reshape(-1, channels * height, width)
    x, y = (positions.repeat_interleave(c // channels, dim=0) for positions in (x, y))
    left, right, across = _neighbours(x, width)
    channel = height * torch.arange(channels)[:, None]  # the row that each begins with
    *rows, down = _neighbours(y, height)
    top, bottom = ((channel + row[:, None]).flatten(1) for row in rows)
    down = down.repeat(1, channels)[..., None]
    sampled = images.new_empty(len(pieces), top.shape[1], x.shape[1])
    for number, (piece, first_row, next_row, v, first, next_one, u) in enumerate(
        zip(pieces, top, bottom, down.to(images.dtype), left, right, across.to(images.dtype), strict=True)
    ):
        # In place: with less memory to ask for and give back, the system less often takes it and clears it anew.
        strip = piece.index_select(0, first_row).lerp_(piece.index_select(0, next_row), v)
        before, after = (strip.gather(1, i.expand(len(strip), -1)) for i in (first, next_one))
        sampled[number] = before.lerp_(after, u)
    return sampled.view(b, c, y.shape[1], x.shape[1])


@checked
def attention_sample(
    images: Float[Tensor, "b c height width"],
    attention: Float[Tensor, "b h w"],
    out_size: int | tuple[int, int],
    max_zoom: float = 4.0,
    antialias: bool = False,
) -> Float[Tensor, "b c n_h n_w"]:
    """Resample images so that attended places get more pixels.

    Uniform attention gives exactly `interpolate(mode="bilinear", align_corners=False)`. Gradients flow into the images,
    never into the attention.

    Args:
        images: any number of channels; float32, float64, bfloat16 or float16.
        attention, max_zoom: see `zoom_profiles`. Any height and width: they need not be those of the images.
        out_size: one number, or (height, width).
        antialias: see `sampling_matrices`.

    Raises:
        ValueError: as `sampling_positions`, and for images that are not (b, c, H, W), empty, not floating point, or not
            as many as the attention maps, or on another device than they; on a CPU, also for NaN or infinity in a pixel
            that is read.

    Source: equation 5 of the paper, S(I, attention).

    >>> images = torch.rand(2, 3, 32, 48)
    >>> attention_sample(images, torch.rand(2, 7, 7), out_size=(16, 24)).shape
    torch.Size([2, 3, 16, 24])
    """
    on_one_device({"images": images, "attention": attention})
    image_size = images.shape[2], images.shape[3]
    if not antialias:
        x, y = sampling_positions(attention, image_size, out_size, max_zoom)
        return finite(_read(images, x, y), NOT_FINITE)
    a_y, a_x = sampling_matrices(attention, image_size, out_size, max_zoom, antialias=True)
    dtype = torch.promote_types(a_y.dtype, images.dtype)  # sums of many pixels: float32 or better
    with _without_autocast(images.device.type):
        sampled = a_y[:, None].to(dtype) @ images.to(dtype) @ a_x.mT[:, None].to(dtype)
    return finite(sampled.to(images.dtype), NOT_FINITE)


def _without_autocast(device: str) -> AbstractContextManager[object]:
    """Products stay in the precision of their factors. Some devices have no autocast to switch off."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
