"""The whole course headless, with one report at its end: `python -m tasnlib.course.pipeline [--profile laptop]`

Runs the notebooks in order and stops at the first error. What is finished is not run again, unless something that it
depends on has changed: its own source, the parameters, the trained networks beside it that it names, this library's
code, the versions of the packages, the device.

A notebook that is running, or that failed, is NAME.unfinished.ipynb; only a whole one is called NAME.ipynb.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import papermill
import torch
from nbformat import NotebookNode

from tasnlib.course.headless import CLIENT
from tasnlib.course.notebook_errors import CellError, cell_reached, find_error
from tasnlib.course.report import RECORD, in_words, write_report
from tasnlib.data.files import write_atomically
from tasnlib.runs.run_folder import as_typed, project_folder
from tasnlib.runs.settings import check_names

PROFILES = ("smoke", "laptop", "gpu")

# By the notebook's number. A notebook that is not named here, or has no parameters, gets none.
PARAMETERS: dict[str, dict[str, dict[str, Any]]] = {
    "05": {
        "smoke": {"recipe": "smoke"},
        "laptop": {"recipe": "laptop"},
        "gpu": {"recipe": "modern", "precision": "bfloat16"},  # drawn birds of 512 px
    },
    "06": {profile: {"profile": profile} for profile in PROFILES},
}
TRAINS = ("05",)  # these also get an output folder, and continue a training that was stopped

_RECORDED = ("tasnlib", "torch", "torchvision", "accelerate", "numpy", "pillow", "matplotlib", "papermill")
_LIBRARY = Path(__file__).parent.parent


class NotebookFailed(Exception):
    """A notebook ended in an error; says where and what."""

    def __init__(self, notebook: Path, unfinished: Path, error: CellError):
        super().__init__(f"error in {notebook.name}, {error}\nas far as it got: {as_typed(unfinished)}")
        self.error = error


def run_pipeline(
    notebooks: Path, folder: Path, profile: str = "laptop", again: bool = False, library: Path = _LIBRARY
) -> Path:
    """Run every notebook whose name begins with a digit, in order, and write report.html.

    Args:
        notebooks: the folder they lie in; each runs there.
        folder: for the executed notebooks and the report.
        profile: one of PROFILES.
        again: forget what is finished, trainings included.
        library: the folder whose Python files the notebooks depend on.

    Returns:
        The report's path.

    Raises:
        ValueError: for an unknown profile, gpu without a GPU, a folder without notebooks, a parameter that a notebook
            does not have. Nothing has been run then.
        NotebookFailed: at the first error.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}")
    if profile == "gpu" and not torch.cuda.is_available():
        raise ValueError("profile is 'gpu', but torch finds no GPU here; it must be laptop or smoke")
    notebooks, folder = notebooks.resolve(), folder.resolve()
    paths = sorted(notebooks.glob("[0-9]*.ipynb"))
    if not paths:
        raise ValueError(f"there are no notebooks in {notebooks}; their names must begin with a digit")
    parameters = {path: parameters_for(path, profile) for path in paths}
    folder.mkdir(parents=True, exist_ok=True)
    if again:
        _forget(paths, folder)
    width = max(len(_label(path)) for path in paths)
    for path in paths:
        _run_or_keep(path, folder, profile, parameters[path], library, _label(path).ljust(width))
    report = folder / "report.html"
    write_report([folder / path.name for path in paths], report, profile)
    return report


def parameters_for(notebook: Path, profile: str) -> dict[str, Any]:
    """A notebook's parameters in a profile; none for a notebook that has no parameters.

    Raises:
        ValueError: where the notebook has parameters, but not these.
    """
    wanted = PARAMETERS.get(notebook.name[:2], {}).get(profile, {})
    known = list(papermill.inspect_notebook(str(notebook))) if wanted else []
    if not known:
        return {}
    check_names(wanted, known)
    return wanted


