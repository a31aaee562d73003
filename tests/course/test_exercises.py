"""Every exercise accepts its solution, calls its stub unfinished, and refuses each planted mistake by name."""

import shutil
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tasnlib.course.exercises import BY_NOTEBOOK, EXERCISES, Exercise, Mistake, check, examine
from tasnlib.course.exercises.solutions import main as write_solutions
from tasnlib.course.exercises.solutions import solutions_notebook

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
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


def _detaching(*cut):
    """The solution of joint_loss, with other logits of the soft term detached; returned as it is, or as a number."""

    def answer(attention_logits, master_logits, part_logits, labels, weight, temperature):
        three = {"attention": attention_logits, "master": master_logits, "part": part_logits}
        plain = sum(F.cross_entropy(logits, labels) for logits in three.values())
        soft = {name: logits.detach() if name in cut else logits for name, logits in three.items()}
        teacher = (soft["part"] / temperature).softmax(dim=-1)
        return plain - weight * (teacher * (soft["master"] / temperature).log_softmax(dim=-1)).sum(dim=-1).mean()

    return answer


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_detaching(), "Let no gradient flow into the teacher: detach the part net's logits"),
        (_detaching("master"), "Let no gradient flow into the teacher"),
        (_detaching("master", "part"), "detach the part's logits only"),
        (torch.no_grad()(_detaching("part")), "no gradient flows back from it to part_logits"),
        (lambda **given: _detaching("part")(**given).item(), "no gradient flows back from it to part_logits"),
        (lambda **given: _detaching("part")(**given).detach(), "without .item()"),
        (
            lambda attention_logits, **rest: _detaching("part")(attention_logits=attention_logits.detach(), **rest),
            "The attention net learns from its labels",
        ),
        (lambda labels, **rest: _detaching("part")(labels=torch.from_numpy(labels.numpy()), **rest), ""),
        (
            lambda part_logits, **rest: _detaching()(part_logits=torch.from_numpy(part_logits.numpy()), **rest),
            "raised RuntimeError when its input required a gradient",
        ),
    ],
)
def test_a_joint_loss_of_the_right_value_with_another_gradient_is_refused(answer, told):
    for _ in range(5):
        report = examine(EXERCISES["joint_loss"], answer)
        assert report.passed == (not told)
        assert told in report.message


def test_gradients_are_compared_where_the_notebook_has_switched_them_off():
    with torch.no_grad():
        assert examine(EXERCISES["joint_loss"], _detaching("part")).passed
        assert not examine(EXERCISES["joint_loss"], _detaching()).passed


def _exit(*_arguments):
    sys.exit(1)


@pytest.mark.parametrize("target", [2.0, 3, TWO], ids=str)
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda: np.arange(5), "has (5,)"),
        (lambda: np.array(["a", "b"]), "yours is a ndarray"),
        (lambda: np.array([None, TWO], dtype=object), "yours is a ndarray"),
        (_exit, "raised SystemExit: 1"),
        (lambda: torch.empty(2, device="meta"), "cannot be read, it is a tensor of torch.strided on meta."),
        (lambda: TWO.to_sparse(), "cannot be read, it is a tensor of torch.sparse_coo on cpu."),
        (lambda: 10**30, "cannot be read, it is a int."),
    ],
)
def test_an_answer_that_cannot_be_compared_is_refused_in_words(target, answer, told):
    report = examine(Exercise("given", lambda: target, lambda g: {}), answer)
    assert not report.passed
    assert told in report.message


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (3, np.int64(3)),
        (3.0, np.float32(3)),
        (torch.tensor(3.0), np.float64(3)),
        (torch.tensor(True), np.bool_(True)),
        (TWO, np.array([1, 2])),
        (TWO, np.array([2.0, 1.0])[::-1]),
        ((TWO, TWO[0]), [np.array([1.0, 2.0]), np.float32(1)]),
    ],
    ids=repr,
)
def test_numbers_may_come_from_numpy(target, answer):
    exercise = Exercise("given", lambda: target, lambda g: {})
    assert examine(exercise, lambda: answer).passed
    assert not examine(exercise, lambda: answer[0] + 1 if isinstance(answer, list) else answer + np.int64(1)).passed


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.name)
def test_a_wrong_answer_in_double_precision_is_refused_and_raises_nothing(exercise):
    def answer(**given):
        given = exercise.solution(**given)
        parts = given if isinstance(given, (tuple, list)) else [given]
        moved = [torch.as_tensor(part).double() * 1.37 + 0.21 for part in parts]
        return moved if isinstance(given, (tuple, list)) else moved[0]

    assert not examine(exercise, answer).passed


def _without_the_edge_at_0(zoom, out_size):
    at_edges = zoom.cumsum(0)
    levels = (torch.arange(out_size) + 0.5) / out_size * at_edges[-1]
    pixel = torch.searchsorted(at_edges, levels)
    return pixel + (levels - at_edges[pixel - 1]) / zoom[pixel]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("limit_zoom", lambda zoom, cap: EXERCISES["limit_zoom"].solution(zoom, 2.0)),
        (
            "strongest_partner",
            lambda relation, channel: (relation[:, channel].argmax(-1) + 1) % relation.shape[-1],
        ),
        ("share_in_box", lambda maps, cover: (maps * cover[:, None]).sum((2, 3)) / maps.sum((2, 3)).clamp_min(1)),
        ("positions_of", _without_the_edge_at_0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_right_for_some_inputs_only_is_refused_each_time(name, answer):
    assert not any(examine(EXERCISES[name], answer).passed for _ in range(50))
