"""How an answer is examined: on fresh random inputs, against the solution, against the mistakes people make."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

ROUNDS = 5
MORE_ROUNDS = 20  # to tell two mistakes apart that agree on an input


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and what to tell them."""

    message: str
    function: Callable


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Args:
        name: of the student's function.
        solution: the right function.
        inputs: makes one fresh set of arguments from a random generator, by name. Shapes vary from call to call.
        mistakes: wrong functions, tried when the answer is wrong: if the student's agrees with one, that is told.
        properties: sentences that a right answer makes true, each with a test of (inputs, answer). The first that
            fails is told where no known mistake fits.
        gradients: names of inputs at which a right answer has the solution's gradient, each with what to tell where it
            has another one. Compared once the numbers are right.
        hint: one sentence for an answer that fits nothing of the above.
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
    """What an examination found."""

    passed: bool
    message: str
    figure: Figure | None = None


def examine(exercise: Exercise, function: Callable) -> Report:
    """Try a function on fresh random inputs.

    >>> double = Exercise("double", lambda x: 2 * x, lambda g: {"x": torch.rand(3, generator=g)})
    >>> examine(double, lambda x: x + x).passed
    True
    >>> print(examine(double, lambda x: x.sum()).message)
    double: wrong shape. For x (3,) the answer must have the shape (3,), yours has ().
    """
    generator = torch.Generator()
    generator.seed()  # fresh inputs every time: an answer cannot be fitted to them
    for _ in range(ROUNDS):
        inputs = exercise.inputs(generator)
        target = exercise.solution(**_copy(inputs))
        given = _copy(inputs)
        try:
            answer = _numpy_to_torch(function(**given))
        except NotImplementedError:
            return _unfinished(exercise)
        except (Exception, SystemExit) as reason:
            told = f"raised {type(reason).__name__}: {reason}"
            return Report(False, f"{exercise.name}: your function {told}. The input was {_describe(inputs)}.")
        if answer is None or answer is ...:
            return _unfinished(exercise)
        if not _same(given, inputs, 0.0):
            return Report(
                False, f"{exercise.name}: your function changed its input. Work on a copy, or without in-place steps."
            )
        wrong = _known_mistake(exercise, function, inputs, target, answer, generator)
        wrong = wrong or _compare(exercise, inputs, target, answer) or _wrong_gradient(exercise, function, inputs)
        if wrong:
            return Report(False, f"{exercise.name}: {wrong}", _side_by_side(target, answer))
    return Report(True, f"{exercise.name}: right, on {ROUNDS} random inputs.")


def _unfinished(exercise: Exercise) -> Report:
    return Report(False, f"{exercise.name}: not done yet. Replace the ... by your code and run the cell again.")


def _compare(exercise: Exercise, inputs: dict[str, Any], target: Any, answer: Any) -> str:
    """What is wrong with the answer, in words; nothing for a right one."""
    for got in _parts(answer):
        if isinstance(got, (Tensor, float, int)) and not _holds_numbers(got):
            what = f"a tensor of {got.layout} on {got.device}" if isinstance(got, Tensor) else f"a {type(got).__name__}"
            return f"the numbers of your answer cannot be read, it is {what}. Give back a dense tensor on the CPU."
    several = isinstance(target, (tuple, list))
    if several != isinstance(answer, (tuple, list)) or len(_parts(target)) != len(_parts(answer)):
        wanted = f"{len(target)} things, {' and '.join(map(_kind, target))};" if several else f"{_kind(target)},"
        return f"give back {wanted} yours gives {_kind(answer)}."
    parts = list(zip(_parts(target), _parts(answer), strict=True))
    for wanted, got in parts:
        if not _holds_numbers(got):
            return f"the answer must be a {type(wanted).__name__}, yours is a {type(got).__name__}."
        wanted_shape, shape = tuple(torch.as_tensor(wanted).shape), tuple(torch.as_tensor(got).shape)
        if wanted_shape != shape:
            wrong_shape = f"the answer must have the shape {wanted_shape}, yours has {shape}."
            return f"wrong shape. For {_describe(inputs)} {wrong_shape}"
    if _same(target, answer, exercise.tolerance):
        return ""
    if any(torch.as_tensor(got).isnan().any() for _, got in parts):
        return f"the answer holds NaN. The input was {_describe(inputs)}."
    alike = [_as_wanted(wanted, got) for wanted, got in parts]
    for sentence, holds in exercise.properties:
        if not holds(inputs, alike if several else alike[0]):
            return f"{sentence} Yours does not hold to it. The input was {_describe(inputs)}."
    return f"not the right numbers. {exercise.hint} The input was {_describe(inputs)}; {_first_difference(parts)}"


