"""From a classification network to a trunk: its layers up to the last map, with fewer of its halvings."""

from math import log2
from typing import Any
from warnings import catch_warnings, simplefilter

from torch import Tensor, nn

from tasnlib.networks.pretrained import run_once

# Two sizes of images to try a network with: large enough for five halvings, small enough to be quick.
SIZE, LARGER = 128, 192


def layers_up_to_the_last_map(network: nn.Module) -> list[nn.Module]:
    """The network's children, in the order in which an image passes them, as long as a map of the image comes out.

    A map is (b, c, h, w) with an h and a w that follow the image's: what a global pooling leaves is none, nor is what
    a transformer computes. Each child must take exactly what the one before it gives.

    Raises:
        ValueError: if there is no such child, if what follows still depends on the image's size (so that the chain is
            only a stem), or if the network does not take images of any size.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> layers_up_to_the_last_map(network)
    [Conv2d(3, 8, kernel_size=(2, 2), stride=(2, 2)), ReLU()]
    """
    calls: list[tuple[nn.Module, tuple, object]] = []  # (child, what went in, what came out)
    hooks = [
        child.register_forward_hook(lambda child, given, output: calls.append((child, given[:1], output)))
        for child in network.children()
    ]
    try:
        run_once(network, (SIZE, SIZE))
        count = len(calls)
        run_once(network, (LARGER, LARGER))
    except (RuntimeError, ValueError, AssertionError) as reason:
        raise ValueError(f"it does not take images of {SIZE} and of {LARGER} pixels ({reason})") from reason
    finally:
        for hook in hooks:
            hook.remove()

    layers = []
    before = None
    outputs = [(small, large) for (_, _, small), (_, _, large) in zip(calls[:count], calls[count:], strict=True)]
    for (child, given, _), (small, large) in zip(calls[:count], outputs, strict=True):
        connected = before is None or (len(given) == 1 and given[0] is before)
        if not connected or not _is_map(small, large):
            break
        layers.append(child)
        before = small
    if not layers:
        raise ValueError("it is not convolutional: its first layer gives no map (b, c, h, w) of the image")
    if not all(_is_same_size(small, large) for small, large in outputs[len(layers) :]):
        raise ValueError("it is no plain chain of convolutional layers that ends with one map (b, c, h, w)")
    return layers


def _is_map(small: object, large: object) -> bool:
    if not isinstance(small, Tensor) or not isinstance(large, Tensor) or small.ndim != 4:
        return False
    (_, channels, *sides), (_, more_channels, *larger_sides) = small.shape, large.shape
    same_share = _halvings(SIZE, sides[0]) == _halvings(LARGER, larger_sides[0])
    return channels == more_channels and sides[0] > 1 and same_share


def _is_same_size(small: object, large: object) -> bool:
    return isinstance(small, Tensor) and isinstance(large, Tensor) and small.numel() == large.numel()


def _halvings(image: int, side: int) -> int:
    return round(log2(image / side))  # rounded, for layers without padding lose a cell


def keep_halvings(trunk: nn.Module, halvings: int) -> None:
    """Set strides to 1, in place, until an image is halved so many times and no more.

    The last halving goes first, then the last but two (unless that is one of the first two, which stay longest); if
    that is not enough, the others from the last to the first.
    Of five halvings, as nearly every network for ImageNet has, three leave the first, the second and the fourth.

    Raises:
        ValueError: if the trunk halves less often, or by something else than layers with a stride.

    >>> trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 2, padding=1))
    >>> keep_halvings(trunk, 2)
    >>> [layer.stride for layer in trunk]
    [(2, 2), 2, (1, 1)]
    """
    passed: dict[str, tuple[int, int]] = {}  # layer: halvings before it, and after it

    def note(name: str, given: Tensor, output: Tensor) -> None:
        passed[name] = _halvings(SIZE, given.shape[2]), _halvings(SIZE, output.shape[2])

    hooks = [
        module.register_forward_hook(lambda _, given, output, name=name: note(name, given[0], output))
        for name, module in trunk.named_modules()
        if next(module.children(), None) is None and _step(module) > 1
    ]
    total = _halvings(SIZE, run_once(trunk, (SIZE, SIZE)).shape[2])
    for hook in hooks:
        hook.remove()
    if not 0 <= halvings <= total:
        raise ValueError(f"halvings is {halvings}; it must be 0 to {total}, as often as this network halves an image")

    order = sorted(range(1, total + 1), key=lambda number: (number not in (total, total - 2) or number <= 2, -number))
    gone = order[: total - halvings]
    for name, (before, after) in passed.items():
        times = sum(before < number <= after for number in gone)
        if times:
            _divide_stride(trunk, name, 2**times)
    try:
        with catch_warnings():
            # Of padding="same" with an even kernel, which costs a copy. Torch says so once, at the first run.
            simplefilter("ignore", UserWarning)
            left = _halvings(SIZE, run_once(trunk, (SIZE, SIZE)).shape[2])
    except RuntimeError as reason:  # two branches that no longer fit each other
        raise ValueError(f"its strides cannot be set to 1 ({reason})") from reason
    if left != halvings:
        raise ValueError(f"its strides can be set to 1 so far that {left} halvings are left, not {halvings}")


def _step(module: nn.Module) -> int:
    stride = getattr(module, "stride", 1)
    return max(stride) if isinstance(stride, tuple) else stride if isinstance(stride, int) else 1


def _divide_stride(trunk: nn.Module, name: str, divisor: int) -> None:
    """A smaller stride, and the padding with which a side is divided by exactly that stride."""
    layer: Any = trunk.get_submodule(name)  # of any kind that has a stride
    stride = _step(layer) // divisor
    layer.stride = (stride, stride) if isinstance(layer.stride, tuple) else stride
    pads_itself = isinstance(getattr(layer, "padding", ""), str) or type(layer).__name__.endswith("Same")  # as in timm
    if pads_itself or not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return
    kernel, padding, dilation = (_side(getattr(layer, field, 1)) for field in ("kernel_size", "padding", "dilation"))
    reach = dilation * (kernel - 1) + 1
    if reach - stride <= 2 * padding < reach:
        return
    padding = max(reach - stride + 1, 0) // 2
    if 2 * padding < reach:
        layer.padding = (padding, padding) if isinstance(layer.padding, tuple) else padding
        if isinstance(layer, nn.AvgPool2d):
            layer.count_include_pad = False
    elif isinstance(layer, nn.Conv2d):  # an even kernel at stride 1 needs a cell more on one side than on the other
        layer.padding = "same"
    else:
        layer.padding = 0
        before = (reach - 1) // 2
        after = reach - 1 - before
        trunk.set_submodule(name, nn.Sequential(nn.ReplicationPad2d((before, after, before, after)), layer))


def _side(size: int | tuple[int, int]) -> int:
    return size[0] if isinstance(size, tuple) else size
