"""The attention sampler: an attention map decides how many output pixels each place of the image gets.

attention map -> zoom along x and y -> positions -> sampled image. Section 3.2 of the paper.

Pixel-edge units throughout: the image covers [0, W] and pixel j covers [j, j + 1], so its centre is at j + 0.5. A
*zoom* u has mean 1; where u is 3, three times as many samples are taken as plain resizing would take.
"""

import torch
from jaxtyping import Float
from torch import SymInt, Tensor
from torch.nn import functional as F

# Where the zoom is 0, its integral has no inverse. With this much, float64 leads back to 1e-6 px in images of 4,000 px.
_ZOOM_FLOOR = 1e-6
Size = int | tuple[int, int]  # in pixels: one number for both sides, or (height, width)


def sides(size: Size, name: str) -> tuple[int, int]:
    """A size as (height, width); raises ValueError, calling it `name`, unless each side is an int from 1 up."""
    given = size if isinstance(size, tuple | list) else (size, size)
    if len(given) != 2 or not all(type(n) in (int, SymInt, Tensor) and n >= 1 and n % 1 == 0 for n in given):
        raise ValueError(f"{name} is {size!r}; it must be an int from 1 up, in pixels, or (height, width)")
    return given[0], given[1]


def _marginal_zoom(attention: Float[Tensor, "b h w"], size: int) -> Float[Tensor, "b {size}"]:
    """The zoom along the last axis, before any limit: rows interpolated to `size`, their maximum, mean 1."""
    profile = F.interpolate(attention, size=size, mode="linear", align_corners=False).amax(dim=1)  # (b, size)
    mean = profile.mean(dim=1, keepdim=True)
    return profile / torch.where(mean > 0, mean, 1)  # all zeros stay so; the limit makes them uniform


def _limit_zoom(zoom: Float[Tensor, "b n"], cap: Float[Tensor, "b 1"]) -> Float[Tensor, "b n"]:
    """min(u + d, cap) with the d >= 0 that makes the mean 1 again.

    With the k largest entries at the cap, mean 1 asks for d = (n - k·cap - sum of the rest) / (n - k). The right k is
    the first for which the next entry stays under the cap.
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


def zoom_profiles(
    attention: Float[Tensor, "b h w"], image_size: Size, max_zoom: float = 4.0
) -> tuple[Float[Tensor, "b width"], Float[Tensor, "b height"]]:
    """The zoom of every pixel column (b, W) and row (b, H): positive, of mean 1, at most max_zoom.

    In float64 where the device has it. Section 3.2 of the paper; that both axes stay under the smaller of their peaks
    is from the authors' code.

    Args:
        attention: finite, not negative. All zeros means uniform.
        image_size: of the image to be sampled.
        max_zoom: the most that any place is magnified along each axis, beside plain resizing; from 1 up.

    Raises:
        ValueError: for an image_size or max_zoom below 1; on a CPU, for attention that is negative or not finite.

    >>> attention = torch.tensor([[[1.0, 1.0, 6.0, 0.0]]])
    >>> x, y = zoom_profiles(attention, image_size=(2, 4))
    >>> x.tolist(), y.tolist()  # a single row: nothing to zoom along y, so the smaller peak is 1
    ([[1.0, 1.0, 1.0, 1.0]], [[1.0, 1.0]])
    """
    height, width = sides(image_size, "image_size")
    if not 1 <= max_zoom < float("inf"):
        raise ValueError(f"max_zoom is {max_zoom}; it must be a finite number from 1 up")
    if attention.is_cpu and not torch.compiler.is_compiling():  # a GPU would have to be waited for
        low, high = torch.aminmax(attention.detach())
        if not (low >= 0 and high < float("inf")):  # also false for NaN
            raise ValueError(f"attention must be finite and not negative, got values from {low:.4g} to {high:.4g}")
    attention = attention.detach().to(torch.float32 if attention.device.type == "mps" else torch.float64)
    # Only shares matter, and dividing first keeps sums of huge or tiny values finite.
    largest = attention.amax(dim=(1, 2), keepdim=True)
    attention = attention / torch.where(largest > 0, largest, 1)
    zoom_x, zoom_y = _marginal_zoom(attention, width), _marginal_zoom(attention.mT, height)
    cap = torch.minimum(zoom_x.amax(1, keepdim=True), zoom_y.amax(1, keepdim=True)).clamp(1, max_zoom)  # (b, 1)
    zooms = (_limit_zoom(zoom, cap).clamp_min(_ZOOM_FLOOR) for zoom in (zoom_x, zoom_y))
    x, y = (zoom / zoom.mean(dim=1, keepdim=True) for zoom in zooms)
    return x, y


def invert_zoom(zoom: Float[Tensor, "b size"], shares: Float[Tensor, "... n"]) -> Float[Tensor, "b n"]:
    """Where F reaches these shares of its total, F being the integral of the zoom over [0, size]."""
    at_edges = F.pad(zoom.cumsum(dim=1), (1, 0))  # (b, size + 1), F at every pixel edge
    targets = shares * at_edges[:, -1:]  # (b, n)
    inner = at_edges[:, 1:-1].contiguous()  # the edges between two pixels: as many as lie below, the pixel's number
    if torch.compiler.is_exporting():  # ONNX has no searchsorted
        pixel = (inner[:, None] < targets[..., None]).sum(dim=2)
    else:
        pixel = torch.searchsorted(inner, targets.contiguous())
    into = (targets - at_edges.gather(1, pixel)) / zoom.gather(1, pixel)  # F is a straight line inside a pixel
    return pixel + (into + (into.clamp(0, 1) - into).detach())  # a limit that lets gradients pass


def _places(attention: Tensor, image_size: Size, out_size: Size, max_zoom: float, edges: bool) -> list[Tensor]:
    """In the image, the centres of the output's columns (b, n_w) and rows (b, n_h), or the edges of them, one more."""
    n_h, n_w = sides(out_size, "out_size")
    profiles = zip(zoom_profiles(attention, image_size, max_zoom), (n_w, n_h), strict=True)
    first = 0.0 if edges else 0.5
    return [invert_zoom(u, (torch.arange(n + edges, device=u.device, dtype=u.dtype) + first) / n) for u, n in profiles]


