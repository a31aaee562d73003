"""From the results of runs to tables: means and deviations over seeds, and paired differences."""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, validate_call
from scipy.stats import ttest_1samp

from tasnlib.networks.plain import VIEWS
from tasnlib.research.ablations.plan import CLASSES, PROFILES, Profile, multiply_adds, plan, run_of
from tasnlib.research.ablations.study import study
from tasnlib.research.ablations.variants import TABLES, Table
from tasnlib.runs.run_folder import course_folder, project_folder

NETS = ("both", "master", *VIEWS)  # the first of these that a result has is the one that predicts


@dataclass(frozen=True)
class Row:
    """One variant over all seeds. Accuracies in percent."""

    title: str
    accuracies: tuple[float, ...]  # of the net that predicts, one per seed
    part: tuple[float, ...]  # of the part net, if any
    attention: dict[str, float]  # measures of the attention, mean over seeds
    multiply_adds: int  # of one image, forward
    seconds: float  # of training, mean over seeds
    epochs: int = 0
    attends: bool = True  # does what it predicts from depend on an attention map?
    by_class: dict[str, float] = field(default_factory=dict)  # accuracy of each class of photographs, mean over seeds

    @property
    def mean(self) -> float:
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The sample standard deviation over seeds; 0 with one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def against(self, other: "Row") -> tuple[float, float]:
        """Mean and standard deviation of the paired difference to another row.

        Paired, because variants trained with the same seed see the same images in the same order.
        """
        differences = self.differences(other)
        return statistics.fmean(differences), statistics.stdev(differences) if len(differences) > 1 else 0.0

    def differences(self, other: "Row") -> list[float]:
        return [mine - its for mine, its in zip(self.accuracies, other.accuracies, strict=True)]

    def p_value(self, other: "Row") -> float:
        """Of the mean paired difference, by Student's t-test, two-sided; for two seeds or more."""
        differences = self.differences(other)
        same = len(set(differences)) == 1  # no variance, where scipy would warn
        return float(not any(differences) if same else ttest_1samp(differences, 0).pvalue)

    def paired(self, other: "Row") -> str:
        """The paired differences to another row as text: seed by seed, mean ± deviation, p-value."""
        seeds = " ".join(f"{value:+5.1f}" for value in self.differences(other))
        mean, deviation = self.against(other)
        p = f"p = {self.p_value(other):.1%}" if len(self.accuracies) > 1 else ""
        return f"{seeds}   mean {mean:+5.1f} ± {deviation:.1f}   {p}"

    def measured(self, measure: str, digits: int) -> str:
        if measure not in self.attention:
            return ""
        return f"{round(self.attention[measure], digits) + 0.0:.{digits}f}"  # + 0.0: rounding may give -0.0


def significant(rows: Sequence[Row], base: Row) -> set[str]:
    """The titles of the rows that differ from a base row: at 5 % for all of them together.

    Student's t-test of the paired differences gives each row a p-value, and Holm's rule orders them: of m comparisons,
    the smallest must be at most 5 % / m, the next one 5 % / (m - 1), and so on until one fails. If no row differed from
    the base, at most one such table in twenty would show a significant difference. One seed never does.

    >>> rows = [Row(t, (a, a + 1, b), (), {}, 1, 1.0) for t, a, b in (("a", 50, 52), ("b", 60, 62.1), ("c", 50, 53))]
    >>> significant(rows, rows[0])
    {'b'}
    """
    p_values = {row.title: row.p_value(base) for row in rows if len(row.accuracies) > 1 and row is not base}
    found = set[str]()
    for rank, title in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if p_values[title] > 0.05 / (len(p_values) - rank):
            break
        found.add(title)
    return found


def table_rows(
    table: Table, profile: Profile, results: Mapping[str, Mapping[str, Any]], predicting: bool = False
) -> list[Row]:
    """The rows of a table, from results by file name. `predicting`: see `Study.rows`.

    Raises:
        KeyError: for a run without a result.
    """
    rows, sizes = [], (profile.recipes[table.dataset], CLASSES[table.dataset])
    for variant in table.variants:
        found = [results[run_of(profile, table, variant, seed).file_name] for seed in profile.seeds[: table.seeds]]
        accuracies = [result["accuracy"] for result in found]
        net = next(net for net in (variant.predicts, *NETS) if net in accuracies[0])
        measures = found[0]["attention"] or {}
        shares = found[0].get("by_class", {}).get(net, {})
        classes = [name for name, share in shares.items() if share is not None]  # those with an image
        rows.append(
            Row(
                title=variant.title,
                accuracies=tuple(100 * a[net] for a in accuracies),
                part=tuple(100 * a["part"] for a in accuracies if "part" in a),
                attention={name: statistics.fmean(r["attention"][name] for r in found) for name in measures},
                multiply_adds=multiply_adds(variant.predicting(), *sizes) if predicting else found[0]["multiply_adds"],
                seconds=statistics.fmean(result["seconds"] for result in found),
                epochs=found[0]["epochs"],
                attends=variant.sampler not in ("plain", "centre", "anywhere", "trunk", "full"),
                by_class={name: 100 * statistics.fmean(r["by_class"][net][name] for r in found) for name in classes},
            )
        )
    return rows


