"""Drawn birds in images of 512, 1024 and 2048 px, recognised by small networks that see 48 to 192 px.

    python -m benchmarks.high_resolution [--processes N] [--sizes 512 1024 2048] [--seeds 0 1 2] [--only runs costs]

Two series: the birds' size in pixels fixed, so that they cover less and less of the image, and growing with the image.
Results, one JSON file per run, go to notebooks/high_resolution, and the table to table.json there, which notebook 06
shows (section 9); an interrupted experiment continues where it stopped.
Images are drawn size by size into --data (at most 15 GB at once) and deleted when their runs are done.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.high_resolution.costs import costs
from benchmarks.high_resolution.experiment import experiment
from benchmarks.high_resolution.report import Row, as_text, read_rows
from benchmarks.high_resolution.runs import Plan
from tasnlib.data.files import write_atomically
from tasnlib.runs.run_folder import course_folder, project_folder

TABLE = "table.json"


def main(arguments: list[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.high_resolution", description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=1, help="at a time, each on one thread")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(Plan().sizes), metavar="PX")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(Plan().seeds))
    for name in ("train_images", "test_images", "epochs"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Plan(), name), metavar="N")
    parser.add_argument("--only", nargs="+", choices=("runs", "costs"), default=["runs", "costs"])
    parser.add_argument("--results", type=Path, default=course_folder() / "high_resolution")
    parser.add_argument("--data", type=Path, default=project_folder() / "datasets" / "high_resolution")
    parser.add_argument("--keep-images", action="store_true", help="37 GB with all sizes")
    options = parser.parse_args(arguments)
    if min(options.sizes) < 256 or options.processes < 1:
        parser.error("--sizes must be 256 or more, --processes 1 or more")
    numbers = {name: getattr(options, name) for name in ("train_images", "test_images", "epochs")}
    plan = Plan(sizes=tuple(sorted(options.sizes)), seeds=tuple(options.seeds), **numbers)
    if "runs" in options.only:
        experiment(plan, options.results, options.data, options.processes, options.keep_images)
    if "costs" in options.only:
        costs(plan, options.results)
    rows = read_rows(plan, options.results)
    write_atomically(options.results / TABLE, json.dumps([asdict(row) for row in rows], indent=1).encode())
    print(as_text(rows))
    return rows


if __name__ == "__main__":
    main()
