"""What went wrong in an executed notebook, also where whoever executed it noticed nothing.

An error inside a slider's callback is kept in the state of a widget, a thread that dies writes its traceback to stderr,
and `sys.exit()` ends a notebook before its end: in all three cases papermill reports success.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nbformat import NotebookNode

ADDED = {"injected-parameters", "papermill-error-cell-tag"}  # by papermill: not in the notebook as it was written
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class CellError:
    """One error, and where it is."""

    cell: int  # counted from 1 over all cells of the notebook as it was written; 0: in no cell
    prompt: int | None  # the number in In [ ]
    first_line: str
    message: str

    def __str__(self) -> str:
        where = f"cell {self.cell}" if self.cell else "a widget that no cell shows"
        prompt = "" if self.prompt is None else f" (In [{self.prompt}])"
        return f"{where}{prompt}: {self.first_line}\n    {self.message}"


def find_error(notebook: NotebookNode) -> CellError | None:
    """The first error in an executed notebook, None where all of it ran without one.

    >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
    >>> failed = new_code_cell("1 / 0", execution_count=1)
    >>> failed.outputs = [new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])]
    >>> print(find_error(new_notebook(cells=[failed])))
    cell 1 (In [1]): 1 / 0
        ZeroDivisionError: division by zero
    """
    widgets = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    seen: set[str] = set()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        shown = _models_shown(cell, widgets)
        seen |= shown
        held = (output for model in sorted(shown) for output in _outputs_of(widgets[model]))
        message = _first_message([*cell.outputs, *held])
        if message is None and cell.execution_count is None and "skip-execution" not in _tags(cell):
            message = "this cell was not executed"
        if message is not None:
            return _at(notebook, index, message)
    orphans = (output for model in sorted(widgets.keys() - seen) for output in _outputs_of(widgets[model]))
    message = _first_message(orphans)
    return None if message is None else CellError(0, None, "", message)


def cell_reached(notebook: NotebookNode, message: str) -> CellError:
    """The cell that papermill began last, with the reason why it never ended: its kernel died, say."""
    begun = [n for n, cell in enumerate(notebook.cells) if cell.metadata.get("papermill", {}).get("start_time")]
    return _at(notebook, begun[-1], message) if begun else CellError(0, None, "before the first cell", message)


def _at(notebook: NotebookNode, index: int, message: str) -> CellError:
    cell = notebook.cells[index]
    number = sum(not ADDED & _tags(one) for one in notebook.cells[: index + 1])
    first_line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return CellError(number, cell.get("execution_count"), first_line, message)


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _models_shown(cell: NotebookNode, widgets: Mapping) -> set[str]:
    """The widgets that a cell shows, and all inside them."""
    waiting = [output.data[VIEW]["model_id"] for output in cell.outputs if VIEW in output.get("data", {})]
    found: set[str] = set()
    while waiting:
        model = waiting.pop()
        if model in widgets and model not in found:
            found.add(model)
            waiting += re.findall(r"IPY_MODEL_(\w+)", json.dumps(widgets[model]))
    return found


def _outputs_of(model: Mapping) -> Iterable[Mapping]:
    return model.get("state", {}).get("outputs", [])


def _first_message(outputs: Iterable[Mapping]) -> str | None:
    return next(_messages(outputs), None)


def _messages(outputs: Iterable[Mapping]) -> Iterator[str]:
    for output in outputs:
        kind = output.get("output_type")
        if kind == "error":
            lines = str(output.get("evalue", "")).strip().splitlines() or [""]
            yield f"{output.get('ename')}: {lines[-1].strip()}".removesuffix(": ")
        elif kind == "stream" and output.get("name") == "stderr" and TRACEBACK in (text := _plain(output["text"])):
            lines = [line for line in text.rpartition(TRACEBACK)[2].splitlines()[1:] if line.strip()]
            # The frames are indented; the line after them is the error.
            yield next((line for line in lines if not line[0].isspace()), lines[-1] if lines else TRACEBACK)


def _plain(text: str | list[str]) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", "".join(text))
