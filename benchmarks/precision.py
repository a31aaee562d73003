"""Does bfloat16 train as well as float32? TASN on drawn birds, with several seeds each.

    python -m benchmarks.precision [--profile laptop|gpu|smoke] [--folder FOLDER] [--json FILE]

Each run is saved in FOLDER, so an interrupted comparison resumes. float32 runs of the same profile are taken from
notebooks/ablations.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import json_file, surroundings
from benchmarks.setting import Setting
from tasnlib.research.ablations.plan import PROFILES, Profile, plan
from tasnlib.research.ablations.study import study
from tasnlib.research.ablations.tables import Row, as_text, significant, table_rows
from tasnlib.research.ablations.variants import TASN, Table
from tasnlib.runs.run_folder import project_folder

TABLES = (Table("precision", "easy", (TASN,)), Table("precision", "hard", (TASN,)))


def compare(profile: Profile, folder: Path, data_folder: Path, processes: int) -> dict[str, list[Row]]:
    """The row of each precision, by data set."""
    rows: dict[str, list[Row]] = {table.dataset: [] for table in TABLES}
    for precision in ("float32", "bfloat16"):
        same = replace(profile, precision=precision)
        runs = plan(same, TABLES)
        results = dict(zip([run.file_name for run in runs], study(runs, folder, data_folder, processes), strict=True))
        for table in TABLES:
            (row,) = table_rows(table, same, results)
            rows[table.dataset].append(replace(row, title=precision))
    return rows


def take_kept(profile: Profile, kept: Path, folder: Path) -> None:
    """Copy the float32 runs from another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in plan(replace(profile, precision="float32"), TABLES):
        if (kept / run.file_name).is_file() and not (folder / run.file_name).exists():
            (folder / run.file_name).write_bytes((kept / run.file_name).read_bytes())


def summary(rows: dict[str, list[Row]]) -> dict[str, Any]:
    """As JSON: both rows and their paired difference."""
    found = {}
    for dataset, (single, half) in rows.items():
        mean, deviation = half.against(single)
        found[dataset] = {
            "float32": asdict(single),
            "bfloat16": asdict(half),
            "difference": {"mean": mean, "deviation": deviation},
            "larger deviation": max(single.deviation, half.deviation),
            "significant": bool(significant([single, half], single)),
        }
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__.split("\n")[0])
    parser.add_argument("--profile", choices=PROFILES, default="gpu" if torch.cuda.is_available() else "laptop")
    parser.add_argument("--folder", type=Path, help="of the runs; default: runs/precision/PROFILE")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time, each on one thread; on a GPU: 1")
    parser.add_argument("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    if options.processes < 1:
        parser.error("--processes must be 1 or more")
    project, profile = project_folder(), PROFILES[options.profile]
    folder = options.folder or project / "runs" / "precision" / options.profile
    take_kept(profile, project / "notebooks" / "ablations" / options.profile, folder)
    rows = compare(profile, folder, project / "datasets", options.processes)
    for dataset, both in rows.items():
        print(f"{dataset} birds, {len(both[0].accuracies)} seeds")
        print(as_text(both, "float32", ("part", "mass")))
    if options.json:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        about = surroundings(Setting(device, "full", "bfloat16"))
        options.json.write_text(json.dumps(about | {"profile": options.profile, **summary(rows)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
