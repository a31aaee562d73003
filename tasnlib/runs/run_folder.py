"""The folder of a run: where it lies, and that what is in it is never mixed with another run.

It holds settings.json and data.json (what it was trained on), for each model NAME.safetensors (its weights) and
NAME.training.safetensors (what `resume` needs), and at the end result.json and by_class.json.
"""

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tasnlib.data.files import damaged, expanded, read_json, write_atomically
from tasnlib.runs.load_data import Data
from tasnlib.runs.run_lock import alone_in
from tasnlib.runs.settings import Settings

_MARK = "notebooks/05_train_full.ipynb"


def project_folder() -> Path:
    """The folder above the current one that holds this project; the current one where there is none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / _MARK).is_file()), here)


def saved_run() -> Path:
    """The folder of the small trained run that comes with the course, from wherever in the project it is asked for.

    >>> sorted(file.name for file in saved_run().glob("*.safetensors"))
    ['epochs.safetensors', 'tasn.safetensors']
    """
    return project_folder() / "notebooks" / "saved_run"


def in_project() -> bool:
    """Was this started inside the project?"""
    return (project_folder() / _MARK).is_file()


def as_typed(path: Path) -> str:
    """A path as one would type it: relative to the project where it lies inside."""
    path, project = path.resolve(), project_folder().resolve()
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


def this_python() -> str:
    """The running Python, as one would type it in the project's folder."""
    running, own = Path(sys.executable), project_folder() / ".venv"
    if running.is_relative_to(own):
        return str(running.relative_to(project_folder()))
    return "python" if shutil.which("python") == str(running) else str(running)


def prepare_folder(settings: Settings) -> Path:
    """Make the output folder and note the settings in it; or, to resume, make sure that they are those noted in it.

    Raises:
        ValueError: where the folder already holds weights and `resume` is off: they are never overwritten. Where it
            holds a run of other settings and `resume` is on. Where another process trains in it.
        OSError: where the folder cannot be written.
    """
    folder = expanded(settings.output_folder, "output_folder") if settings.output_folder else _new_folder(settings)
    noted = folder / "settings.json"
    with alone_in(folder):
        if any(folder.glob("*.safetensors")):
            if not settings.resume:
                raise ValueError(
                    f"output_folder is {str(folder)!r}, which already holds a run; pass resume=True (-p resume "
                    "True) to continue it, "
                    "or name another folder"
                )
            if noted.is_file():
                same_settings(folder, settings)
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


def same_settings(folder: Path, settings: Settings) -> None:
    """Make sure that a run computes what the settings in its folder say, if there are any."""
    noted = folder / "settings.json"
    if noted.is_file():
        # Where the first weights lay does not matter any more, and they may be gone.
        _same_run(noted_settings(noted, resume=False, weights=settings.weights), settings, folder)


def noted_settings(noted: Path, **changes: Any) -> Settings:
    """The settings that a run wrote down, with changes.

    Raises:
        ValueError: naming the file, where it is damaged.
    """
    known = {**read_json(noted), **changes}
    try:
        return Settings(**known)
    except TypeError as reason:  # of a name that is no setting's
        raise damaged(noted, reason) from reason
    except ValueError as reason:
        raise ValueError(f"{noted} holds a setting that cannot be: {reason}") from reason


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


_KINDS = {"class_names": list, "train": dict, "test": dict}


def same_data(folder: Path, data: tuple[Data, Data]) -> None:
    """Note which images and classes a run is of; or, where that is noted, make sure that they are the same."""
    noted = folder / "data.json"
    found: dict[str, Any] = {split: described(images) for split, images in zip(("train", "test"), data, strict=True)}
    found["class_names"] = data[0].class_names
    if not noted.is_file():
        write_atomically(noted, json.dumps(found, indent=1, ensure_ascii=False).encode())
        return
    before = read_json(noted)
    if missing := next((name for name, kind in _KINDS.items() if not isinstance(before.get(name), kind)), None):
        raise damaged(noted, f"{missing} is {before.get(missing)!r}")
    if before["class_names"] != found["class_names"]:
        was, now = ({*map(str, one["class_names"])} for one in (before, found))
        raise ValueError(
            f"the run in {str(folder)!r} was begun with {len(before['class_names'])} classes, this data has "
            f"{len(found['class_names'])} (only then: {sorted(was - now)[:5]}, only now: {sorted(now - was)[:5]}); "
            "name the data_folder it was begun with, or another output_folder"
        )
    for split in ("train", "test"):
        if before[split].get("hash") != found[split]["hash"]:
            raise ValueError(
                f"the {split} images are not those that the run in {str(folder)!r} was begun with "
                f"({before[split].get('images')} images then, {found[split]['images']} now, and other bytes); name the "
                "data_folder it was begun with, or another output_folder"
            )


def described(images: Data) -> dict[str, Any]:
    """What is kept of a data set, so that another one is recognised."""
    unreadable = len(getattr(images, "unreadable", ()))
    return {"images": len(images), "classes": images.classes, "unreadable": unreadable, "hash": images.data_hash}
