"""What a network costs: multiply-adds by part, counted while it runs, not by hand."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(work: Callable[[], object]) -> int:
    """The multiply-adds of all convolutions and matrix products in a piece of work.

    torch counts a multiplication and an addition as two operations; here they are one.

    >>> layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
    >>> multiply_adds(lambda: layer(torch.rand(1, 3, 10, 10))) == 10 * 10 * 8 * 3 * 3 * 3
    True
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() // 2


@torch.no_grad()
def forward_cost(model: nn.Module, image_size: int) -> int:
    """The multiply-adds of one image's way forward, as in training.

    >>> from tasnlib.building import build_tasn
    >>> from tasnlib.recipes import RECIPES
    >>> forward_cost(build_tasn(RECIPES["laptop"], 16), 144) // 10**6  # in millions
    39
    """
    was_training = model.training
    inputs = [torch.rand(1, 3, image_size, image_size)]
    if hasattr(model, "attention_net"):
        inputs.append(torch.zeros(1, dtype=torch.int64))  # the detail map's channel
    cost = multiply_adds(lambda: model.eval()(*inputs))
    model.train(was_training)
    return cost