def key_of(notebook: Path, parameters: dict[str, Any], library: Path = _LIBRARY) -> str:
    """All that a notebook's result depends on, as one short text. The outputs it was committed with do not count."""
    cells = nbformat.read(notebook, as_version=4).cells
    source = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in cells]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    kept = sorted(path for path in notebook.parent.rglob("*") if path.suffix in (".safetensors", ".json"))
    # Named as saved_run/tasn.safetensors, or by the folder alone.
    read = [one for one in kept if one.name in code or (one.parent != notebook.parent and one.parent.name in code)]
    modules = sorted(library.rglob("*.py"))
    files = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for root, found in ((library, modules), (notebook.parent, read))
        for path in found
    }
    everything = json.dumps([source, parameters, files, versions(), device()], sort_keys=True)
    return hashlib.sha256(everything.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of Python and of the packages that make the numbers."""
    return {"python": platform.python_version()} | {name: version(name) for name in _RECORDED}


def device() -> str:
    """What computes."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores, {platform.machine()}"


def finished(executed: Path, key: str) -> dict[str, Any] | None:
    """What is on record of a whole notebook with this key, None where there is none."""
    try:
        notebook = nbformat.read(executed, as_version=4)
    except (OSError, ValueError):  # not there, or no notebook
        return None
    record = notebook.metadata.get(RECORD, {})
    return record if record.get("key") == key and find_error(notebook) is None else None


def _label(notebook: Path) -> str:
    number, _, name = notebook.stem.partition("_")
    return f"{number}  {name}"


def _forget(paths: list[Path], folder: Path) -> None:
    for path in paths:
        (folder / path.name).unlink(missing_ok=True)
        for trained in folder.glob(f"{path.stem}-training-*"):
            shutil.rmtree(trained)


def _run_or_keep(path: Path, folder: Path, profile: str, parameters: dict[str, Any], library: Path, label: str) -> None:
    key = key_of(path, parameters, library)
    executed, unfinished = folder / path.name, folder / f"{path.stem}.unfinished.ipynb"
    if record := finished(executed, key):
        print(f"{label}  done before, in {in_words(record['seconds'])}", flush=True)
        return
    for outdated in (executed, unfinished, folder / "report.html"):
        outdated.unlink(missing_ok=True)
    given = dict(parameters)
    if parameters and path.name[:2] in TRAINS:
        # Named by the key, so that only the very same training is continued. Relative: no path of this machine.
        trained = os.path.relpath(folder / f"{path.stem}-training-{key}", path.parent)
        given |= {"output_folder": trained, "resume": True}
    begun = time.monotonic()
    notebook = _execute(path, unfinished, given, label)
    seconds = round(time.monotonic() - begun, 1)
    notebook.metadata[RECORD] = {
        "key": key,
        "profile": profile,
        "parameters": parameters,
        "seconds": seconds,
        "finished": f"{datetime.now():%Y-%m-%d %H:%M}",
        "versions": versions(),
        "device": device(),
    }
    write_atomically(executed, nbformat.writes(notebook).encode())
    unfinished.unlink()
    print(f"{label}  {in_words(seconds)}" if sys.stdout.isatty() else in_words(seconds), flush=True)


def _execute(path: Path, unfinished: Path, parameters: dict[str, Any], label: str) -> NotebookNode:
    """Run one notebook, with a line of progress that is rewritten on a terminal and only begun elsewhere."""
    live = sys.stdout.isatty()
    bar = {"bar_format": label + "  running, {n_fmt} of {total_fmt} cells", "leave": False, "file": sys.stdout}
    if not live:
        print(f"{label}  running ... ", end="", flush=True)
    try:
        notebook = papermill.execute_notebook(
            *(str(path), str(unfinished), parameters),
            **{"cwd": str(path.parent), "progress_bar": bar if live else False, "autosave_cell_every": 30},
            extra_arguments=["--log-level=ERROR"],  # or the kernel's warnings stand among the lines of progress
            **CLIENT,
        )
        error = find_error(notebook)
    except Exception as reason:  # papermill's own, a kernel that died or never started
        if not unfinished.is_file():
            raise
        notebook = nbformat.read(unfinished, as_version=4)
        known = isinstance(reason, papermill.PapermillExecutionError)
        last_line = (str(reason).strip().splitlines() or [""])[-1]
        error = (find_error(notebook) if known else None) or cell_reached(
            notebook, f"{type(reason).__name__}: {last_line}"
        )
    if error is not None:
        print(f"{label}  stopped" if live else "stopped", flush=True)
        raise NotebookFailed(path, unfinished, error)
    return notebook


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="laptop", help=f"{', '.join(PROFILES)}; default: laptop")
    parser.add_argument("--folder", type=Path, help="default: runs/pipeline-PROFILE")
    parser.add_argument("--notebooks", type=Path, help="default: the course's")
    parser.add_argument("--again", action="store_true", help="run everything anew, trainings included")
    given = parser.parse_args(arguments)
    project = project_folder()
    folder = given.folder or project / "runs" / f"pipeline-{given.profile}"
    try:
        report = run_pipeline(given.notebooks or project / "notebooks", folder, given.profile, given.again)
    except (ValueError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    except NotebookFailed as reason:
        print(f"{reason}\nOnce it is mended, the same command continues with this notebook.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\nstopped; what is finished is kept in {as_typed(folder)}, "
            "and the same command (without --again) continues with this notebook",
            file=sys.stderr,
        )
        return 130
    print(f"report: {as_typed(report)} ({report.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
