"""What holds for tests and for the doctests of the library: figures need no screen, and do not pile up."""

import matplotlib
import matplotlib.pyplot
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    """Figures are pure results: no test needs those of another."""
    yield
    matplotlib.pyplot.close("all")
