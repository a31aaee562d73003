"""Where a sampled image comes from, and the way back: points, boxes and maps, there and back.

The sampler moves columns and rows without changing their order, so it can be undone exactly. Pixel-edge units, as in
`sampler`: the image covers [0, W] and the sampled image [0, n], and the centre of its pixel j lies at j + 0.5.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from tasnlib.sampler import Size, invert_zoom, read_bilinearly, sides


class Boxes(NamedTuple):
    """Boxes carried to the other side."""

    boxes: Float[Tensor, "b p 4"]  #: (x0, y0, x1, y1), inside the image
    clipped: Bool[Tensor, "b p"]  #: did a part of the box lie outside?


class SamplingGrid(NamedTuple):
    """Where each column and row of the sampled image comes from, and the way back.

    `zoom_x` (b, W) and `zoom_y` (b, H) say how strongly each column and row of the image is magnified, see
    `sampler.zoom_profiles`; `out_size` is (n_h, n_w).

    Points (b, p, 2) are (x, y), boxes (b, p, 4) are (x0, y0, x1, y1), of a floating point type; NaN stays NaN, for
    parts that are hidden. Where errors would make the device wait, on a GPU, points outside and boxes that are turned
    around become NaN instead. The computation uses the zoom's dtype, float64 where the device has it, and the result is
    float64 for float64, else float32. Gradients flow into points, boxes and features.

    In float64, there and back is exact to W / 10^11 pixels where there is attention, and to W / (4 · 10^9) pixels in
    the emptiest background, which all but disappears in the sampled image.

    >>> from tasnlib.attention_sampler import AttentionSampler
    >>> sampler = AttentionSampler(out_size=4)
    >>> attention = torch.tensor([[[1.0, 1.0, 6.0, 0.0]]]).expand(1, 4, 4)
    >>> grid = sampler(torch.rand(1, 3, 8, 8), attention).grid
    >>> points = torch.tensor([[[5.0, 4.0]]], dtype=torch.float64)
    >>> torch.allclose(grid.to_image(grid.to_sampled(points)), points)
    True
    """

    zoom_x: Float[Tensor, "b width"]
    zoom_y: Float[Tensor, "b height"]
    out_size: tuple[int, int]

    @property
    def x(self) -> Float[Tensor, "b n_w"]:
        """Where the columns of the sampled image are read, see `sampler.sampling_positions`; in the zoom's dtype."""
        return positions(self.zoom_x, self.out_size[1])

    @property
    def y(self) -> Float[Tensor, "b n_h"]:
        """Where its rows are read, like `x`."""
        return positions(self.zoom_y, self.out_size[0])

    def to_sampled(self, points: Float[Tensor, "b p 2"]) -> Float[Tensor, "b p 2"]:
        """Points of the image as points of the sampled image.

        Raises:
            ValueError: for integers, for points of another number of images or on another device, and on a CPU for
                points outside.

        >>> grid = SamplingGrid(torch.tensor([[1.5, 1.5, 0.5, 0.5]]), torch.ones(1, 2), (2, 4))
        >>> grid.to_sampled(torch.tensor([[[2.0, 1.0]]])).tolist()  # three of the four columns show the left half
        [[[3.0, 1.0]]]
        """
        points = self._inside(points, self.zoom_x.shape[1], self.zoom_y.shape[1], "the image")
        axes = zip(points.unbind(2), (self.zoom_x, self.zoom_y), self.out_size[::-1], strict=True)
        return torch.stack([_share_at(zoom, place) * n for place, zoom, n in axes], dim=2).to(result_type(points))

    def to_image(self, points: Float[Tensor, "b p 2"]) -> Float[Tensor, "b p 2"]:
        """The inverse of `to_sampled`, with its errors.

        >>> grid = SamplingGrid(torch.tensor([[1.5, 1.5, 0.5, 0.5]]), torch.ones(1, 2), (2, 4))
        >>> grid.to_image(torch.tensor([[[3.0, 1.0]]])).tolist()
        [[[2.0, 1.0]]]
        """
        points = self._inside(points, *self.out_size[::-1], "the sampled image")
        axes = zip(points.unbind(2), (self.zoom_x, self.zoom_y), self.out_size[::-1], strict=True)
        places = [_place_at(zoom, place.to(zoom.dtype) / n) for place, zoom, n in axes]
        return torch.stack(places, dim=2).to(result_type(points))

    def boxes_to_sampled(self, boxes: Float[Tensor, "b p 4"]) -> Boxes:
        """Boxes of the image as boxes of the sampled image, clipped to the image first. A box stays a box.

        Raises:
            ValueError: as `to_sampled`, but not for boxes that reach outside; on a CPU for x0 > x1 or y0 > y1.

        >>> grid = SamplingGrid(torch.tensor([[1.5, 1.5, 0.5, 0.5]]), torch.ones(1, 2), (2, 4))
        >>> boxes, clipped = grid.boxes_to_sampled(torch.tensor([[[0.0, 0.0, 2.0, 9.0]]]))
        >>> boxes.tolist(), clipped.tolist()
        ([[[0.0, 0.0, 3.0, 2.0]]], [[True]])
        """
        _require_places("boxes", boxes, self.zoom_x, 4)
        inside, clipped = _clip(boxes, self.zoom_x.shape[1], self.zoom_y.shape[1])
        return Boxes(self.to_sampled(inside.unflatten(2, (2, 2)).flatten(1, 2)).view_as(boxes), clipped)

    def boxes_to_image(self, boxes: Float[Tensor, "b p 4"]) -> Boxes:
        """The inverse of `boxes_to_sampled`, with its errors.

        >>> grid = SamplingGrid(torch.tensor([[1.5, 1.5, 0.5, 0.5]]), torch.ones(1, 2), (2, 4))
        >>> grid.boxes_to_image(torch.tensor([[[0.0, 0.0, 3.0, 2.0]]])).boxes.tolist()
        [[[0.0, 0.0, 2.0, 2.0]]]
        """
        _require_places("boxes", boxes, self.zoom_x, 4)
        inside, clipped = _clip(boxes, *self.out_size[::-1])
        return Boxes(self.to_image(inside.unflatten(2, (2, 2)).flatten(1, 2)).view_as(boxes), clipped)

    def unsample(
        self, features: Float[Tensor, "b c h w"], size: Size | None = None
    ) -> Float[Tensor, "b c rows columns"]:
        """A map of the sampled image (features, logits, a mask) as a map of the image, of `size` pixels.

        Each pixel reads the map bilinearly at its own place. With uniform zoom that is
        `F.interpolate(features, size, mode="bilinear")`.

        Args:
            features: floating point, of any height and width, covering the whole sampled image.
            size: of the result; None: the image's.

        Raises:
            ValueError: for features that are integers, empty, of another number of images or on another device; for a
                size below 1.

        >>> grid = SamplingGrid(torch.tensor([[1.5, 1.5, 0.5, 0.5]]), torch.ones(1, 2), (2, 4))
        >>> grid.unsample(torch.tensor([[[[0.0, 1.0, 2.0, 3.0]]]]))[0, 0, 0].tolist()
        [0.25, 1.75, 2.75, 3.0]
        """
        b, device = self.zoom_x.shape[0], self.zoom_x.device
        fits = features.ndim == 4 and features.shape[0] == b and 0 not in features.shape
        if not fits or not features.is_floating_point() or features.device != device:
            given, allowed = f"{features.dtype}, {tuple(features.shape)} on {features.device}", f"({b}, c, h, w)"
            raise ValueError(
                f"features are {given}; they must be floating point, {allowed}: one map an image, on {device}"
            )
        height, width = sides(size, "size") if size is not None else (self.zoom_y.shape[1], self.zoom_x.shape[1])
        places = []
        for zoom, n, cells in ((self.zoom_x, width, features.shape[3]), (self.zoom_y, height, features.shape[2])):
            centres = (torch.arange(n, device=zoom.device, dtype=zoom.dtype) + 0.5) * (zoom.shape[1] / n)
            places.append(_share_at(zoom, centres.expand(zoom.shape[0], -1)) * cells)
        return read_bilinearly(features, *places)

    def _inside(self, points: Tensor, width: int, height: int, where: str) -> Tensor:
        """The points; raises ValueError for those outside, or makes them NaN where that would have to be waited for."""
        _require_places("points", points, self.zoom_x, 2)
        exact = points.detach().to(self.zoom_x.dtype)
        outside = (exact < 0) | (exact > exact.new_tensor([width, height]))  # NaN is neither
        if points.is_cpu and not torch.compiler.is_compiling() and outside.any():
            place = tuple(exact[outside.any(dim=2)][0].tolist())
            raise ValueError(f"a point is at {place}, outside {where} (x from 0 to {width}, y from 0 to {height})")
        return points.masked_fill(outside.any(dim=2, keepdim=True), torch.nan)


