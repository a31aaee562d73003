"""From the results of single runs to tables: means with their spread over seeds, and differences seed by seed."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tasnlib.research.ablations.plan import PROFILES, Profile, plan, run_of
from tasnlib.research.ablations.study import study
from tasnlib.research.ablations.variants import TABLES, Table
from tasnlib.runs.run_folder import in_project, project_folder

NOT_TRAINED = "(not trained here; the parameter optional = True trains it)"
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
    epochs: int = 0

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
        differences = self.differences(other)
        return statistics.fmean(differences), statistics.stdev(differences) if len(differences) > 1 else 0.0

    def differences(self, other: "Row") -> list[float]:
        return [mine - its for mine, its in zip(self.accuracies, other.accuracies, strict=True)]

    def is_told_apart(self, other: "Row") -> bool:
        """Is the difference the same way in every seed, and its mean over 3 of its standard errors? A coarse rule for
        three to five seeds, where no test can say much: were there no difference, three seeds would still show one in
        10 % of comparisons, five in 4 % (Student's t). One seed tells nothing apart."""
        differences = self.differences(other)
        if len(differences) < 3:
            return False
        mean, deviation = self.against(other)
        return all(d * mean > 0 for d in differences) and abs(mean) > 3 * deviation / len(differences) ** 0.5


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
                epochs=found[0]["epochs"],
            )
        )
    return rows


def _predicting(accuracy: Mapping[str, float]) -> float:
    return next(accuracy[name] for name in NETS if name in accuracy)


def _measured(row: Row, measure: str, digits: int) -> str:
    if measure not in row.attention:
        return ""
    return f"{round(row.attention[measure], digits) + 0.0:.{digits}f}"  # + 0.0: rounding may leave a -0


# What a table can show of a row beside its accuracy: a heading of up to 10 letters, and the text.
COLUMNS: dict[str, tuple[str, Callable[[Row], str]]] = {
    "cost": ("M mult-add", lambda row: f"{row.multiply_adds / 1e6:.1f}"),
    "epochs": ("epochs", lambda row: str(row.epochs)),
    "part": ("part net", lambda row: f"{statistics.fmean(row.part):.1f}" if row.part else ""),
    **{
        measure: (heading, partial(_measured, measure=measure, digits=digits))
        for measure, heading, digits in (
            ("mass", "in parts", 2),
            ("mass of single channels", "1 ch. in", 2),
            ("magnification", "magnified", 1),
            ("diversity", "diversity", 2),
            ("coverage", "coverage", 2),
        )
    },
}


def as_text(rows: Sequence[Row], reference: str, columns: Sequence[str] = ("cost",)) -> str:
    """A table for a terminal: accuracy, its paired difference to a reference row, and further columns.

    A star stands where the difference is told apart from the seeds, see `Row.is_told_apart`.

    Args:
        reference: the title of the row that the others are compared with.
        columns: names of COLUMNS.

    >>> rows = [Row("a", (50.0, 60.0), (), {}, 1_000_000, 5.0), Row("b", (55.0, 63.0), (), {}, 2_000_000, 5.0)]
    >>> print(as_text(rows, reference="a"))
                  accuracy, %   against 'a'    M mult-add
    a             55.0 ± 7.1                          1.0
    b             59.0 ± 5.7     +4.0 ± 1.4           2.0
    """
    if not rows:
        return NOT_TRAINED
    (base,) = (row for row in rows if row.title == reference)
    width = max(12, *(len(row.title) for row in rows))
    between = max(14, len(reference) + 11)
    lines = [
        f"{'':{width}}  accuracy, %   {f'against {reference!r}':{between}}"
        + "".join(f" {COLUMNS[name][0]:>10}" for name in columns)
    ]
    spread = len(base.accuracies) > 1
    for row in rows:
        mean, deviation = row.against(base)
        star = " *" if row.is_told_apart(base) else ""
        difference = "" if row is base else f"{mean:+5.1f}" + f" ± {deviation:.1f}{star}" * spread
        accuracy = f"{row.mean:5.1f}" + f" ± {row.deviation:.1f}" * spread
        difference = difference.replace("-0.0", "+0.0")
        line = f"{row.title:{width}} {accuracy:12}   {difference:{between}}"
        lines.append(line + "".join(f" {COLUMNS[name][1](row):>10}" for name in columns))
    return "\n".join(line.rstrip() for line in lines)