# Further columns of a table: a heading of up to 10 characters, and the text for a row.
COLUMNS: dict[str, tuple[str, Callable[[Row], str]]] = {
    "partners": ("partners", lambda row: row.measured("partners", 1)),
    "cost": ("M mult-add", lambda row: f"{row.multiply_adds / 1e6:.1f}"),
    "epochs": ("epochs", lambda row: str(row.epochs)),
    "part": ("part net", lambda row: f"{statistics.fmean(row.part):.1f}" if row.part else ""),
    "mass": ("in parts", lambda row: row.measured("mass", 2)),
    "mass of single channels": ("1 ch. in", lambda row: row.measured("mass of single channels", 2)),
    "magnification": ("magnified", lambda row: row.measured("magnification", 1)),
    "diversity": ("diversity", lambda row: row.measured("diversity", 2)),
    "coverage": ("coverage", lambda row: row.measured("coverage", 2)),
}


def as_text(rows: Sequence[Row], reference: str, columns: Sequence[str] = ("cost",)) -> str:
    """A plain text table: accuracy, its paired difference to a reference row, and further columns.

    A star marks a significant difference, see `significant`.

    Args:
        reference: title of the row to compare with.
        columns: names of COLUMNS.

    >>> rows = [Row("a", (50.0, 60.0), (), {}, 1_000_000, 5.0), Row("b", (55.0, 63.0), (), {}, 2_000_000, 5.0)]
    >>> print(as_text(rows, reference="a"))
                  accuracy, %   against 'a'    M mult-add
    a             55.0 ± 7.1                          1.0
    b             59.0 ± 5.7     +4.0 ± 1.4           2.0
    """
    if not rows:
        return "(not trained; set optional = True to train it)"
    (base,) = (row for row in rows if row.title == reference)
    width = max(12, *(len(row.title) for row in rows))
    between = max(14, len(reference) + 11)
    lines = [
        f"{'':{width}}  accuracy, %   {f'against {reference!r}':{between}}"
        + "".join(f" {COLUMNS[name][0]:>10}" for name in columns)
    ]
    spread, starred = len(base.accuracies) > 1, significant(rows, base)
    for row in rows:
        mean, deviation = row.against(base)
        star = " *" if row.title in starred else ""
        difference = "" if row is base else f"{round(mean, 1) + 0.0:+5.1f}" + f" ± {deviation:.1f}{star}" * spread
        accuracy = f"{row.mean:5.1f}" + f" ± {row.deviation:.1f}" * spread
        line = f"{row.title:{width}} {accuracy:12}   {difference:{between}}"
        lines.append(line + "".join(f" {COLUMNS[name][1](row):>10}" for name in columns))
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Study:
    """All results of a profile."""

    profile: Profile
    results: dict[str, dict[str, Any]]  # by file name

    def rows(self, name: str, dataset: str, predicting: bool = False) -> list[Row]:
        """The rows of one of `variants.TABLES`; empty if it is optional and not trained.

        Args:
            predicting: count the multiply-adds of a prediction alone, see `Variant.predicting`.

        Raises ValueError for an unknown table.
        """
        named = [table for table in TABLES if (table.name, table.dataset) == (name, dataset)]
        if not named:
            known = ", ".join(f"{table.name!r}, {table.dataset!r}" for table in TABLES)
            raise ValueError(f"no table has name {name!r} and dataset {dataset!r}; choose one of {known}")
        if named[0].optional and any(run.file_name not in self.results for run in plan(self.profile, named)):
            return []
        return table_rows(named[0], self.profile, self.results, predicting)

    @property
    def devices(self) -> list[str]:
        """The hardware that the runs were trained on."""
        return sorted({result["device"] for result in self.results.values()})


@validate_call(config=ConfigDict(strict=True))
def open_study(
    profile: Literal["smoke", "laptop", "photos", "gpu"] = "laptop",
    processes: Annotated[int, Field(ge=1)] | None = None,
    optional: bool = False,
    weights: str | None = None,
) -> Study:
    """Read the results of a profile, and train what is missing first.

    Results of "laptop", "photos" and "gpu" are in notebooks/ablations, and committed; those of "smoke" in runs.

    Args:
        profile: a name of `plan.PROFILES`.
        processes: how many runs to train at a time; None: one per core, or one on a GPU.
        optional: also train what is missing of the optional tables.
        weights: see `study`.

    Raises:
        ValueError: for other arguments; for "gpu" without a GPU if results are missing; for a result that is damaged
            or belongs to another run, naming its file.
        FileNotFoundError: if neither a project nor the installed package has the results.
    """
    smoke = profile == "smoke"
    folder = (project_folder() / "runs" / "ablations" if smoke else course_folder() / "ablations") / profile

    def is_trained(table: Table) -> bool:
        return all((folder / run.file_name).is_file() for run in plan(PROFILES[profile], [table]))

    tables = [table for table in TABLES if table.dataset in PROFILES[profile].recipes]
    runs = plan(PROFILES[profile], [table for table in tables if optional or not table.optional or is_trained(table)])
    missing = sum(not (folder / run.file_name).is_file() for run in runs)
    if missing and profile == "gpu" and not torch.cuda.is_available():
        raise ValueError(f"profile is 'gpu', but torch finds no GPU for {missing} missing runs; choose laptop or smoke")
    processes = processes or (1 if torch.cuda.is_available() else os.cpu_count() or 1)
    results = study(runs, folder, project_folder() / "datasets", processes, Path(weights) if weights else None)
    return Study(PROFILES[profile], {run.file_name: result for run, result in zip(runs, results, strict=True)})
