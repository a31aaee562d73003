"""Interleaved timing: alternatives take turns, so that a slow spell of the machine affects all; the median counts."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tqdm import tqdm

from benchmarks.limits import Rates, RateWork
from benchmarks.setting import Setting

WARM_UP = 2  # caches, compilation and the choice of a convolution's algorithm are not timed


class Comparison(NamedTuple):
    seconds: dict[str, float]  #: per piece of work, the median of its turns
    rates: Rates  #: of the device in the same turns


def compare(works: Mapping[str, Callable[[], object]], setting: Setting, title: str) -> Comparison:
    """Time several pieces of work in turns, together with the two rates that determine their limits.

    >>> import torch
    >>> compared = compare({"sum": torch.rand(10).sum}, Setting(torch.device("cpu"), "small"), "doctest")
    >>> list(compared.seconds), compared.rates.copy > 0
    (['sum'], True)
    """
    rate = RateWork(setting)
    every = [*works.values(), rate.multiply, rate.copy]
    calls = []
    for work in every:
        for _ in range(WARM_UP):
            work()
        calls.append(max(1, math.ceil(setting.turn_seconds / _seconds(work, 1, setting))))
    turns: list[list[float]] = [[] for _ in every]
    with tqdm(total=setting.repeats * len(every), desc=title, unit=" turns", leave=False) as bar:
        for _ in range(setting.repeats):
            for taken, work, count in zip(turns, every, calls, strict=True):
                taken.append(_seconds(work, count, setting))
                bar.update()
    *seconds, multiply, copy = map(statistics.median, turns)
    return Comparison(dict(zip(works, seconds, strict=True)), rate.rates(multiply, copy))


def _seconds(work: Callable[[], object], calls: int, setting: Setting) -> float:
    setting.wait()
    begun = time.perf_counter()
    for _ in range(calls):
        work()
    setting.wait()
    return (time.perf_counter() - begun) / calls
