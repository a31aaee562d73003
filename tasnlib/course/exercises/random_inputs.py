"""Random inputs for the checks. By the number of the round they go through all kinds that tell answers apart."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

LOUDEST = 22.8  # the largest feature of the trained network of notebook 01


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def uniform(shape: int | Sequence[int], low: float, high: float, generator: torch.Generator) -> Float32[Tensor, "..."]:
    """Random numbers from low to high."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def feature_maps(generator: torch.Generator, turn: int) -> Float32[Tensor, "b c h w"]:
    """Like the output of a ReLU, half of it 0. In every sixth round as loud as in a trained network; in others with a
    dead channel and two equal ones, with an image of zeros, of one image and one row, or higher than wide."""
    kind = ("plain", "loud", "dead", "zeros", "row", "high")[turn % 6]
    b, c, h = whole(2, 4, generator), whole(4, 6, generator), whole(2, 3, generator)
    b, h, w = (1, 1, 5) if kind == "row" else (b, h, h + whole(1, 4, generator))
    features = (2 * torch.randn(b, c, h, w, generator=generator)).relu()
    if kind == "loud":
        features *= LOUDEST / features.max()
    if kind == "dead":
        features[:, 1], features[:, 3] = 0, features[:, 2]
    if kind == "zeros":
        features[0] = 0
    return features.mT.contiguous() if kind == "high" else features


def features_and_scale(generator: torch.Generator, turn: int) -> dict[str, Any]:
    """The loud features come with the authors' scale."""
    return {"features": feature_maps(generator, turn), "scale": 7.0 if turn % 6 == 1 else float(whole(1, 5, generator))}
