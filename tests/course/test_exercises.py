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
    for exercise in ALL:

        def stub(*_arguments, **_named): ...

        stub.__name__ = exercise.name
        check(stub)
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


def test_not_implemented_means_not_done_unless_torch_says_so():
    def student(x):
        raise NotImplementedError

    assert "not done yet" in examine(DOUBLE, student).message
    for mistaken in (lambda x: (x > 0).mean(), lambda x: 1 - (x > 0), lambda x: x & x):
        message = examine(DOUBLE, mistaken).message
        assert "not done yet" not in message
        assert "your function raised" in message


def test_a_forgotten_return_is_told_from_a_stub():
    def forgotten(x):
        2 * x

    assert "returned nothing. Is a `return` missing?" in examine(DOUBLE, forgotten).message


def test_an_error_comes_with_the_input_and_may_be_unprintable():
    class Odd(Exception):
        def __str__(self):
            raise ValueError

    def strange(x):
        raise Odd

    assert "Odd" in examine(DOUBLE, strange).message
    message = examine(EXERCISES["learning_rate_at"], lambda base, done, *rest: base / 0).message
    assert "ZeroDivisionError" in message
    assert "The input was" in message
    assert examine(DOUBLE, lambda x: (2 * x).to_sparse()).passed


def student_softmax_then_log(s, t, T):
    return -((t / T).softmax(-1) * (s / T).softmax(-1).log()).sum(-1).mean()


def limited(attention):
    zoom = attention.amax(0) / attention.amax(0).mean()
    return zoom.clamp(max=4) / zoom.clamp(max=4).mean()


def either_but_not_both(accuracies, costs):
    better = (accuracies > accuracies[:, None]) ^ (costs < costs[:, None])
    return ~((accuracies >= accuracies[:, None]) & (costs <= costs[:, None]) & better).any(1)


def in_probabilities(a, m, p, y, w, T):
    hard = sum(F.cross_entropy(logits, y) for logits in (a, m, p))
    return hard + w * student_softmax_then_log(m, p.detach(), T)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("soft_cross_entropy", student_softmax_then_log),
        ("joint_loss", in_probabilities),
        ("marginal_zoom", limited),
        ("pareto_front", either_but_not_both),
    ],
)
def test_what_only_some_inputs_reveal_is_always_found(name, answer):
    for _ in range(10):
        assert not examine(EXERCISES[name], answer).passed


def by_benjamini_and_hochberg(p):
    significant, order = torch.zeros(len(p), dtype=torch.bool), p.argsort()
    for rank in range(len(p), 0, -1):
        if p[order[rank - 1]] <= 0.05 * rank / len(p):
            significant[order[:rank]] = True
            break
    return significant


def one_off(p):
    significant = torch.zeros(len(p), dtype=torch.bool)
    for rank, place in enumerate(p.argsort()):
        if p[place] > 0.05 / max(len(p) - rank - 1, 1):
            break
        significant[place] = True
    return significant


@pytest.mark.parametrize("answer", [by_benjamini_and_hochberg, one_off])
def test_who_does_correct_is_not_told_to(answer):
    for _ in range(10):
        report = examine(EXERCISES["holm"], answer)
        assert not report.passed
        assert "did not correct" not in report.message


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
        (_detaching(), "The part net learns from its own cross entropy alone: detach it in the soft term only"),
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
