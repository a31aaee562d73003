"""The whole course headless, then as pages with an index: `python -m tasnlib.course.pipeline [--profile laptop]`

Runs the notebooks in order and stops at the first error. A finished notebook is not run again, unless something that
it depends on has changed: its source, the parameters, the networks it names, this library's code, versions, the device.

A notebook that is running, or that failed, is NAME.unfinished.ipynb; only a finished one is called NAME.ipynb.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from datetime import datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import papermill
import torch
from nbformat import NotebookNode

from tasnlib.course.headless import PAPERMILL
from tasnlib.course.notebook_errors import cell_reached, find_error
from tasnlib.course.site import write_pages
from tasnlib.data.files import write_atomically
from tasnlib.runs.run_folder import as_typed, project_folder
from tasnlib.runs.settings import check_names

PROFILES = ("smoke", "laptop", "gpu")
# By notebook number. Others get no parameters.
PARAMETERS: dict[str, dict[str, dict[str, Any]]] = {
    "05": {
        "smoke": {"recipe": "smoke"},
        "laptop": {"recipe": "laptop"},
        "gpu": {"recipe": "modern", "precision": "bfloat16"},  # drawn birds of 512 px
    },
    "06": {profile: {"profile": profile} for profile in PROFILES},
}
TRAINS = ("05",)  # these also get an output folder, and resume a stopped training run
RECORD = "tasn_pipeline"  # key in an executed notebook's metadata: how it was run
LIBRARY = Path(__file__).parent.parent


def run_pipeline(notebooks: Path, folder: Path, profile: str = "laptop", again: bool = False) -> Path:
    """Run every notebook whose name begins with a digit, in order, and write pages of them. Returns the index's path.

    Args:
        notebooks: the folder they lie in; each runs there.
        folder: for the executed notebooks and their pages.
        profile: one of PROFILES.
        again: forget what is finished, training runs included.

    Raises ValueError, before anything has run, for an unknown profile, gpu without a GPU, a folder without notebooks,
    or a parameter that a notebook does not have; RuntimeError at the first error, saying where and which."""
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}")
    if profile == "gpu" and not torch.cuda.is_available():
        raise ValueError("profile is 'gpu', but torch finds no GPU here; it must be laptop or smoke")
    paths = sorted(notebooks.resolve().glob("[0-9]*.ipynb"))
    if not paths:
        raise ValueError(f"there are no notebooks in {notebooks}; their names must begin with a digit")
    parameters = {path: parameters_for(path, profile) for path in paths}
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if again:
        for old in [*folder.glob("[0-9]*.ipynb"), *folder.glob("*-training-*")]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for path in paths:
        _run_or_keep(path, folder, parameters[path])
    executed = {path.stem: nbformat.read(folder / path.name, as_version=4) for path in paths}
    beside = {stem: _index_cell(notebook) for stem, notebook in executed.items()}
    return write_pages(executed, folder, f"TASN, the whole course run at size {profile}", beside, {})


def parameters_for(notebook: Path, profile: str) -> dict[str, Any]:
    """A notebook's parameters in a profile; none for a notebook that has no parameters."""
    parameters = PARAMETERS.get(notebook.name[:2], {}).get(profile, {})
    known = list(papermill.inspect_notebook(str(notebook))) if parameters else []
    if not known:
        return {}
    check_names(parameters, known)
    return parameters


def key_of(notebook: Path, parameters: dict[str, Any], library: Path = LIBRARY) -> str:
    """A hash of everything that a notebook's result depends on. Its committed outputs do not count."""
    cells = nbformat.read(notebook, as_version=4).cells
    source = [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in cells]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    kept = sorted(path for path in notebook.parent.rglob("*") if path.suffix in (".safetensors", ".json"))
    # Named as saved_run/tasn.safetensors, or by the folder alone.
    read = [one for one in kept if one.name in code or (one.parent != notebook.parent and one.parent.name in code)]
    files = [
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in (*library.rglob("*.py"), *library.rglob("*.js"), *read)
    ]
    everything = json.dumps([source, parameters, sorted(files), _machine()], sort_keys=True)
    return hashlib.sha256(everything.encode()).hexdigest()[:16]


def _machine() -> dict[str, str]:
    """The device, and the packages that decide the numbers."""
    packages = ("tasnlib", "torch", "torchvision", "accelerate", "numpy", "pillow", "matplotlib", "papermill")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    return {"device": device, "python": platform.python_version(), **{name: version(name) for name in packages}}


