"""The limit of a piece of work: its multiply-adds over the device's matrix rate, its bytes over its copy rate.

Both rates are measured. Operations are recorded as they are dispatched, in the forward and in the backward pass, so
functional ones (the multi-dilation kernels) are included. A backward convolution makes two products; its bytes are
those of its inputs and outputs, once.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.setting import Setting


class Rates(NamedTuple):
    matrix: float  #: multiply-adds per second of a large matrix product
    copy: float  #: bytes per second of a large copy, those read and those written


class OperationCost(NamedTuple):
    name: str
    multiply_adds: int
    bytes: int  #: of its inputs and outputs


class RateWork:
    """The two pieces of work whose rates are the limits, and the rates from how long they took.

    The product has the requested precision.
    """

    def __init__(self, setting: Setting):
        on_gpu = setting.device.type == "cuda"
        side = (8192 if on_gpu else 1024) if setting.full else 128
        values = (2**28 if on_gpu else 2**25) if setting.full else 2**16  # ·4 bytes: far larger than any cache
        self.left, self.right = torch.rand(2, side, side, device=setting.device, dtype=setting.dtype)
        self.product = torch.empty_like(self.left)
        self.source = torch.rand(values, device=setting.device)
        self.target = torch.empty_like(self.source)

    def multiply(self) -> None:
        torch.mm(self.left, self.right, out=self.product)

    def copy(self) -> None:
        self.target.copy_(self.source)

    def rates(self, multiply_seconds: float, copy_seconds: float) -> Rates:
        return Rates(len(self.left) ** 3 / multiply_seconds, 2 * bytes_of([self.source]) / copy_seconds)


def bytes_of(values: Iterable[Any]) -> int:
    """The bytes of all tensors among the values; an expanded tensor counts once.

    >>> bytes_of([torch.zeros(2, 3), None, torch.zeros(1).expand(1000)])
    28
    """
    tensors = [value for value in values if isinstance(value, Tensor)]
    return sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in tensors)


class CountOperations(TorchDispatchMode):
    """Records every convolution and matrix product that runs inside.

    >>> with CountOperations() as counter:
    ...     _ = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)(torch.rand(1, 3, 10, 10))
    >>> counter.costs == [OperationCost("convolution", 10 * 10 * 8 * 27, 4 * (3 * 100 + 8 * 100 + 8 * 27))]
    True
    """

    def __init__(self):
        super().__init__()
        self.costs: list[OperationCost] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        operation, name = func._overloadpacket, func._overloadpacket.__name__
        if operation in flop_registry:
            count = flop_registry[operation](*args, **kwargs, out_val=output) // 2  # a multiply-add is two for torch
            self.costs.append(OperationCost(name, count, bytes_of(tree_leaves((args, kwargs, output)))))
        return output


def count_operations(work: Callable[[], object]) -> list[OperationCost]:
    """The operations of a piece of work that is not compiled."""
    with CountOperations() as counter:
        work()
    return counter.costs


def limit_seconds(costs: Iterable[OperationCost], rates: Rates) -> float:
    """The layer-by-layer limit: each operation bound by its multiply-adds or by its bytes, summed.

    >>> limit_seconds([OperationCost("mm", 100, 4), OperationCost("mm", 100, 40)], Rates(100.0, 10.0))
    5.0
    """
    return sum(max(cost.multiply_adds / rates.matrix, cost.bytes / rates.copy) for cost in costs)
