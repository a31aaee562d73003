"""What is wrong with an input, in many ways; and how a function must answer: by refusing it, by name.

`float_tensor`, `whole_tensor`, `number`, `whole`, `flag`, `choice`, `path`, `module` and `other` each give the bad
values of one kind of argument, by a word or two that say what is wrong. `fuzzed_networks` and `fuzzed_runs` list the
functions, `test_bad_input` calls them.
"""

import math
import re
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LIBRARY = Path(__file__).parent.parent / "tasnlib"
NAN, INFINITY, HUGE = math.nan, math.inf, 10**18

Bad = dict[str, Any]


@dataclass(frozen=True)
class Function:
    """A function, arguments that it accepts (made anew for every call), and bad values for them, one at a time."""

    name: str
    call: Callable[..., Any]
    good: Callable[[], dict[str, Any]]
    bad: Mapping[str, Bad]
    nan_is_meant: bool = False  # its result holds NaN where something is not to be seen
    touches_files: bool = False  # values drawn at random would be written to and read from odd places
    known_as: Mapping[str, str] = field(default_factory=dict)  # an argument that messages call otherwise


def drawn(*shape: int) -> Tensor:
    """Numbers in [0, 1), the same every time."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


# -- Bad values --------------------------------------------------------------------------------------------------------


def float_tensor(good: Tensor, finite: bool = True, negative: bool = True) -> Bad:
    """For an argument that must be like `good`: each of its axes at least 1 long."""
    values = good.flatten()
    bad = {
        **{"None": None, "text": "0.5", "number": 0.5, "list": good.tolist(), "numpy": good.numpy()},
        **{"int64": good.long(), "bool": good > 0, "complex": torch.complex(good, good), "sparse": good.to_sparse()},
        **{"8 bits": good.to(torch.float8_e4m3fn), "scalar": torch.tensor(0.5), "one axis less": good[0]},
        **{"one axis more": good[None], **{f"axis {i} empty": good.narrow(i, 0, 0) for i in range(good.ndim)}},
    }
    wrong = ({"NaN": NAN, "infinite": INFINITY, "-infinite": -INFINITY} if finite else {}) | (
        {} if negative else {"negative": -1.0}
    )
    return bad | {
        label: torch.cat([values[:-1], torch.tensor([value])]).view(good.shape) for label, value in wrong.items()
    }


def whole_tensor(good: Tensor, low: int | None = 0, high: int | None = None) -> Bad:
    """For a tensor of whole numbers like `good`, from low to high."""
    bad = {
        **{"None": None, "text": "1", "number": 1, "list": good.tolist(), "numpy": good.numpy()},
        **{"float": good.float(), "NaN": good * NAN, "bool": good > 0, "complex": good * 1j},
        **{"scalar": torch.tensor(1), "one axis more": good[None], "too many": torch.cat([good, good])},
        **{"too few": good[:1], "empty": good[:0]},
    }
    below, above = ({} if edge is None else {label: torch.full_like(good, edge)} for label, edge in (
        ("too low", None if low is None else low - 1), ("too high", None if high is None else high + 1)
    ))  # fmt: skip
    return bad | below | above


def number(*out_of_range: float, optional: bool = False) -> Bad:
    """For a number; besides, these are out of its range. No number here may be infinite."""
    bad = {
        **{"None": None, "text": "1", "bool": True, "list": [1.0], "complex": 1j, "numpy": np.array([1.0, 2.0])},
        **{"NaN": NAN, "infinite": INFINITY, "-infinite": -INFINITY},
        **{f"{value}": value for value in out_of_range},
    }
    return without_none(bad) if optional else bad


def whole(*out_of_range: int, optional: bool = False, huge: bool = True) -> Bad:
    """For a whole number. Where `huge` ones are let through, it is because nothing is made so large."""
    bad = number(2.5, *out_of_range) | ({"huge": HUGE} if huge else {})
    return without_none(bad) if optional else bad


def sides(*out_of_range: int) -> Bad:
    """For a side in pixels, or (height, width)."""
    return whole(0, -1, *out_of_range) | {
        **{"three": (4, 4, 4), "one": (4,), "none": (), "a side 0": (4, 0), "a side of 2.5": (4, 2.5)},
        **{"a side of text": (4, "4"), "a side bool": (True, 4), "a side NaN": (NAN, 4), "a side huge": (4, HUGE)},
    }


def flag() -> Bad:
    """For True or False: a text is true to Python, also "False"."""
    return {"text": "False", "None": None, "number": 2, "list": [], "numpy": np.array([True, False])}


def choice(near: str) -> Bad:
    """For one of several texts, `near` being nearly one."""
    return {"None": None, "misspelt": near, "empty": "", "number": 1, "bool": True, "list": [near], "bytes": b"text"}


def path(*wrong: str) -> Bad:
    """For the path of something that must be there."""
    return {"None": None, "number": 3, "bool": True, "list": ["a"], "numpy": np.zeros(2), "nowhere": "no/such/place",
            "with a zero byte": "a\0b", "too long": "a" * 5000, **{one: one for one in wrong}}  # fmt: skip


def module() -> Bad:
    return {"None": None, "text": "resnet18", "number": 3, "class": nn.Linear, "tensor": torch.ones(2)}


def other(*wrong: Any) -> Bad:
    """For anything else: None, a text, a number, a list, and these."""
    bad = {"None": None, "text": "text", "number": 3, "list": [1], "numpy": np.zeros(2), "tensor": torch.ones(2)}
    return bad | {repr(one)[:30].splitlines()[0]: one for one in wrong}


def without_none(bad: Bad) -> Bad:
    return {label: value for label, value in bad.items() if label != "None"}


def but(bad: Bad, *labels: str) -> Bad:
    """Without those that this argument takes."""
    assert set(labels) <= bad.keys(), f"{labels} are not all among {list(bad)}"
    return {label: value for label, value in bad.items() if label not in labels}


# -- How a function must answer ----------------------------------------------------------------------------------------


def refusal_of(function: Function, changed: Mapping[str, Any]) -> Exception | None:
    """What is raised when some good arguments are changed; None where a result comes, after a look at it."""
    arguments = function.good() | changed
    with at_most(10):
        try:
            result = function.call(**arguments)
        except Exception as raised:
            return raised
    if not function.nan_is_meant:
        assert_finite(result)
    return None


def assert_refused_by_name(function: Function, changed: Mapping[str, Any], raised: Exception) -> None:
    """A ValueError, TypeError, or for files OSError, that the library itself raises and that names an argument."""
    where = traceback.extract_tb(raised.__traceback__)[-1]
    told = f"{type(raised).__name__}: {raised} ({Path(where.filename).name}, line {where.lineno}: {where.line})"
    allowed = (ValueError, TypeError, IndexError) + ((OSError,) if function.touches_files else ())
    assert isinstance(raised, allowed), told
    assert Path(where.filename).is_relative_to(LIBRARY), f"not refused by the library, but by what it calls: {told}"
    assert where.line.startswith("raise "), f"not refused, but stumbled over: {told}"
    words = [function.known_as.get(argument, argument) for argument in changed]
    words += [
        re.escape(value) for value in changed.values() if isinstance(value, str) and function.touches_files and value
    ]
    assert any(re.search(rf"(?<!\w){word}(?!\w)", str(raised)) for word in words), f"names none: {told}"


def assert_finite(result: Any) -> None:
    """No NaN and no infinity in any number of a result, however it is packed."""
    if isinstance(result, Tensor):
        assert not result.is_complex(), result
        assert result.isfinite().all() if result.is_floating_point() else True, result
    elif isinstance(result, Mapping):
        assert_finite(list(result.values()))
    elif isinstance(result, list | tuple):
        for one in result:
            assert_finite(one)
    else:
        assert not isinstance(result, complex), result
        assert not isinstance(result, float) or math.isfinite(result), result


@contextmanager
def at_most(seconds: int):
    """A hang is a failure, and not the end of all tests."""

    def give_up(*_):
        raise AssertionError(f"no answer within {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
