"""What holds for tests and for the doctests of the library: figures need no screen, and do not pile up."""

import sys

import matplotlib
import matplotlib.pyplot
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def names_in_examples(doctest_namespace):
    """What every example takes for granted, if it is imported at all: a run of other tests must not wait for torch."""
    doctest_namespace.update({name: sys.modules[name] for name in ("torch", "tasnlib") if name in sys.modules})


@pytest.fixture(autouse=True)
def close_figures():
    """Figures are pure results: no test needs those of another."""
    yield
    matplotlib.pyplot.close("all")
