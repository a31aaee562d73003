"""The course as web pages that need no kernel and no network: `python -m tasnlib.course.site [FOLDER] [NOTEBOOK...]`

Every notebook becomes one self-contained page: pictures and styles are inside, formulas are MathML, and each slider is
prerendered: its pictures are on the page, and a few lines of script turn them.
"""

import argparse
import html
import os
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tasnlib.course.pages import body_of, framed, picture_of, title_of
from tasnlib.course.widgets.sliders import PRERENDER
from tasnlib.data.files import write_atomically


def executed_for_reading(path: Path) -> NotebookNode:
    """A notebook with its sliders prerendered. One without sliders is read with the outputs it was committed with."""
    notebook = nbformat.read(path, as_version=4)
    if not any("tasnlib.course.widgets" in cell.source for cell in notebook.cells if cell.cell_type == "code"):
        return notebook
    os.environ[PRERENDER] = "1"
    try:
        place = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=None, resources=place, record_timing=False, coalesce_streams=True).execute()
    finally:
        del os.environ[PRERENDER]
    return notebook


def page(notebook: NotebookNode, title: str) -> str:
    """One self-contained page."""
    body = re.sub(r'(<a href="[^"]*)\.ipynb"', r'\1.html"', body_of(notebook))
    return framed(title, f'<nav><a href="index.html">The course</a></nav>\n{body}')


def build(notebooks: list[Path], folder: Path) -> None:
    """Write a page for each notebook, and index.html."""
    rows = []
    for path in notebooks:
        print(f"{path.stem}", flush=True)
        notebook = executed_for_reading(path)
        title, promise = title_of(notebook)
        rows.append(
            f'<tr><td>{picture_of(notebook)}</td><td><a href="{path.stem}.html">{html.escape(title)}</a><br>'
            f"{html.escape(promise)}</td></tr>"
        )
        write_atomically(folder / f"{path.stem}.html", page(notebook, title).encode())
    table = f'<h1>TASN: learn attention sampling by building it</h1>\n<table class="course">{"".join(rows)}</table>'
    write_atomically(folder / "index.html", framed("TASN, the course", table).encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.site", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", type=Path, nargs="+")
    given = parser.parse_args()
    build(given.notebooks, given.folder)
    print(f"open {given.folder / 'index.html'}")


if __name__ == "__main__":
    main()
