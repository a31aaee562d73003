"""One run from settings to result: data, TASN and its controls trained, everything kept in one folder.

The folder holds settings.json and data.json (what it was trained on), for each model NAME.safetensors (its weights)
and NAME.training.safetensors (what `resume` needs), and at the end result.json and by_class.json.

Several processes: `python -m torch.distributed.run --nproc-per-node 2 -m tasnlib.experiment FOLDER tasn`, or
`accelerate launch -m tasnlib.experiment FOLDER tasn` on several machines, does what `train` does, in a folder that
`prepare_folder` made. `train` itself starts the former where the settings ask for several processes.
"""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate.utils import set_seed
from jaxtyping import Int
from torch import Tensor, nn

from tasnlib import datasets
from tasnlib.building import build_model
from tasnlib.checkpoints import epochs_done, load_model, save_weights
from tasnlib.datasets import Data, workers_for
from tasnlib.devices import leave_processes, make_accelerator
from tasnlib.evaluation import KEPT, accuracies, accuracies_by_class, evaluate
from tasnlib.files import write_atomically
from tasnlib.settings import Settings
from tasnlib.training import fit

NAMES = ("tasn", "downsampled", "downsampled_aliased")


@dataclass
class Trained:
    """A trained model and what it did."""

    model: nn.Module
    history: list[dict[str, Any]]  # see `training.fit`
    answers: dict[str, Int[Tensor, "images kept"]]  # to the test images, see `evaluation.evaluate`
    accuracy: dict[str, float]
    weights_path: Path


_MARK = "notebooks/05_train_full.ipynb"


