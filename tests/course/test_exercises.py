"""Every exercise accepts its solution and names each mistake it knows."""

import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from docs.make_solutions import main as write_solutions
from docs.make_solutions import solutions_notebook
from tasnlib.course.exercises import BY_NOTEBOOK, EXERCISES, Exercise, check, examine

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
ALL = [exercise for exercises in BY_NOTEBOOK.values() for exercise in exercises]


def renamed(function, name):
    def student(*arguments, **named):
        return function(*arguments, **named)

    student.__name__ = name
    return student


def test_no_two_exercises_share_a_name():
    assert len(EXERCISES) == len(ALL)


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_solution_passes_and_each_mistake_gets_its_message(exercise):
    for _ in range(3):
        report = examine(exercise, exercise.solution)
        assert report.passed, report.message
    assert len(exercise.mistakes) >= 2
    for message, mistake in exercise.mistakes.items():
        for _ in range(3):
            report = examine(exercise, mistake)
            assert not report.passed
            assert message in report.message


def test_stub_is_reported_as_not_done(capsys):
    def stub(*_arguments, **_named): ...

    for exercise in ALL:
        check(renamed(stub, exercise.name))
        assert "not done yet" in capsys.readouterr().out


def test_notebook_has_stub_check_and_hint_of_each_exercise():
    for notebook, exercises in BY_NOTEBOOK.items():
        book = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
        code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
        for exercise in exercises:
            assert f"def {exercise.name}(" in code
            assert f"check({exercise.name})" in code
        hints = sum(cell.source.count("<summary>") for cell in book.cells if cell.cell_type == "markdown")
        assert hints >= len(exercises), notebook


def test_only_changed_solutions_are_rewritten(tmp_path):
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


def test_solutions_notebook_shows_the_solutions_and_their_success():
    for notebook, exercises in BY_NOTEBOOK.items():
        committed = nbformat.read(NOTEBOOKS / "solutions" / f"{notebook}.ipynb", as_version=4)
        fresh = solutions_notebook(notebook, exercises)
        assert [cell.source for cell in committed.cells] == [cell.source for cell in fresh.cells]
        printed = "".join(output.text for cell in committed.cells for output in cell.get("outputs", []))
        assert printed.count(": right, on ") == len(exercises), notebook


TWO = torch.tensor([1.0, 2.0])


def double(x):
    return 2 * x


DOUBLE = Exercise(
    double,
    lambda generator, turn: {"x": torch.rand(turn + 2, generator=generator) + 1},
    mistakes={"You squared.": lambda x: x**2},
    properties={"The result is positive.": lambda inputs, result: bool((result > 0).all())},
    hint="Add it to itself.",
)


def given(target):
    def solution():
        return target

    return Exercise(solution, lambda generator, turn: {})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x**2, "You squared."),
        (lambda x: x.sum(), "wrong shape"),
        (lambda x: -x, "The result is positive. This is not true of your result."),
        (lambda x: 2 * x + 1, "Add it to itself."),
        (lambda x: x * float("nan"), "NaN"),
    ],
)
def test_message_names_what_is_wrong(function, message):
    report = examine(DOUBLE, function)
    assert not report.passed
    assert message in report.message


@pytest.mark.parametrize(
    ("target", "result", "message"),
    [
        (TWO, [TWO], "return one tensor of shape (2,); yours returns a list of 1."),
        ((TWO, TWO), torch.stack([TWO, TWO]), "return a tuple of 2; yours returns one tensor of shape (2, 2)."),
        ((TWO, TWO), [TWO, TWO, TWO], "return a tuple of 2; yours returns a list of 3."),
        (TWO, torch.empty(2, device="meta"), "cannot be read as numbers"),
    ],
    ids=["list", "stacked", "too many", "meta device"],
)
def test_result_of_another_kind_is_named(target, result, message):
    report = examine(given(target), lambda: result)
    assert not report.passed
    assert message in report.message


def test_list_and_tuple_are_alike():
    assert examine(given((TWO, TWO)), lambda: [TWO, TWO]).passed


