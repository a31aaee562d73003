"""Right answers in several styles are accepted; wrong ones as students make them are not, nor for a wrong reason."""

import pytest

from tasnlib.course.exercises import EXERCISES, examine
from tests.course import (
    planted_01,
    planted_02,
    planted_02_fields,
    planted_03,
    planted_03_sampler,
    planted_04,
    planted_05,
    planted_06,
    planted_07,
    planted_08,
)

MODULES = [
    *(planted_01, planted_02, planted_02_fields, planted_03, planted_03_sampler),
    *(planted_04, planted_05, planted_06, planted_07, planted_08),
]
RIGHT = {name: answers for module in MODULES for name, answers in module.RIGHT.items()}
WRONG = {name: answers for module in MODULES for name, answers in module.WRONG.items()}
RUNS = 3


def test_there_are_enough_answers_to_every_exercise():
    assert set(RIGHT) == set(WRONG) == set(EXERCISES)
    assert min(map(len, RIGHT.values())) >= 3
    assert min(map(len, WRONG.values())) >= 6
    assert sum(map(len, WRONG.values())) >= 200


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_are_accepted(name):
    for function in RIGHT[name]:
        for _ in range(RUNS):
            report = examine(EXERCISES[name], function)
            assert report.passed, f"line {function.__code__.co_firstlineno}: {report.message}"


def test_wrong_answers_are_rejected_and_rarely_for_a_wrong_reason(capsys):
    """A reason is wrong where another known mistake is named than the one made."""
    runs, accepted, mistaken = 0, [], []
    for name, answers in WRONG.items():
        for reason, function in answers:
            for _ in range(RUNS):
                runs += 1
                report = examine(EXERCISES[name], function)
                where = f"{name}, line {function.__code__.co_firstlineno}: {report.message}"
                named = [message for message in EXERCISES[name].mistakes if message in report.message]
                if report.passed:
                    accepted.append(where)
                elif named and (not reason or reason not in named[0]):
                    mistaken.append(where)
                elif reason and not named:
                    print(f"not named: {where}")
    with capsys.disabled():
        rates = f"accepted {len(accepted) / runs:.1%}, for a wrong reason {len(mistaken) / runs:.1%}"
        print(f"\n{runs // RUNS} wrong answers to {len(WRONG)} exercises, {RUNS} runs each: {rates}")
    assert not accepted
    assert len(mistaken) <= 0.01 * runs, mistaken
