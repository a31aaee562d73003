"""Slider of notebook 04: temperature and four logits."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from tasnlib.course.plots.temperature import TEMPERATURES, softened
from tasnlib.course.widgets.explore import Slider, explore


def soften_logits(student: Sequence[int], teacher: Sequence[int], class_names: Sequence[str]) -> None:
    """Temperature and the student's logits; the teacher's stay.

    Args:
        student: where the sliders start, whole numbers from -2 to 6.
        teacher: its logits, one a class.

    Raises:
        ValueError: where a start is outside the slider.
    """

    def draw(temperature: float, **logits: int) -> Figure:
        chosen = torch.tensor([*logits.values()], dtype=torch.float)
        return softened(chosen, torch.tensor(teacher, dtype=torch.float), temperature, class_names)

    sliders = [Slider("temperature", "temperature T", TEMPERATURES, 2.0)]
    for number, (name, start) in enumerate(zip(class_names, student, strict=True)):
        sliders.append(Slider(f"logit_{number}", f"student's logit, {name}", range(-2, 7), start))
    alt = "softmax of student and teacher at T, their entropies, and the gradient at the student's logits"
    explore(draw, sliders, alt)
