"""A map for the sampler from a network that you already have, without any training.

Each takes the network as it is, in evaluation mode, and images as it wants them, normalised, and gives (b, h, w), not
negative. Nothing about the network is changed. Others may use it at the same time, in threads of their own.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tasnlib.attention_sampler.module import AttentionSampler
from tasnlib.model import downsample

_FUSED = threading.Lock()  # held while a network's attention is not fused


@contextlib.contextmanager
def _recorded(modules: Iterable[nn.Module], keep: Callable[[Any], Any] = lambda output: output) -> Iterator[list[Any]]:
    """What `keep` makes of what these modules return while this thread runs the network, in the order of their calls.

    It is called at once: the next layer may work in place.
    """
    found: list[Any] = []
    mine = threading.get_ident()

    def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if threading.get_ident() == mine:
            found.append(keep(output))

    hooks = [module.register_forward_hook(record) for module in modules]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _require_evaluation(network: nn.Module, images: Tensor) -> None:
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}; they must be floating point, normalised as the network expects")
    # What behaves otherwise in training. A new container around trained layers is in training mode, which says nothing.
    kinds = nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd, nn.RReLU, nn.MultiheadAttention
    training = [layer for layer in network.modules() if layer.training]
    if any(isinstance(one, kinds) or type(one).__name__ in ("DropPath", "StochasticDepth") for one in training):
        raise ValueError(f"{type(network).__name__} is in training mode; call network.eval() first")


def _covers(cells: Sequence[int], images: Tensor) -> bool:
    """Can these be rows and columns of cells that a network made of the images? Channels, mistaken for columns, not."""
    (rows, columns), per_row = cells, images.shape[3] / images.shape[2]
    return rows <= images.shape[2] and 0.8 * (rows - 1) * per_row - 1 <= columns <= 1.25 * (rows + 1) * per_row + 1


def class_activation(
    network: nn.Module, images: Float[Tensor, "b c height width"], classes: Int[Tensor, " b"] | None = None
) -> Float[Tensor, "b h w"]:
    """Where a CNN finds what speaks for a class: its last features, each channel weighted by how much it raises the
    class's logit.

    Where the features' mean and one linear layer give the logits, as in ResNets and EfficientNets, this is the class
    activation map (Zhou et al. 2016); for any other head it is Grad-CAM (Selvaraju et al. 2017). The last features are
    those of more than one cell, before any pooling that distorts them: if need be, of an earlier layer.

    Args:
        network: images to logits (b, k), by convolutions: nearly any CNN of torchvision or timm.
        classes: whose map, for each image; None: the class that the network predicts.

    Raises:
        ValueError: for a network that has no feature map, such as a transformer, or is in training mode; unless there
            is one class that the network knows for each image.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    >>> class_activation(network.eval(), torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 30, 30])
    """
    _require_evaluation(network, images)
    with torch.inference_mode(False), torch.enable_grad():  # also inside of inference_mode and no_grad
        with _recorded(network.modules()) as outputs:
            logits = network(images.detach().clone().requires_grad_() * 1)  # a network may change its input in place
        outputs = [one for one in outputs if isinstance(one, Tensor) and one.ndim in (3, 4) and one.requires_grad]
        maps = [one for one in outputs if one.ndim == 4 and min(one[0, 0].numel(), one[0, :, :, 0].numel()) > 1]
        maps = [one for one in maps[-2:] if len(one[0]) == len(maps[-1][0]) and _covers(one.shape[2:], images)]
        tokens = (bool(outputs) and outputs[-1].ndim == 3) or getattr(network, "output_fmt", "NCHW") != "NCHW"
        gradient, is_logits = None, isinstance(logits, Tensor) and logits.ndim == 2
        if maps and not tokens and is_logits:
            chosen = logits.argmax(dim=1) if classes is None else _one_each(torch.as_tensor(classes), logits)
            (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), maps[-1], allow_unused=True)
    if gradient is None:
        instead = "for a vision transformer of timm use attention_rollout, for other networks feature_magnitude"
        raise ValueError(f"{type(network).__name__} is not a CNN that gives logits (b, classes); {instead}")
    weights = gradient.mean(dim=(2, 3), keepdim=True)  # (b, c, 1, 1)
    return (weights * maps[-1]).sum(dim=1).clamp_min(0).detach()


def _one_each(classes: Tensor, logits: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    b, k = logits.shape
    if classes.shape != (b,) or classes.is_floating_point() or not ((classes >= 0) & (classes < k)).all():
        raise ValueError(f"classes is {classes.tolist()}; it must be one from 0 to {k - 1} for each of {b} images")
    return classes.to(logits.device, torch.int64)


@contextlib.contextmanager
def _unfused(layers: list[Any]) -> Iterator[None]:
    """Without the fused kernel of attention, which does not give its weights away. One network at a time."""
    with _FUSED:
        fused = [layer for layer in layers if getattr(layer, "fused_attn", False)]
        try:
            for layer in fused:
                layer.fused_attn = False
            yield
        finally:
            for layer in fused:
                layer.fused_attn = True


_ROLLED_OUT = (
    "vision transformer of timm whose tokens all attend to each other; for a CNN use class_activation, for other "
    "networks feature_magnitude"
)


def _grid(network: Any, images: Tensor) -> tuple[int, int] | None:
    """Rows and columns of the tokens that a transformer of timm makes of these images; None for other networks."""
    embed: Any = getattr(network, "patch_embed", None)
    if not hasattr(embed, "dynamic_feat_size") or not hasattr(network, "num_prefix_tokens"):
        return None
    return embed.dynamic_feat_size(tuple(images.shape[2:]))


@torch.no_grad()
def attention_rollout(network: Any, images: Float[Tensor, "b c height width"]) -> Float[Tensor, "b h w"]:
    """What a vision transformer's class token has seen: its attention, multiplied through all layers.

    Abnar and Zuidema 2020: the mean over the heads, half of it the token itself, which the residual connection keeps.
    Without a class token it is the mean over all tokens.

    Args:
        network: a ViT of timm, each of whose tokens attends to all others: `vit_small_patch16_224`, DeiT, DINO.

    Raises:
        ValueError: for any other network, and for one in training mode.

    >>> import timm
    >>> network = timm.create_model("test_vit", pretrained=False).eval()
    >>> attention_rollout(network, torch.rand(2, 3, 160, 160)).shape
    torch.Size([2, 10, 10])
    """
    _require_evaluation(network, images)
    layers: list[Any] = [getattr(block, "attn", None) for block in getattr(network, "blocks", ())]
    grid = _grid(network, images)
    if not layers or not grid or not all(hasattr(layer, "attn_drop") for layer in layers):
        raise ValueError(f"{type(network).__name__} is not a {_ROLLED_OUT}")
    with _unfused(layers), _recorded(layer.attn_drop for layer in layers) as found:
        network(images.clone())
    first = network.num_prefix_tokens
    tokens = first + grid[0] * grid[1]
    shapes = [(len(images), getattr(layer, "num_heads", 0), tokens, tokens) for layer in layers]
    if [weights.shape for weights in found] != shapes:
        raise ValueError(f"{type(network).__name__} has another kind of attention; it must be a {_ROLLED_OUT}")
    rollout = identity = torch.eye(tokens, device=images.device)
    for weights in found:  # (b, heads, tokens, tokens)
        rollout = (weights.float().mean(dim=1) + identity) / 2 @ rollout
    seen = rollout[:, 0, first:] if network.cls_token is not None else rollout[:, first:, first:].mean(dim=1)
    return seen.unflatten(1, grid)


@torch.no_grad()
def feature_magnitude(network: Any, images: Float[Tensor, "b c height width"], layer: str) -> Float[Tensor, "b h w"]:
    """How strongly a layer responds in each cell: the length of its features there.

    Its features are (b, c, h, w); or (b, h, w, c) where only that gives the cells the images' proportions, or a network
    of timm says so by its `output_fmt`; or the tokens (b, n, c) of a vision transformer of timm. Of a layer that runs
    several times it is the first time.

    Args:
        layer: its name among `network.named_modules()`, such as "layer3" of a ResNet or "blocks.8" of a ViT.

    Raises:
        ValueError: for a layer that is not there, gives no feature map or is not run; for a network in training mode.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 5)).eval()
    >>> feature_magnitude(network, torch.rand(2, 3, 32, 32), "0").shape
    torch.Size([2, 30, 30])
    """
    _require_evaluation(network, images)
    names = dict(network.named_modules())
    if layer not in names:
        raise ValueError(f"layer is {layer!r}; {type(network).__name__} has {', '.join(list(names)[1:40])}, ...")
    says_so = any(getattr(module, "output_fmt", "") == "NHWC" for module in names.values())
    channels_last = says_so and not isinstance(names[layer], nn.Conv2d)
    magnitude = functools.partial(_magnitude, network, images, channels_last)
    with _recorded([names[layer]], magnitude) as found:
        network(images.clone())
    if not found or found[0] is None:
        problem = "gives no feature map (b, c, h, w)" if found else "was not run, as in a compiled network"
        raise ValueError(f"layer {layer!r} {problem}; choose a convolution, or a stage of them")
    return found[0]


def _magnitude(network: Any, images: Tensor, channels_last: bool, features: Any) -> Tensor | None:
    """The length of a layer's features in each cell; None where they are no map of these images."""
    grid = _grid(network, images)
    if not isinstance(features, Tensor) or features.shape[:1] != images.shape[:1]:
        return None
    if features.ndim == 4 and (not grid or tuple(features.shape[2:]) == grid):
        first, last = _covers(features.shape[2:], images), _covers(features.shape[1:3], images)
        return features.norm(dim=3 if channels_last or not first else 1) if first or last else None
    if features.ndim == 3 and grid and features.shape[1] == network.num_prefix_tokens + grid[0] * grid[1]:
        return features[:, network.num_prefix_tokens :].norm(dim=2).unflatten(1, grid)
    return None


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

    Raises:
        ValueError: for a network in training mode, or that gives no logits; see the adapter and `AttentionSampler`.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    >>> attend_and_sample(network.eval(), torch.rand(2, 3, 96, 96), size=32).shape
    torch.Size([2, 5])
    """
    _require_evaluation(network, images)
    sampler = AttentionSampler(size, max_zoom, power)
    resized = downsample(images, size)
    sampled = sampler(images, attention(network, resized.clone())).images  # a network may change its input in place
    looks = network(resized), network(sampled)
    if not all(isinstance(logits, Tensor) and logits.ndim == 2 for logits in looks):
        raise ValueError(f"{type(network).__name__} does not give logits (b, classes); give a classifier")
    return torch.stack([logits.softmax(dim=1) for logits in looks]).mean(dim=0)