def sampling_positions(
    attention: Float[Tensor, "b h w"], image_size: Size, out_size: Size, max_zoom: float = 4.0
) -> tuple[Float[Tensor, "b n_w"], Float[Tensor, "b n_h"]]:
    """Where the image is read: x of every output column, y of every output row. Equations 6 to 8 of the paper.

    F is the integral of the zoom, piecewise linear over pixel edges; position i = F⁻¹((i + ½)/n · F(W)). Positions
    strictly increase, stay inside (0, W), and are never closer than W / (n · max_zoom).

    Arguments and errors are those of `zoom_profiles`. The positions are in pixel-edge units, in float64 for float64
    attention, else in float32. They are the bins' centres, where the authors' code takes left edges.

    >>> x, y = sampling_positions(torch.ones(1, 3, 3), image_size=8, out_size=4)
    >>> x.tolist()
    [[1.0, 3.0, 5.0, 7.0]]
    """
    dtype = torch.promote_types(attention.dtype, torch.float32)
    x, y = (place.to(dtype) for place in _places(attention, image_size, out_size, max_zoom, edges=False))
    return x, y


def _reading_matrix(positions: Float[Tensor, "b n"], size: int) -> Float[Tensor, "b n {size}"]:
    """Bilinear reading at these positions: two entries a row, one where both fall on a repeated border pixel."""
    first, second, share = _neighbours(positions, size)
    pixels = torch.eye(size, device=positions.device, dtype=positions.dtype)
    return torch.lerp(pixels[first], pixels[second], share[..., None])


def _averaging_matrix(edges: Float[Tensor, "b edges"], size: int) -> Float[Tensor, "b edges-1 {size}"]:
    """Means over the cells between neighbouring edges: each pixel weighs as much of the cell as it covers."""
    pixel = torch.arange(size, device=edges.device, dtype=edges.dtype)
    low, high = edges[:, :-1, None], edges[:, 1:, None]  # (b, n, 1)
    overlap = (torch.minimum(high, pixel + 1) - torch.maximum(low, pixel)).clamp_min(0)  # (b, n, size)
    return overlap / overlap.sum(dim=2, keepdim=True)


