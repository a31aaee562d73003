"""One run from settings to result: data, TASN and its controls trained, everything kept in one folder (`run_folder`).

Several processes on one machine: `train` starts them, where the settings ask for several. On several machines, this on
each of them, with FOLDER where all see it, trains one model of NAMES:

    accelerate launch --multi_gpu --num_machines 2 --num_processes 16 --machine_rank 0 --main_process_ip HOST \\
        --main_process_port 29500 -m tasnlib.training.fit FOLDER NAME -p dataset inat2017 -p recipe modern

Parameters are those of notebook 05, num_processes apart, which is the launcher's; FOLDER keeps them, so that they need
not be given again. With `-p resume True` it goes on after the last whole epoch, on as many processes as there are now.
Afterwards notebook 05 with output_folder FOLDER and resume True trains nothing anew and makes figures and result.json.
"""

import argparse
import ast
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from accelerate.utils import set_seed
from torch import nn

from tasnlib.data.files import write_atomically
from tasnlib.model import TASN
from tasnlib.networks.build import NAMES, build_model
from tasnlib.runs import load_data as datasets
from tasnlib.runs.load_data import Data, workers_for
from tasnlib.runs.results import Trained
from tasnlib.runs.run_folder import (
    in_project,
    noted_settings,
    prepare_folder,
    project_folder,
    same_data,
    same_settings,
    this_python,
)
from tasnlib.runs.run_lock import alone_in
from tasnlib.runs.settings import Settings, check_names
from tasnlib.training.checkpoints import load_model, progress_in, save_weights
from tasnlib.training.devices import end_with, leave_processes, make_accelerator
from tasnlib.training.evaluation import accuracies, evaluate, silent_images
from tasnlib.training.fit import fit


def load_data(settings: Settings) -> tuple[Data, Data]:
    """Training and test images, see `datasets.read_data`; from datasets/ in the project where no folder is named.

    Raises:
        ValueError: as `datasets.read_data`; where no folder is named and this is not inside the project.
    """
    if settings.data_folder is None and not in_project():
        raise ValueError(
            "data_folder is None, which means datasets/ in the project, but this was started outside of the project; "
            "start it inside, or name a data_folder (and an output_folder)"
        )
    return datasets.read_data(settings, project_folder() / "datasets")


def epoch_line(entry: dict[str, Any], epochs: int) -> str:
    """One line of progress.

    >>> entry = {"epoch": 1, "loss": 8.5, "accuracy": {"master": 0.9}, "seconds": 6.0, "images_per_second": 500.0}
    >>> epoch_line(entry, epochs=8)
    'epoch  1/8   loss  8.500   master  90.0 %     6 s    500 images/s'
    """
    nets = "   ".join(
        f"{name} {share:5.1%}".replace("%", " %") for name, share in entry["accuracy"].items() if "+" not in name
    )
    return (
        f"epoch {entry['epoch']:2d}/{epochs}   loss {entry['loss']:6.3f}   {nets}   "
        f"{entry['seconds']:3.0f} s   {entry['images_per_second']:4.0f} images/s"
    )


def train(name: str, settings: Settings, folder: Path, data: tuple[Data, Data]) -> Trained:
    """Train one model of NAMES, printing a line an epoch, and answer the test images.

    A control is trained by the same recipe, from the same seed, for as many epochs as TASN.

    Raises:
        ValueError: where another process trains in the folder, or it is of other settings or data.
        RuntimeError: where one of several processes failed.
        KeyboardInterrupt: after Ctrl-C, saying what is saved and how to go on.
    """
    weights_path, state = folder / f"{name}.safetensors", folder / f"{name}.training.safetensors"
    with alone_in(folder), _telling_how_to_go_on(state, _notebook_again(settings, folder)):
        same_settings(folder, settings)
        same_data(folder, data)
        _nothing_is_lost(folder, name)
        if settings.resume:
            saved = _saved(state)
            print(f"{name}: continuing {saved}" if saved else f"{name}: nothing to continue, starting at epoch 1")
        if settings.num_processes == 1:
            model, history = _fit(name, settings, folder, data)
        else:
            _fit_in_processes(name, settings, folder)
            model, _ = load_model(weights_path)
            history = json.loads((folder / f"{name}.history.json").read_bytes())  # just written
    test, batch_size = data[1], settings.resolved_recipe.batch_size
    answers = evaluate(model, test, batch_size, make_accelerator(settings.precision), workers_for(settings))
    if isinstance(model, TASN):
        silent, looked_at = silent_images(model, test)
        if silent:
            print(
                f"attention is 0 everywhere on {silent} of the first {looked_at} test images: the sampler reads them "
                "evenly, as without attention. Most often the training was too short: take more epochs, or a "
                "smaller batch_size"
            )
    return Trained(model, history, answers, accuracies(answers, test.labels), weights_path)


def _nothing_is_lost(folder: Path, name: str) -> None:
    """Make sure that training does not begin anew where a model is finished."""
    weights, state = folder / f"{name}.safetensors", folder / f"{name}.training.safetensors"
    if weights.is_file() and not state.is_file():
        raise ValueError(
            f"{weights} is a finished model, but {state.name}, by which its training would go on, is not beside it; "
            "put that back, or train in another output_folder"
        )


def _saved(state: Path) -> str:
    """What is in a training state, in words; none where there is none."""
    epochs, steps = progress_in(state) if state.is_file() else (0, 0)
    return f"after epoch {epochs}" + (f" and {steps} steps" if steps else "") if epochs or steps else ""


