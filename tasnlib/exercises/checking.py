"""How an answer is examined: on fresh random inputs, against the solution, against the mistakes people make."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
        hint: one sentence for an answer that fits nothing of the above.
        tolerance: absolute and relative.
    """

    name: str
    solution: Callable
    inputs: Callable[[torch.Generator], dict[str, Any]]
    mistakes: Sequence[Mistake] = ()
    properties: Sequence[tuple[str, Callable[[dict[str, Any], Any], bool]]] = ()
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
            answer = function(**given)
        except NotImplementedError:
            return _unfinished(exercise)
        except Exception as reason:
            told = f"raised {type(reason).__name__}: {reason}"
            return Report(False, f"{exercise.name}: your function {told}. The input was {_describe(inputs)}.")
        if answer is None or answer is ...:
            return _unfinished(exercise)
        if not _same(given, inputs, 0.0):
            return Report(
                False, f"{exercise.name}: your function changed its input. Work on a copy, or without in-place steps."
            )
        wrong = _known_mistake(exercise, function, inputs, target, answer, generator)
        wrong = wrong or _compare(exercise, inputs, target, answer)
        if wrong:
            return Report(False, f"{exercise.name}: {wrong}", _side_by_side(target, answer))
    return Report(True, f"{exercise.name}: right, on {ROUNDS} random inputs.")


def _unfinished(exercise: Exercise) -> Report:
    return Report(False, f"{exercise.name}: not done yet. Replace the ... by your code and run the cell again.")


def _compare(exercise: Exercise, inputs: dict[str, Any], target: Any, answer: Any) -> str:
    """What is wrong with the answer, in words; nothing for a right one."""
    several = isinstance(target, (tuple, list))
    if several != isinstance(answer, (tuple, list)) or len(_parts(target)) != len(_parts(answer)):
        wanted = f"{len(target)} things, {' and '.join(map(_kind, target))};" if several else f"{_kind(target)},"
        return f"give back {wanted} yours gives {_kind(answer)}."
    parts = list(zip(_parts(target), _parts(answer), strict=True))
    for wanted, got in parts:
        if not isinstance(got, (Tensor, float, int)):
            return f"the answer must be a {type(wanted).__name__}, yours is a {type(got).__name__}."
        wanted_shape, shape = tuple(torch.as_tensor(wanted).shape), tuple(torch.as_tensor(got).shape)
        if wanted_shape != shape:
            wrong_shape = f"the answer must have the shape {wanted_shape}, yours has {shape}."
            return f"wrong shape. For {_describe(inputs)} {wrong_shape}"
    if _same(target, answer, exercise.tolerance):
        return ""
    if any(torch.as_tensor(got).isnan().any() for _, got in parts):
        return f"the answer holds NaN. The input was {_describe(inputs)}."
    for sentence, holds in exercise.properties:
        if not holds(inputs, answer):
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
            fresh_answer = function(**_copy(fresh))
        except Exception:
            break  # it works for some inputs only: the first mistake that fits is told
        fitting = [m for m in fitting if _makes(m, fresh, fresh_answer, exercise.tolerance)] or fitting[:1]
    return f"{fitting[0].message} The input was {_describe(inputs)}." if fitting else ""


def _makes(mistake: Mistake, inputs: dict[str, Any], answer: Any, tolerance: float) -> bool:
    try:
        return _same(mistake.function(**_copy(inputs)), answer, tolerance)
    except (RuntimeError, ValueError, IndexError):
        return False  # this mistake cannot even be made with these shapes


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _copy(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in inputs.items()}


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, dict):
        return all(_same(one[name], other[name], tolerance) for name in one)
    if len(_parts(one)) != len(_parts(other)):
        return False
    for a, b in zip(_parts(one), _parts(other), strict=True):
        if not isinstance(a, (Tensor, float, int)) or not isinstance(b, (Tensor, float, int)):
            if a is not b and a != b:
                return False
            continue
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
    if len(first) < 2 or not all(isinstance(value, (Tensor, float, int)) for value in first):
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
