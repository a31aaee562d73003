"""How a student's function is checked: on fresh random inputs, against the solution and against common mistakes."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

ROUNDS = 5
MORE_ROUNDS = 20  # to tell two mistakes apart that agree on one input


@dataclass(frozen=True)
class Mistake:
    """A wrong solution that students write, and the message that corrects it."""

    message: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        name: of the student's function.
        solution: the correct function.
        inputs: draws one set of arguments, by name, from a random generator. Shapes vary from call to call.
        mistakes: wrong functions; a wrong result that equals one of theirs gets its message.
        properties: sentences about a correct result, each with a test of (inputs, result). The first that fails is
            reported where no known mistake fits.
        gradients: names of inputs whose gradient must equal the solution's, each with the message where it does not.
        hint: the message where nothing of the above fits.
        tolerance: absolute and relative.
    """

    name: str
    solution: Callable
    inputs: Callable[[torch.Generator], dict[str, Any]]
    mistakes: Sequence[Mistake] = ()
    properties: Sequence[tuple[str, Callable[[dict[str, Any], Any], bool]]] = ()
    gradients: Sequence[tuple[str, str]] = ()
    hint: str = ""
    tolerance: float = 1e-4


@dataclass(frozen=True)
class Report:
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
        given = copy.deepcopy(inputs)
        try:
            result = function(**given)
        except NotImplementedError:
            return _unfinished(exercise)
        except (Exception, SystemExit) as error:
            problem = f"your function raised {type(error).__name__}: {error}. The input was {_describe(inputs)}."
            return Report(False, f"{exercise.name}: {problem}")
        if result is None or result is ...:
            return _unfinished(exercise)
        if any(not torch.equal(x, given[name]) for name, x in inputs.items() if isinstance(x, Tensor)):
            problem = "your function changed its input. Work on a copy, or avoid in-place operations."
            return Report(False, f"{exercise.name}: {problem}")
        target = exercise.solution(**copy.deepcopy(inputs))
        if _same(target, result, exercise.tolerance):
            problem = _wrong_gradient(exercise, function, inputs)
        else:
            problem = _known_mistake(exercise, function, inputs, result, generator)
            problem = problem or _difference(exercise, inputs, target, result)
        if problem:
            return Report(False, f"{exercise.name}: {problem}", _side_by_side(target, result))
    return Report(True, f"{exercise.name}: right, on {ROUNDS} random inputs.")


def _unfinished(exercise: Exercise) -> Report:
    return Report(False, f"{exercise.name}: not done yet. Replace the ... by your code and run the cell again.")


def _difference(exercise: Exercise, inputs: dict[str, Any], target: Any, result: Any) -> str:
    """How a wrong result differs from the target."""
    wanted, got = _numbers(target) or [], _numbers(result)
    if got is None:
        return f"the result must be {_kind(target)}, yours is {_kind(result)}, which cannot be read as numbers."
    if _several(target) != _several(result) or len(wanted) != len(got):
        return f"return {_kind(target)}; yours returns {_kind(result)}."
    for right, yours in zip(wanted, got, strict=True):
        if right.shape != yours.shape:
            shapes = f"the result must have shape {tuple(right.shape)}, yours has shape {tuple(yours.shape)}."
            return f"wrong shape. For {_describe(inputs)} {shapes}"
    where = f"The input was {_describe(inputs)}"
    if any(part.isnan().any() for part in got):
        return f"the result contains NaN. {where}."
    parts = target if _several(target) else [target]
    typed = [y.to(t.dtype) if isinstance(t, Tensor) else y.item() for t, y in zip(parts, got, strict=True)]
    for sentence, holds in exercise.properties:
        if not holds(inputs, typed if _several(target) else typed[0]):
            return f"{sentence} This is not true of your result. {where}."
    right, yours = next(pair for pair in zip(wanted, got, strict=True) if not _same(*pair, exercise.tolerance))
    place = np.unravel_index(int((right - yours).abs().argmax()), right.shape)
    at = f"at {[int(i) for i in place]} " if place else ""
    numbers = f"{at}the target is {right[place].item():.4g}, yours is {yours[place].item():.4g}"
    return f"not the right numbers. {exercise.hint} {where}; {numbers}."


