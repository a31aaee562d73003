"""Every number that a sentence of notebooks 01 to 08 states is printed beside it, or holds when recomputed."""

from importlib import import_module

import pytest

from tests.course.numbers.claims import verify, verify_all_numbers

NOTEBOOKS = {f"0{n}": import_module(f"tests.course.numbers.claims_of_0{n}") for n in range(1, 9)}
SENTENCES = [(name, sentence) for name, module in NOTEBOOKS.items() for sentence in module.CLAIMS]


@pytest.mark.parametrize(("name", "sentence"), SENTENCES, ids=lambda text: text[:60])
def test_sentence_holds(name, sentence):
    verify(sentence, NOTEBOOKS[name].CLAIMS[sentence]())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_other_number_is_printed_beside_its_sentence(name):
    module = NOTEBOOKS[name]
    verify_all_numbers(module.BOOK, [*module.CLAIMS, *module.FROM_ELSEWHERE])
