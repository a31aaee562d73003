"""Every number that notebook 06 states in a sentence, computed again from the kept results without the library."""

import json
import re
from pathlib import Path
from statistics import fmean

import nbformat
import pytest
from scipy.stats import ttest_rel

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
BOOK = nbformat.read(NOTEBOOKS / "06_ablations.ipynb", as_version=4)
TEXT = re.sub(r"\s+", " ", "\n".join(cell.source for cell in BOOK.cells if cell.cell_type == "markdown"))
# One variant stands in several tables, by different names.
SAME = dict.fromkeys(("structure only", "attention, zoom up to 4"), "trilinear, squared")
PREDICTS = ("master", "downsampled", "downsampled_aliased", "full")


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


CLAIMS = [
]


@pytest.mark.parametrize(("sentence", "numbers"), CLAIMS, ids=[sentence[:40] for sentence, _ in CLAIMS])
def test_sentence_states_what_the_results_say(sentence, numbers):
    assert sentence.format(*numbers()) in TEXT
