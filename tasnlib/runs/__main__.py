"""`python -m tasnlib.runs predict RUN IMAGE... [--csv FILE]`, and `train FOLDER NAME`, which several processes run.

FOLDER stores the parameters, those of notebook 05. With `-p resume True` training continues after the last complete
epoch, on any number of processes. Afterwards, notebook 05 with that folder and resume True draws the figures.
"""

import argparse
import ast
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasnlib.data.files import expanded, first_of, print_text
from tasnlib.networks.build import NAMES as MODELS
from tasnlib.networks.build import check_networks
from tasnlib.runs.load_data import load_data
from tasnlib.runs.predict_files import find_images, predict_files
from tasnlib.runs.prediction import VIEWS, load
from tasnlib.runs.run import PARENT, explained_interrupt, fit_one, protect_finished
from tasnlib.runs.run_folder import locked, noted_settings, prepare_folder, same_data
from tasnlib.runs.settings import NAMES, TEXTS, Settings, check_names
from tasnlib.training.devices import end_with, leave_processes, make_accelerator


def train_here(folder: Path, name: str, given: Mapping[str, Any]) -> None:
    """Train one model in this process, which may be one of several, with the settings in the folder and those given.
    Raises as `run.train`."""
    parent = os.environ.get(PARENT)  # a notebook, which holds the lock and has validated and saved everything
    if parent:
        end_with(int(parent))
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by a launcher, which may be killed on its own
        end_with(os.getppid())
    noted, state = folder / "settings.json", folder / f"{name}.training.safetensors"
    processes = make_accelerator()
    launch = sys.executable if processes.num_processes == 1 else "accelerate launch ... (as before)"
    again = f"{launch} -m tasnlib.runs train {shlex.quote(str(folder.absolute()))} {name} -p resume True"
    with ExitStack() as held, explained_interrupt(state, again):
        with processes.main_process_first():
            # `resume` applies to this start; the folder's value is that of an earlier one.
            known = asdict(noted_settings(noted, resume=False)) if noted.is_file() and not parent else {}
            own = {"output_folder": str(folder), "num_processes": processes.num_processes}
            settings = Settings.from_values(known | {"resume": False} | dict(given) | own)
            check_networks(settings.resolved_recipe)
            if not parent and processes.is_main_process:
                held.enter_context(locked(folder))
                protect_finished(folder, name, settings.resume)
                if given or not noted.is_file():
                    prepare_folder(settings)
        # One process per machine draws or inspects the images; the others read its cache.
        with make_accelerator(settings.precision).local_main_process_first():
            data = load_data(settings)
            same_data(folder, data)
        fit_one(name, settings, folder, data)
        leave_processes()


def value_of(name: str, text: str) -> Any:
    """Parse numbers, True, False and None; a name or path that looks like a number stays text."""
    if name in TEXTS:
        return None if text == "None" else text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0, 1 after an error, which is printed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tasnlib.runs", description="Train a model, or predict with it.")
    commands = parser.add_subparsers(dest="command", required=True)
    trains = commands.add_parser("train", help="train one model, on several devices or machines by accelerate launch")
    trains.add_argument("folder", metavar="FOLDER", help="the output folder, seen by all machines")
    trains.add_argument("name", choices=MODELS, metavar="NAME", help=", ".join(MODELS))
    trains.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("PARAMETER", "VALUE"))
    predicts = commands.add_parser("predict", help="the most probable classes", argument_default=argparse.SUPPRESS)
    predicts.add_argument("run", metavar="RUN", help="the output folder of a finished run")
    predicts.add_argument("images", metavar="IMAGE", nargs="+", help="files, folders, or patterns such as '*.jpg'")
    predicts.add_argument("--csv", default=None, metavar="FILE", help="write rows to it; goes on where it stopped")
    predicts.add_argument("--top", type=int, metavar="K", help="classes a row (default: 3)")
    predicts.add_argument("--views", choices=VIEWS, help="of each image, to be averaged (default: whole)")
    predicts.add_argument("--num-workers", type=int, metavar="N", help="processes that read (default: one a core)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "train":
            parameters = {name: value_of(name, text) for name, text in given.parameters}
            check_names(parameters, NAMES)
            train_here(expanded(given.folder, "FOLDER"), given.name, parameters)
        else:
            options = {name: value for name, value in vars(given).items() if name in ("top", "views", "num_workers")}
            if given.csv is None and options:
                raise ValueError("--top, --views and --num-workers are for --csv FILE; add it, or leave them out")
            predictor, images = load(given.run), find_images(given.images)
            if given.csv is not None:
                options = {"num_workers": min(8, os.cpu_count() or 1), **options}
                predict_files(predictor, images, expanded(given.csv, "--csv"), **options)
            problems = list[str]()
            for image in () if given.csv is not None else images:
                try:
                    print_text(f"{image}: {predictor.predict(Path(image).absolute())}")  # ~ is part of a name here
                except ValueError as reason:  # this image; the others are predicted
                    problems.append(str(reason))
            if problems:
                raise ValueError(f"{len(problems)} of {len(images)} cannot be read: {first_of(problems, 10)}")
    except KeyboardInterrupt as reason:
        if os.environ.get("RANK", "0") == "0":  # only one of several processes prints
            print(f"\n{reason}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
