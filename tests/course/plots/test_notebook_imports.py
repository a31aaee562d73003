"""What the notebooks import from the library is there."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_import_of_a_notebook_works_and_every_figure_is_there(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    names: dict = {}
    for line in re.findall(r"^(?:from tasnlib|import tasnlib).*$", code, re.M):
        exec(line, names)
    for module, lists in re.findall(r"^from (tasnlib\.course\.(?:plots|widgets)) import (.+)$", code, re.M):
        for name in lists.split(", "):
            assert all(hasattr(names[name], used) for used in re.findall(rf"\b{name}\.(\w+)", code)), (module, name)
