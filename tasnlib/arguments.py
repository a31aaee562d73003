"""What does not fit a signature is refused by name, before anything is computed.

The annotations are read here, and not by jaxtyping and beartype as in the tests: those let True pass for a whole number
and NaN for a number, and say the rest over half a page of annotations. A user is told "scale is 'x'; it must be ...".

Values inside a tensor are looked at on a CPU only (`readable`): an accelerator would have to be waited for, in every
step of training, and torch.compile would split its graph. There, NaN comes out where NaN went in.
"""

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

LARGEST = 2**20  # of sides, channels, classes: beyond, memory is asked for that nobody has

P = ParamSpec("P")
R = TypeVar("R")
Sizes = dict[str, tuple[int, str]]  # of a call: how long each named axis is, and of which argument that is known

_WORDS: dict[Any, str] = {
    **{int: "a whole number", float: "a finite number", bool: "True or False"},
    **{str: "a text", Path: "a path", types.NoneType: "None"},
}
_NUMBERS = {"Float": "floating point numbers", "Int": "signed whole numbers"}


class NotFinite(ValueError):
    """NaN or infinity where a number should be."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse arguments that do not fit the annotations. An axis that two tensors name alike is equally long in both.

    A whole number is not True or False, a number is finite, a tensor is not empty, not sparse and not of 8-bit floats.
    Defaults, and what has no annotation, are let through. Costs about 10 microseconds, and nothing in torch.compile.

    Raises:
        ValueError: naming the argument, what was given and what it must be.

    >>> @checked
    ... def double(number: float):
    ...     return 2 * number
    >>> double(3)
    6
    >>> double("3")
    Traceback (most recent call last):
        ...
    ValueError: number is '3'; it must be a finite number
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def refusing(*given: P.args, **named: P.kwargs) -> R:
        if not torch.compiler.is_compiling():
            sizes: Sizes = {}
            for name, value in signature.bind(*given, **named).arguments.items():
                parameter = signature.parameters[name]
                if value is not parameter.default and parameter.annotation is not inspect.Parameter.empty:
                    check_argument(value, name, parameter.annotation, sizes)
        return function(*given, **named)

    return refusing


def check_argument(value: Any, name: str, kind: Any, sizes: Sizes | None = None) -> None:
    """The same for a single value, such as the field of a dataclass.

    >>> check_argument(True, "epochs", int)
    Traceback (most recent call last):
        ...
    ValueError: epochs is True; it must be a whole number
    """
    sizes = {} if sizes is None else sizes
    if not _fits(value, name, kind, sizes):
        words, given = _in_words(kind, sizes), _shown(value)
        told = f"must be {words}; got {given}" if hasattr(kind, "dim_str") else f"is {given}; it must be {words}"
        raise ValueError(f"{name} {told}")
    for one in typing.get_args(kind) if _is_union(kind) else (kind,):
        if typing.get_origin(one) is Mapping and isinstance(value, Mapping):
            of_keys, of_entries = typing.get_args(one)
            for key, entry in value.items():
                check_argument(key, f"a name in {name}", of_keys)
                check_argument(entry, f"{name}[{key!r}]", of_entries, sizes)


def within(value: float, name: str, low: float, high: float = math.inf) -> None:
    """Refuse a number outside of its range.

    >>> within(-1, "weight", 0)
    Traceback (most recent call last):
        ...
    ValueError: weight is -1; it must be from 0 up
    """
    if not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it must be from {low} {'up' if high == math.inf else f'to {high}'}")


def above(value: float, name: str, low: float) -> None:
    """Refuse a number that is not above `low`."""
    if not value > low:
        raise ValueError(f"{name} is {value!r}; it must be above {low}")


def check_device(device: torch.device | str) -> None:
    """Refuse a device that torch does not know, or does not have here.

    >>> check_device("cpuu")
    Traceback (most recent call last):
        ...
    ValueError: device is 'cpuu', which is not to be had here; it must be one of torch's, such as cpu or cuda:0
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as reason:
        raise ValueError(
            f"device is {str(device)!r}, which is not to be had here; it must be one of torch's, such as cpu or cuda:0"
        ) from reason


def sides(size: int | tuple[int, int], name: str) -> tuple[int, int]:
    """(height, width), from that or from one number for both.

    >>> sides(8, "image_size"), sides((6, 8), "image_size")
    ((8, 8), (6, 8))
    """
    height, width = size if isinstance(size, tuple | list) else (size, size)
    if not (1 <= height <= LARGEST and 1 <= width <= LARGEST):
        raise ValueError(f"{name} is {size!r}; it must be a number of pixels from 1 to {LARGEST}, or (height, width)")
    return height, width


