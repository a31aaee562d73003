"""One run from settings to result: data, TASN and its controls trained, everything kept in one folder (`run_folder`).

Several processes: `python -m torch.distributed.run --nproc-per-node 2 -m tasnlib.experiment FOLDER tasn`, or
`accelerate launch -m tasnlib.experiment FOLDER tasn` on several machines, does what `train` does, in a folder that
`prepare_folder` made. `train` itself starts the former where the settings ask for several processes.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from accelerate.utils import set_seed
from torch import nn

from tasnlib import datasets
from tasnlib.building import build_model
from tasnlib.checkpoints import epochs_done, load_model, save_weights
from tasnlib.datasets import Data, workers_for
from tasnlib.devices import leave_processes, make_accelerator
from tasnlib.evaluation import accuracies, evaluate
from tasnlib.files import write_atomically
from tasnlib.results import Trained
from tasnlib.run_folder import in_project, project_folder, same_data
from tasnlib.settings import Settings
from tasnlib.training import fit

NAMES = ("tasn", "downsampled", "downsampled_aliased")


def load_data(settings: Settings) -> tuple[Data, Data]:
    """Training and test images, see `datasets.load_data`; from datasets/ in the project where no folder is named.

    Raises:
        ValueError: as `datasets.load_data`; where no folder is named and this is not inside the project.
    """
    if settings.data_folder is None and not in_project():
        raise ValueError(
            "data_folder is None, which means datasets/ in the project, but this was started outside of the project; "
            "start it inside, or name a data_folder (and an output_folder)"
        )
    return datasets.load_data(settings, project_folder() / "datasets")


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
        RuntimeError: where one of several processes failed.
    """
    weights_path = folder / f"{name}.safetensors"
    same_data(folder, data)
    if settings.resume:
        print(_resumed(folder / f"{name}.training.safetensors", name), flush=True)
    if settings.num_processes == 1:
        model, history = _fit(name, settings, folder, data)
    else:
        _fit_in_processes(name, settings, folder)
        model, _ = load_model(weights_path)
        history = json.loads((folder / f"{name}.history.json").read_text())
    test, batch_size = data[1], settings.resolved_recipe.batch_size
    answers = evaluate(model, test, batch_size, make_accelerator(settings.precision), workers_for(settings))
    return Trained(model, history, answers, accuracies(answers, test.labels), weights_path)


def _resumed(state: Path, name: str) -> str:
    done = epochs_done(state) if state.is_file() else 0
    return f"{name}: continuing after epoch {done}" if done else f"{name}: nothing to continue, starting at epoch 1"


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
    command = [*launcher, "-m", "tasnlib.experiment", str(folder), name]
    parent = {**os.environ, _PARENT: str(os.getpid())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=parent) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("epoch"):
                print(line, end="", flush=True)
    if process.returncode:
        raise RuntimeError(f"one of {settings.num_processes} processes failed:\n{''.join(lines[-40:])}")


_PARENT = "TASN_PARENT_PROCESS"


def _end_with(parent: int) -> None:
    """End this process soon after that one is gone: a killed notebook must not leave processes on the GPUs."""

    watched = psutil.Process(parent)

    def watch() -> None:
        # A killed process may stay in the list, as a zombie, until whoever started it asks for it.
        while watched.is_running() and watched.status() != psutil.STATUS_ZOMBIE:
            time.sleep(2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path, name: str) -> None:
    """What each of several processes runs."""
    if _PARENT in os.environ:
        _end_with(int(os.environ[_PARENT]))
    settings = Settings(**json.loads((folder / "settings.json").read_text()))
    # One process of each machine draws or inspects the images; the others find what it kept.
    with make_accelerator(settings.precision).local_main_process_first():
        data = load_data(settings)
    _fit(name, settings, folder, data)
    leave_processes()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
