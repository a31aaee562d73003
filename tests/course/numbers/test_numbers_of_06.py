"""Every number that a sentence of notebook 06 states: recomputed from the kept results, without the library's tables.
Most are printed beside their sentences."""

import json
from statistics import fmean, stdev

import pytest
from scipy.stats import ttest_rel

from tests.course.numbers.claims import Claims, not_in, unverified, verify
from tests.course.numbers.prose import NOTEBOOKS, passages, read

BOOK = read("06")
# One variant stands in several tables, by different names.
SAME = dict.fromkeys(("structure only", "attention, zoom up to 4"), "trilinear, squared")
PREDICTS = ("master", "downsampled", "downsampled_aliased", "full")
SQUARED = ("mean of the features", "X Xᵀ X, not normalised", "inner softmax only", "outer softmax only")


def kept():
    """Results by data set, title and seed."""
    found = {}
    for path in sorted((NOTEBOOKS / "ablations" / "laptop").glob("*.json")):
        result = json.loads(path.read_text())
        if result["split"] == "test":
            found[result["dataset"], SAME.get(result["title"], result["title"]), result["seed"]] = result
    return found


RESULTS = kept()


def runs(title, dataset="hard", seeds=range(3)):
    return [RESULTS[dataset, SAME.get(title, title), seed] for seed in seeds]


def accuracies(title, dataset="hard", seeds=range(3), net=None):
    """In percent."""
    shares = [run["accuracy"] for run in runs(title, dataset, seeds)]
    return [100 * next(share[name] for name in (net, *PREDICTS) if name in share) for share in shares]


def mean(title, dataset="hard", seeds=range(3), net=None):
    return fmean(accuracies(title, dataset, seeds, net))


def gain(title, other, dataset="hard", seeds=range(3)):
    return mean(title, dataset, seeds) - mean(other, dataset, seeds)


def measured(name, title, dataset="hard"):
    return fmean(run["attention"][name] for run in runs(title, dataset))


def p_value(title, other, dataset="hard", seeds=range(3)):
    return 100 * ttest_rel(accuracies(title, dataset, seeds), accuracies(other, dataset, seeds)).pvalue


CLAIMS: Claims = {}


@pytest.mark.parametrize("sentence", CLAIMS)
def test_sentence_holds(sentence):
    verify(sentence, CLAIMS[sentence]())


def test_every_other_number_is_printed_beside_its_sentence():
    assert not_in(passages(BOOK), CLAIMS) == []
    assert unverified(passages(BOOK), CLAIMS) == []
