"""The folder of a run: where it is, and how two runs are kept apart.

It holds settings.json, data.json (what was trained on), result.json and by_class.json; for each model its weights,
NAME.safetensors, and NAME.training.safetensors (to resume), .history.json, .predictions.safetensors.
"""

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasnlib.data.birds import Birds
from tasnlib.data.files import cannot_write, damaged, read_json, write_atomically
from tasnlib.data.photographs import ImageFiles
from tasnlib.runs.settings import Settings
from tasnlib.training.devices import require_tracker

NOTEBOOK = Path("notebooks", "05_train_full.ipynb")


def project_folder() -> Path:
    """The parent folder that holds this project; the current folder if there is none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / NOTEBOOK).is_file()), here)


def course_folder() -> Path:
    """The folder notebooks/ of this project, or of the installed package. Raises FileNotFoundError without either."""
    package = Path(__file__).parents[1]
    for folder in (project_folder(), package.parent, package):
        if (folder / NOTEBOOK.parent / "saved_run").is_dir():
            return folder / NOTEBOOK.parent
    raise FileNotFoundError(f"{package} was installed without the saved runs; start this inside a checkout of it")


def saved_run() -> Path:
    """The folder of the small trained run that comes with the course."""
    return course_folder() / "saved_run"


def as_typed(path: Path) -> str:
    """A path as one would type it: relative to the project if it is inside."""
    path, project = path.resolve(), project_folder().resolve()
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against all other processes, creating it if missing; this process may lock it twice. Raises
    ValueError, naming the other process and its machine; OSError if the folder cannot be written."""
    path, holder = folder.resolve() / ".lock", folder / ".holder"
    lock = FileLock(path, timeout=0, is_singleton=True, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
        remedy = "Wait until it ends, stop it, or name another output_folder"
        raise ValueError(f"{folder} is in use: {who} trains there. {remedy}") from None
    except OSError as reason:
        if reason.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):  # of some network disks
            raise cannot_write(path, reason, 0) from reason
        print(f"{folder} cannot be locked ({reason.strerror}): make sure that no other run uses it", flush=True)
    try:
        write_atomically(holder, f"process {os.getpid()} on {socket.gethostname()}".encode())
        for unfinished in folder.glob(".*.[0-9]*.part"):  # left by a killed run
            unfinished.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
        if not lock.is_locked:
            with contextlib.suppress(OSError):  # the folder may have become read-only
                holder.unlink(missing_ok=True)


def prepare_folder(settings: Settings) -> Path:
    """Create the output folder and save the settings in it; or, to resume, check them against the saved ones. Raises
    ValueError if the folder is in use, or holds another run; OSError if it cannot be written."""
    require_tracker(settings.track)
    folder = Path(settings.output_folder) if settings.output_folder else _new_folder(settings)
    noted = folder / "settings.json"
    with locked(folder):
        if any(folder.glob("*.safetensors")):
            if not settings.resume:
                how = "pass resume=True (-p resume True) to continue it, or name another folder"
                raise ValueError(f"output_folder is {str(folder)!r}, which already holds a run; {how}")
            if noted.is_file():
                same_settings(folder, settings)
                return folder
        values = replace(settings, output_folder=str(folder)).valid_anywhere()
        write_atomically(noted, json.dumps(asdict(values), indent=1).encode())
        return folder


def _new_folder(settings: Settings) -> Path:
    """A new folder, named after the time."""
    name = f"{settings.dataset}-{settings.recipe}-seed{settings.seed}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, number = project_folder() / "runs" / name, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = folder.with_name(f"{name}-{number}")


def same_settings(folder: Path, settings: Settings) -> None:
    """Raises ValueError if the settings would change the run in this folder. The hardware may differ."""
    noted = folder / "settings.json"
    if not noted.is_file():
        return
    # The path of the initial weights no longer matters, and they may be gone.
    before, now = (
        {"recipe": one.recipe, "dataset": one.dataset, "seed": one.seed, "precision": one.precision}
        | vars(one.resolved_recipe)
        for one in (noted_settings(noted, resume=False, weights=settings.weights), settings)
    )
    for name, value in now.items():
        if before[name] != value and name not in ("name", "weights"):
            raise ValueError(f"{name} is {value!r}, but the run in {str(folder)!r} was begun with {before[name]!r}")


def noted_settings(noted: Path, **changes: Any) -> Settings:
    """The settings that a run saved, with changes. Raises ValueError if the file is damaged."""
    gone = ("cache", "continue_unsaved")  # of earlier runs; they changed no result
    values = {name: value for name, value in {**read_json(noted), **changes}.items() if name not in gone}
    try:
        return Settings.from_values(values)
    except ValueError as reason:
        raise damaged(noted, reason) from reason


def same_data(folder: Path, data: tuple[Birds | ImageFiles, Birds | ImageFiles]) -> None:
    """Save which images and classes a run uses; where they are saved already, raise ValueError if others are."""
    noted = folder / "data.json"
    found: dict[str, Any] = {split: described(images) for split, images in zip(("train", "test"), data, strict=True)}
    found["class_names"] = data[0].class_names
    if not noted.is_file():
        write_atomically(noted, json.dumps(found, indent=1, ensure_ascii=False).encode())
        return
    before = read_json(noted)
    try:
        differing = [f"{one} images" for one in ("train", "test") if before[one]["hash"] != found[one]["hash"]]
        was, now = ([str(name) for name in one["class_names"]] for one in (before, found))
    except (KeyError, TypeError) as reason:
        raise damaged(noted, repr(reason)) from reason
    if was != now:
        changed = f"only then: {sorted({*was} - {*now})[:5]}, only now: {sorted({*now} - {*was})[:5]}"
        differing = [f"classes ({changed}; {len(was)} then, {len(now)} now)"]
    if differing:
        problem = f"the data are not those that the run in {str(folder)!r} was begun with: other"
        raise ValueError(f"{problem} {' and '.join(differing)}; name its data_folder, or another output_folder")


def described(images: Birds | ImageFiles) -> dict[str, Any]:
    """What identifies a data set, to tell it from another one."""
    unreadable = len(getattr(images, "unreadable", ()))
    return {"images": len(images), "classes": images.classes, "unreadable": unreadable, "hash": images.data_hash}