def project_folder() -> Path:
    """The folder above the current one that holds this project; the current one where there is none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / _MARK).is_file()), here)


def readable(path: Path) -> str:
    """A path as one would type it: relative to the project where it lies inside."""
    path, project = path.resolve(), project_folder().resolve()
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


def prepare_folder(settings: Settings) -> Path:
    """Make the output folder and note the settings in it; or, to resume, make sure that they are those noted in it.

    Raises:
        ValueError: where the folder already holds weights and `resume` is off: they are never overwritten. Where it
            holds a run of other settings and `resume` is on.
    """
    folder = Path(settings.output_folder).expanduser() if settings.output_folder else _new_folder(settings)
    noted = folder / "settings.json"
    if any(folder.glob("*.safetensors")):
        if not settings.resume:
            raise ValueError(
                f"output_folder is {str(folder)!r}, which already holds a run; pass resume=True to continue it, "
                "or name another folder"
            )
        if noted.is_file():
            # Where the first weights lay does not matter any more, and they may be gone.
            before = {**json.loads(noted.read_text()), "resume": False, "weights": settings.weights}
            _same_run(Settings(**before), settings, folder)
            return folder
    write_atomically(noted, json.dumps({**settings.as_dict(), "output_folder": str(folder)}, indent=1).encode())
    return folder


def _new_folder(settings: Settings) -> Path:
    """A folder that nobody else has, named after the time."""
    name = f"{settings.dataset}-{settings.recipe}-seed{settings.seed}-{datetime.now():%Y%m%d-%H%M%S}"
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        folder = project_folder() / "runs" / (name + suffix)
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise ValueError(f"runs/ already holds a thousand runs named {name}")


def _same_run(before: Settings, now: Settings, folder: Path) -> None:
    """Where it runs may differ from what was begun, what it computes may not."""
    was, wanted = (
        {"recipe": one.recipe, "dataset": one.dataset, "seed": one.seed, "precision": one.precision}
        | vars(one.resolved_recipe)
        for one in (before, now)
    )
    for name, value in wanted.items():
        if was[name] != value and name not in ("name", "weights"):  # the first weights were read long ago
            raise ValueError(f"{name} is {value!r}, but the run in {str(folder)!r} was begun with {was[name]!r}")


def _same_data(folder: Path, data: tuple[Data, Data]) -> None:
    """Note which images and classes a run is of; or, where that is noted, make sure that they are the same."""
    noted = folder / "data.json"
    found = {split: _described(images) for split, images in zip(("train", "test"), data, strict=True)}
    found["class_names"] = data[0].class_names
    if not noted.is_file():
        write_atomically(noted, json.dumps(found, indent=1, ensure_ascii=False).encode())
        return
    before = json.loads(noted.read_text())
    if before["class_names"] != found["class_names"]:
        was, now = ({*one["class_names"]} for one in (before, found))
        raise ValueError(
            f"the run in {str(folder)!r} was begun with {len(before['class_names'])} classes, this data has "
            f"{len(found['class_names'])} (only then: {sorted(was - now)[:5]}, only now: {sorted(now - was)[:5]}); "
            "name the data_folder it was begun with, or another output_folder"
        )
    for split in ("train", "test"):
        if before[split]["hash"] != found[split]["hash"]:
            raise ValueError(
                f"the {split} images are not those that the run in {str(folder)!r} was begun with "
                f"({before[split]['images']} images then, {found[split]['images']} now, and other bytes); name the "
                "data_folder it was begun with, or another output_folder"
            )


def load_data(settings: Settings) -> tuple[Data, Data]:
    """Training and test images, see `datasets.load_data`; from datasets/ in the project where no folder is named.

    Raises:
        ValueError: as `datasets.load_data`; where no folder is named and this is not inside the project.
    """
    if settings.data_folder is None and not (project_folder() / _MARK).is_file():
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
    _same_data(folder, data)
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


NETS = ("master", "part", "attention", "downsampled", "downsampled_aliased")


def summarise(settings: Settings, trained: dict[str, Trained], data: tuple[Data, Data]) -> dict[str, Any]:
    """The result of a run, as printed last by notebook 05 and kept as result.json.

    Accuracies are shares of all test images, from 0 to 1, None for what was not run. A test image that cannot be read
    counts as wrong.
    """
    tasn, (train_set, test_set) = trained["tasn"], data
    found = {name: share for one in trained.values() for name, share in one.accuracy.items()}
    best = {name: answer for one in trained.values() for name, answer in one.answers.items()}
    seconds = sum(entry["seconds"] for entry in tasn.history)
    speed = sum(entry["images_per_second"] * entry["seconds"] for entry in tasn.history) / seconds
    return {
        "dataset": settings.dataset,
        "recipe": settings.recipe,
        "seed": settings.seed,
        "epochs": len(tasn.history),
        "seconds": round(seconds, 1),
        "images_per_second": round(speed, 1),
        "checkpoint": readable(tasn.weights_path),
        "test_images": len(test_set),
        "accuracy": {**{name: found.get(name) for name in NETS}, "chance": 1 / test_set.classes},
        "other_accuracy": {
            name: share for name, share in found.items() if name not in NETS
        },  # averages, own classifiers
        "top5": accuracies(best, test_set.labels, KEPT) if test_set.classes > KEPT else None,
        "data": {split: _described(images) for split, images in (("train", train_set), ("test", test_set))},
        "recipe_values": asdict(settings.resolved_recipe),
        "precision": settings.precision,
        "num_processes": settings.num_processes,
        "device": _device_name(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _RECORDED},
    }


_RECORDED = ("tasnlib", "torch", "torchvision", "accelerate", "pillow", "numpy")


def _described(images: Data) -> dict[str, Any]:
    unreadable = len(getattr(images, "unreadable", ()))
    return {"images": len(images), "classes": images.classes, "unreadable": unreadable, "hash": images.data_hash}


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def keep_result(folder: Path, result: dict[str, Any], trained: dict[str, Trained], test_set: Data) -> None:
    """Write result.json and by_class.json, the share of right answers in each class by net, beside the checkpoints."""
    by_class = {
        name: accuracies_by_class(answer, test_set.labels, test_set.class_names)
        for one in trained.values()
        for name, answer in one.answers.items()
    }
    write_atomically(folder / "by_class.json", json.dumps(by_class, indent=1, ensure_ascii=False).encode())
    write_atomically(folder / "result.json", (json.dumps(result) + "\n").encode())


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
