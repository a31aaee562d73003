"""A map for the sampler from a network that you already have, without any training.

Each takes the network as it is and images as it wants them, normalised, and gives (b, h, w), not negative. The network
should be in evaluation mode; nothing about it is changed.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tasnlib.attention_sampler.module import AttentionSampler
from tasnlib.model import downsample


@contextlib.contextmanager
def _recorded(modules: Iterable[nn.Module]) -> Iterator[list[Any]]:
    """What these modules return while the network runs, in the order of their calls."""
    found: list[Any] = []
    hooks = [module.register_forward_hook(lambda _, __, output: found.append(output)) for module in modules]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def class_activation(
    network: nn.Module, images: Float[Tensor, "b c height width"], classes: Int[Tensor, " b"] | None = None
) -> Float[Tensor, "b h w"]:
    """Where a CNN finds what speaks for a class: its last features, each channel weighted by how much it raises the
    class's logit.

    Where the features' mean and one linear layer give the logits, as in ResNets and EfficientNets, this is the class
    activation map (Zhou et al. 2016); for any other head it is Grad-CAM (Selvaraju et al. 2017).

    Args:
        network: images to logits (b, k), by convolutions: any CNN of torchvision or timm.
        classes: whose map, for each image; None: the class that the network predicts.

    Raises:
        ValueError: for a network that has no feature map, such as a transformer.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    >>> class_activation(network.eval(), torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 30, 30])
    """
    with torch.enable_grad():  # also inside of no_grad
        with _recorded(network.modules()) as outputs:
            logits = network(images.detach().requires_grad_())
        outputs = [one for one in outputs if isinstance(one, Tensor) and one.ndim in (3, 4)]
        maps = [one for one in outputs if one.ndim == 4 and min(one.shape[2:]) > 1]
        tokens = (bool(outputs) and outputs[-1].ndim == 3) or getattr(network, "output_fmt", "NCHW") != "NCHW"
        if not maps or tokens or logits.ndim != 2:
            raise ValueError(
                f"{type(network).__name__} is not a CNN that gives logits (b, classes); for a vision transformer use "
                "attention_rollout, for other networks feature_magnitude"
            )
        chosen = logits.argmax(dim=1) if classes is None else classes.to(logits.device)
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), maps[-1])
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # (b, c, 1, 1)
    return (weights * maps[-1]).sum(dim=1).clamp_min(0).detach()


@torch.no_grad()
def attention_rollout(network: Any, images: Float[Tensor, "b c height width"]) -> Float[Tensor, "b h w"]:
    """What a vision transformer's class token has seen: its attention, multiplied through all layers.

    Abnar and Zuidema 2020: the mean over the heads, half of it the token itself, which the residual connection keeps.
    Without a class token it is the mean over all tokens.

    Args:
        network: a ViT of timm: `vit_small_patch16_224`, DeiT, DINO or another one with `blocks` and `patch_embed`.

    Raises:
        ValueError: for any other network.

    >>> import timm
    >>> network = timm.create_model("test_vit", pretrained=False).eval()
    >>> attention_rollout(network, torch.rand(2, 3, 160, 160)).shape
    torch.Size([2, 10, 10])
    """
    layers: list[Any] = [getattr(block, "attn", None) for block in getattr(network, "blocks", ())]
    if not layers or not all(hasattr(layer, "attn_drop") for layer in layers) or not hasattr(network, "patch_embed"):
        raise ValueError(
            f"{type(network).__name__} is not a vision transformer of timm; for a CNN use class_activation"
        )
    fused = [layer.fused_attn for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False  # the fused kernel does not give its weights away
        with _recorded(layer.attn_drop for layer in layers) as found:
            network(images)
    finally:
        for layer, before in zip(layers, fused, strict=True):
            layer.fused_attn = before
    rollout = torch.eye(found[0].shape[-1], device=images.device)
    for weights in found:  # (b, heads, tokens, tokens)
        rollout = (weights.float().mean(dim=1) + torch.eye(weights.shape[-1], device=images.device)) / 2 @ rollout
    first = network.num_prefix_tokens
    seen = rollout[:, 0, first:] if network.cls_token is not None else rollout[:, first:, first:].mean(dim=1)
    return seen.unflatten(1, network.patch_embed.grid_size)


@torch.no_grad()
def feature_magnitude(
    network: nn.Module, images: Float[Tensor, "b c height width"], layer: str
) -> Float[Tensor, "b h w"]:
    """How strongly a layer responds in each cell: the length of its features (b, c, h, w) there.

    Args:
        layer: its name among `network.named_modules()`, such as "layer3" of a ResNet.

    Raises:
        ValueError: for a layer that is not there, or gives no feature map.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.LazyLinear(5))
    >>> feature_magnitude(network, torch.rand(2, 3, 32, 32), "0").shape
    torch.Size([2, 30, 30])
    """
    names = dict(network.named_modules())
    if layer not in names:
        raise ValueError(f"layer is {layer!r}; {type(network).__name__} has {', '.join(list(names)[1:40])}, ...")
    with _recorded([names[layer]]) as found:
        network(images)
    if not found or not isinstance(found[0], Tensor) or found[0].ndim != 4:
        raise ValueError(f"layer {layer!r} gives no feature map (b, c, h, w); choose a convolution, or a stage of them")
    return found[0].norm(dim=1)


def attend_and_sample(
    network: nn.Module,
    images: Float[Tensor, "b c height width"],
    size: int,
    attention: Callable[[nn.Module, Tensor], Tensor] = class_activation,
    max_zoom: float = 2.0,
    power: float = 1.0,
) -> Float[Tensor, "b k"]:
    """A frozen classifier's probabilities, from two looks: at the image resized to `size`, and once more at the image
    sampled by the attention of the first look. Their mean.

    Args:
        images: larger than `size`, or there is nothing to gain.
        attention: of the network and the resized images, as the adapters above give it.
        max_zoom, power: see `AttentionSampler`.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    >>> attend_and_sample(network.eval(), torch.rand(2, 3, 96, 96), size=32).shape
    torch.Size([2, 5])
    """
    resized = downsample(images, size)
    sampled = AttentionSampler(size, max_zoom, power)(images, attention(network, resized)).images
    return (network(resized).softmax(dim=1) + network(sampled).softmax(dim=1)) / 2