def _known_mistake(
    exercise: Exercise,
    function: Callable,
    inputs: dict[str, Any],
    target: Any,
    answer: Any,
    generator: torch.Generator,
) -> str:
    """What to tell about a wrong answer that a known mistake gives too; nothing for a right or a strange one.

    Two mistakes can give the same numbers for one input, so while more than one fits, fresh inputs tell them apart.
    """
    if _same(target, answer, exercise.tolerance):
        return ""
    fitting = [mistake for mistake in exercise.mistakes if _makes(mistake, inputs, answer, exercise.tolerance)]
    for _ in range(MORE_ROUNDS):
        if len(fitting) < 2:
            break
        fresh = exercise.inputs(generator)
        try:
            fresh_answer = _numpy_to_torch(function(**_copy(fresh)))
        except (Exception, SystemExit):
            break  # it works for some inputs only: the first mistake that fits is told
        fitting = [m for m in fitting if _makes(m, fresh, fresh_answer, exercise.tolerance)] or fitting[:1]
    return f"{fitting[0].message} The input was {_describe(inputs)}." if fitting else ""


def _wrong_gradient(exercise: Exercise, function: Callable, inputs: dict[str, Any]) -> str:
    """What is wrong with the gradient of an answer whose numbers are right; nothing where none is asked for."""
    if not exercise.gradients:
        return ""
    names = [name for name, _ in exercise.gradients]
    try:
        got = _gradients(function, inputs, names)
    except (Exception, SystemExit) as reason:
        return f"your function raised {type(reason).__name__} when its input required a gradient: {reason}"
    if got is None:
        return (
            f"the number is right, but no gradient flows back from it to {', '.join(names)}, so nothing would learn. "
            "Give back the tensor itself: without .item(), without torch.no_grad()."
        )
    wanted = _gradients(exercise.solution, inputs, names)
    for (_, message), right, yours in zip(exercise.gradients, wanted or (), got, strict=True):
        if not _same(right, yours, exercise.tolerance):
            return f"the number is right, its gradient is not. {message} The input was {_describe(inputs)}."
    return ""


def _gradients(function: Callable, inputs: dict[str, Any], names: list[str]) -> list[Tensor] | None:
    """The gradient of the function's answer at these inputs; None where the answer does not depend on any of them."""
    given = _copy(inputs)
    at = [given[name].requires_grad_() for name in names]
    with torch.enable_grad():
        answer = function(**given)
        if not isinstance(answer, Tensor) or not answer.requires_grad:
            return None
        found = torch.autograd.grad(answer.sum(), at, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(at, found, strict=True)]


def _makes(mistake: Mistake, inputs: dict[str, Any], answer: Any, tolerance: float) -> bool:
    try:
        return _same(mistake.function(**_copy(inputs)), answer, tolerance)
    except (RuntimeError, ValueError, IndexError):
        return False  # this mistake cannot even be made with these shapes


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _numpy_to_torch(answer: Any) -> Any:
    """The answer, with numpy's numbers and arrays (and what else turns into them) as tensors."""
    if isinstance(answer, (tuple, list)):
        parts = [_numpy_to_torch(part) for part in answer]
        return parts if isinstance(answer, list) else tuple(parts)
    if isinstance(answer, Tensor) or not hasattr(answer, "__array__"):
        return answer
    try:
        return torch.as_tensor(np.array(answer, order="C"))
    except (TypeError, ValueError, RuntimeError):
        return answer  # an array of words, say


