"""Ctrl-C is deferred once, and workers ignore it."""

import os
import signal
import threading
import time

import pytest
from torch.utils.data import get_worker_info

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds
from tasnlib.training.signals import deferred_interrupt
from tests.training.tiny import like, new_model, run, same_weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("times", "expected"), [(1, [True]), (2, [])])
def test_ctrl_c_acts_at_the_end_or_the_second_time(times, expected):
    done: list[bool] = []

    def press() -> None:
        with deferred_interrupt() as pressed:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            done.append(pressed())

    with pytest.raises(KeyboardInterrupt):
        press()
    assert done == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_disabled_it_acts_at_once():
    with deferred_interrupt(False), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_whoever_ignores_ctrl_c_still_does():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt() as pressed:
            signal.raise_signal(signal.SIGINT)
            assert not pressed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_the_main_thread_nothing_is_set():
    found = []

    def enter() -> None:
        with deferred_interrupt() as pressed:
            found.append((pressed(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]


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