def _run_or_keep(path: Path, folder: Path, parameters: dict[str, Any]) -> None:
    """Run a notebook, unless it is there with the same key."""
    key = key_of(path, parameters)
    executed, unfinished = folder / path.name, folder / f"{path.stem}.unfinished.ipynb"
    with contextlib.suppress(OSError, ValueError):  # not there, or cut off
        notebook = nbformat.read(executed, as_version=4)
        record = notebook.metadata.get(RECORD, {})
        if record.get("key") == key and find_error(notebook) is None:
            print(f"{path.stem}: done before, in {record['seconds']:.0f} s", flush=True)
            return
    for outdated in (executed, unfinished, folder / "index.html"):
        outdated.unlink(missing_ok=True)
    given = dict(parameters)
    if parameters and path.name[:2] in TRAINS:
        # Named by the key, so that only the same training run is resumed. Relative: no path of this machine.
        given["output_folder"] = os.path.relpath(folder / f"{path.stem}-training-{key}", path.parent)
        given["resume"] = True
    print(f"{path.stem}: running ... ", end="", flush=True)
    begun = time.monotonic()
    notebook = _execute(path, unfinished, given)
    seconds = round(time.monotonic() - begun, 1)
    record = {"key": key, "seconds": seconds, "parameters": parameters, "machine": _machine()}
    notebook.metadata[RECORD] = record | {"finished": f"{datetime.now():%Y-%m-%d %H:%M}"}
    write_atomically(executed, nbformat.writes(notebook).encode())
    unfinished.unlink()
    print(f"{seconds:.0f} s", flush=True)


def _execute(path: Path, unfinished: Path, parameters: dict[str, Any]) -> NotebookNode:
    bar = {"desc": path.stem, "leave": False, "file": sys.stdout} if sys.stdout.isatty() else False
    quiet = ["--log-level=ERROR"]  # or the kernel's warnings stand among the lines of progress
    options = {"cwd": str(path.parent), "progress_bar": bar, "extra_arguments": quiet, **PAPERMILL}
    try:
        notebook = papermill.execute_notebook(str(path), str(unfinished), parameters, **options)
        error = find_error(notebook)
    except Exception as reason:  # papermill's, or a kernel that died or never started
        if not unfinished.is_file():
            raise
        notebook = nbformat.read(unfinished, as_version=4)
        known = isinstance(reason, papermill.PapermillExecutionError)
        what = f"{type(reason).__name__}: {(str(reason).strip().splitlines() or [''])[-1]}"
        error = (find_error(notebook) if known else None) or cell_reached(notebook, what)
    if error is not None:
        print("stopped", flush=True)
        raise RuntimeError(f"error in {path.name}, {error}\nexecuted up to there: {as_typed(unfinished)}")
    return notebook


def _index_cell(notebook: NotebookNode) -> str:
    """For the index: when and how long a notebook ran, its parameters, the machine, and a training run's accuracies."""
    record = notebook.metadata[RECORD]
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    lines = [f"{record['finished']}, {record['seconds']:.0f} s"]
    lines += [f"{name} = {value}" for name, value in record["parameters"].items()]
    if (last := printed.rstrip().rpartition("\n")[2]).startswith('{"'):  # a result in JSON
        accuracy = json.loads(last).get("accuracy", {})
        lines += [f"{name}: {100 * share:.1f} %" for name, share in accuracy.items() if share is not None]
    versions = "<br>".join(f"{name} {escape(value)}" for name, value in record["machine"].items())
    text = "<br>".join(map(escape, lines))
    return f"<td>{text}<details><summary>run with</summary>{versions}</details></td>"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="laptop", help=f"{', '.join(PROFILES)}; default: laptop")
    parser.add_argument("--folder", type=Path, help="default: runs/pipeline-PROFILE")
    parser.add_argument("--notebooks", type=Path, help="default: the course's")
    parser.add_argument("--again", action="store_true", help="run everything from scratch, training runs included")
    given = parser.parse_args(arguments)
    folder = given.folder or project_folder() / "runs" / f"pipeline-{given.profile}"
    try:
        notebooks = given.notebooks or project_folder() / "notebooks"
        print(f"pages: {as_typed(run_pipeline(notebooks, folder, given.profile, given.again))}")
        return 0
    except (ValueError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    except RuntimeError as reason:
        print(f"{reason}\nOnce it is fixed, the same command continues with this notebook.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        message = f"stopped; finished notebooks are in {as_typed(folder)}, and the same command continues from there"
        print(f"\n{message}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
