"""One run from settings to result: data, TASN and its controls trained, everything kept in one folder.

The folder holds settings.json, for each model NAME.safetensors (its weights) and NAME.training.safetensors (what
`resume` needs), and at the end result.json and by_class.json.

Several processes: `python -m torch.distributed.run --nproc-per-node 2 -m tasnlib.experiment FOLDER tasn`, or
`accelerate launch -m tasnlib.experiment FOLDER tasn` on several machines, does what `train` does, in a folder that
`prepare_folder` made. `train` itself starts the former where the settings ask for several processes.
"""

import json
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from jaxtyping import Int
from torch import Tensor, nn

from tasnlib import datasets
from tasnlib.building import build_model
from tasnlib.checkpoints import load_model, save_weights
from tasnlib.datasets import Data, workers_for
from tasnlib.devices import make_accelerator
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


def project_folder() -> Path:
    """The folder above the current one that holds this project; the current one where there is none."""
    here = Path.cwd()
    return next(
        (folder for folder in (here, *here.parents) if (folder / "notebooks/05_train_full.ipynb").is_file()), here
    )


def readable(path: Path) -> str:
    """A path as one would type it: relative to the project where it lies inside."""
    path, project = path.resolve(), project_folder().resolve()
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


def prepare_folder(settings: Settings) -> Path:
    """Make the output folder and note the settings in it; or, to resume, make sure that they are those noted in it.

    Raises:
        ValueError: where the folder already holds a run and `resume` is off: nothing is ever overwritten. Where it
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
            _same_run(Settings(**{**json.loads(noted.read_text()), "resume": False}), settings, folder)
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
    was, wanted = ({**vars(one.resolved_recipe), "dataset": one.dataset, "seed": one.seed} for one in (before, now))
    for name, value in wanted.items():
        if was[name] != value:
            raise ValueError(f"{name} is {value!r}, but the run in {str(folder)!r} was begun with {was[name]!r}")


def load_data(settings: Settings) -> tuple[Data, Data]:
    """Training and test images, see `datasets.load_data`; from datasets/ in the project where no folder is named."""
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
    if settings.num_processes == 1:
        model, history = _fit(name, settings, folder, data)
    else:
        _fit_in_processes(name, settings, folder)
        model, _ = load_model(weights_path)
        history = json.loads((folder / f"{name}.history.json").read_text())
    test, batch_size = data[1], settings.resolved_recipe.batch_size
    answers = evaluate(model, test, batch_size, make_accelerator(settings.precision), workers_for(settings))
    return Trained(model, history, answers, accuracies(answers, test.labels), weights_path)


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
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("epoch"):
                print(line, end="", flush=True)
    if process.returncode:
        raise RuntimeError(f"one of {settings.num_processes} processes failed:\n{''.join(lines[-40:])}")


NETS = ("master", "part", "attention", "master+part", "master+part+attention", "downsampled", "downsampled_aliased")


def summarise(settings: Settings, trained: dict[str, Trained], data: tuple[Data, Data]) -> dict[str, Any]:
    """The result of a run, as printed last by notebook 05 and kept as result.json.

    Accuracies are shares of all test images, from 0 to 1, None for what was not run. A test image that cannot be read
    counts as wrong.
    """
    tasn, (train_set, test_set) = trained["tasn"], data
    found = {name: share for one in trained.values() for name, share in one.accuracy.items()}
    names = [*NETS, *(name for name in found if name not in NETS)]
    best = {name: answer for one in trained.values() for name, answer in one.answers.items()}
    top = min(KEPT, test_set.classes)
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
        "accuracy": {**{name: found.get(name) for name in names}, "chance": 1 / test_set.classes},
        "top5": accuracies(best, test_set.labels, top),  # with fewer classes, top of all of them
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


def main(folder: Path, name: str) -> None:
    """What each of several processes runs."""
    settings = Settings(**json.loads((folder / "settings.json").read_text()))
    # One process of each machine draws or inspects the images; the others find what it kept.
    with make_accelerator(settings.precision).local_main_process_first():
        data = load_data(settings)
    _fit(name, settings, folder, data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
