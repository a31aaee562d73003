"""Errors in an executed notebook, also those that papermill misses: in a slider's callback (kept in the widget's
state), in a thread (its traceback is on stderr), an end before the last cell."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

ADDED = {"injected-parameters", "papermill-error-cell-tag"}  # by papermill: not in the notebook as it was written
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class CellError:
    """One error, and where it is."""

    cell: int  # counted from 1 over all cells of the notebook as it was written; 0: in no cell
    prompt: int | None  # In [prompt]
    first_line: str
    message: str

    def __str__(self) -> str:
        where = f"cell {self.cell}" if self.cell else "a widget that no cell shows"
        where += "" if self.prompt is None else f" (In [{self.prompt}])"
        return f"{where}: {self.first_line}\n    {self.message}"


def find_error(notebook: NotebookNode) -> CellError | None:
    """The first error in an executed notebook, or None."""
    widgets = dict(notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}))
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        message = _first_message([*cell.outputs, *_outputs_of_widgets(cell, widgets)])
        if message is None and cell.execution_count is None and "skip-execution" not in cell.metadata.get("tags", []):
            message = "this cell was not executed"
        if message is not None:
            return _at(notebook, index, message)
    message = _first_message([output for model in widgets.values() for output in model["state"].get("outputs", [])])
    return None if message is None else CellError(0, None, "", message)


def cell_reached(notebook: NotebookNode, message: str) -> CellError:
    """The cell that papermill started last, with the reason why it did not finish, such as a dead kernel."""
    begun = [n for n, cell in enumerate(notebook.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return _at(notebook, begun[-1], message) if begun else CellError(0, None, "before the first cell", message)


def _at(notebook: NotebookNode, index: int, message: str) -> CellError:
    cell = notebook.cells[index]
    number = sum(not ADDED & set(one.metadata.get("tags", [])) for one in notebook.cells[: index + 1])
    return CellError(number, cell.get("execution_count"), cell.source.strip().partition("\n")[0].strip(), message)


def _outputs_of_widgets(cell: NotebookNode, widgets: dict[str, Any]) -> list[Mapping]:
    """The outputs of the widgets that a cell shows, nested ones too. They are removed from `widgets`."""
    waiting = [output.data[VIEW]["model_id"] for output in cell.outputs if VIEW in output.get("data", {})]
    found: list[Mapping] = []
    while waiting:
        if model := widgets.pop(waiting.pop(), None):
            found += model["state"].get("outputs", [])
            waiting += re.findall(r"IPY_MODEL_(\w+)", json.dumps(model))
    return found


def _first_message(outputs: Iterable[Mapping]) -> str | None:
    for output in outputs:
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", "".join(output.get("text", "")))  # without colours
        if output.get("output_type") == "error":
            lines = str(output.get("evalue", "")).strip().splitlines() or [""]
            return f"{output.get('ename')}: {lines[-1].strip()}".removesuffix(": ")
        if output.get("name") == "stderr" and TRACEBACK in text:
            lines = [line for line in text.rpartition(TRACEBACK)[2].splitlines()[1:] if line.strip()]
            # The frames are indented; the line after them is the error.
            return next((line for line in lines if not line[0].isspace()), lines[-1] if lines else TRACEBACK)
    return None