def next_number(x):
    return x + 1


NEXT = Exercise(
    next_number,
    lambda generator, turn: {"x": 3 * torch.randint(0, 2, (1,), generator=generator)},  # 0² = 2·0, but 3² is not 2·3
    mistakes={"You squared.": lambda x: x**2, "You doubled.": lambda x: 2 * x},
    hint="Count on.",
)


def test_two_mistakes_that_agree_on_one_input_are_distinguished_by_others():
    for _ in range(20):
        assert "You doubled." in examine(NEXT, lambda x: x + x).message
        assert "You squared." in examine(NEXT, lambda x: x * x).message


def test_a_mistake_that_fits_by_chance_is_not_named():
    for wrong in (lambda x: -x, lambda x: x * 2.5, lambda x: x - x):
        for _ in range(20):
            assert "Count on." in examine(NEXT, wrong).message


def test_wrong_result_is_drawn_beside_the_target_and_no_figure_stays_open():
    figure = examine(DOUBLE, lambda x: 2 * x + 1).figure
    assert [axes.get_title() for axes in figure.axes][:2] == ["target", "yours"]
    assert plt.get_fignums() == []


def test_not_implemented_means_not_done():
    def student(x):
        raise NotImplementedError

    assert "not done yet" in examine(DOUBLE, student).message


def test_unknown_name_lists_the_exercises(capsys):
    check(renamed(lambda x: x, "relatoin"))
    assert "relation" in capsys.readouterr().out


def _detaching(*cut):
    """The solution of joint_loss, with other logits of the soft term detached."""

    def student(attention_logits, master_logits, part_logits, labels, weight, temperature):
        three = {"attention": attention_logits, "master": master_logits, "part": part_logits}
        plain = sum(F.cross_entropy(logits, labels) for logits in three.values())
        soft = {name: logits.detach() if name in cut else logits for name, logits in three.items()}
        teacher = (soft["part"] / temperature).softmax(dim=-1)
        return plain - weight * (teacher * (soft["master"] / temperature).log_softmax(dim=-1)).sum(dim=-1).mean()

    return student


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_detaching(), "Let no gradient flow into the teacher: detach the part net's logits"),
        (_detaching("master", "part"), "detach the part net's logits only"),
        (torch.no_grad()(_detaching("part")), "no gradient flows back from it"),
        (lambda **given: _detaching("part")(**given).item(), "no gradient flows back from it"),
    ],
)
def test_joint_loss_with_a_wrong_gradient_is_rejected(function, message):
    for _ in range(5):
        report = examine(EXERCISES["joint_loss"], function)
        assert report.passed == (not message)
        assert message in report.message


def test_gradients_are_compared_under_no_grad():
    with torch.no_grad():
        assert examine(EXERCISES["joint_loss"], _detaching("part")).passed
        assert not examine(EXERCISES["joint_loss"], _detaching()).passed


@pytest.mark.parametrize(
    ("target", "result"),
    [
        (3, np.int64(3)),
        (TWO, np.array([2.0, 1.0])[::-1]),
        ((TWO, TWO[0]), [np.array([1.0, 2.0]), np.float32(1)]),
        ((TWO[0], TWO[1]), TWO),
        (TWO, (1, 2.0)),
        (TWO, TWO.to(torch.bfloat16)),
    ],
    ids=["number", "array", "several", "a tensor for two numbers", "two numbers", "bfloat16"],
)
def test_results_of_other_types_are_read_as_numbers(target, result):
    assert examine(given(target), lambda: result).passed


def test_wrong_result_in_double_precision_is_rejected_and_raises_nothing():
    for exercise in ALL:

        def student(exercise=exercise, **given):
            result = exercise.solution(**given)
            several = isinstance(result, (tuple, list))
            moved = [torch.as_tensor(part).double() * 1.37 + 0.21 for part in (result if several else [result])]
            return moved if several else moved[0]

        assert not examine(exercise, student).passed
