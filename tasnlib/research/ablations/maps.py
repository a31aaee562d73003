"""Other ways to get attention maps from features, to be compared with trilinear attention.

Each is a relation between channels, (b, c, c), whose rows say which channels a map is made of; the maps are that
relation times the features. So all of them can be had for one channel, and as a mean over all.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasnlib.attention import PooledAttention, bilinear_attention, pool_maps


def features_themselves(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """Each map is its channel's own features."""
    return torch.eye(features.shape[1], device=features.device, dtype=features.dtype).expand(len(features), -1, -1)


def products(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """X Xᵀ, not normalised: a strong channel makes every map like itself."""
    x = features.flatten(2)
    return x @ x.mT


def inner_only(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """N(s·X) Xᵀ: where does channel i fire, and how strongly does channel j there."""
    x = features.flatten(2)
    return (scale * x).softmax(dim=-1) @ x.mT


def outer_only(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """N(X Xᵀ): the sums over space are large, so the softmax picks nearly one channel."""
    return products(features, scale).softmax(dim=-1)


RELATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "features": features_themselves,
    "products": products,
    "inner": inner_only,
    "outer": outer_only,
    "trilinear": bilinear_attention,
}
KINDS = ("uniform", *RELATIONS)


@torch.no_grad()
def pooled_maps(
    kind: str, features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]
) -> PooledAttention:
    """The mean map and one channel's map of a kind; "uniform" looks everywhere alike.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> channel = torch.tensor([3, 0])
    >>> torch.allclose(pooled_maps("features", features, 7.0, channel).detail[0], features[0, 3])
    True
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    b, _, h, w = features.shape
    channel = channel.to(features.device, torch.int64)
    if kind == "uniform":
        flat = features.new_ones(b, h, w)
        return PooledAttention(flat, flat, channel)
    features = features.float()
    relation = RELATIONS[kind](features, scale)  # (b, c, c)
    return pool_maps(relation, features, channel, relation.mean(dim=1))
