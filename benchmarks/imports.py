"""Import times, beside torch and torchvision alone."""

import statistics
import subprocess
import sys
import time

from benchmarks.report import Figure
from benchmarks.setting import Setting

NEEDED = "import torch, torchvision"
IMPORTS = {
    "the library": "import tasnlib.networks.build, tasnlib.research.localization",
    "training": "import tasnlib.runs.run",
}
AT_MOST = 1.2  # goal, relative to torch and torchvision


def measure(setting: Setting) -> list[Figure]:
    """Each in its own process, interleaved; the first turn fills the disk cache."""
    seconds: dict[str, list[float]] = {code: [] for code in (NEEDED, *IMPORTS.values())}
    for turn in range(5 if setting.full else 1):
        for code, taken in seconds.items():
            if turn == 0:
                _import(code)
            taken.append(_import(code))
    needed, *taken = map(statistics.median, seconds.values())
    return [
        Figure(
            *("imports", what, one, "s", "torch and torchvision", needed, "torch and torchvision", needed),
            goal=("ratio", 1 / AT_MOST) if setting.full else None,
        )
        for what, one in zip(IMPORTS, taken, strict=True)
    ]


def _import(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun
