"""Every exercise accepts its solution and names each mistake it knows."""

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
    for mistake in exercise.mistakes:
        for _ in range(3):
            report = examine(exercise, mistake.function)
            assert not report.passed
            assert mistake.message in report.message


def test_stub_is_reported_as_not_done(capsys):
    def stub(*_arguments, **_named): ...

    for exercise in ALL:
        assert check(renamed(stub, exercise.name)) is False
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
DOUBLE = Exercise(
    "double",
    lambda x: 2 * x,
    lambda g: {"x": torch.rand(int(torch.randint(2, 5, (), generator=g)), generator=g) + 1},
    mistakes=[Mistake("You squared.", lambda x: x**2)],
    properties=[("The result is positive.", lambda inputs, result: bool((result > 0).all()))],
    hint="Add it to itself.",
)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x**2, "You squared."),
        (lambda x: x.sum(), "wrong shape"),
        (lambda x: -x, "The result is positive. This is not true of your result."),
        (lambda x: 2 * x + 1, "Add it to itself."),
        (lambda x: x * float("nan"), "NaN"),
        (lambda x: "two", "cannot be read as numbers"),
        (lambda x: (x, x), "yours returns a tuple of 2"),
        (lambda x: x.mul_(2), "changed its input"),
        (lambda x: x @ torch.ones(99), "raised RuntimeError"),
        (lambda x: None, "not done yet"),
        (lambda x: sys.exit(1), "raised SystemExit: 1"),
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
    report = examine(Exercise("given", lambda: target, lambda g: {}), lambda: result)
    assert not report.passed
    assert message in report.message


def test_list_and_tuple_are_alike():
    exercise = Exercise("given", lambda: (TWO, TWO), lambda g: {})
    assert examine(exercise, lambda: [TWO, TWO]).passed


def test_two_mistakes_that_agree_on_one_input_are_distinguished_by_others():
    exercise = Exercise(
        "next_number",
        lambda x: x + 1,
        lambda g: {"x": 3 * torch.randint(0, 2, (1,), generator=g)},  # 0² = 2·0, but 3² is not 2·3
        mistakes=[Mistake("You squared.", lambda x: x**2), Mistake("You doubled.", lambda x: 2 * x)],
    )
    for _ in range(20):
        assert "You doubled." in examine(exercise, lambda x: x + x).message
        assert "You squared." in examine(exercise, lambda x: x * x).message


def test_wrong_result_is_drawn_beside_the_target_and_no_figure_stays_open():
    figure = examine(DOUBLE, lambda x: 2 * x + 1).figure
    assert [axes.get_title() for axes in figure.axes][:2] == ["target", "yours"]
    assert plt.get_fignums() == []


def test_not_implemented_means_not_done():
    def student(x):
        raise NotImplementedError

    assert "not done yet" in examine(DOUBLE, student).message


def test_unknown_name_lists_the_exercises(capsys):
    assert check(renamed(lambda x: x, "relatoin")) is False
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
    [(3, np.int64(3)), (TWO, np.array([2.0, 1.0])[::-1]), ((TWO, TWO[0]), [np.array([1.0, 2.0]), np.float32(1)])],
    ids=["number", "array", "several"],
)
def test_results_may_be_numpy(target, result):
    assert examine(Exercise("given", lambda: target, lambda g: {}), lambda: result).passed


def test_wrong_result_in_double_precision_is_rejected_and_raises_nothing():
    for exercise in ALL:

        def student(exercise=exercise, **given):
            result = exercise.solution(**given)
            several = isinstance(result, (tuple, list))
            moved = [torch.as_tensor(part).double() * 1.37 + 0.21 for part in (result if several else [result])]
            return moved if several else moved[0]

        assert not examine(exercise, student).passed


def _without_the_edge_at_0(zoom, out_size):
    at_edges = zoom.cumsum(0)
    levels = (torch.arange(out_size) + 0.5) / out_size * at_edges[-1]
    pixel = torch.searchsorted(at_edges, levels)
    return pixel + (levels - at_edges[pixel - 1]) / zoom[pixel]


@pytest.mark.parametrize(
    ("name", "function"),
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
def test_function_that_is_right_for_some_inputs_only_is_rejected(name, function):
    assert not any(examine(EXERCISES[name], function).passed for _ in range(20))
