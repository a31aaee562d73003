"""Exercises that check themselves. A notebook hands its function to `check`; everything else is found by its name."""

from collections.abc import Callable

from tasnlib.course.exercises import (
    ablation_exercises,
    bilinear_exercises,
    distillation_exercises,
    explore_exercises,
    photograph_exercises,
    receptive_field_exercises,
    sampler_exercises,
    training_exercises,
    trilinear_exercises,
)
from tasnlib.course.exercises.checking import Exercise, Report, examine
from tasnlib.course.exercises.marks import note, record_marks

__all__ = ["BY_NOTEBOOK", "EXERCISES", "Exercise", "Report", "check", "examine", "record_marks"]

BY_NOTEBOOK: dict[str, list[Exercise]] = {
    "01_bilinear_attention": bilinear_exercises.EXERCISES,
    "02_trilinear_attention": trilinear_exercises.EXERCISES + receptive_field_exercises.EXERCISES,
    "03_attention_sampler": sampler_exercises.EXERCISES,
    "04_distillation": distillation_exercises.EXERCISES,
    "05_train_full": training_exercises.EXERCISES,
    "06_ablations": ablation_exercises.EXERCISES,
    "07_explore": explore_exercises.EXERCISES,
    "08_photographs": photograph_exercises.EXERCISES,
}
EXERCISES: dict[str, Exercise] = {one.name: one for exercises in BY_NOTEBOOK.values() for one in exercises}


def check(function: Callable) -> None:
    """Test a student's function, print what is right or wrong about it, and draw the target beside its result.

    Never raises for what the function does: a notebook with unfinished exercises runs to its end. Returns nothing, so
    that a cell that ends with it shows the message alone; `examine` returns a report.

    Args:
        function: named as in the exercise's stub.

    >>> def relation(features):
    ...     ...
    >>> check(relation)
    relation: not done yet. Replace the ... by your code and run the cell again.
    """
    from tasnlib.course.plots import show

    name = getattr(function, "__name__", "")
    if name not in EXERCISES:
        print(f"No exercise is named {name!r}. Define it by `def`, with one of the names {', '.join(EXERCISES)}.")
        return
    report = examine(EXERCISES[name], function)
    print(report.message)
    if report.figure is not None:
        show(report.figure, f"target and your result side by side, for the exercise {name}")
    if problem := note(name, report):
        print(problem)
