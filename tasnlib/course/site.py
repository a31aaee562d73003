"""The course as web pages that need no kernel and no network: `python -m tasnlib.course.site FOLDER NOTEBOOK...`

Every notebook becomes one self-contained page: pictures and styles are embedded, formulas are MathML, and sliders are
prerendered: their pictures are on the page, and a few lines of script switch between them.
"""

import argparse
import copy
import html
import os
import re
from collections.abc import Mapping
from pathlib import Path

import latex2mathml.converter
import nbformat
import pdoc
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from tasnlib import PAPER
from tasnlib.course.headless import CLIENT
from tasnlib.course.widgets.sliders import PRERENDER
from tasnlib.data.files import write_atomically

# A content security policy: whatever a notebook printed, no request leaves the page.
LOCK = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
STYLE = """
body { margin: 0 auto; max-width: 60rem; padding: 1rem 2rem 6rem; font: 17px/1.6 system-ui, sans-serif; color: #1c1e21;
       background: #fff }
h1 { font-size: 2rem; line-height: 1.2 } h2 { margin-top: 2.5rem } h1, h2, h3 { font-weight: 650 }
a { color: #0072B2 } a.anchor-link { visibility: hidden; text-decoration: none } nav { font-size: 0.95rem; color: #666 }
pre { overflow-x: auto; padding: 0.6rem 0.9rem; border-radius: 6px; font: 14px/1.45 ui-monospace, monospace }
pre { margin: 0.4rem 0 } .highlight pre { background: #f5f6f8 }
.output_text pre, .output_stream pre { background: none; border-left: 3px solid #ddd; border-radius: 0 }
code { font-family: ui-monospace, monospace; font-size: 0.92em } img { max-width: 100%; height: auto }
blockquote { margin: 1.5rem 0; padding: 0.1rem 1.2rem; background: #eef5fb; border-left: 4px solid #0072B2 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { border: 1px solid #ddd; padding: 0.3rem 0.7rem }
td, th { text-align: left } .course img { width: 16rem; display: block }
details { margin: 0.8rem 0; padding: 0.4rem 1rem; background: #f5f6f8; border-radius: 6px } summary { cursor: pointer }
fieldset.prerendered { border: 1px solid #ccc; border-radius: 6px; margin: 0.8rem 0 } fieldset input { width: 22rem }
.jp-InputPrompt, .jp-OutputPrompt, .prompt { display: none }
"""
# The files whose docstrings become pages.
REFERENCE = (*PAPER, *(f"attention_sampler.{name}" for name in ("module", "sampling_grid", "adapters")))
FORMULA = re.compile(r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|(?<![\\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])", re.S)


def with_mathml(markdown: str) -> str:
    """Formulas between dollar signs as MathML, which browsers draw themselves. Code is left alone.

    >>> with_mathml("a `$b$` and $c$")[:40]
    'a `$b$` and <math xmlns="http://www.w3.o'
    """

    def replace(match: re.Match) -> str:
        code, block, inline = match.groups()
        if code:
            return code
        display = "block" if block else "inline"
        # One line: in markdown an empty or indented line would end the formula.
        return " ".join(latex2mathml.converter.convert((block or inline).strip(), display=display).split())

    return FORMULA.sub(replace, markdown)


def write_reference(folder: Path) -> Path:
    """Write the docstrings of the paper's files as pages: every public name with its shapes, errors and examples.

    Returns the path of their index.
    """
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*(f"tasnlib.{name}" for name in REFERENCE), output_directory=folder)
    return folder / "index.html"


def write_pages(notebooks: Mapping[str, NotebookNode], folder: Path, title: str, beside: Mapping[str, str]) -> Path:
    """Write a page for each executed notebook, and an index of them.

    Args:
        notebooks: by the names that their pages get.
        folder: for the pages; created if missing.
        title: of the index.
        beside: what the index shows of each notebook besides its title and promise, as HTML.

    Returns:
        The path of the index.
    """
    rows = []
    for name, notebook in notebooks.items():
        heading, promise = title_of(notebook)
        link = f'<a href="{name}.html">{html.escape(heading)}</a><br>{html.escape(promise)}'
        rows.append(f"<tr><td>{_first_picture(notebook)}</td><td>{link}</td>{beside.get(name, '')}</tr>")
        body = re.sub(r'(<a href="[^"]*)\.ipynb"', r'\1.html"', _body(notebook))
        body = f'<nav><a href="index.html">The course</a></nav>\n{body}'
        write_atomically(folder / f"{name}.html", _framed(heading, body).encode())
    table = f'<h1>{html.escape(title)}</h1>\n<table class="course">{"".join(rows)}</table>'
    if (folder / "reference").is_dir():
        table += '\n<p><a href="reference/index.html">Reference</a>: each public name of attention, sampler, loss</p>'
    write_atomically(folder / "index.html", _framed(title, table).encode())
    return folder / "index.html"


def title_of(notebook: NotebookNode) -> tuple[str, str]:
    """A notebook's title and the promise below it."""
    lines = [line.strip() for line in notebook.cells[0].source.splitlines() if line.strip()]
    return lines[0].lstrip("# "), next((line.strip("*") for line in lines[1:] if line.startswith("**")), "")


def _body(notebook: NotebookNode) -> str:
    notebook = copy.deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
        # A widget that was not prerendered cannot work on a page; the strip of pictures beside it does.
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return HTMLExporter(template_name="basic", sanitize_html=False).from_notebook_node(notebook)[0]


def _framed(title: str, body: str) -> str:
    """A complete page around a body."""
    style = STYLE + HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<link rel="icon" href="data:,">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{LOCK}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{html.escape(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _first_picture(notebook: NotebookNode) -> str:
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
            return f'<img alt="{alt}" src="data:image/png;base64,{"".join(output.data["image/png"].split())}">'
    return ""


def _with_sliders_prerendered(path: Path) -> NotebookNode:
    """A notebook, executed for its sliders. One without sliders keeps its committed outputs."""
    notebook = nbformat.read(path, as_version=4)
    if any("tasnlib.course.widgets" in cell.source for cell in notebook.cells if cell.cell_type == "code"):
        place = {"metadata": {"path": str(path.parent)}}
        client = NotebookClient(notebook, timeout=None, resources=place, coalesce_streams=True, **CLIENT)
        client.execute(env={**os.environ, PRERENDER: "1"})
    return notebook


def build(paths: list[Path], folder: Path) -> Path:
    """Write the course's pages. Returns the index's path."""
    notebooks = {}
    for path in paths:
        print(path.stem, flush=True)
        notebooks[path.stem] = _with_sliders_prerendered(path)
    write_reference(folder / "reference")
    return write_pages(notebooks, folder, "TASN: learn attention sampling by building it", beside={})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.site", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", type=Path, nargs="+")
    given = parser.parse_args()
    print(f"open {build(given.notebooks, given.folder)}")
