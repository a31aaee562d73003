"""Write the first code cell of every notebook: python data_scripts/first_cell.py

It is the same in all of them, solutions included, and stands below the title: where the course is installed it does
nothing, elsewhere it says how to install it, and on Colab and Kaggle it installs it. The address comes from
`Repository` in [project.urls] of pyproject.toml, once there is one; the oldest torch that will do from there too.

A notebook that lacks the cell gets it as if it had been executed with the others: what follows counts one more. Run
`make notebooks` afterwards all the same.
"""

import argparse
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
MARK = 'find_spec("tasnlib")'
# The machines of Colab and Kaggle come with a torch that fits their GPU's driver. pip is given its version, so that no
# other package can pull in another one (torchvision wants the torch it was built with), unless it is too old for us.
CELL = """\
# Where the course is installed, this cell does nothing. Elsewhere it says what to run; on Colab and Kaggle it runs it.
import os
import subprocess
import sys
from importlib import metadata, util

if util.find_spec("tasnlib") is None:
    course = "tasnlib[notebooks] @ git+ADDRESS"
    if not {"COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"} & set(os.environ):
        how = f'%pip install "{course}" in a new cell, and restart the kernel'
        raise ModuleNotFoundError(f"tasnlib is missing: choose the kernel of the project's .venv, or run {how}")
    torch = metadata.version("torch")
    recent = [int(number) for number in torch.split(".")[:2]] >= [OLDEST]
    keep = [f"torch=={torch}"] if recent else []  # the torch that is there fits the GPU
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", course, *keep], check=True)"""
# Without an address there is nothing to run: the reader has the project's folder, and names it.
UNPUBLISHED = {
    '"tasnlib[notebooks] @ git+ADDRESS"': '"PROJECT[notebooks]"  # for PROJECT, put the folder of the project',
    "if not {": 'if course.startswith("PROJECT") or not {',
}


def first_cell(project: dict) -> str:
    """The cell's source for the table [project] of a pyproject.toml."""
    (oldest,) = (text.partition(">=")[2] for text in project["dependencies"] if text.startswith("torch>="))
    source, address = CELL.replace("OLDEST", oldest.replace(".", ", ")), project.get("urls", {}).get("Repository")
    if address:
        return source.replace("ADDRESS", address)
    for published, unpublished in UNPUBLISHED.items():
        source = source.replace(published, unpublished)
    return source


def with_first_cell(book: NotebookNode, source: str) -> NotebookNode:
    """The notebook with this first cell, new or in the place of an older one."""
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    if code and MARK in code[0].source:
        code[0].source = source
        return book
    for cell in code:
        for counted in (cell, *(output for output in cell.outputs if output.output_type == "execute_result")):
            if counted.execution_count:
                counted.execution_count += 1
    executed = bool(code) and code[0].execution_count is not None
    new = nbformat.v4.new_code_cell(source, execution_count=1 if executed else None, id="first-cell")
    book.cells.insert(1, new)  # below the title
    return book


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    source = first_cell(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    for path in sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        before = path.read_text(encoding="utf-8")
        after = nbformat.writes(with_first_cell(nbformat.reads(before, as_version=4), source))
        if after.strip() != before.strip():
            path.write_text(after + "\n", encoding="utf-8", newline="\n")
            print(path.relative_to(ROOT).as_posix())


if __name__ == "__main__":
    main()
