"""A claim is a sentence of a notebook, word for word, and a function that computes its numbers in their order, or says
whether it holds. What a sentence states and no claim covers must be printed by a cell next to it, which strict nbval
verifies."""

import re
from collections.abc import Callable, Iterable

from nbformat import NotebookNode

from tests.course.numbers.prose import Passage, numbers

Claims = dict[str, Callable[[], object]]


def verify(sentence: str, computed: object) -> None:
    """Asserts that the sentence holds: computed says so, or gives its numbers when rounded as they are written."""
    if isinstance(computed, tuple):
        stated = numbers(sentence)
        assert len(stated) == len(computed), f"{[n.written for n in stated]} in the sentence, {computed} computed"
        assert all(n.agrees(float(value)) for n, value in zip(stated, computed, strict=True)), f"it is {computed}"
    else:
        assert bool(computed), "the sentence does not hold"


def unverified(passages: Iterable[Passage], sentences: Iterable[str]) -> list[str]:
    """Each number, in its words, that no sentence covers and no cell beside it prints."""
    found, sentences = [], list(sentences)
    for text, printed in passages:
        covered = [match.span() for one in sentences for match in re.finditer(re.escape(one), text)]
        for number in numbers(text):
            end = number.start + len(number.written)
            if any(first <= number.start and end <= last for first, last in covered):
                continue
            # One digit may be printed by chance, unless it is a percentage.
            telling = len(re.sub(r"\D", "", number.written)) > 1 or text[end : end + 2] == " %"
            if not (telling and any(number.agrees(value) for value in printed)):
                found.append(f"{text[max(0, number.start - 50) : end + 30]!r}")
    return found


def not_in(passages: Iterable[Passage], sentences: Iterable[str]) -> list[str]:
    """Sentences that the notebook no longer holds."""
    texts = [passage.text for passage in passages]
    return [one for one in sentences if not any(one in text for text in texts)]


def all_code(book: NotebookNode) -> str:
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")


def all_output(book: NotebookNode) -> str:
    """What the cells of a notebook print."""
    return "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))