def on_one_device(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors, by their names, that lie on several devices. `checked` does not: some belong on the CPU.

    >>> on_one_device({"images": torch.ones(2), "attention": torch.ones(2, device="meta")})
    Traceback (most recent call last):
        ...
    ValueError: attention is on meta, but images is on cpu; both must be on one device
    """
    (first, beside), *others = tensors.items()
    for name, tensor in others:
        if tensor.device != beside.device:
            raise ValueError(
                f"{name} is on {tensor.device}, but {first} is on {beside.device}; both must be on one device"
            )


def one_of(value: str, name: str, choices: Collection[str]) -> None:
    """Refuse what is none of the choices.

    >>> one_of("labtop", "recipe", ("laptop", "paper"))
    Traceback (most recent call last):
        ...
    ValueError: recipe is 'labtop'; it must be one of laptop, paper
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or of numpy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def readable(tensor: Tensor) -> bool:
    """Whether a look at the values costs nothing: on a CPU, outside of torch.compile."""
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def not_negative(tensor: Tensor, name: str) -> None:
    """Refuse a tensor that is readable and holds NaN, infinity or a number below 0."""
    if readable(tensor):
        low, high = torch.aminmax(tensor.detach())
        if not (low >= 0 and high < math.inf):  # also false for NaN
            wrong = ValueError if torch.isfinite(low) and torch.isfinite(high) else NotFinite
            raise wrong(f"{name} must be finite and not negative, got values from {low:.4g} to {high:.4g}")


def finite(tensor: Tensor, told: str) -> Tensor:
    """The tensor itself, refused in these words where it is readable and holds NaN or infinity."""
    if readable(tensor):
        low, high = torch.aminmax(tensor.detach())  # NaN where there is one; a tenth of the time of `isfinite`
        if not (low > -math.inf and high < math.inf):
            raise NotFinite(told)
    return tensor


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _fits(value: Any, name: str, kind: Any, sizes: Sizes) -> bool:
    if hasattr(kind, "dim_str"):  # Float[Tensor, "b c h w"] and its like
        return isinstance(value, Tensor) and _tensor_fits(value, name, kind, sizes)
    if kind is int:
        return is_whole(value)
    if kind is float:
        if isinstance(value, float | np.floating):
            return math.isfinite(value)
        return is_whole(value) and abs(value) < 2**1023
    if kind in (str, Path):
        return isinstance(value, kind) and "\0" not in str(value)
    origin, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if _is_union(kind):
        return any(_fits(value, name, one, sizes) for one in inside)
    if origin is tuple and Ellipsis not in inside:  # a pair and the like; JSON makes lists of them
        if not isinstance(value, tuple | list) or len(value) != len(inside):
            return False
        return all(_fits(entry, name, one, sizes) for entry, one in zip(value, inside, strict=True))
    if origin in (list, tuple, Sequence):
        several = isinstance(value, tuple if origin is tuple else Sequence) and not isinstance(value, str | bytes)
        return several and all(_fits(entry, name, inside[0], sizes) for entry in value)
    return kind is Any or not isinstance(origin, type) or isinstance(value, origin)


def _tensor_fits(value: Tensor, name: str, kind: Any, sizes: Sizes) -> bool:
    dims, dtype = kind.dim_str.split(), str(value.dtype).removeprefix("torch.")
    if dtype not in kind.dtypes or "float8" in dtype or value.layout is not torch.strided:
        return False
    if value.ndim != len(dims) or 0 in value.shape:
        return False
    known = dict(sizes)
    for dim, size in zip(dims, value.shape, strict=True):
        if size != (int(dim) if dim.isdecimal() else known.setdefault(dim, (size, name))[0]):
            return False
    sizes.update(known)
    return True


def _in_words(kind: Any, sizes: Sizes) -> str:
    if hasattr(kind, "dim_str"):
        dims = kind.dim_str.split()
        shape = [f"{dim} = {sizes[dim][0]} as in {sizes[dim][1]}" if dim in sizes else dim for dim in dims]
        return f"a tensor ({', '.join(shape)}) of {_NUMBERS[kind.dtype.__name__]}, with no axis of length 0"
    if kind in _WORDS:
        return _WORDS[kind]
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if _is_union(kind):
        return " or ".join(_in_words(one, sizes) for one in inside)
    if origin is tuple and Ellipsis not in inside:
        return f"({', '.join(_in_words(one, sizes) for one in inside)})"
    if origin in (list, tuple, Sequence):
        return f"a {origin.__name__.lower()}, each {_in_words(inside[0], sizes)}"
    return f"a {getattr(origin or kind, '__name__', kind)}"


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        sparse = "" if value.layout is torch.strided else "sparse "
        return f"{sparse}{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    zero = ", which holds a zero byte" if isinstance(value, str | Path) and "\0" in str(value) else ""
    return repr(value) + zero if len(repr(value)) <= 80 else f"a value of type {type(value).__name__}{zero}"
