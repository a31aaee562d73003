"""One run: train TASN and its baselines, with everything in one folder (`run_folder`)."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
from accelerate.utils import set_seed
from torch import nn

from tasnlib.data.files import write_atomically
from tasnlib.networks.build import build_model
from tasnlib.runs.load_data import Data, workers_for
from tasnlib.runs.run_folder import NOTEBOOK, locked, project_folder, same_data, same_settings
from tasnlib.runs.settings import Settings
from tasnlib.runs.tracking import tracked
from tasnlib.training.checkpoints import load_model, progress_in, save_weights
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import Predictions, accuracies
from tasnlib.training.fit import Entry, fit

PARENT = "TASN_PARENT_PROCESS"  # environment variable of the processes that `train` starts: its own process id


@dataclass
class Trained:
    """A trained model and its predictions on the test images."""

    model: nn.Module
    history: list[Entry]
    predictions: Predictions
    accuracy: dict[str, float]
    weights_path: Path


def epoch_line(entry: Entry, epochs: int) -> str:
    """One line of progress: 'epoch  1/8   loss  8.500   master  90.0 %     6 s    500 images/s'."""
    nets = "   ".join(f"{name} {share:5.1%}".replace("%", " %") for name, share in entry["accuracy"].items())
    speed = f"{entry['seconds']:3.0f} s   {entry['images_per_second']:4.0f} images/s"
    return f"epoch {entry['epoch']:2d}/{epochs}   loss {entry['loss']:6.3f}   {nets}   {speed}"


def train(name: str, settings: Settings, folder: Path, data: tuple[Data, Data]) -> Trained:
    """Train "tasn", or a baseline by its name, printing one line per epoch, and evaluate it.

    Raises ValueError if the folder is in use, holds this model while `resume` is off, or has other settings or data;
    RuntimeError if one of several processes failed; KeyboardInterrupt after Ctrl-C, with how to continue."""
    weights_path, state = folder / f"{name}.safetensors", folder / f"{name}.training.safetensors"
    with locked(folder), explained_interrupt(state, notebook_command(settings, folder)):
        same_settings(folder, settings)
        same_data(folder, data)
        protect_finished(folder, name, settings.resume)
        if settings.resume:
            saved = progress_in(state)
            how = f"continuing after epoch {saved}" if saved else "nothing to continue, starting at epoch 1"
            print(f"{name}: {how}")
        if settings.num_processes == 1:
            model, history, predictions = fit_one(name, settings, folder, data)
        else:
            _fit_in_processes(name, settings, folder)
            model, _ = load_model(weights_path)
            history = json.loads((folder / f"{name}.history.json").read_bytes())
            predictions = safetensors.torch.load((folder / f"{name}.predictions.safetensors").read_bytes())
    return Trained(model, history, predictions, accuracies(predictions, data[1].labels), weights_path)


def protect_finished(folder: Path, name: str, resume: bool) -> None:
    """Raises ValueError if training from scratch would overwrite a model."""
    weights, state = folder / f"{name}.safetensors", folder / f"{name}.training.safetensors"
    if not resume and (weights.is_file() or state.is_file()):
        how = "pass resume=True (-p resume True) to continue it, or name another output_folder"
        raise ValueError(f"{folder} already holds {name}; {how}")
    if weights.is_file() and not state.is_file():
        missing = f"{state.name}, which resuming needs, is missing; put it back, or train in another output_folder"
        raise ValueError(f"{weights} is a finished model, but {missing}")


@contextmanager
def explained_interrupt(state: Path, command: str) -> Iterator[None]:
    """On Ctrl-C, report what was saved and the command that continues the run."""
    try:
        yield
    except KeyboardInterrupt:
        saved = progress_in(state)
        if not saved:
            raise KeyboardInterrupt("stopped before anything was saved") from None
        how = f"To continue: {command} (in a notebook: the same output_folder, and resume = True)"
        raise KeyboardInterrupt(f"stopped; {state} was saved after epoch {saved}. {how}") from None


def notebook_command(settings: Settings, folder: Path, notebook: Path | None = None) -> str:
    """The command that continues this run with notebook 05, valid in any folder."""
    project = project_folder()
    data_folder = settings.data_folder or str(project / "datasets")
    again = replace(settings, output_folder=str(folder), resume=True, data_folder=data_folder).valid_anywhere()
    notebook = (notebook or project / NOTEBOOK).resolve()
    return shlex.join([sys.executable, "-m", "tasnlib.course.headless", str(notebook), *again.as_parameters()])


def fit_one(
    name: str, settings: Settings, folder: Path, data: tuple[Data, Data]
) -> tuple[nn.Module, list[Entry], Predictions]:
    """The training itself, in this process, which may be one of several."""
    recipe = settings.resolved_recipe
    accelerator = make_accelerator(settings.precision, settings.track, folder / "track" / name)
    set_seed(settings.seed)
    train_set, test = data
    model = build_model(name, recipe, train_set.classes)
    with tracked(accelerator, f"{folder.name} {name}", recipe, model, test) as track:

        def report(entry: Entry) -> None:
            print(epoch_line(entry, recipe.epochs), flush=True)
            track(entry)

        history, predictions = fit(
            *(model, train_set, test, recipe, settings.seed, folder / f"{name}.training.safetensors", accelerator),
            resume=settings.resume,
            report=report,
            num_workers=workers_for(settings),
            accumulate=settings.accumulate,
            compiled=settings.compiled,
        )
    if accelerator.is_main_process:
        save_weights(folder / f"{name}.safetensors", model, name, recipe, train_set.class_names)
        write_atomically(folder / f"{name}.predictions.safetensors", safetensors.torch.save(predictions))
        write_atomically(folder / f"{name}.history.json", json.dumps(history, indent=1).encode())
    accelerator.wait_for_everyone()
    return model, history, predictions


def _fit_in_processes(name: str, settings: Settings, folder: Path) -> None:
    """Start `python -m tasnlib.runs train` several times. This process holds the folder's lock for them."""
    launcher = f"-m torch.distributed.run --standalone --nproc-per-node {settings.num_processes} -m tasnlib.runs train"
    command = [sys.executable, *launcher.split(), str(folder), name, *settings.valid_anywhere().as_parameters()]
    parent = {**os.environ, PARENT: str(os.getpid())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=parent) as process:
        lines = []
        try:
            for line in process.stdout or ():
                lines.append(line)
                if line.startswith("epoch"):
                    print(line, end="", flush=True)
        except BaseException:  # an interrupted notebook keeps running, but its training must stop
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise RuntimeError(f"one of {settings.num_processes} processes failed:\n{''.join(lines[-40:])}")
