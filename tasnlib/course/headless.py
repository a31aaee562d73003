"""Run a notebook headlessly: `python -m tasnlib.course.headless NOTEBOOK [OUTPUT] [-p NAME VALUE]...`

Uses papermill with the running Python as kernel. Unknown parameters are rejected before the start, folders named like
numbers stay text, and its last line is the notebook's. `--refresh NOTEBOOK...` executes in place, for committing.
"""

import argparse
import contextlib
import json
import math
import os
import shlex
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from papermill.cli import _resolve_type
from traitlets.config import Config

from tasnlib.data.files import expanded
from tasnlib.runs.run import notebook_command
from tasnlib.runs.run_folder import as_typed, noted_settings, project_folder
from tasnlib.runs.settings import check_names

# What `nbconvert --to script` needs. Without versions, so that a second run changes nothing.
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "nbconvert_exporter": "python"}
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


class ThisPython(AsyncKernelManager):
    """Starts a kernel with the Python that runs this command, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


CLIENT: dict[str, Any] = {
    "kernel_name": "python3",
    "kernel_manager_class": ThisPython,
    "config": Config({"KernelManager": {"transport_encryption": "auto"}}),  # or ipykernel warns at every start
}
PAPERMILL: dict[str, Any] = {"language": "python", "autosave_cell_every": 30, **CLIENT}


class Printed:
    """Echoes what a notebook prints, except a result in JSON, which the command prints at its end."""

    text = ""

    def write(self, text: str) -> None:
        self.text += text
        sys.stdout.write("".join(line for line in text.splitlines(keepends=True) if not line.startswith('{"dataset"')))

    def flush(self) -> None:
        sys.stdout.flush()


def run_notebook(notebook: Path, output: Path, parameters: dict[str, Any]) -> str:
    """Execute a notebook into another file and return the last line it printed. Raises ValueError before the start,
    RuntimeError if the kernel died, papermill's PapermillExecutionError if a cell failed."""
    if output.is_dir() or output.resolve() == notebook.resolve():
        what = "a folder" if output.is_dir() else "the notebook itself"
        raise ValueError(f"the executed notebook would be written to {output}, which is {what}; name another file")
    if output.is_file() and '"papermill": {' not in output.read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{output} exists, and is no output of this command; name another file, or remove it")
    check_names(parameters, list(_declared(notebook)))
    output.parent.mkdir(parents=True, exist_ok=True)
    options = {"progress_bar": False, "stdout_file": (printed := Printed()), **PAPERMILL}
    papermill.execute_notebook(str(notebook), str(output), parameters, **options)
    return printed.text.rstrip().rpartition("\n")[2]


def _declared(notebook: Path) -> dict[str, Any]:
    if not notebook.is_file():
        raise ValueError(f"there is no notebook at {notebook}")
    return papermill.inspect_notebook(str(notebook))


def values_of(notebook: Path, plain: list[list[str]], raw: list[list[str]]) -> dict[str, Any]:
    """Parameters as papermill parses them: numbers, True, False and None. After -r, and where the notebook declares
    text (`run: str = None`, or a default in quotes), they stay text."""
    values: dict[str, Any] = {}
    for name, text in plain:
        known = _declared(notebook).get(name, {"inferred_type_name": "", "default": ""})
        is_text = known["inferred_type_name"] == "str" or known["default"].startswith(('"', "'"))
        values[name] = text if is_text and text != "None" else _resolve_type(text)
    return values | dict(raw)


def executed(notebook: Path, **environment: str) -> NotebookNode:
    """A notebook, executed in its own folder, without times."""
    cells = nbformat.read(notebook, as_version=4)
    place = {"metadata": {"path": str(notebook.parent)}}
    client = NotebookClient(cells, timeout=None, resources=place, record_timing=False, coalesce_streams=True, **CLIENT)
    client.execute(env={**os.environ, **environment})
    return cells


