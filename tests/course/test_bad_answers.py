"""Whatever an answer does, the check says in a sentence what happened, and the notebook goes on as before."""

import random
import signal
import sys
import threading
import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from tasnlib.course.exercises import EXERCISES, Exercise, check, examine, running


def double(x, numbers):
    return 2 * x


DOUBLE = Exercise(double, lambda generator, turn: {"x": torch.rand(3, generator=generator), "numbers": [1, 2]})
LINUX = pytest.mark.skipif(not running.MEMORY.exists(), reason="only Linux limits what is not a tensor")


def for_ever(x, numbers):
    while True:
        pass


def for_ever_catching_all(x, numbers):
    while True:
        try:  # noqa: SIM105
            time.sleep(0.01)
        except:  # noqa: E722
            pass


def itself(x, numbers):
    return itself


def in_itself(x, numbers):
    numbers = []
    numbers.append(numbers)
    return numbers


def without_end(x, numbers):
    return without_end(x, numbers)


class Strange:
    def __array__(self, *_arguments, **_named):
        raise KeyError("strange")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (for_ever, "was stopped after"),
        (for_ever_catching_all, "was stopped after"),
        (lambda x, numbers: time.sleep(99), "was stopped after"),
        (without_end, "raised RecursionError: maximum recursion depth exceeded"),
        (lambda x, numbers: x @ torch.ones(99), "raised RuntimeError: "),
        (lambda x, numbers: x.unknown, "raised AttributeError: 'Tensor' object has no attribute 'unknown'."),
        (lambda x, numbers: sys.exit(1), "raised SystemExit: 1."),
        (lambda x, numbers, more: x, "raised TypeError: "),
        (lambda x, numbers: torch.ones(2**28), "asked for more than 0.5 GiB of memory"),
        (lambda x, numbers: torch.zeros(1).expand(2**31), "asked for more than 0.5 GiB of memory"),
        pytest.param(lambda x, numbers: np.ones(2**27), "asked for more than 0.5 GiB of memory", marks=LINUX),
        pytest.param(lambda x, numbers: [0] * 10**9, "asked for more than 0.5 GiB of memory", marks=LINUX),
        (itself, "return one tensor of shape (3,); yours returns one function that cannot be read as numbers."),
        (in_itself, "yours returns a list of 1."),
        (lambda x, numbers: "2.5", "yours returns one str that cannot be read as numbers."),
        (lambda x, numbers: {"x": x}, "yours returns one dict that cannot be read as numbers."),
        (lambda x, numbers: Strange(), "yours returns one Strange that cannot be read as numbers."),
        (lambda x, numbers: x * 1j, "cannot be read as numbers"),
        (lambda x, numbers: (y for y in x), "cannot be read as numbers"),
        (lambda x, numbers: [], "yours returns a list of 0."),
        (lambda x, numbers: [0] * 10**7, "yours returns a list of 10000000."),
        (lambda x, numbers: x.mul_(2), "changed its input"),
        (lambda x, numbers: x * numbers.pop(), "changed its input"),
    ],
)
def test_the_check_says_what_happened(function, sentence, monkeypatch):
    if "stopped" in sentence:
        monkeypatch.setattr(running, "SECONDS", 0.3)
    report = examine(DOUBLE, function)
    assert not report.passed
    assert sentence in report.message
    assert report.message.count("\n") == 0


def test_an_endless_answer_is_stopped_in_another_thread_too(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.3)
    messages = []
    thread = threading.Thread(target=lambda: messages.append(examine(DOUBLE, for_ever).message))
    thread.start()
    thread.join(20)
    assert "was stopped after" in messages[0]


def test_the_limits_end_with_the_answer(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.2)
    before = signal.getsignal(signal.SIGALRM)
    assert examine(DOUBLE, lambda x, numbers: 2 * x).passed
    time.sleep(0.3)
    assert signal.getsignal(signal.SIGALRM) is before
    assert sys.getprofile() is None
    assert len(torch.zeros(2**28)) == 2**28


def printing(x, numbers):
    print("shape", tuple(x.shape))
    sys.stderr.write("a warning")
    return 2 * x


def plotting(x, numbers):
    plt.plot(x)
    plt.show()
    return 2 * x


def seeding(x, numbers):
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    return 2 * x


def setting(x, numbers):
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_default_device("meta")
    return 2 * x


@pytest.mark.parametrize(
    ("function", "remarks"),
    [
        (printing, ["Your function printed, at first:\nshape (3,)"]),
        (plotting, ["Your function drew something; it is not shown."]),
        (seeding, [f"Your function changed {whose} random state" for whose in ("torch's", "NumPy's", "Python's")]),
        (
            setting,
            [
                "changed torch's default dtype; it was changed back.",
                "changed whether torch records gradients",
                "default device",
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_right_answer_leaves_the_notebook_as_it_was(function, remarks, capsys):
    torch.manual_seed(1), np.random.seed(1), random.seed(1)  # noqa: NPY002 - not the states that `seeding` leaves
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), plt.get_fignums()  # noqa: NPY002
    report = examine(DOUBLE, function)
    assert report.passed
    for remark in remarks:
        assert report.message.count(remark) == 1
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert plt.get_fignums() == before[2]
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_default_device() == torch.device("cpu")
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_by_the_user_ends_the_check():
    def interrupted(x, numbers):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(DOUBLE, interrupted)


def test_parameters_may_have_other_names():
    for function in (
        lambda a, b: 2 * a,
        lambda *given: 2 * given[0],
        lambda numbers, x: 2 * x,
        lambda **named: 2 * named["x"],
    ):
        assert examine(DOUBLE, function).passed


def test_check_goes_on_after_each_bad_answer(capsys):
    def relation(features):
        raise SystemExit

    check(relation)
    assert capsys.readouterr().out.startswith("relation: your function raised SystemExit. The input was features (")


def test_inputs_are_single_precision_as_in_the_notebooks():
    generator = torch.Generator()
    for exercise in EXERCISES.values():
        for turn in range(12):
            for value in exercise.inputs(generator, turn).values():
                assert not isinstance(value, torch.Tensor) or value.dtype in (torch.float32, torch.int64, torch.bool), (
                    exercise.name
                )
