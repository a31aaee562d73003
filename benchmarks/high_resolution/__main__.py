"""Drawn birds in images of 512, 1024 and 2048 px, recognised by small networks that see 48 to 192 px.

    python -m benchmarks.high_resolution [--processes N] [--sizes 512 1024 2048] [--seeds 0 1 2] [--only runs costs]

Two series: the birds' size in pixels fixed, so that they cover less and less of the image, and growing with the image.
Results, one JSON file per run, go to notebooks/high_resolution; an interrupted experiment continues where it stopped.
Images are drawn size by size into --data (at most 15 GB at once) and deleted when their runs are done.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.high_resolution.costs import costs
from benchmarks.high_resolution.drawings import BASE
from benchmarks.high_resolution.report import as_text, read_rows
from benchmarks.high_resolution.runs import FULL, Plan, Run, plan_runs, train_run
from tasnlib.data.files import write_atomically
from tasnlib.runs.run_folder import course_folder, project_folder
from tasnlib.training.devices import end_with


def experiment(plan: Plan, folder: Path, data: Path, processes: int = 1, keep_images: bool = False) -> None:
    """Train all runs of a plan that are not in the folder, in processes of one thread each.

    Args:
        folder: of the results.
        data: for drawn images, deleted afterwards unless kept, and for the weights of full resolution.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data.mkdir(parents=True, exist_ok=True)
    missing = _missing(plan, folder, data)
    groups: dict[tuple[int, str], list[Run]] = {}
    for run in missing:
        groups.setdefault((run.size, run.series), []).append(run)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start_worker, (os.getpid(),)) if processes > 1 else None
    with pool or nullcontext(), tqdm(total=len(missing), desc="runs", unit="run", file=sys.stdout) as bar:
        for (size, series), runs in groups.items():
            drawings = [runs[0].drawings(data, split) for split in ("train", "test")]
            drawn = [some.draw(pool) for some in drawings]
            peak, on_disk = max(one["peak_memory"] for one in drawn), sum(one["bytes_on_disk"] for one in drawn)
            print(f"{series} birds, {size} px: {peak / 1e9:.2f} GB of memory to draw, {on_disk / 1e9:.1f} GB on disk")
            about = {"peak_memory": peak, "bytes_on_disk": on_disk, "seconds": sum(one["seconds"] for one in drawn)}
            write_atomically(folder / f"drawn-{series}-{size}.json", json.dumps(about, indent=1).encode())
            for run in _trained(runs, folder, data, pool):
                bar.set_postfix_str(f"{run.series}, {run.size} px, {run.title}, seed {run.seed}", refresh=False)
                bar.update()
            if not keep_images:
                for some in drawings:
                    shutil.rmtree(some.folder)
    torch.set_num_threads(before)


def _missing(plan: Plan, folder: Path, data: Path) -> list[Run]:
    runs = plan_runs(plan)
    missing = [run for run in runs if not (folder / run.file_name).is_file()]
    # Full resolution above BASE needs the weights of BASE: where they are gone, that network is trained again.
    needed = [run.base for run in missing if run.title == FULL and run.size > BASE]
    again = [run for run in needed if run not in missing and not run.weights(data).is_file()]
    return sorted({run.file_name: run for run in again + missing}.values(), key=lambda run: run.size)


def _trained(runs: Iterable[Run], folder: Path, data: Path, pool: Executor | None) -> Iterable[Run]:
    if pool is None:
        for run in runs:
            train_run(run, folder, data)
            yield run
    else:
        pending = {pool.submit(train_run, run, folder, data): run for run in runs}
        for finished in as_completed(pending):
            finished.result()
            yield pending[finished]


def _start_worker(parent: int) -> None:
    end_with(parent)
    torch.set_num_threads(1)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.high_resolution", description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=1, help="at a time, each on one thread")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(Plan().sizes), metavar="PX")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(Plan().seeds))
    parser.add_argument("--only", nargs="+", choices=("runs", "costs"), default=["runs", "costs"])
    parser.add_argument("--results", type=Path, default=course_folder() / "high_resolution")
    parser.add_argument("--data", type=Path, default=project_folder() / "datasets" / "high_resolution")
    parser.add_argument("--keep-images", action="store_true", help="37 GB with all sizes")
    options = parser.parse_args(arguments)
    if min(options.sizes) < 256 or options.processes < 1:
        parser.error("--sizes must be 256 or more, --processes 1 or more")
    plan = Plan(sizes=tuple(sorted(options.sizes)), seeds=tuple(options.seeds))
    if "runs" in options.only:
        experiment(plan, options.results, options.data, options.processes, options.keep_images)
    if "costs" in options.only:
        costs(plan, options.results)
    rows = read_rows(plan, options.results)
    print(as_text(rows))
    return {row.title: row for row in rows}


if __name__ == "__main__":
    main()
