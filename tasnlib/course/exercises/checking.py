"""How a student's function is checked: on fresh random inputs, against the solution and against common mistakes."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import Tensor

ROUNDS = 5
MORE_ROUNDS = 20  # to tell two mistakes apart that agree on one input


class Mistake(NamedTuple):
    """A wrong solution that students write, and the message that corrects it."""

    message: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """One exercise: the solution, and what is said about a wrong result, in this order.

    `inputs` draws the arguments by name, of other shapes from call to call. A result that equals a mistake's gets its
    message; otherwise the first property, a sentence with a test of (inputs, result), that is not true of it; otherwise
    the hint. Where the value is right, its `gradients` at these inputs must be too, or their messages are given.
    """

    name: str
    solution: Callable
    inputs: Callable[[torch.Generator], dict[str, Any]]
    mistakes: Sequence[Mistake] = ()
    properties: Sequence[tuple[str, Callable[[dict[str, Any], Any], bool]]] = ()
    gradients: Sequence[tuple[str, str]] = ()
    hint: str = ""
    tolerance: float = 1e-4  # absolute and relative


class Report(NamedTuple):
    """The outcome of a check."""

    passed: bool
    message: str
    figure: Figure | None = None


def examine(exercise: Exercise, function: Callable) -> Report:
    """Try a function on fresh random inputs.

    >>> double = Exercise("double", lambda x: 2 * x, lambda g: {"x": torch.rand(3, generator=g)})
    >>> examine(double, lambda x: x + x).passed
    True
    >>> print(examine(double, lambda x: x.sum()).message)
    double: wrong shape. For x (3,) the result must have shape (3,), yours has shape ().
    """
    generator = torch.Generator()
    generator.seed()  # fresh inputs every time: a function cannot be fitted to them
    for _ in range(ROUNDS):
        inputs = exercise.inputs(generator)
        target = exercise.solution(**copy.deepcopy(inputs))
        result, problem = _call(function, inputs)
        if not problem and _same(target, result, exercise.tolerance):
            problem = _wrong_gradient(exercise, function, inputs)
        elif not problem:
            problem = _known_mistake(exercise, function, inputs, result, generator)
            problem = problem or _difference(exercise, inputs, target, result)
        if problem:
            return Report(False, f"{exercise.name}: {problem}", _side_by_side(target, result))
    return Report(True, f"{exercise.name}: right, on {ROUNDS} random inputs.")


def whole(low: int, high: int, generator: torch.Generator) -> int:
    """A random whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def uniform(shape: int | Sequence[int], low: float, high: float, generator: torch.Generator) -> Float64[Tensor, "..."]:
    """Random numbers from low to high."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def _call(function: Callable, inputs: dict[str, Any]) -> tuple[Any, str]:
    """The function's result, or ... and why there is none."""
    given = copy.deepcopy(inputs)
    try:
        result = function(**given)
    except NotImplementedError:
        result = ...
    except (Exception, SystemExit) as error:
        return ..., f"your function raised {type(error).__name__}: {error}. The input was {_describe(inputs)}."
    if result is None or result is ...:
        return ..., "not done yet. Replace the ... by your code and run the cell again."
    if any(not torch.equal(x, given[name]) for name, x in inputs.items() if isinstance(x, Tensor)):
        return ..., "your function changed its input. Work on a copy, or avoid in-place operations."
    return result, ""


def _known_mistake(
    exercise: Exercise, function: Callable, inputs: dict[str, Any], result: Any, generator: torch.Generator
) -> str:
    """The message of the mistake that gives the same wrong result; empty where none does."""

    def gives(mistake: Mistake, inputs: dict[str, Any], result: Any) -> bool:
        return _same(_call(mistake.function, inputs)[0], result, exercise.tolerance)

    fitting = [mistake for mistake in exercise.mistakes if gives(mistake, inputs, result)]
    for _ in range(MORE_ROUNDS if len(fitting) > 1 else 0):
        fresh = exercise.inputs(generator)
        again, _ = _call(function, fresh)
        fitting = [mistake for mistake in fitting if gives(mistake, fresh, again)] or fitting[:1]
    return f"{fitting[0].message} The input was {_describe(inputs)}." if fitting else ""