def _known_mistake(
    exercise: Exercise, function: Callable, inputs: dict[str, Any], result: Any, generator: torch.Generator
) -> str:
    """The message of the mistake that gives the same wrong result; empty where none does.

    Two mistakes can agree on one input, so while more than one fits, fresh inputs tell them apart.
    """
    fitting = [mistake for mistake in exercise.mistakes if _makes(mistake, inputs, result, exercise.tolerance)]
    for _ in range(MORE_ROUNDS):
        if len(fitting) < 2:
            break
        fresh = exercise.inputs(generator)
        try:
            again = function(**copy.deepcopy(fresh))
        except (Exception, SystemExit):
            break  # it works for some inputs only
        fitting = [one for one in fitting if _makes(one, fresh, again, exercise.tolerance)] or fitting[:1]
    return f"{fitting[0].message} The input was {_describe(inputs)}." if fitting else ""


def _makes(mistake: Mistake, inputs: dict[str, Any], result: Any, tolerance: float) -> bool:
    try:
        return _same(mistake.function(**copy.deepcopy(inputs)), result, tolerance)
    except (RuntimeError, ValueError, IndexError):
        return False  # this mistake cannot be made with these shapes


def _wrong_gradient(exercise: Exercise, function: Callable, inputs: dict[str, Any]) -> str:
    """What is wrong with the gradient of a result whose value is right; empty where nothing is."""
    names = [name for name, _ in exercise.gradients]
    if not names:
        return ""
    try:
        got = _gradients(function, inputs, names)
    except (Exception, SystemExit) as error:
        return f"your function raised {type(error).__name__} when its input required a gradient: {error}"
    if got is None:
        return (
            f"the value is right, but no gradient flows back from it to {', '.join(names)}, so nothing would learn. "
            "Return the tensor itself: without .item(), without torch.no_grad()."
        )
    wanted = _gradients(exercise.solution, inputs, names) or []
    for (_, message), right, yours in zip(exercise.gradients, wanted, got, strict=True):
        if not _same(right, yours, exercise.tolerance):
            return f"the value is right, its gradient is not. {message} The input was {_describe(inputs)}."
    return ""


def _gradients(function: Callable, inputs: dict[str, Any], names: list[str]) -> list[Tensor] | None:
    given = copy.deepcopy(inputs)
    at = [given[name].requires_grad_() for name in names]
    with torch.enable_grad():
        result = function(**given)
        if not isinstance(result, Tensor) or not result.requires_grad:
            return None
        found = torch.autograd.grad(result.sum(), at, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(at, found, strict=True)]


def _several(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _numbers(value: Any) -> list[Tensor] | None:
    """A result's parts in float64; None where one cannot be read as numbers."""
    try:
        parts = [
            part.detach() if isinstance(part, Tensor) else part for part in (value if _several(value) else [value])
        ]
        return [torch.from_numpy(np.array(part, dtype=np.float64)) for part in parts]
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _same(one: Any, other: Any, tolerance: float) -> bool:
    first, second = _numbers(one), _numbers(other)
    if first is None or second is None or _several(one) != _several(other) or len(first) != len(second):
        return False
    return all(
        a.shape == b.shape and torch.allclose(a, b, tolerance, tolerance, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )


def _kind(value: Any) -> str:
    if _several(value):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Tensor) and value.ndim:
        return f"one tensor of shape {tuple(value.shape)}"
    return "one number" if isinstance(value, (Tensor, float, int)) else f"one {type(value).__name__}"


def _describe(inputs: dict[str, Any]) -> str:
    return ", ".join(f"{k} {tuple(v.shape)}" if isinstance(v, Tensor) else f"{k} = {v}" for k, v in inputs.items())


def _side_by_side(target: Any, result: Any) -> Figure | None:
    """Target and result as two pictures in one colour scale, where they can be drawn."""
    wanted, got = _numbers(target), _numbers(result)
    if not wanted or not got or wanted[0].shape != got[0].shape or not got[0].ndim or not got[0].isfinite().all():
        return None
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")  # not by pyplot, which keeps every figure open
    axes = figure.subplots(1, 2)
    low, high = min(wanted[0].min(), got[0].min()).item(), max(wanted[0].max(), got[0].max()).item()
    for one, values, title in ((axes[0], wanted[0], "target"), (axes[1], got[0], "yours")):
        one.set_title(title)
        while values.ndim > 2:
            values = values[0]
        if values.ndim == 1:
            one.bar(range(len(values)), values.numpy(), color="#0072B2" if title == "target" else "#D55E00")
            one.set(ylim=(min(low, 0), high * 1.05 if high > 0 else 1), xlabel="index", ylabel="value")
        else:
            image = one.imshow(values.numpy(), cmap="magma", vmin=low, vmax=high)
            one.set(xlabel="last axis", ylabel="axis before")
    if wanted[0].ndim > 1:
        figure.colorbar(image, ax=axes)
    return figure