@contextmanager
def _telling_how_to_go_on(state: Path, command: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        saved = _saved(state)
        if not saved:
            raise KeyboardInterrupt("stopped before anything was saved") from None
        raise KeyboardInterrupt(
            f"stopped; {state} was saved {saved}. To go on: {command} (in a notebook: the same output_folder, and "
            "resume = True)"
        ) from None


def _notebook_again(settings: Settings, folder: Path) -> str:
    again = replace(settings, output_folder=str(folder), resume=True).as_parameters()
    return shlex.join([this_python(), "-m", "tasnlib.course.headless", "notebooks/05_train_full.ipynb", *again])


def _fit(
    name: str, settings: Settings, folder: Path, data: tuple[Data, Data]
) -> tuple[nn.Module, list[dict[str, Any]]]:
    recipe = settings.resolved_recipe
    accelerator = make_accelerator(settings.precision)
    set_seed(settings.seed)
    train_set, test = data
    model = build_model(name, recipe, train_set.classes)
    history = fit(
        *(model, train_set, test, recipe, settings.seed, folder / f"{name}.training.safetensors", accelerator),
        resume=settings.resume,
        report=lambda entry: print(epoch_line(entry, recipe.epochs), flush=True),
        num_workers=workers_for(settings),
        accumulate=settings.accumulate,
        compiled=settings.compiled,
        continue_unsaved=settings.continue_unsaved,
    )
    if accelerator.is_main_process:
        save_weights(folder / f"{name}.safetensors", model, name, recipe, train_set.class_names)
        write_atomically(folder / f"{name}.history.json", json.dumps(history, indent=1).encode())
    accelerator.wait_for_everyone()
    return model, history


def _fit_in_processes(name: str, settings: Settings, folder: Path) -> None:
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(settings.num_processes),
    ]
    command = [*launcher, "-m", "tasnlib.runs.run", str(folder), name]
    if settings.resume:  # the folder holds the settings as they were when the run was begun
        for parameter, value in settings.as_dict().items():
            command += ["-p", parameter, repr(value)]
    parent = {**os.environ, _PARENT: str(os.getpid())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=parent) as process:
        lines = []
        try:
            for line in process.stdout or ():
                lines.append(line)
                if line.startswith("epoch"):
                    print(line, end="", flush=True)
        except BaseException:  # a notebook that was interrupted lives on, but the training must not
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise RuntimeError(f"one of {settings.num_processes} processes failed:\n{''.join(lines[-40:])}")


_PARENT = "TASN_PARENT_PROCESS"
_PARAMETERS = [field.name for field in fields(Settings)]


def main(folder: Path, name: str, given: Mapping[str, Any] | None = None) -> None:
    """What each of several processes runs: one model of NAMES, by the settings that the folder holds.

    Args:
        given: settings by name that are added to those, or replace them.

    Raises:
        ValueError: for settings that cannot be; as `prepare_folder`, where any are given; where the folder already
            holds this model and nobody said `resume`; where another process trains in it.
        KeyboardInterrupt: after Ctrl-C, saying what is saved and how to go on.
    """
    given = given or {}
    if _PARENT in os.environ:
        end_with(int(os.environ[_PARENT]))
    if "TORCHELASTIC_RUN_ID" in os.environ:  # started by a launcher, which may be killed on its own
        end_with(os.getppid())
    check_names(given, _PARAMETERS)
    noted, state = folder / "settings.json", folder / f"{name}.training.safetensors"
    processes = make_accelerator()
    launch = this_python() if processes.num_processes == 1 else "accelerate launch ... (as before)"
    again = f"{launch} -m tasnlib.training.fit {shlex.quote(str(folder))} {name} -p resume True"
    with ExitStack() as held, _telling_how_to_go_on(state, again):
        with processes.main_process_first():
            known = noted_settings(noted, resume=False).as_dict() if noted.is_file() else {}
            # `resume` is for this time; what the folder holds of it is of an earlier one.
            known |= {"resume": False, **given, "output_folder": str(folder), "num_processes": processes.num_processes}
            settings = Settings(**known)
            if processes.is_main_process and _PARENT not in os.environ:  # or else the notebook holds the folder
                held.enter_context(alone_in(folder))
            if processes.is_main_process and (given or not noted.is_file()):
                prepare_folder(settings)
            if state.is_file() and not settings.resume and _PARENT not in os.environ:
                raise ValueError(f"{folder} already holds {name}; add -p resume True to go on, or name another folder")
            _nothing_is_lost(folder, name)
        # One process of each machine draws or inspects the images; the others find what it kept.
        with make_accelerator(settings.precision).local_main_process_first():
            data = load_data(settings)
            same_data(folder, data)
        _fit(name, settings, folder, data)
        leave_processes()


def command_line(arguments: Sequence[str] | None = None) -> None:
    """The command that `accelerate launch -m tasnlib.training.fit` runs in each process, see the top of this file."""
    parser = argparse.ArgumentParser(
        prog="accelerate launch -m tasnlib.training.fit", description="Train one model on several devices or machines."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the output folder, seen by all machines")
    parser.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("-p", dest="parameters", nargs=2, action="append", default=[], metavar=("PARAMETER", "VALUE"))
    given = parser.parse_args(arguments)
    parameters = {name: _plain(value) for name, value in given.parameters}
    try:
        check_names(parameters, _PARAMETERS)
    except ValueError as reason:
        parser.error(str(reason))
    try:
        main(given.folder, given.name, parameters)
    except KeyboardInterrupt as reason:
        if os.environ.get("RANK", "0") == "0":  # of several processes, one speaks
            print(f"\n{reason}", file=sys.stderr)
        sys.exit(130)


def _plain(value: str) -> Any:
    """Numbers, True, False and None are what they look like; all else is text, as with papermill."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


if __name__ == "__main__":
    command_line()