def _difference(exercise: Exercise, inputs: dict[str, Any], target: Any, result: Any) -> str:
    """How a wrong result differs from the target."""
    wanted, got = _numbers(target) or [], _numbers(result)
    if got is None or _several(target) != _several(result) or len(wanted) != len(got):
        return f"return {_kind(target)}; yours returns {_kind(result)}."
    where = f"The input was {_describe(inputs)}"
    for right, yours in zip(wanted, got, strict=True):
        if right.shape != yours.shape:
            shapes = f"the result must have shape {tuple(right.shape)}, yours has shape {tuple(yours.shape)}."
            return f"wrong shape. For {_describe(inputs)} {shapes}"
        if yours.isnan().any():
            return f"the result contains NaN. {where}."
    for sentence, holds in exercise.properties:
        if not holds(inputs, got if _several(target) else got[0]):
            return f"{sentence} This is not true of your result. {where}."
    right, yours = next(pair for pair in zip(wanted, got, strict=True) if not _same(*pair, exercise.tolerance))
    index = np.unravel_index(int((right - yours).abs().argmax()), right.shape)
    at = f"at {[int(i) for i in index]} " if index else ""
    numbers = f"{at}the target is {right[index].item():.4g}, yours is {yours[index].item():.4g}"
    return f"not the right numbers. {exercise.hint} {where}; {numbers}."


def _wrong_gradient(exercise: Exercise, function: Callable, inputs: dict[str, Any]) -> str:
    """What is wrong with the gradient of a result whose value is right; empty where nothing is."""
    if not exercise.gradients:
        return ""
    found = []
    for one in (exercise.solution, function):
        given = copy.deepcopy(inputs)
        at = [given[name].requires_grad_() for name, _ in exercise.gradients]
        try:
            with torch.enable_grad():
                value = torch.as_tensor(one(**given)).sum()
            found.append(torch.autograd.grad(value, at, allow_unused=True, materialize_grads=True))
        except (Exception, SystemExit):
            return "the value is right, but no gradient flows back from it: avoid .item(), .detach(), torch.no_grad()."
    for (_, message), right, yours in zip(exercise.gradients, *found, strict=True):
        if not _same(right, yours, exercise.tolerance):
            return f"the value is right, its gradient is not. {message} The input was {_describe(inputs)}."
    return ""


def _several(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _numbers(value: Any) -> list[Tensor] | None:
    """A result's parts in float64; None where one cannot be read as numbers."""
    parts = value if _several(value) else [value]
    try:
        arrays = [np.array(x.detach() if isinstance(x, Tensor) else x, dtype=np.float64) for x in parts]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return [torch.from_numpy(array) for array in arrays]


def _same(one: Any, other: Any, tolerance: float) -> bool:
    first, second = _numbers(one), _numbers(other)
    if first is None or second is None or _several(one) != _several(other) or len(first) != len(second):
        return False
    pairs = zip(first, second, strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, tolerance, tolerance, equal_nan=True) for a, b in pairs)


def _kind(value: Any) -> str:
    if _several(value):
        return f"a {type(value).__name__} of {len(value)}"
    parts = _numbers(value)
    if parts is None:
        return f"one {type(value).__name__} that cannot be read as numbers"
    return f"one tensor of shape {tuple(parts[0].shape)}" if parts[0].ndim else "one number"


def _describe(inputs: dict[str, Any]) -> str:
    return ", ".join(f"{k} {tuple(v.shape)}" if isinstance(v, Tensor) else f"{k} = {v}" for k, v in inputs.items())


def _side_by_side(target: Any, result: Any) -> Figure | None:
    """Target and result as two pictures on one scale, where they can be drawn."""
    wanted, got = _numbers(target), _numbers(result)
    if not wanted or not got or wanted[0].shape != got[0].shape or not got[0].ndim or not got[0].isfinite().all():
        return None
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")  # not by pyplot, which keeps every figure open
    axes = figure.subplots(1, 2)
    both = torch.stack([wanted[0], got[0]])
    low, high = both.min().item(), both.max().item()
    for one, values, title, color in zip(axes, both, ("target", "yours"), ("#0072B2", "#D55E00"), strict=True):
        if values.ndim == 1:
            one.bar(range(len(values)), values.numpy(), color=color)
            one.set(ylim=(min(low, 0), high * 1.05 if high > 0 else 1), xlabel="index", ylabel="value", title=title)
        else:  # the first image, the first channel
            image = one.imshow(values.reshape(-1, *values.shape[-2:])[0].numpy(), cmap="magma", vmin=low, vmax=high)
            one.set(xlabel="last axis", ylabel="axis before", title=title)
    if both.ndim > 2:
        figure.colorbar(image, ax=axes)
    return figure
