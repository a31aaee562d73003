"""What the notebooks take from the modules of figures is there, also where a module only passes it on."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))


def used(code: str) -> list[tuple[str, str]]:
    """Module and name of each thing of `tasnlib.course.plots` that a notebook calls or imports."""
    found = []
    for module, names in re.findall(r"^from tasnlib\.course\.plots\.(\w+) import (.+)$", code, re.M):
        found += [(module, name.strip()) for name in names.split(",")]
    for module, alias in re.findall(r"^from tasnlib\.course\.plots import (\w+) as (\w+)$", code, re.M):
        found += [(module, name) for name in re.findall(rf"\b{alias}\.([A-Za-z_]\w*)", code)]
    return found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_that_a_notebook_names_is_there(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    names = used("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    assert names or notebook.stem == "05_train_full"
    missing = []
    for module, name in names:
        there = importlib.import_module(f"tasnlib.course.plots.{module}")
        if name not in getattr(there, "__all__", dir(there)):
            missing.append(f"{module}.{name}")
    assert missing == []