def refresh(notebook: Path) -> None:
    """Execute a notebook and write it back, without versions."""
    cells = executed(notebook)
    cells.metadata |= {"language_info": LANGUAGE, "kernelspec": KERNEL}
    nbformat.write(cells, notebook)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tasnlib.course.headless",
        description="Run a notebook headlessly. The executed notebook is written to OUTPUT.",
    )
    parser.add_argument("--refresh", type=Path, nargs="+", metavar="NOTEBOOK", help="execute these in place instead")
    parser.add_argument("notebook", nargs="?")
    parser.add_argument("output", nargs="?", help="default: runs/NOTEBOOK-TIME.ipynb")
    pairs: dict[str, Any] = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
    parser.add_argument("-p", dest="plain", **pairs, help="a parameter, named in the notebook's cell of parameters")
    parser.add_argument("-r", dest="raw", **pairs, help="the same, but always text, never a number")
    words = sys.argv[1:] if arguments is None else arguments
    for option, word in pairwise(words):
        if option == "-p" and "=" in word:
            parser.error(f"-p takes a name and a value, with a space between: -p {word.replace('=', ' ', 1)}")
    given, unknown = parser.parse_known_args(words)
    if not given.refresh and given.notebook is None:
        parser.error("name a notebook")
    if unknown:
        parser.error(f"unrecognized: {shlex.join(unknown)}; values with spaces need quotes: -p NAME 'TWO WORDS'")
    try:
        for path in given.refresh or ():
            _declared(path)
        for path in given.refresh or ():
            print(f"executing {path}", flush=True)
            refresh(path)
        return 0 if given.refresh else _run(expanded(given.notebook, "NOTEBOOK"), given)
    except (ValueError, OSError, CellExecutionError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2


def _run(notebook: Path, given: argparse.Namespace) -> int:
    parameters, runs = values_of(notebook, given.plain, given.raw), project_folder() / "runs"
    begun = set(runs.glob("*/settings.json"))
    default = runs / f"{notebook.stem}-{datetime.now():%Y%m%d-%H%M%S}.ipynb"
    output = expanded(given.output, "OUTPUT") if given.output else default
    try:
        last = run_notebook(notebook, output, parameters)
        print(f"\nexecuted notebook: {as_typed(output)}")
        _print_result(last)
        return 0
    except KeyboardInterrupt:
        new = [str(noted.parent) for noted in set(runs.glob("*/settings.json")) - begun]
        code, message = 130, f"\nstopped; the executed part is in {as_typed(output)}"
        typed = parameters.get("output_folder") or (new[0] if len(new) == 1 else None)
        if typed and (noted := (folder := expanded(typed, "output_folder")) / "settings.json").is_file():
            message += f". To continue: {notebook_command(noted_settings(noted), folder, notebook)}"
    except papermill.PapermillExecutionError as reason:  # the traceback is in the output notebook
        code, message = 1, f"error in cell {reason.cell_index} of {as_typed(output)}: {reason.ename}: {reason.evalue}"
    except RuntimeError as reason:  # nbclient's and jupyter_client's
        what = f"error: the kernel died or never started ({reason}), most often for lack of memory"
        code, message = 1, f"{what}. The executed part is in {as_typed(output)}; a training run continues with resume"
    print(message, file=sys.stderr)
    return code


def _print_result(line: str) -> None:
    """A training run's result, also in words."""
    with contextlib.suppress(ValueError, KeyError, TypeError):  # another notebook has no such line
        result = json.loads(line)
        accuracy = result["accuracy"]
        print(f"checkpoint:        {result['checkpoint']}")
        plain = accuracy["downsampled"]
        beside = "not run" if plain is None else f"{100 * plain:.1f} %"
        print(f"accuracy:          TASN {100 * accuracy['master']:.1f} %, antialiased downsampling {beside}")
        images, chance = result["test_images"], accuracy["chance"]
        if accuracy["master"] <= chance + 2 * math.sqrt(chance * (1 - chance) / images):
            print(f"{' ' * 19}on {images} test images, not significantly better than chance ({100 * chance:.1f} %)")
    print(line)


if __name__ == "__main__":
    sys.exit(main())