def in_a_sentence(rows: Sequence[Row], reference: str) -> str:
    """What a table's seeds tell apart from a reference row, and what they do not.

    >>> rows = [Row(t, (a, a + 1, a + 2), (), {}, 1, 1.0) for t, a in (("a", 50.0), ("b", 60.0), ("c", 50.0))]
    >>> in_a_sentence(rows, "a")
    "Better than 'a': b (+10.0). Worse: none. Not told apart by 3 seeds: c."
    """
    if not rows:
        return NOT_TRAINED
    (base,) = (row for row in rows if row.title == reference)
    apart = {row.title: row.against(base)[0] for row in rows if row is not base and row.is_told_apart(base)}
    better = ", ".join(f"{title} ({mean:+.1f})" for title, mean in apart.items() if mean > 0) or "none"
    worse = ", ".join(f"{title} ({mean:+.1f})" for title, mean in apart.items() if mean < 0) or "none"
    alike = ", ".join(row.title for row in rows if row is not base and row.title not in apart) or "none"
    seeds = len(base.accuracies)
    return f"Better than {reference!r}: {better}. Worse: {worse}. Not told apart by {seeds} seeds: {alike}."


@dataclass(frozen=True)
class Study:
    """All results of a profile."""

    profile: Profile
    results: dict[str, dict[str, Any]]  # by the name of their file

    def rows(self, name: str, dataset: str) -> list[Row]:
        """The rows of one of `variants.TABLES`; none for an optional one that was not trained.

        Raises:
            ValueError: where there is no such table.
        """
        named = [table for table in TABLES if (table.name, table.dataset) == (name, dataset)]
        if not named:
            there_are = ", ".join(f"{table.name!r} of {table.dataset!r}" for table in TABLES)
            raise ValueError(f"there is no table {name!r} of {dataset!r}; there are {there_are}")
        runs = plan(self.profile, named)
        if named[0].optional and any(run.file_name not in self.results for run in runs):
            return []
        return table_rows(named[0], self.profile, self.results)

    @property
    def devices(self) -> list[str]:
        """What the runs were trained on."""
        return sorted({result["device"] for result in self.results.values()})


def open_study(
    profile: str = "laptop",
    processes: int | None = None,
    optional: bool = False,
    data_folder: str | Path | None = None,
) -> Study:
    """Read a profile's results, after training what is missing of them.

    Results of "laptop" and "gpu" are kept in notebooks/ablations, with the project; those of "smoke" in runs.

    Args:
        profile: a name of `plan.PROFILES`.
        processes: how many runs are trained at a time; as many as there are cores, on a GPU one.
        optional: train what is missing of the optional tables too.
        data_folder: where drawn birds are kept; datasets in the project.

    Raises:
        ValueError: for an unknown profile, a bad number of processes, "gpu" without a GPU while results are missing;
            outside of the project; for a kept result that is damaged or another run's, naming its file.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}")
    if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int) or processes < 1):
        raise ValueError(f"processes is {processes!r}; it must be a whole number from 1 up, or None for all cores")
    if not in_project():
        raise ValueError("results are kept in the project, and this was started outside of it; start it inside")
    folder = project_folder() / ("runs/ablations" if profile == "smoke" else "notebooks/ablations") / profile
    if not isinstance(optional, bool):
        raise ValueError(f"optional is {optional!r}; it must be True or False")

    def is_kept(table: Table) -> bool:
        return all((folder / run.file_name).is_file() for run in plan(PROFILES[profile], [table]))

    runs = plan(PROFILES[profile], [table for table in TABLES if optional or not table.optional or is_kept(table)])
    missing = sum(not (folder / run.file_name).is_file() for run in runs)
    if missing and profile == "gpu" and not torch.cuda.is_available():
        raise ValueError(
            f"profile is 'gpu', {missing} of its {len(runs)} runs are missing, and torch finds no GPU here; "
            "it must be laptop or smoke"
        )
    if processes is None:
        processes = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    found = study(runs, folder, Path(data_folder) if data_folder else project_folder() / "datasets", processes)
    return Study(PROFILES[profile], {run.file_name: result for run, result in zip(runs, found, strict=True)})
