"""What the notebooks and the messages say about the exercises is so: sections, line counts, minutes, rules, words."""

import inspect
import re
from pathlib import Path

import nbformat
import pytest

from tasnlib.course.exercises import BY_NOTEBOOK, EXERCISES

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
BOOKS = {name: nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4) for name in BY_NOTEBOOK}
HEADING = re.compile(r"^### (\d) · `(\w+)` \((easy|medium|hard), (\d+) min\)$", re.M)
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}
# What stands in the sections to which the exercises of a notebook refer.
SECTIONS = {
    ("01", 4): r"x\[0\] @ x\[0\]\.T",
    ("01", 6): r"def bilinear_vectorised",
    ("01", 8): r"torch\.where\(maps\.sum.*(?s:.)*alone\[:, head_channel\]",
    ("02", 3): r"vectorised = \(relation @ tiny\.flatten\(2\)\)\.view_as\(tiny\)",
    ("02", 8): r"(?i)dilations.*ReLU",
    ("03", 4): r"\bcap\b",
    ("03", 6): r"def read_at",
    ("03", 13): r"F\(4\.4\)",
    ("04", 2): r"vectorised = teacher\.exp\(\) / teacher\.exp\(\)\.sum",
    ("04", 3): r"H\(q\) = -\\sum_i q_i \\log q_i",
    ("04", 5): r"\\frac\{\\partial L\}\{\\partial z\^s_i\}",
    ("05", 3): r"= \{\"tasn\": train\(",
    ("05", 4): r"magnification\(",
    ("05", 5): r"species right, given the genus",
    ("06", 1): r"(?s)standard error.*Holm",
    ("06", 7): r"Holm.s rule",
}


def parts(notebook):
    """The text of each numbered section, and of the exercises, up to the summary."""
    found, section = {}, ""
    for cell in BOOKS[notebook].cells:
        pieces = re.split(r"^(## .*)$", cell.source, flags=re.M) if cell.cell_type == "markdown" else [cell.source]
        for piece in pieces:
            if piece.startswith("## "):
                section = (re.findall(r"^## (\d+) ·", piece) or [piece[3:]])[0]
            else:
                found[section] = found.get(section, "") + "\n" + piece
    return found


def messages(exercise):
    groups = (exercise.mistakes, exercise.properties, exercise.rules, exercise.gradients.values())
    return [exercise.hint, *(message for group in groups for message in group)]


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_headings_have_one_format_and_their_minutes_add_up(notebook):
    headings = HEADING.findall(parts(notebook)["Exercises"])
    assert [int(number) for number, *_ in headings] == list(range(1, len(headings) + 1))
    assert {name for _, name, *_ in headings} == {exercise.name for exercise in BY_NOTEBOOK[notebook]}
    assert parts(notebook)["Exercises"].count("\n### ") == len(headings)
    stated = re.search(r"(\d+)( more)? for the exercises", BOOKS[notebook].cells[0].source)
    assert sum(int(minutes) for *_, minutes in headings) == int(stated[1])


@pytest.mark.parametrize("notebook", BY_NOTEBOOK)
def test_sections_named_in_an_exercise_hold_what_it_says(notebook):
    texts = [parts(notebook)["Exercises"], *(text for one in BY_NOTEBOOK[notebook] for text in messages(one))]
    for number in {found for text in texts for found in re.findall(r"\b[Ss]ection (\d+)", text)}:
        assert re.search(SECTIONS[notebook[:2], int(number)], parts(notebook)[number]), number


def test_hints_count_the_lines_of_the_solution():
    counted = []
    for notebook in BY_NOTEBOOK:
        _, *pieces = HEADING.split(parts(notebook)["Exercises"])  # number, name, difficulty, minutes, text, number, ...
        for name, text in zip(pieces[1::5], pieces[4::5], strict=True):
            for word in re.findall(r"^(One|Two|Three|Four) lines?\.", text, re.M):
                body = inspect.getsource(EXERCISES[name].solution).strip().splitlines()[1:]
                assert len(body) == NUMBERS[word.lower()], name
                counted.append(name)
    assert counted == ["share_from"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("structure_and_detail", "without building all maps"),
        ("attend_over_channels", "with `F.scaled_dot_product_attention`"),
        ("limit_zoom", "without sorting"),
        ("to_sampled", "without a loop"),
        ("read_row", "without a loop"),
        ("reading_matrix", "without a loop"),
        ("soften", "without `softmax`"),
        ("soft_gradient", "**No** `backward`"),
        ("mass_in_box", "Use loops"),
    ],
)
def test_a_rule_that_is_enforced_stands_in_the_text(name, words):
    assert EXERCISES[name].rules
    notebook = next(notebook for notebook, exercises in BY_NOTEBOOK.items() if EXERCISES[name] in exercises)
    assert words in parts(notebook)["Exercises"].split(f"`{name}` (")[1].split("\n### ")[0]


def test_no_other_exercise_has_a_rule():
    assert sum(bool(exercise.rules) for exercise in EXERCISES.values()) == 9


def test_every_notebook_says_that_the_library_is_not_to_be_called():
    for notebook in BY_NOTEBOOK:
        assert "calls to `tasnlib` are detected" in parts(notebook)["Exercises"]


def test_messages_are_sentences_in_the_words_of_the_course():
    for exercise in EXERCISES.values():
        for message in messages(exercise):
            assert message[0].isupper() or message.startswith(("query ", "softmax ", "argmax ", "`"))
            assert message.endswith((".", ".)", "?"))
            assert not re.search(r"\bsilent\b|\bplaces?\b|\bcareless\b|\banswers?\b", message), message
