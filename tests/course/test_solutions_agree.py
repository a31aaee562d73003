"""Solutions agree with the library, where it has the same function."""

import pytest
import torch

from tasnlib.course.exercises.explore_exercises import EXERCISES
from tasnlib.research import localization


def solution(name):
    return next(exercise.solution for exercise in EXERCISES if exercise.name == name)


def test_solutions_agree_with_the_library():
    attention = torch.rand(5, 7, dtype=torch.float64)
    box = torch.tensor([[[1.0, 2.0, 4.0, 4.0]]])
    by_library = localization.attention_mass(attention[None], box, (5, 7)).item()
    assert solution("mass_in_box")(attention, (1, 2, 4, 4)) == pytest.approx(by_library)
    centre = solution("brightest_cell")(attention, 50, 140)
    around = torch.cat([centre - 0.5, centre + 0.5])[None, None]
    assert localization.pointing_game(attention[None], around, (50, 140)).item() == 1
    magnifications = 5 * torch.rand(6, 4)
    reached = solution("share_reached")(magnifications, 3.0)
    torch.testing.assert_close(reached, localization.coverage(magnifications[:, None], at_least=3.0))
