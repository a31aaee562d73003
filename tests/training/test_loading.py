"""Worker processes that die: what to do is said, and the run continues without them."""

import os
import signal
import time

import pytest
from torch.utils.data import get_worker_info

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds
from tasnlib.training.checkpoints import progress_in
from tasnlib.training.evaluation import evaluate
from tests.training.tiny import like, new_model, run, same_weights

pytestmark = pytest.mark.usefixtures("one_thread")
ADVICE = r"one of 2 worker processes.*died.*Lower num_workers from 2 .*--shm-size.*resume=True"


class Deadly(Birds):
    """Ends the worker that reads the images of one epoch."""

    epoch, killed = 1, False

    def __getitems__(self, indices: list[int]) -> Batch:
        if get_worker_info() is not None and indices[0] // len(self) == self.epoch:
            if self.killed:  # as the system does where memory is short
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(3)
        return super().__getitems__(indices)


@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_that_dies_is_explained_and_the_run_continues_without(tmp_path, birds, killed):
    expected, resumed = new_model(), new_model(seed=9)
    run(tmp_path / "undisturbed", birds, expected)
    deadly = like(Deadly, birds[0])
    deadly.killed = killed
    with pytest.raises(RuntimeError, match=ADVICE):
        run(tmp_path, (deadly, birds[1]), new_model(), num_workers=2)
    assert progress_in(tmp_path / "state.safetensors") == 1
    run(tmp_path, (deadly, birds[1]), resumed, resume=True)  # num_workers 0
    assert same_weights(resumed, expected)


def test_a_worker_that_dies_during_evaluation_is_explained(birds):
    deadly = like(Deadly, birds[1])
    deadly.epoch = 0
    with pytest.raises(RuntimeError, match=ADVICE):
        evaluate(new_model(), deadly, 4, num_workers=2)


def test_another_error_while_reading_stays_what_it_is(birds):
    class Broken(Birds):
        def __getitems__(self, indices):
            raise RuntimeError("DataLoader worker: no such picture")

    with pytest.raises(RuntimeError, match=r"^DataLoader worker: no such picture$"):
        evaluate(new_model(), like(Broken, birds[1]), 4)


class InterruptedBirds(Birds):
    """Each worker is interrupted while it reads, as by a terminal, which sends Ctrl-C to all."""

    def __getitems__(self, indices: list[int]) -> Batch:
        if get_worker_info() is not None and indices[0] // len(self) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        return super().__getitems__(indices)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_workers_survive_ctrl_c(tmp_path, birds):
    expected, model = new_model(), new_model()
    run(tmp_path / "undisturbed", birds, expected)
    run(tmp_path, (like(InterruptedBirds, birds[0]), birds[1]), model, num_workers=2)
    assert same_weights(model, expected)
