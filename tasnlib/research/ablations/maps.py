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


def at_centre(features: Float[Tensor, "b c h w"], width: float = 0.25) -> Float[Tensor, "b h w"]:
    """A Gaussian in the middle of the image, where photographers put things; its deviation is a share of the side."""
    x, y = (torch.linspace(-0.5, 0.5, 2 * n + 1, device=features.device)[1::2] for n in features.shape[:1:-1])
    return torch.exp(-(x**2 + y[:, None] ** 2) / (2 * width**2)).expand(len(features), -1, -1)


def changed(change: str, maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Maps with a "floor" (nothing is squeezed below half its size) or a prior at the "centre".

    >>> changed("floor", torch.tensor([[[0.0, 2.0]]])).tolist()
    [[[1.0, 3.0]]]
    """
    maps = maps / maps.mean(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    prior = at_centre(maps[:, None], 0.25 if change == "centre" else 1e6)
    return maps + prior / prior.mean(dim=(1, 2), keepdim=True)


@torch.no_grad()
def pooled_maps(
    kind: str, features: Float[Tensor, "b c h w"], scale: float, channel: Int[Tensor, " b"]
) -> PooledAttention:
    """The mean map and one channel's map, of a kind in RELATIONS; or "uniform" attention, "centre", see `at_centre`, or
    a "class activation" map, which is the only channel.

    >>> features = torch.rand(2, 8, 5, 5)
    >>> channel = torch.tensor([3, 0])
    >>> torch.allclose(pooled_maps("features", features, 7.0, channel).detail[0], features[0, 3])
    True
    """
    features = features.float()
    if kind not in RELATIONS:
        one = features[:, 0] if kind == "class activation" else at_centre(features, 0.25 if kind == "centre" else 1e6)
        return PooledAttention(one, one, channel.to(features.device, torch.int64))
    relation = RELATIONS[kind](features, scale)  # (b, c, c)
    return pool_maps(relation, features, channel, relation.mean(dim=1))
