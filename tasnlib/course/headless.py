"""Run a notebook headlessly: `python -m tasnlib.course.headless NOTEBOOK [OUTPUT] [-p NAME VALUE]...`

papermill does the running. Around it stands what papermill leaves to its caller: a parameter that the notebook does not
have is refused before anything starts, the output folder is made, what the cells print is seen at once, and the last
line that the notebook printed is the last line of this command. The kernel is spoken to encrypted where it knows how.

`python -m tasnlib.course.headless --refresh NOTEBOOK...` executes notebooks in place, as they are to be committed.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient
from papermill.cli import _resolve_type
from traitlets.config import Config

from tasnlib.runs.run_folder import as_typed, project_folder, this_python
from tasnlib.runs.settings import check_names

_ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})  # or ipykernel warns at every start


def run_notebook(notebook: Path, output: Path, parameters: dict) -> str:
    """Execute a notebook into another file and return the last line it printed.

    Raises:
        ValueError: where there is no such notebook, or it has no such parameter.
        papermill.PapermillExecutionError: where a cell failed; the output holds the error.
    """
    _require_notebook(notebook)
    if output.is_dir() or output.resolve() == notebook.resolve():
        what = "a folder" if output.is_dir() else "the notebook itself"
        raise ValueError(f"the executed notebook would be written to {output}, which is {what}; name another file")
    check_names(parameters, list(papermill.inspect_notebook(str(notebook))))
    output.parent.mkdir(parents=True, exist_ok=True)
    executed = papermill.execute_notebook(
        *(str(notebook), str(output), parameters),
        progress_bar=False,
        stdout_file=_ShownAtOnce(),
        autosave_cell_every=30,
        config=_ENCRYPTED,
    )
    printed = [
        output.text
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    ]
    return "".join(printed).rstrip().rpartition("\n")[2]


class _ShownAtOnce:
    """What a notebook prints, but for a last line of JSON: the caller shows it, after what it is about."""

    def __init__(self) -> None:
        self.held = ""  # JSON that nothing has followed yet

    def write(self, text: str) -> None:
        for piece in text.splitlines(keepends=True):
            if self.held and (not self.held.endswith("\n") or not piece.strip()):
                self.held += piece  # the rest of the line, which came later
            else:
                sys.stdout.write(self.held)
                self.held = piece if piece.startswith("{") else ""
                sys.stdout.write("" if self.held else piece)

    def flush(self) -> None:
        sys.stdout.flush()


def _require_notebook(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"there is no notebook at {path}")


def refresh(notebook: Path) -> None:
    """Execute a notebook in its own folder and write it back with its outputs, without times and versions, so that a
    second run changes only what the notebook itself computes anew."""
    cells = nbformat.read(notebook, as_version=4)
    place = {"metadata": {"path": str(notebook.parent)}}
    NotebookClient(
        cells, timeout=None, resources=place, record_timing=False, coalesce_streams=True, config=_ENCRYPTED
    ).execute()
    cells.metadata["language_info"] = {"name": "python"}
    nbformat.write(cells, notebook)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tasnlib.course.headless",
        description="Run a notebook headlessly. The executed notebook, with all that it showed, is written to OUTPUT.",
        epilog="Example: python -m tasnlib.course.headless notebooks/05_train_full.ipynb -p recipe smoke -p seed 1",
    )
    parser.add_argument("--refresh", type=Path, nargs="+", metavar="NOTEBOOK", help="execute these in place instead")
    parser.add_argument("notebook", type=Path, nargs="?")
    parser.add_argument("output", type=Path, nargs="?", help="default: runs/NOTEBOOK-TIME.ipynb")
    parser.add_argument(
        *("-p",),
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a parameter of the notebook, as often as needed; its names stand in the notebook's cell of parameters",
    )
    words = sys.argv[1:] if arguments is None else arguments
    for option, word in pairwise(words):
        if option == "-p" and "=" in word:
            parser.error(f"-p takes a name and a value, with a space between: -p {word.replace('=', ' ', 1)}")
    given, unknown = parser.parse_known_args(words)
    if not given.refresh and given.notebook is None:
        parser.error("name a notebook")
    if unknown:
        parser.error(f"what is {shlex.join(unknown)}? A value with spaces in it needs quotes: -p NAME 'TWO WORDS'")
    try:
        return _refresh_all(given.refresh) if given.refresh else _run(given.notebook, given.output, given.parameters)
    except (ValueError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2


def _refresh_all(notebooks: Sequence[Path]) -> int:
    for notebook in notebooks:
        _require_notebook(notebook)
    for notebook in notebooks:
        print(f"executing {notebook}", flush=True)
        refresh(notebook)
    return 0


def _run(notebook: Path, output: Path | None, named: Sequence[Sequence[str]]) -> int:
    # papermill's own reading of a value: numbers, True, False and None are what they look like.
    parameters = {name: _resolve_type(value) for name, value in named}
    begun = set(_training_folders())
    output = output or project_folder() / "runs" / f"{notebook.stem}-{datetime.now():%Y%m%d-%H%M%S}.ipynb"
    try:
        last = run_notebook(notebook, output, parameters)
    except KeyboardInterrupt:
        new = [as_typed(folder) for folder in _training_folders() if folder not in begun]
        folder = parameters.get("output_folder", new[0] if len(new) == 1 else None)
        print(
            f"\nstopped; what was executed is in {as_typed(output)}{_to_go_on(notebook, parameters, folder)}",
            file=sys.stderr,
        )
        return 130
    except papermill.PapermillExecutionError as reason:
        # The notebook's own message, not papermill's page of traceback; that one is in the output notebook.
        print(
            f"error in cell {reason.cell_index} of {as_typed(output)}: {reason.ename}: {reason.evalue}", file=sys.stderr
        )
        return 1
    print(f"\nexecuted notebook: {as_typed(output)}")
    _print_result(last)
    return 0


def _training_folders() -> list[Path]:
    return [noted.parent for noted in (project_folder() / "runs").glob("*/settings.json")]


def _to_go_on(notebook: Path, parameters: Mapping[str, Any], folder: str | None) -> str:
    """The command that continues a training, where one was begun."""
    if folder is None:
        return ""
    again = {**parameters, "output_folder": folder, "resume": True}
    words = [word for name, value in again.items() for word in ("-p", name, str(value))]
    return f". To go on: {shlex.join([this_python(), '-m', 'tasnlib.course.headless', str(notebook), *words])}"


def _print_result(line: str) -> None:
    """What a notebook printed last; the result of a training run also in words, for people."""
    try:
        result = json.loads(line)
        accuracy = result["accuracy"]
        print(f"checkpoint:        {result['checkpoint']}")
        plain = accuracy["downsampled"]
        beside = "not run" if plain is None else f"{100 * plain:.1f} %"
        print(f"accuracy:          TASN {100 * accuracy['master']:.1f} %, plain downsampling {beside}")
        images, chance = result["test_images"], accuracy["chance"]
        if accuracy["master"] <= chance + 2 * math.sqrt(chance * (1 - chance) / images):
            print(
                f"                   on {images} test images, that is not told apart from guessing "
                f"({100 * chance:.1f} %): take more images, or more epochs"
            )
    except (ValueError, KeyError, TypeError):
        pass  # another notebook: it has no such line
    print(line)


if __name__ == "__main__":
    sys.exit(main())
