"""The whole experiment: draw a set of images, train all that use them, delete them, and go on with the next set."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.high_resolution.drawings import BASE
from benchmarks.high_resolution.runs import FULL, Plan, Run, plan_runs, train_run
from tasnlib.data.files import write_atomically
from tasnlib.research.ablations.study import each, workers


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
    train = partial(train_run, folder=folder, data=data)
    with workers(processes) as pool, tqdm(total=len(missing), desc="runs", unit="run", file=sys.stdout) as bar:
        for (size, series), runs in groups.items():
            drawings = [runs[0].drawings(data, split) for split in ("train", "test")]
            drawn = [some.draw(pool) for some in drawings]
            peak, on_disk = max(one["peak_memory"] for one in drawn), sum(one["bytes_on_disk"] for one in drawn)
            print(f"{series} birds, {size} px: {peak / 1e9:.2f} GB of memory to draw, {on_disk / 1e9:.1f} GB on disk")
            about = {"peak_memory": peak, "bytes_on_disk": on_disk, "seconds": sum(one["seconds"] for one in drawn)}
            write_atomically(folder / f"drawn-{series}-{size}.json", json.dumps(about, indent=1).encode())
            for run, _ in each(train, runs, pool):
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
