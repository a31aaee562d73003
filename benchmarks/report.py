"""Figures as a table and as JSON."""

import argparse
import datetime
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torchvision

from benchmarks.setting import Setting

MORE_IS_BETTER = {"images/s", "G multiply-adds/s", "GB/s"}
COLUMNS = ("benchmark", "measured", "figure", "times as good as", "", "share of", "", "goal", "note")


@dataclass(frozen=True)
class Figure:
    """A measurement beside that of an alternative and a computed limit.

    >>> figure = Figure("attention", "pooled", 2.0, "ms", "all maps", 5.0, "operations", 1.0, goal=("ratio", 1.5))
    >>> figure.ratio, figure.share, figure.goal_met
    (2.5, 0.5, True)
    """

    benchmark: str
    measured: str
    value: float | None  # None: cannot be measured, see the note
    unit: str
    alternative: str = ""
    alternative_value: float | None = None  # in the same unit, as is the limit
    limit: str = ""
    limit_value: float | None = None
    goal: tuple[str, float] | None = None  # "ratio", "share" or "value", and its minimum
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as fast, or as small, as the alternative."""
        if self.value is None or self.alternative_value is None:
            return None
        better, worse = (self.value, self.alternative_value)[:: 1 if self.unit in MORE_IS_BETTER else -1]
        return better / worse if worse else None

    @property
    def share(self) -> float | None:
        """The share of the limit that is reached."""
        if self.value is None or self.limit_value is None:
            return None
        better, worse = (self.value, self.limit_value)[:: 1 if self.unit in MORE_IS_BETTER else -1]
        return better / worse if worse else None

    @property
    def goal_met(self) -> bool | None:
        reached = getattr(self, self.goal[0]) if self.goal else None
        return None if reached is None else reached >= self.goal[1]

    def as_dict(self) -> dict:
        return asdict(self) | {"ratio": self.ratio, "share": self.share, "goal_met": self.goal_met}


def cells(figure: Figure) -> list[str]:
    """A figure's row in the table.

    >>> cells(Figure("inference", "TASN", 1234.5, "images/s", "ResNet-50", 2469.0))
    ['inference', 'TASN', '1,234 images/s', '0.50', 'ResNet-50', '-', '', '', '']
    """
    value = "-" if figure.value is None else f"{_short(figure.value)} {figure.unit}"
    ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
    share = "-" if figure.share is None else f"{figure.share:.{0 if figure.share >= 0.1 else 1}%}"
    goal = f"{figure.goal[0]} {figure.goal[1]:g}" if figure.goal else ""
    if figure.goal_met is not None:
        goal += ": met" if figure.goal_met else ": missed"
    return [
        *(figure.benchmark, figure.measured, value, ratio, figure.alternative),
        *(share, figure.limit, goal, figure.note),
    ]


def table(figures: Sequence[Figure]) -> str:
    """All figures as an aligned Markdown table."""
    rows = [list(COLUMNS), *map(cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {2, 3, 5}  # numbers
    lines = [
        "| "
        + " | ".join(
            f"{cell:>{width}}" if column in right else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "| " + " | ".join("-" * (w - 1) + (":" if c in right else "-") for c, w in enumerate(widths)) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def surroundings(setting: Setting) -> dict:
    """Hardware, versions and options of a measurement."""
    options = asdict(setting) | {"device": setting.device.type}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name() if setting.device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "cuda": torch.version.cuda if setting.device.type == "cuda" else None,
        "options": options,
    }


def json_file(text: str) -> Path:
    """For argparse: a file that can be written, which is known before anything is measured."""
    path = Path(text).expanduser()
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written; name a file in a folder that exists")
    return path


def _short(value: float) -> str:
    """Three or four digits: 0.0123, 1.23, 12.3, 123, 1,234."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _processor() -> str:
    """The processor's name, if the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
