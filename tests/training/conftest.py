import pytest

from tasnlib.data.birds import Birds
from tests.training.tiny import STYLE
from tests.watched import Watched


@pytest.fixture(scope="session")
def birds() -> tuple[Birds, Birds]:
    """To train on, and to test on."""
    return tuple(Birds.load(STYLE, split, count, progress=False) for split, count in (("train", 26), ("test", 11)))


@pytest.fixture
def watched(birds) -> Watched:
    """The birds to train on, which note what is asked for."""
    return Watched(birds[0])
