"""The cost of a network: multiply-adds by part, counted while it runs."""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(work: Callable[[], object]) -> int:
    """The multiply-adds of all convolutions and matrix products in a piece of work, half of torch's FLOPs.

    >>> layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    >>> multiply_adds(lambda: layer(torch.rand(1, 3, 10, 10))) == 10 * 10 * 8 * 3 * 3 * 3
    True
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // 2


@torch.no_grad()
def cost_by_part(model: nn.Module, image_size: int) -> dict[str, int]:
    """The multiply-adds of one image's forward pass by part of the model, and "total".

    "the rest" is done outside of all parts: the products of trilinear attention, and of the antialiased sampler.

    >>> from tasnlib.networks.build import build_tasn
    >>> from tasnlib.training.recipes import RECIPES
    >>> cost = cost_by_part(build_tasn(RECIPES["laptop"], 16), 144)
    >>> {name: round(count / 1e6, 1) for name, count in cost.items()}
    {'attention_net': 1.1, 'backbone': 37.9, 'classifier': 0.0, 'the rest': 0.2, 'total': 39.1}
    """
    # The meta device has shapes and no numbers: nothing is computed.
    shape = copy.deepcopy(model).eval().to("meta")
    inputs = [torch.empty(1, 3, image_size, image_size, device="meta")]
    if hasattr(model, "attention_net"):
        inputs.append(torch.empty(1, dtype=torch.int64, device="meta"))
    with FlopCounterMode(display=False) as counter:
        shape(*inputs)
    counts = counter.get_flop_counts()
    kind = type(model).__name__
    names = [name for name, _ in model.named_children() if f"{kind}.{name}" in counts]
    cost = {name: sum(counts[f"{kind}.{name}"].values()) // 2 for name in names}
    total = counter.get_total_flops() // 2
    return cost | {"the rest": total - sum(cost.values()), "total": total}
