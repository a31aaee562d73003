"""The sampling operator of the authors' MXNet code, in plain PyTorch, for comparison with `sampler`.

It takes the same four steps with five deviations, each of which can be switched on alone:

left_edges:   output pixel i is read at F⁻¹(i/n), the left edge of its cell, not at F⁻¹((i + ½)/n), its centre. The last
              cell is never read up to the right border, and flipping the image does not flip the result.
first_cell:   the mass of the first column (and row) is replaced by that of one output pixel, whatever its attention.
rounds:       the limit is 5 rounds of "clip both axes to the smaller of their maxima, spread the excess evenly over all
              pixels". Spreading lifts the peak above the limit, and no later round brings it down again.
corners:      the integral up to the right edge of pixel j is attributed to the centre of pixel j, because the corners
              of image and map are aligned: half an image pixel to the left.
zero_outside: beyond the outermost pixel centres the image fades to 0 over one pixel; `sampler` repeats the border. The
              authors subtract the mean first, so 0 is the mean colour.

In the authors' code the first position depends on an out-of-bounds read, the number before an array in memory: the sum
of the previous image of a GPU's batch, except for the first image. So the border shows on about one image in twelve.
Here that number is 0, as in an independent reimplementation (github.com/wkcn/AttentionSampler), and the first row and
column are always 0. The marginals (maxima) are not part of the operator and are those of `sampler`.

Source: tasn-mxnet/src/operator/contrib/att_sampler-inl.h of github.com/researchmm/tasn, described, not copied.
"""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from tasnlib.sampler import Size, invert_zoom, read_bilinearly, sides, zoom_profiles

DEVIATIONS = ("left_edges", "first_cell", "rounds", "corners", "zero_outside")
ROUNDS = 5


def limit_in_rounds(
    zoom_x: Float[Tensor, "b w"], zoom_y: Float[Tensor, "b h"], max_zoom: float = 4.0, rounds: int = ROUNDS
) -> tuple[Float[Tensor, "b w"], Float[Tensor, "b h"]]:
    """Clip both axes to the smaller of their maxima (in the first round also to max_zoom), spread the excess evenly.

    The mean stays 1. Spreading lifts the clipped entries above the limit again, and the next round takes the lifted
    maximum as its limit: later rounds only bring the higher axis down to the lower one.

    >>> zoom = torch.tensor([[2.2, 1.4, 0.3, 0.1]])
    >>> limited, _ = limit_in_rounds(zoom, zoom, max_zoom=1.5, rounds=1)
    >>> [round(value, 3) for value in limited[0].tolist()]
    [1.675, 1.575, 0.475, 0.275]
    """
    for number in range(rounds):
        limit = torch.minimum(zoom_x.amax(1, keepdim=True), zoom_y.amax(1, keepdim=True))
        if number == 0:
            limit = limit.clamp_max(max_zoom)
        zoom_x, zoom_y = (torch.minimum(zoom, limit) for zoom in (zoom_x, zoom_y))
        zoom_x, zoom_y = (zoom + 1 - zoom.mean(1, keepdim=True) for zoom in (zoom_x, zoom_y))
    return zoom_x, zoom_y


def authors_profiles(
    attention: Float[Tensor, "b h w"],
    image_size: tuple[int, int],
    out_size: tuple[int, int],
    max_zoom: float = 4.0,
    deviations: Collection[str] = DEVIATIONS,
) -> tuple[Float[Tensor, "b width"], Float[Tensor, "b height"]]:
    """How strongly each column and each row is magnified. With "first_cell" the mean is no longer 1.

    >>> x, _ = authors_profiles(torch.ones(1, 3, 3), (4, 4), (2, 2))
    >>> x.tolist()  # one of 2 output pixels is worth 2 of 4 columns
    [[2.0, 1.0, 1.0, 1.0]]
    """
    unknown = set(deviations) - set(DEVIATIONS)
    if unknown:
        raise ValueError(f"deviations holds {unknown}; it must be names out of {', '.join(DEVIATIONS)}")
    if not (attention > 0).flatten(1).any(dim=1).all():
        raise ValueError("attention is zero everywhere in a map, for which the authors' operator is not defined")
    attention = attention.detach().double()
    x, y = zoom_profiles(attention, image_size, max_zoom)
    if "rounds" in deviations:
        x = F.interpolate(attention, image_size[1], mode="linear").amax(1)
        y = F.interpolate(attention.mT, image_size[0], mode="linear").amax(1)
        x, y = limit_in_rounds(x / x.mean(1, keepdim=True), y / y.mean(1, keepdim=True), max_zoom)
    if "first_cell" in deviations:
        for zoom, n in ((x, out_size[1]), (y, out_size[0])):
            zoom[:, 0] = zoom.shape[1] / n
    return x, y


def authors_positions(
    attention: Float[Tensor, "b h w"],
    image_size: tuple[int, int],
    out_size: tuple[int, int],
    max_zoom: float = 4.0,
    deviations: Collection[str] = DEVIATIONS,
) -> tuple[Float[Tensor, "b n_w"], Float[Tensor, "b n_h"]]:
    """Where the image is read, in the pixel-edge units of `sampler`: pixel j covers [j, j + 1].

    >>> x, _ = authors_positions(torch.ones(1, 3, 3), (8, 8), (4, 4), deviations=["left_edges"])
    >>> x.tolist()
    [[0.0, 2.0, 4.0, 6.0]]
    """
    zooms = authors_profiles(attention, image_size, out_size, max_zoom, deviations)
    first = 0.0 if "left_edges" in deviations else 0.5
    shift = 0.5 if "corners" in deviations else 0.0
    shares = [(torch.arange(n, dtype=torch.float64) + first) / n for n in (out_size[1], out_size[0])]
    # Without the floor of `zoom_profiles`, "rounds" may leave a zoom of 0, which has no inverse.
    x, y = (invert_zoom(u.clamp_min(1e-12), share) - shift for u, share in zip(zooms, shares, strict=True))
    return x, y


def authors_sample(
    images: Float[Tensor, "b c height width"],
    attention: Float[Tensor, "b h w"],
    out_size: Size,
    max_zoom: float = 4.0,
    deviations: Collection[str] = DEVIATIONS,
) -> Float[Tensor, "b c n_h n_w"]:
    """Resample images as the authors' operator does, or with some of its deviations only.

    Args:
        images, attention, out_size, max_zoom: see `sampler.attention_sample`; attention is not zero everywhere.
        deviations: names out of `DEVIATIONS`, see the module's docstring. With none of them it is `attention_sample`.

    Raises:
        ValueError: see `sampler.attention_sample`; also for an unknown deviation.

    >>> from tasnlib.sampler import attention_sample
    >>> images, attention = torch.rand(2, 3, 24, 32), torch.rand(2, 6, 8)
    >>> ours = attention_sample(images, attention, (12, 16))
    >>> torch.allclose(authors_sample(images, attention, (12, 16), deviations=()), ours, atol=1e-5)
    True
    """
    image_size = images.shape[2], images.shape[3]
    x, y = authors_positions(attention, image_size, sides(out_size, "out_size"), max_zoom, deviations)
    if "zero_outside" in deviations:  # a black frame, which is the border that is repeated
        images, x, y = F.pad(images, (1, 1, 1, 1)), x + 1, y + 1
    return read_bilinearly(images, x, y)
