"""Import times, beside those of torch and torchvision alone."""

import statistics
import subprocess
import sys
import time

from benchmarks.report import Figure
from benchmarks.setting import Setting

# What is imported, beside what it cannot do without, and at most how many times as long that may take.
IMPORTS = {
    "the library": ("import tasnlib.networks.build, tasnlib.research.localization", "import torch, torchvision", 1.2),
    "training": ("import tasnlib.runs.run", "import torch, torchvision", 1.2),
    "the sampler": ("from tasnlib import AttentionSampler", "import torch", 1.1),
}


def measure(setting: Setting) -> list[Figure]:
    """Each in its own process, interleaved; the first turn fills the disk cache."""
    seconds: dict[str, list[float]] = {code: [] for own, needed, _ in IMPORTS.values() for code in (needed, own)}
    for turn in range(5 if setting.full else 1):
        for code, taken in seconds.items():
            if turn == 0:
                _import(code)
            taken.append(_import(code))
    medians = {code: statistics.median(taken) for code, taken in seconds.items()}
    return [
        Figure(
            *("imports", what, medians[own], "s", needed, medians[needed], needed, medians[needed]),
            goal=("ratio", 1 / at_most) if setting.full else None,
        )
        for what, (own, needed, at_most) in IMPORTS.items()
    ]


def _import(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun
