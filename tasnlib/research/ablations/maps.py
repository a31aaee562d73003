"""Other ways to get attention maps from features, for comparison with trilinear attention.

Each is a relation between channels, (b, c, c); the maps are the relation times the features.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasnlib.attention import PooledAttention, bilinear_attention, pool_maps


def identity(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """Each map is its channel's features."""
    return torch.eye(features.shape[1], device=features.device, dtype=features.dtype).expand(len(features), -1, -1)


def unnormalised(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """X Xᵀ: a strong channel dominates every map."""
    x = features.flatten(2)
    return x @ x.mT


def inner_only(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """N(s·X) Xᵀ: how strongly channel j fires where channel i fires."""
    x = features.flatten(2)
    return (scale * x).softmax(dim=-1) @ x.mT


def outer_only(features: Float[Tensor, "b c h w"], scale: float) -> Float[Tensor, "b c c"]:
    """N(X Xᵀ): the sums over space are large, so the softmax is close to one-hot."""
    return unnormalised(features, scale).softmax(dim=-1)


RELATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "features": identity,
    "products": unnormalised,
    "inner": inner_only,
    "outer": outer_only,
    "trilinear": bilinear_attention,
}
KINDS = ("uniform", *RELATIONS)


@torch.no_grad()
def pooled_maps(
    kind: str, features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]
) -> PooledAttention:
    """The mean map and one channel's map, of one of the kinds; "uniform" attends to every cell equally.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> channel = torch.tensor([3, 0])
    >>> torch.allclose(pooled_maps("features", features, 7.0, channel).detail[0], features[0, 3])
    True
    """
    if kind == "uniform":
        flat = torch.ones_like(features[:, 0])  # (b, h, w)
        return PooledAttention(flat, flat, channel.to(features.device, torch.int64))
    features = features.float()
    relation = RELATIONS[kind](features, scale)  # (b, c, c)
    return pool_maps(relation, features, channel, relation.mean(dim=1))
