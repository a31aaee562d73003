"""A claim is a sentence of a notebook, word for word, and a function that computes its numbers in their order, or says
whether it holds. What a sentence states and no claim covers must be printed by a cell next to it, which strict nbval
verifies."""

import re
from collections.abc import Callable, Iterable

from nbformat import NotebookNode

from tests.course.numbers.prose import Passage, numbers, passages

Claims = dict[str, Callable[[], object]]


def verify(sentence: str, computed: object) -> None:
    """Asserts that the sentence holds: computed says so, or gives its numbers when rounded as they are written."""
    if isinstance(computed, tuple):
        stated = numbers(sentence)
        assert len(stated) == len(computed), f"{[n.written for n in stated]} in the sentence, {computed} computed"
        assert all(n.agrees(float(value)) for n, value in zip(stated, computed, strict=True)), f"it is {computed}"
    else:
        assert bool(computed), "the sentence does not hold"


def unverified(texts: Iterable[Passage], sentences: Iterable[str]) -> list[str]:
    """Each number, in its words, that no sentence covers and no cell beside it prints."""
    found, sentences = [], list(sentences)
    for text, printed in texts:
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


def not_in(texts: Iterable[Passage], sentences: Iterable[str]) -> list[str]:
    """Sentences that the notebook no longer holds."""
    written = [passage.text for passage in texts]
    return [one for one in sentences if not any(one in text for text in written)]


def unnoticed_changes(texts: list[Passage], sentences: list[str]) -> list[str]:
    """Each number that could have another last digit without a claim or a printed number to contradict it."""
    found = []
    for place, (text, printed) in enumerate(texts):
        for number in numbers(text):
            last = number.start + len(number.written) - 1
            if text[last].isdigit():
                changed = Passage(f"{text[:last]}{2 + int(text[last]) % 8}{text[last + 1 :]}", printed)
                everything = [*texts[:place], changed, *texts[place + 1 :]]
                if not (unverified([changed], sentences) or not_in(everything, sentences)):
                    found.append(changed.text[max(0, last - 50) : last + 30])
    return found


def verify_all_numbers(book: NotebookNode, sentences: Iterable[str]) -> None:
    """Asserts that the sentences are the notebook's, cover what its cells do not print, and notice a changed digit."""
    texts, sentences = passages(book), list(sentences)
    assert not_in(texts, sentences) == []
    assert unverified(texts, sentences) == []
    assert len(unnoticed_changes(texts, sentences)) <= 2  # one or two may be printed by chance


def all_code(book: NotebookNode) -> str:
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")


def all_output(book: NotebookNode) -> str:
    """What the cells of a notebook print."""
    return "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))
