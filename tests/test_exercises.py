"""Every exercise accepts its solution, calls its stub unfinished, and refuses each planted mistake by name."""

import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

from tasnlib.exercises import BY_NOTEBOOK, EXERCISES, Exercise, Mistake, check, examine
from tasnlib.exercises.solutions import main as write_solutions
from tasnlib.exercises.solutions import solutions_notebook

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ALL = [exercise for exercises in BY_NOTEBOOK.values() for exercise in exercises]
PLANTED = [(exercise, mistake) for exercise in ALL for mistake in exercise.mistakes]


def renamed(function, name):
    def answer(*arguments, **named):
        return function(*arguments, **named)

    answer.__name__ = name
    return answer


def test_no_two_exercises_share_a_name():
    assert len(EXERCISES) == len(ALL)


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_a_notebook_has_four_to_six_exercises(notebook):
    assert 4 <= len(BY_NOTEBOOK[notebook]) <= 6


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_the_solution_passes_again_and_again(exercise):
    for _ in range(5):
        report = examine(exercise, exercise.solution)
        assert report.passed, report.message


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_a_stub_is_told_that_it_is_not_done_and_raises_nothing(exercise, capsys):
    def stub(*_arguments, **_named): ...

    assert check(renamed(stub, exercise.name)) is False
    assert "not done yet" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_three_mistakes_or_more_are_planted(exercise):
    assert len(exercise.mistakes) >= 3


@pytest.mark.parametrize(("exercise", "mistake"), PLANTED, ids=lambda value: getattr(value, "name", "mistake"))
def test_a_planted_mistake_is_refused_by_name(exercise, mistake):
    for _ in range(5):
        report = examine(exercise, mistake.function)
        assert not report.passed
        assert mistake.message in report.message


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_every_stub_in_the_notebook_has_its_exercise_and_its_hint(notebook):
    book = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    for exercise in BY_NOTEBOOK[notebook]:
        assert f"def {exercise.name}(" in code
        assert f"check({exercise.name})" in code
    hints = sum(cell.source.count("<summary>") for cell in book.cells if cell.cell_type == "markdown")
    assert hints >= len(BY_NOTEBOOK[notebook])


def test_only_solutions_that_changed_are_written_anew(tmp_path):
    shutil.copytree(NOTEBOOKS / "solutions", tmp_path / "solutions")
    missing, changed, *kept = sorted((tmp_path / "solutions").glob("*.ipynb"))
    missing.unlink()
    other = nbformat.read(changed, as_version=4)
    other.cells[-1].source += "\n# changed"
    nbformat.write(other, changed)
    before = [path.read_bytes() for path in kept]
    write_solutions(tmp_path / "solutions")
    assert [path.read_bytes() for path in kept] == before
    for path in (missing, changed):
        sources = [cell.source for cell in nbformat.read(path, as_version=4).cells]
        assert sources == [cell.source for cell in nbformat.read(NOTEBOOKS / "solutions" / path.name, 4).cells]


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_the_solutions_notebook_shows_the_library_s_solutions_and_their_success(notebook):
    committed = nbformat.read(NOTEBOOKS / "solutions" / f"{notebook}.ipynb", as_version=4)
    fresh = solutions_notebook(notebook, BY_NOTEBOOK[notebook])
    assert [cell.source for cell in committed.cells] == [cell.source for cell in fresh.cells]
    printed = "".join(output.text for cell in committed.cells for output in cell.get("outputs", []))
    assert printed.count(": right, on ") == len(BY_NOTEBOOK[notebook])


TWO = torch.tensor([1.0, 2.0])
DOUBLE = Exercise(
    "double",
    lambda x: 2 * x,
    lambda g: {"x": torch.rand(int(torch.randint(2, 5, (), generator=g)), generator=g) + 1},
    mistakes=[Mistake("You squared.", lambda x: x**2)],
    properties=[("The answer is positive.", lambda inputs, answer: bool((answer > 0).all()))],
    hint="Add it to itself.",
)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda x: x**2, "You squared."),
        (lambda x: x.sum(), "wrong shape"),
        (lambda x: -x, "The answer is positive. Yours does not"),
        (lambda x: 2 * x + 1, "Add it to itself."),
        (lambda x: x * float("nan"), "NaN"),
        (lambda x: "two", "must be a Tensor"),
        (lambda x: (x, x), "yours gives a tuple of 2 things"),
        (lambda x: x.mul_(2), "changed its input"),
        (lambda x: x @ torch.ones(99), "raised RuntimeError"),
        (lambda x: None, "not done yet"),
    ],
)
def test_what_a_student_is_told(answer, told):
    report = examine(DOUBLE, answer)
    assert not report.passed
    assert told in report.message


@pytest.mark.parametrize(
    ("target", "answer", "told"),
    [
        (TWO, [1.0, 2.0], "give back one tensor of shape (2,), yours gives a list of 2 things."),
        (TWO, [TWO], "give back one tensor of shape (2,), yours gives a list of 1 thing."),
        (TWO, (), "give back one tensor of shape (2,), yours gives a tuple of 0 things."),
        (TWO.sum(), (TWO, TWO), "give back one number, yours gives a tuple of 2 things."),
        (3, [3], "give back one number, yours gives a list of 1 thing."),
        ((TWO, TWO[0]), TWO, "give back 2 things, one tensor of shape (2,) and one number; yours gives one tensor of"),
        ((TWO, TWO), torch.stack([TWO, TWO]), "; yours gives one tensor of shape (2, 2)."),
        ((TWO, TWO), 3.0, "; yours gives one number."),
        ((TWO, TWO), "two", "; yours gives one str."),
        ((TWO, TWO), [TWO, TWO, TWO], "; yours gives a list of 3 things."),
    ],
)
def test_who_gives_back_too_much_or_too_little_is_told_what_to_give(target, answer, told):
    exercise = Exercise("given", lambda: target, lambda g: {})
    report = examine(exercise, lambda: answer)
    assert not report.passed
    assert told in report.message


def test_several_things_may_come_as_a_list_or_a_tuple():
    exercise = Exercise("given", lambda: (TWO, TWO), lambda g: {})
    assert examine(exercise, lambda: [TWO, TWO]).passed


def test_two_mistakes_that_agree_on_an_input_are_told_apart_on_others():
    exercise = Exercise(
        "next_number",
        lambda x: x + 1,
        lambda g: {"x": 3 * torch.randint(0, 2, (1,), generator=g)},  # 0² = 2·0, but 3² is not 2·3
        mistakes=[Mistake("You squared.", lambda x: x**2), Mistake("You doubled.", lambda x: 2 * x)],
    )
    for _ in range(20):
        assert "You doubled." in examine(exercise, lambda x: x + x).message
        assert "You squared." in examine(exercise, lambda x: x * x).message


def test_a_wrong_answer_is_drawn_beside_the_target():
    figure = examine(DOUBLE, lambda x: 2 * x + 1).figure
    assert [axes.get_title() for axes in figure.axes][:2] == ["target", "yours"]


def test_marking_many_answers_leaves_no_figure_open():
    assert examine(DOUBLE, lambda x: 2 * x + 1).figure is not None
    assert plt.get_fignums() == []


def test_an_answer_that_raises_not_implemented_is_unfinished():
    def answer(x):
        raise NotImplementedError

    assert "not done yet" in examine(DOUBLE, answer).message


def test_an_unknown_name_is_answered_with_the_names_there_are(capsys):
    assert check(renamed(lambda x: x, "relatoin")) is False
    assert "relation" in capsys.readouterr().out
