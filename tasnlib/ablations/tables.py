"""From the results of single runs to a table: means with their spread over seeds, and differences seed by seed."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasnlib.ablations.study import Profile, run_of
from tasnlib.ablations.variants import Table

NETS = ("master", "downsampled", "downsampled_aliased")


@dataclass(frozen=True)
class Row:
    """One variant over all seeds. Accuracies in percent."""

    title: str
    accuracies: tuple[float, ...]  # of the net that predicts, a number a seed
    part: tuple[float, ...]  # of the part net; empty where there is none
    attention: dict[str, float]  # measures of the attention, mean over seeds; empty where there is none
    multiply_adds: int  # forward, one image
    seconds: float  # of training, mean over seeds

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The sample standard deviation over seeds; 0 with one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def against(self, other: "Row") -> tuple[float, float]:
        """Mean and standard deviation of the difference to another row, seed by seed.

        Paired, because two variants of one seed see the same images in the same order.
        """
        differences = [mine - its for mine, its in zip(self.accuracies, other.accuracies, strict=True)]
        return statistics.fmean(differences), statistics.stdev(differences) if len(differences) > 1 else 0.0


def table_rows(table: Table, profile: Profile, results: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """The rows of a table, from results by the name of their file.

    Raises:
        KeyError: for a run that is not among the results.
    """
    rows = []
    for variant in table.variants:
        found = [results[run_of(profile, table, variant, seed).file_name] for seed in profile.seeds_of(table)]
        measures = found[0]["attention"] or {}
        rows.append(
            Row(
                title=variant.title,
                accuracies=tuple(100 * _predicting(result["accuracy"]) for result in found),
                part=tuple(100 * result["accuracy"]["part"] for result in found if "part" in result["accuracy"]),
                attention={name: statistics.fmean(r["attention"][name] for r in found) for name in measures},
                multiply_adds=found[0]["multiply_adds"],
                seconds=statistics.fmean(result["seconds"] for result in found),
            )
        )
    return rows


def _predicting(accuracy: Mapping[str, float]) -> float:
    return next(accuracy[name] for name in NETS if name in accuracy)


def as_text(rows: Sequence[Row], reference: str) -> str:
    """A table for a terminal: accuracy, its paired difference to a reference row, and where the attention lies.

    >>> rows = [Row("a", (50.0, 60.0), (), {}, 1_000_000, 5.0), Row("b", (55.0, 63.0), (), {}, 2_000_000, 5.0)]
    >>> print(as_text(rows, reference="a"))
    variant      accuracy, %   against 'a'      M mult-adds
    a             55.0 ± 7.1                            1.0
    b             59.0 ± 5.7    +4.0 ± 1.4              2.0
    """
    (base,) = (row for row in rows if row.title == reference)
    width = max(12, *(len(row.title) for row in rows))
    measured = any(row.attention for row in rows)
    head = f"{'variant':{width}} accuracy, %   {f'against {reference!r}':16} M mult-adds"
    lines = [head + "   in parts  magnified" * measured]
    for row in rows:
        mean, deviation = row.against(base)
        difference = "" if row is base else f"{mean:+5.1f} ± {deviation:3.1f}"
        line = f"{row.title:{width}} {row.mean:5.1f} ± {row.deviation:3.1f}   {difference:16} "
        line += f"{row.multiply_adds / 1e6:11.1f}"
        if row.attention:
            line += f"   {row.attention['mass']:8.2f}  {row.attention['magnification']:9.1f}"
        lines.append(line)
    return "\n".join(lines)
