"""How the random inputs of exercises are drawn."""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def uniform(
    shape: int | Sequence[int], low: float | int, high: float | int, generator: torch.Generator
) -> Float64[Tensor, "..."]:
    """Numbers from low to high, of this shape."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def random_zoom(size: int, generator: torch.Generator) -> Float64[Tensor, " size"]:
    """A zoom of mean 1, uneven and nowhere 0."""
    zoom = torch.rand(size, generator=generator, dtype=torch.float64) ** 2 + 0.1
    return zoom / zoom.mean()
