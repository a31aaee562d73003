"""Every test runs with jaxtyping's shape checks on; tests of bad input switch them off, to meet the library's own."""

import jaxtyping
import matplotlib
import matplotlib.pyplot
import pytest
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401  the hook below finds it by name

matplotlib.use("Agg")
# Must come before the first import of tasnlib.
install_import_hook("tasnlib", "tests.shapes.check")


@pytest.fixture
def as_a_user():
    """Without the shape checks of the tests: what a user who passes nonsense meets."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def close_figures():
    """Figures are pure results: no test needs those of another."""
    yield
    matplotlib.pyplot.close("all")