def _holds_numbers(value: Any) -> bool:
    """Whether it is a number, or a tensor whose numbers can be read: not so on the meta device, or sparse."""
    if not isinstance(value, (Tensor, float, int)):
        return False
    try:
        torch.as_tensor(value).detach().double().numpy()
    except (RuntimeError, TypeError, ValueError, OverflowError):
        return False
    return True


def _as_wanted(wanted: Any, got: Any) -> Any:
    """The answer in the target's kind of number, so that a property can compare it with its own."""
    return torch.as_tensor(got).to(wanted.dtype) if isinstance(wanted, Tensor) else got


def _copy(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in inputs.items()}


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, dict):
        return all(_same(one[name], other[name], tolerance) for name in one)
    if len(_parts(one)) != len(_parts(other)):
        return False
    for a, b in zip(_parts(one), _parts(other), strict=True):
        if not _holds_numbers(a) and not _holds_numbers(b):
            if a is not b and a != b:
                return False
            continue
        if not _holds_numbers(a) or not _holds_numbers(b):
            return False  # not by !=, which some things answer by raising
        a, b = torch.as_tensor(a), torch.as_tensor(b)
        if a.shape != b.shape or not torch.allclose(
            a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True
        ):
            return False
    return True


def _kind(value: Any) -> str:
    """What a value is, in a few words: its shape, or how many things it holds."""
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)} thing{'' if len(value) == 1 else 's'}"
    if isinstance(value, Tensor) and value.ndim:
        return f"one tensor of shape {tuple(value.shape)}"
    return "one number" if isinstance(value, (Tensor, float, int)) else f"one {type(value).__name__}"


def _describe(inputs: dict[str, Any]) -> str:
    """The inputs in a few words: shapes of tensors, values of numbers."""
    words = []
    for name, value in inputs.items():
        words.append(f"{name} {tuple(value.shape)}" if isinstance(value, Tensor) else f"{name} = {value}")
    return ", ".join(words)


def _first_difference(parts: list[tuple[Any, Any]]) -> str:
    for wanted, got in parts:
        wanted, got = torch.as_tensor(wanted).double(), torch.as_tensor(got).double()
        gap = (wanted - got).abs()
        if gap.max() > 0:
            place = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape)) if gap.ndim else ()
            where = f"at {list(place)}" if place else "there"
            return f"{where} it must be {wanted[place].item():.4g}, yours is {got[place].item():.4g}."
    return ""


def _side_by_side(target: Any, answer: Any) -> Figure | None:
    """Target and answer as two pictures in one colour scale, where they can be drawn."""
    first = [part for value in (target, answer) for part in _parts(value)[:1]]
    if len(first) < 2 or not all(map(_holds_numbers, first)):
        return None  # an empty list has no first
    wanted, got = (torch.as_tensor(value).detach().double() for value in first)
    if wanted.shape != got.shape or wanted.ndim == 0 or not got.isfinite().all():
        return None
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")  # not by pyplot, which keeps all that are not shown
    axes = figure.subplots(1, 2)
    low, high = min(wanted.min(), got.min()).item(), max(wanted.max(), got.max()).item()
    for one, values, title in ((axes[0], wanted, "target"), (axes[1], got, "yours")):
        one.set_title(title)
        while values.ndim > 2:
            values = values[0]
        if values.ndim == 1:
            one.bar(range(len(values)), values.numpy(), color="#0072B2" if title == "target" else "#D55E00")
            one.set(ylim=(min(low, 0), high * 1.05 if high > 0 else 1), xlabel="index", ylabel="value")
        else:
            shown = one.imshow(values.numpy(), cmap="magma", vmin=low, vmax=high)
            one.set(xlabel="last axis", ylabel="axis before")
            if title == "yours":
                figure.colorbar(shown, ax=axes)
    return figure


def source_of(solution: Callable) -> str:
    """The source of a solution, as the solutions notebook shows it."""
    return inspect.getsource(solution)
