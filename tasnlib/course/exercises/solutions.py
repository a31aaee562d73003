"""Write the solutions notebooks from the exercises themselves: `python -m tasnlib.course.exercises.solutions [FOLDER]`

The library keeps one solution an exercise, and `check` measures answers by it. These notebooks show its source, so that
they cannot drift from it; a test compares them.
"""

import inspect
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tasnlib.course.exercises import BY_NOTEBOOK, Exercise

FOLDER = Path(__file__).parents[3] / "notebooks" / "solutions"


def solutions_notebook(notebook: str, exercises: list[Exercise]) -> NotebookNode:
    """One cell an exercise: the solution, and its check."""
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    heading = (
        f"# Solutions of notebook {notebook[:2]}\n\nTry each exercise in [the notebook](../{notebook}.ipynb) first."
    )
    imports = "import torch\nfrom torch.nn import functional as F\n\nfrom tasnlib.course.exercises import check"
    cells = [text(heading), code(imports)]
    for exercise in exercises:
        cells.append(text(f"## {exercise.name}"))
        cells.append(code(f"{inspect.getsource(exercise.solution).strip()}\n\n\n_ = check({exercise.name})"))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def main(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for notebook, exercises in BY_NOTEBOOK.items():
        path, fresh = folder / f"{notebook}.ipynb", solutions_notebook(notebook, exercises)
        if not path.is_file() or _sources(nbformat.read(path, as_version=4)) != _sources(fresh):
            nbformat.write(fresh, path)  # what is unchanged keeps its outputs


def _sources(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
