"""A stand-in for Apple's GPUs: tensors that say they are on "mps", and reject float64 as those do.

In truth they are on the CPU, which computes; only what Python sees of their place is changed.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

MPS, CPU = torch.device("mps"), torch.device("cpu")


class OnApple(Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == Tensor.device.__get__:
            return MPS
        if func == Tensor.is_cpu.__get__:
            return False
        return compute(func, args, kwargs or {}, leaves=func is Tensor.cpu)


class Apple(TorchFunctionMode):
    """What is made on "mps", or sent there, becomes `OnApple`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if MPS in devices(args, kwargs):
            return compute(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def on_apple(one: Any) -> Any:
    if not isinstance(one, Tensor):
        return one
    if one.dtype == torch.float64:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
    return one.as_subclass(OnApple)


def devices(*given: Any) -> list[torch.device]:
    return [one for one in tree_leaves(given) if isinstance(one, torch.device)]


def compute(func: Any, args: Any, kwargs: dict[str, Any], leaves: bool = False) -> Any:
    leaves |= CPU in devices(args, kwargs)
    args, kwargs = tree_map(lambda one: CPU if isinstance(one, torch.device) else one, (args, kwargs))
    with torch._C.DisableTorchFunctionSubclass():
        result = func(*args, **kwargs)
        if leaves:
            return tree_map(lambda one: one.as_subclass(Tensor) if isinstance(one, Tensor) else one, result)
        return tree_map(on_apple, result)