def sampling_matrices(
    attention: Float[Tensor, "b h w"], image_size: Size, out_size: Size, max_zoom: float = 4.0, antialias: bool = False
) -> tuple[Float[Tensor, "b n_h height"], Float[Tensor, "b n_w width"]]:
    """The sampler as a pair of matrices, A_y and A_x: the sampled image is A_y · image · A_xᵀ. Every row sums to 1.

    Without antialias, the image is read bilinearly at the positions: two entries a row. With it, an output pixel is the
    mean of the image over its own cell, from F⁻¹(i/n) to F⁻¹((i + 1)/n): a short band a row, and ours, not the paper's.
    All else as in `sampling_positions`.

    >>> a_y, a_x = sampling_matrices(torch.ones(1, 3, 3), image_size=4, out_size=2)
    >>> a_x[0].tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    height, width = sides(image_size, "image_size")
    x, y = _places(attention, image_size, out_size, max_zoom, edges=antialias)
    matrix = _averaging_matrix if antialias else _reading_matrix
    dtype = torch.promote_types(attention.dtype, torch.float32)
    return matrix(y, height).to(dtype), matrix(x, width).to(dtype)


def _neighbours(positions: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels whose centres a position lies between, border pixels repeated, and the second one's share."""
    centred = (positions - 0.5).clamp(0, size - 1)
    first = centred.long()
    return first, (first + 1).clamp_max(size - 1), centred - first


def read_bilinearly(images: Float[Tensor, "b c height width"], x: Tensor, y: Tensor) -> Float[Tensor, "b c n_h n_w"]:
    """Bilinear reading at the grid of all (x, y), border pixels repeated."""
    dtype = torch.promote_types(images.dtype, torch.float32)  # half types cannot tell where a pixel is
    across, down = (x * (2 / images.shape[3]) - 1).to(dtype), (y * (2 / images.shape[2]) - 1).to(dtype)  # from -1 to 1
    columns, rows = across[:, None].expand(-1, y.shape[1], -1), down[:, :, None].expand(-1, -1, x.shape[1])
    grid = torch.stack([columns, rows], dim=3)  # (b, n_h, n_w, 2)
    sampled = F.grid_sample(images.to(dtype), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.to(images.dtype)


def require_a_map_each(images: Tensor, attention: Tensor) -> None:
    """Raises ValueError unless images are floating point and each has a map on its device: one would be broadcast."""
    if images.shape[0] != attention.shape[0] or images.device != attention.device or not images.is_floating_point():
        found = [f"{given.shape[0]} of {given.dtype} on {given.device}" for given in (images, attention)]
        raise ValueError(f"images, maps are {found}; there must be a map for each image, floating point, on its device")


def attention_sample(
    images: Float[Tensor, "b c height width"],
    attention: Float[Tensor, "b h w"],
    out_size: Size,
    max_zoom: float = 4.0,
    antialias: bool = False,
) -> Float[Tensor, "b c n_h n_w"]:
    """Resample images so that attended places get more pixels: S(I, attention), equation 5 of the paper.

    Uniform attention gives `interpolate(mode="bilinear", align_corners=False)`, up to rounding. Gradients flow into the
    images, never into the attention.

    Args:
        images: of any number of channels and any floating point type.
        attention: finite, not negative, on the images' device; of any height and width.
        out_size: of the sampled image.
        max_zoom, antialias: see `zoom_profiles` and `sampling_matrices`.

    Raises:
        ValueError: see `zoom_profiles`; unless there are as many attention maps as images, on the same device.

    >>> images = torch.rand(2, 3, 32, 48)
    >>> attention_sample(images, torch.rand(2, 7, 7), out_size=(16, 24)).shape
    torch.Size([2, 3, 16, 24])
    """
    require_a_map_each(images, attention)
    image_size = images.shape[2], images.shape[3]
    if not antialias:
        return read_bilinearly(images, *_places(attention, image_size, out_size, max_zoom, edges=False))
    a_y, a_x = sampling_matrices(attention, image_size, out_size, max_zoom, antialias=True)
    dtype = torch.promote_types(a_y.dtype, images.dtype)  # sums of many pixels: float32 or better
    device = "cpu" if images.is_meta else images.device.type  # meta has no autocast
    with torch.autocast(device, enabled=False):
        return (a_y[:, None].to(dtype) @ images.to(dtype) @ a_x.mT[:, None].to(dtype)).to(images.dtype)