def _require_places(name: str, given: Tensor, zoom: Tensor, numbers: int) -> None:
    """Raises ValueError, naming it, unless it is (images, p, numbers), floating point, and where the zoom is."""
    images, shape = zoom.shape[0], given.shape[:1] + given.shape[2:]
    good = given.ndim == 3 and shape == (images, numbers) and given.device == zoom.device
    if not good or not given.is_floating_point():
        allowed = f"they must be floating point, ({images}, p, {numbers}) for {images} images, on {zoom.device}"
        raise ValueError(f"{name} are {given.dtype}, {tuple(given.shape)} on {given.device}; {allowed}")


def result_type(given: Tensor) -> torch.dtype:
    """float64 of float64, else float32."""
    return torch.promote_types(given.dtype, torch.float32)


def positions(zoom: Float[Tensor, "b size"], n: int) -> Float[Tensor, "b n"]:
    """Where the centres of n pixels of the sampled image come from, along one axis."""
    return invert_zoom(zoom, (torch.arange(n, device=zoom.device, dtype=zoom.dtype) + 0.5) / n)


def _place_at(zoom: Float[Tensor, "b size"], shares: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """F⁻¹: where these shares of the sampled image come from. NaN stays."""
    return torch.where(shares.isnan(), shares, invert_zoom(zoom, shares.nan_to_num()))


def _share_at(zoom: Float[Tensor, "b size"], places: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """F, the integral of the zoom, as a share of its total: where in the sampled image these places land."""
    at_edges = F.pad(zoom.cumsum(dim=1), (1, 0))  # (b, size + 1)
    places = places.to(zoom.dtype)
    pixel = places.detach().nan_to_num().long().clamp(0, zoom.shape[1] - 1)
    return (at_edges.gather(1, pixel) + (places - pixel) * zoom.gather(1, pixel)) / at_edges[:, -1:]


def _clip(boxes: Float[Tensor, "b p 4"], width: int, height: int) -> Boxes:
    boxes = boxes.to(result_type(boxes))
    turned = (boxes[..., 2:] < boxes[..., :2]).any(dim=2, keepdim=True)
    if boxes.is_cpu and not torch.compiler.is_compiling() and turned.any():
        raise ValueError("a box has x0 > x1 or y0 > y1; give boxes as (x0, y0, x1, y1)")
    boxes = boxes.masked_fill(turned, torch.nan)
    limit = boxes.new_tensor([width, height, width, height])
    inside = boxes.clamp(boxes.new_zeros(4), limit)
    return Boxes(inside, ((inside != boxes) & ~boxes.isnan()).any(dim=2))
