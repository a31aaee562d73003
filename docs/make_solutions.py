"""Write the solutions notebooks from the exercises: `python docs/make_solutions.py [FOLDER]`"""

import inspect
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tasnlib.course.exercises import BY_NOTEBOOK, Exercise
from tasnlib.course.headless import KERNEL, LANGUAGE

FOLDER = Path(__file__).parents[1] / "notebooks" / "solutions"
IMPORTS = (
    "import math\n\nimport torch\nfrom torch.nn import functional as F\n\nfrom tasnlib.course.exercises import check"
)


def solutions_notebook(notebook: str, exercises: list[Exercise]) -> NotebookNode:
    """The notebook's own first cell, then one per exercise: the solution, and its check."""
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    link = f"[the notebook](../{notebook}.ipynb)"
    heading = f"# Solutions of notebook {notebook[:2]}\n\nTry each exercise in {link} first."
    course = nbformat.read(FOLDER.parent / f"{notebook}.ipynb", as_version=4)
    first = next(cell.source for cell in course.cells if cell.cell_type == "code")
    cells = [text(heading), code(first), code(IMPORTS)]
    for exercise in exercises:
        cells.append(text(f"## {exercise.name}"))
        cells.append(code(f"{inspect.getsource(exercise.solution).strip()}\n\n\n_ = check({exercise.name})"))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": LANGUAGE})


def main(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for notebook, exercises in BY_NOTEBOOK.items():
        path, fresh = folder / f"{notebook}.ipynb", solutions_notebook(notebook, exercises)
        old = nbformat.read(path, as_version=4).cells if path.is_file() else []
        if [cell.source for cell in old] != [cell.source for cell in fresh.cells]:
            nbformat.write(fresh, path)  # what is unchanged keeps its outputs


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
