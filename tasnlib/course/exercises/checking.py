"""How a student's function is checked: on fresh random inputs, against the solution and against common mistakes."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.exercises.running import Record, apart, call, run

ROUNDS = 12  # a multiple of the number of kinds of input of every exercise
Test = Callable[[dict[str, Any], Any], bool]


@dataclass(frozen=True)
class Exercise:
    """One exercise: the solution, and what is said about a wrong result, in this order.

    `inputs` draws the arguments by name. It gets a generator and the number of the round, from 0 to ROUNDS - 1, by
    which it goes through all kinds of input: ties, values on an edge, the case where nothing happens, and so on.

    A result that equals a mistake's gets its message; otherwise the first property, a sentence with a test of (inputs,
    result), that is not true of it; otherwise the hint. Where the value is right, the rules must hold, sentences with a
    test of (inputs, Record), and so must the gradients at these inputs, or their messages are given."""

    solution: Callable
    inputs: Callable[[torch.Generator, int], dict[str, Any]]
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    properties: Mapping[str, Test] = field(default_factory=dict)
    rules: Mapping[str, Test] = field(default_factory=dict)
    gradients: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    tolerance: float = 1e-4  # absolute and relative

    @property
    def name(self) -> str:
        return self.solution.__name__


class Report(NamedTuple):
    """The outcome of a check."""

    passed: bool
    message: str
    target: Any = None
    result: Any = None

    @property
    def figure(self) -> Figure | None:
        """Target and result as two pictures on one scale, where they can be drawn."""
        pairs = _pairs(self.target, self.result)
        if not pairs or _same(self.target, self.result, 1e-5):
            return None
        wanted, got = pairs[0]
        drawable = wanted.ndim and wanted.shape == got.shape and got.isfinite().all()
        return _side_by_side(wanted, got) if drawable else None


def examine(exercise: Exercise, function: Callable) -> Report:
    """Try a function on fresh random inputs.

    >>> def double(x):
    ...     return 2 * x
    >>> exercise = Exercise(double, lambda generator, turn: {"x": torch.rand(2, 3, generator=generator)})
    >>> examine(exercise, lambda x: x + x).passed
    True
    >>> print(examine(exercise, lambda x: x.sum()).message)
    double: wrong shape. For x (2, 3) the result must have shape (2, 3), yours has shape ().
    """
    generator, remarks = torch.Generator(), dict[str, str]()
    generator.seed()  # fresh inputs every time: a function cannot be fitted to them
    for turn in range(ROUNDS):
        inputs = exercise.inputs(generator, turn)
        target = exercise.solution(**copy.deepcopy(inputs))
        result, record = run(function, inputs)
        remarks = record.remarks | remarks
        problem = record.problem
        if problem.startswith("your function raised"):
            problem += f" The input was {_describe(inputs)}."
        if not problem and _same(target, result, exercise.tolerance):
            problem = _broken_rule(exercise, inputs, record) or _wrong_gradient(exercise, function, inputs)
        elif not problem:
            problem = _known_mistake(exercise, function, inputs, result, generator)
            problem = problem or _difference(exercise, inputs, target, result)
        if problem:
            break
    message = problem or f"right, on {ROUNDS} random inputs."
    return Report(not problem, f"{exercise.name}: {message}{''.join(remarks.values())}", target, result)


ROWS_SUM_TO_ONE: dict[str, Test] = {
    "Every row sums to 1.": lambda inputs, result: bool(((result.sum(-1) - 1).abs() < 1e-4).all())
}


def without(*names: str) -> Test:
    """A rule: none of these functions is called."""
    return lambda inputs, record: not record.names & set(names)


def without_loop(inputs: dict[str, Any], record: Record) -> bool:
    """A rule: neither a loop nor one of its own functions called again and again."""
    return not record.loops and record.calls <= 10


def _known_mistake(
    exercise: Exercise, function: Callable, inputs: dict[str, Any], result: Any, generator: torch.Generator
) -> str:
    """The message of the mistake that gives the same wrong results, here and on all kinds of fresh inputs."""

    def fits(mistake: Callable, inputs: dict[str, Any], result: Any) -> bool:
        try:
            given = call(mistake, copy.deepcopy(inputs))
        except Exception:
            return result is ...
        return _same(given, result, exercise.tolerance)

    fitting = [message for message, mistake in exercise.mistakes.items() if fits(mistake, inputs, result)]
    for turn in range(ROUNDS if fitting else 0):
        fresh = exercise.inputs(generator, turn)
        again, _ = run(function, fresh)
        fitting = [message for message in fitting if fits(exercise.mistakes[message], fresh, again)]
    return f"{fitting[0]} The input was {_describe(inputs)}." if fitting else ""


def _difference(exercise: Exercise, inputs: dict[str, Any], target: Any, result: Any) -> str:
    """How a wrong result differs from the target."""
    pairs, where = _pairs(target, result), f"The input was {_describe(inputs)}"
    if pairs is None:
        return f"return {_kind(target)}; yours returns {_kind(result)}."
    for right, yours in pairs:
        if right.shape != yours.shape:
            shapes = f"the result must have shape {tuple(right.shape)}, yours has shape {tuple(yours.shape)}."
            return f"wrong shape. For {_describe(inputs)} {shapes}"
        if yours.isnan().any():
            return f"the result contains NaN. {exercise.hint} {where}."
    for sentence, holds in exercise.properties.items():
        if not holds(inputs, _read(result)):
            return f"{sentence} This is not true of your result. {where}."
    right, yours = next(pair for pair in pairs if not _same(*pair, exercise.tolerance))
    index = np.unravel_index(int((right - yours).abs().argmax()), right.shape)
    at = f"at {[int(i) for i in index]} " if index else ""
    numbers = f"{at}the target is {right[index].item():.4g}, yours is {yours[index].item():.4g}"
    return f"not the right numbers. {exercise.hint} {where}; {numbers}."


def _broken_rule(exercise: Exercise, inputs: dict[str, Any], record: Record) -> str:
    broken = (sentence for sentence, holds in exercise.rules.items() if not holds(inputs, record))
    return next((f"the result is right, but it breaks a rule of the exercise. {sentence}" for sentence in broken), "")


def _wrong_gradient(exercise: Exercise, function: Callable, inputs: dict[str, Any]) -> str:
    """What is wrong with the gradient of a result whose value is right; empty where nothing is."""
    if not exercise.gradients:
        return ""
    found = []
    for one in (exercise.solution, function):
        given = copy.deepcopy(inputs)
        at = [given[name].requires_grad_() for name in exercise.gradients]
        try:
            with apart(Record()), torch.enable_grad():
                value = torch.as_tensor(call(one, given)).sum()
            found.append(torch.autograd.grad(value, at, allow_unused=True, materialize_grads=True))
        except (Exception, SystemExit):
            return "the value is right, but no gradient flows back from it: avoid .item(), .detach(), torch.no_grad()."
    for message, right, yours in zip(exercise.gradients.values(), *found, strict=True):
        if not _same(right, yours, exercise.tolerance):
            return f"the value is right, its gradient is not. {message} The input was {_describe(inputs)}."
    return ""


def _read(value: Any) -> Tensor | list[Tensor] | None:
    """A result in float64, a list of numbers as one tensor; None where it cannot be read as numbers."""
    several = isinstance(value, (tuple, list))
    if several and len(value) > 1000:
        return None
    try:
        parts = [_double(part) for part in (value if several else [value])]
    except (Exception, SystemExit):  # whatever the methods of a strange object raise
        return None
    together = several and parts and all(part.ndim == 0 for part in parts)
    return torch.stack(parts) if together else parts if several else parts[0]


def _double(value: Any) -> Tensor:
    tensor = value.detach().to_dense().cpu() if isinstance(value, Tensor) else torch.as_tensor(np.array(value))
    if tensor.is_complex():
        raise TypeError
    return tensor.double()


def _same(one: Any, other: Any, tolerance: float) -> bool:
    pairs = _pairs(one, other)
    close = (a.shape == b.shape and torch.allclose(a, b, tolerance, tolerance, equal_nan=True) for a, b in pairs or [])
    return pairs is not None and all(close)


def _pairs(one: Any, other: Any) -> list[tuple[Tensor, Tensor]] | None:
    """The parts of two results; None where they are not of one kind."""
    first, second = _read(one), _read(other)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return [(first, second)]
    both = isinstance(first, list) and isinstance(second, list) and len(first) == len(second)
    return list(zip(first, second, strict=True)) if both else None  # type: ignore[arg-type]


def _kind(value: Any) -> str:
    read = _read(value)
    if isinstance(read, Tensor):
        return f"one tensor of shape {tuple(read.shape)}" if read.ndim else "one number"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"one {type(value).__name__} that cannot be read as numbers"


def _describe(inputs: dict[str, Any]) -> str:
    """Names and shapes, and of short vectors what they hold."""
    shown = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.ndim == 1 and len(value) <= 12:
            shown[name] = [round(number, 4) for number in value.tolist()]
    return ", ".join(f"{k} {tuple(v.shape)}" if isinstance(v, Tensor) else f"{k} = {v}" for k, v in shown.items())


def _side_by_side(wanted: Tensor, got: Tensor) -> Figure:
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")  # not by pyplot, which keeps every figure open
    axes = figure.subplots(1, 2)
    both = torch.stack([wanted, got])
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
