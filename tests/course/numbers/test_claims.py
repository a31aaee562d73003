"""The tests of the notebooks' numbers notice a sentence whose number nobody verified, and one that is wrong."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.course.numbers.claims import not_in, unnoticed_changes, unverified, verify
from tests.course.numbers.prose import numbers, passages


def book(text, output="mass 0.384 of 200 birds, 17%", heading="## 1 · Results"):
    cell = new_code_cell("show()", outputs=[new_output("stream", name="stdout", text=output)])
    return passages(new_notebook(cells=[new_markdown_cell(f"{heading}\n\n{text}"), cell]))


@pytest.mark.parametrize(
    "text",
    [
        "The heads get 41 % of the attention.",
        "The gain was 1.3 points.",
        "A part gets nine times the pixels.",
        "It wins in eight birds in ten.",
        "It takes half of the pixels.",
        "About a third lies elsewhere.",
        "With it, 3 of all channels are dead.",
        "The accuracy fell by −2.5.",
        "A fall to 5 %.",
        "It costs 171 million multiply-adds.",
    ],
)
def test_a_planted_number_is_noticed(text):
    (found,) = unverified(book(text), [])
    assert text[:20] in found


@pytest.mark.parametrize(
    "text",
    [
        "The mass is 0.38, on 200 birds.",  # printed, and rounded
        "The heads get 17 % of it.",
        "Section 4 and notebooks 02 to 05, channel 14, exercise 6, ResNet-18 (Zhou and others, 2016).",
        "At $T = 10$ and `max_zoom` 4, $e^2 = 7.39$.",
        "A softmax sums to 1, and is never below 0.",
    ],
)
def test_printed_numbers_names_and_formulas_need_no_claim(text):
    assert unverified(book(text), []) == []


def test_a_digit_that_is_printed_by_chance_verifies_nothing():
    assert unverified(book("It is 7 times as large.", output="0 1 2 3 4 5 6 7 8 9"), []) != []


def test_exercises_are_left_out_and_the_summary_is_not():
    cells = [
        new_markdown_cell(text) for text in ("## Exercises\n\nUse 37 birds.", "It has 38.", "## Summary\n\nAll 39.")
    ]
    assert [text for text in unverified(passages(new_notebook(cells=cells)), []) if "39" not in text] == []
    assert len(unverified(passages(new_notebook(cells=cells)), [])) == 1


def test_a_claim_covers_its_own_numbers_only():
    text = "A head gets 9 to 10 times the pixels, a wing 11 times."
    (found,) = unverified(book(text), ["gets 9 to 10 times"])
    assert "11 times" in found
    assert not_in(book(text), ["gets 9 to 10 times", "gets 8 times"]) == ["gets 8 times"]


def test_a_wrong_value_a_missing_one_and_a_false_sentence_fail():
    verify("from 9 to 10 times, a third", (8.6, 10.49, 0.36))
    verify("1,000 and −0.30", (1000.4, -0.304))
    for sentence, computed in {
        "9 times": (9.6,),
        "0.30": (0.306,),
        "a third": (0.26,),
        "9 to 10": (9,),
        "ten times": False,
    }.items():
        with pytest.raises(AssertionError):
            verify(sentence, computed)


def test_a_changed_digit_is_noticed_unless_it_is_printed_by_chance():
    text = "It gains 12 points, and 3.5 in the end."
    assert unnoticed_changes(book(text, output="12 3.5"), []) == []
    assert len(unnoticed_changes(book(text, output="12 14 3.5"), [])) == 1


def test_numbers_are_found_as_written():
    assert [n.written for n in numbers("From 1,000 to 2.5 and +3.3, a tenth, twice; 6/7")] == [
        *("1,000", "2.5", "+3.3", "tenth", "twice", "6", "7"),
    ]
