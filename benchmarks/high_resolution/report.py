"""The table of the experiment, from its results."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.high_resolution.costs import FILE, TILES, cost_title
from benchmarks.high_resolution.drawings import BASE, FIXED, GROWING
from benchmarks.high_resolution.runs import FULL, Plan, Run, methods_at, read_result
from tasnlib.data.files import read_json

TILED = {f"{TILES}, maximum of the {name}": f"maximum over tiles of the {name}" for name in ("features", "logits")}


@dataclass(frozen=True)
class Row:
    """A method's results in one kind of images: accuracies in percent, one per seed; costs of one prediction."""

    title: str
    series: str
    size: int
    accuracies: tuple[float, ...]
    multiply_adds: float | None = None
    milliseconds: float | None = None

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0


def read_rows(plan: Plan, folder: Path) -> list[Row]:
    """All rows that have results, in the order of the methods; at BASE once, under "fixed"."""
    costs = read_json(folder / FILE)["sizes"] if (folder / FILE).is_file() else {}
    titles = [*methods_at(BASE), *TILED]
    rows = []
    for size in plan.sizes:
        for series in (FIXED, GROWING) if size != BASE else (FIXED,):
            for title in titles:
                runs = [Run(series, size, FULL if title in TILED else title, seed, plan) for seed in plan.seeds]
                results = [one for run in runs if (one := read_result(run, folder))]
                if results:
                    accuracies = tuple(100 * one["accuracy"][TILED.get(title, "master")] for one in results)
                    cost = costs.get(str(size), {}).get(cost_title(title), {})
                    rows.append(Row(title, series, size, accuracies, **cost))
    return rows


def as_text(rows: Sequence[Row]) -> str:
    """The table: a line per method, accuracy (mean ± standard deviation over the seeds) per kind of images; and costs.

    >>> print(as_text([Row("TASN", "fixed", 512, (90.0, 92.0), 42e6, 3.0)]))
    accuracy, %     512 px
    TASN        91.0 ± 1.4
    <BLANKLINE>
    million multiply-adds / milliseconds   512 px
    TASN                                 42 / 3.0
    """
    kinds = {(row.series, row.size): f"{row.size} px" for row in rows}
    if len(kinds) > 1:
        kinds = {(kind, px): f"{kind} {px} px" if px != BASE else f"{px} px" for kind, px in sorted(kinds)}
    titles = list(dict.fromkeys(row.title for row in rows))
    accuracies = {(row.title, kinds[row.series, row.size]): f"{row.mean:.1f} ± {row.deviation:.1f}" for row in rows}
    costs = {
        (row.title, f"{row.size} px"): f"{row.multiply_adds / 1e6:,.0f} / {row.milliseconds:.1f}"
        for row in rows
        if row.multiply_adds and row.milliseconds
    }
    sizes = list(dict.fromkeys(size for _, size in costs))
    text = _table("accuracy, %", titles, list(kinds.values()), accuracies)
    return text + "\n\n" + _table("million multiply-adds / milliseconds", titles, sizes, costs) if costs else text


def _table(name: str, titles: Sequence[str], columns: Sequence[str], cells: dict[tuple[str, str], str]) -> str:
    lines = [[name, *columns], *([title, *(cells.get((title, column), "-") for column in columns)] for title in titles)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first, *others = widths
    return "\n".join(
        f"{line[0]:<{first}} " + " ".join(f"{cell:>{width}}" for cell, width in zip(line[1:], others, strict=True))
        for line in lines
    )
