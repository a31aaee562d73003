"""The course as web pages that need no kernel and no network: `python -m tasnlib.site [FOLDER] [NOTEBOOK...]`

Every notebook becomes one self-contained page: pictures and styles are inside, formulas are MathML, and each slider is
prerendered: its pictures are on the page, and a few lines of script turn them.
"""

import argparse
import html
import os
import re
from pathlib import Path

import latex2mathml.converter
import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from tasnlib.files import write_atomically
from tasnlib.widgets import PRERENDER

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


def executed_for_reading(path: Path) -> NotebookNode:
    """A notebook with its sliders prerendered. One without sliders is read with the outputs it was committed with."""
    notebook = nbformat.read(path, as_version=4)
    if not any("tasnlib.widgets" in cell.source for cell in notebook.cells if cell.cell_type == "code"):
        return notebook
    os.environ[PRERENDER] = "1"
    try:
        place = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=None, resources=place, record_timing=False, coalesce_streams=True).execute()
    finally:
        del os.environ[PRERENDER]
    return notebook


def with_mathml(markdown: str) -> str:
    """Formulas between dollar signs as MathML, which browsers draw themselves. Code is left alone.

    >>> with_mathml("a `$b$` and $c$")[:40]
    'a `$b$` and <math xmlns="http://www.w3.o'
    """
    pattern = re.compile(r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|(?<![\\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])", re.S)

    def replace(match: re.Match) -> str:
        code, block, inline = match.groups()
        if code:
            return code
        display = "block" if block else "inline"
        # One line: in markdown an empty or indented line would end the formula.
        return " ".join(latex2mathml.converter.convert((block or inline).strip(), display=display).split())

    return pattern.sub(replace, markdown)


def page(notebook: NotebookNode, title: str) -> str:
    """One self-contained page."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source).replace(".ipynb)", ".html)")
        # A widget that was not prerendered cannot work here; the strip of pictures beside it does.
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata.pop("widgets", None)
    body, _ = HTMLExporter(template_name="basic", sanitize_html=False).from_notebook_node(notebook)
    return _framed(title, f'<nav><a href="index.html">The course</a></nav>\n{body}')


def _framed(title: str, body: str) -> str:
    code_style = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{code_style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def title_of(notebook: NotebookNode) -> tuple[str, str]:
    """A notebook's title and the promise below it."""
    lines = [line.strip() for line in notebook.cells[0].source.splitlines() if line.strip()]
    return lines[0].lstrip("# "), next((line.strip("*") for line in lines[1:] if line.startswith("**")), "")


def picture_of(notebook: NotebookNode) -> str:
    """The first picture of a notebook, to stand beside its title."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
                encoded = "".join(output.data["image/png"].split())
                return f'<img alt="{alt}" src="data:image/png;base64,{encoded}">'
    return ""


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
    write_atomically(folder / "index.html", _framed("TASN, the course", table).encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.site", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", type=Path, nargs="+")
    given = parser.parse_args()
    build(given.notebooks, given.folder)
    print(f"open {given.folder / 'index.html'}")


if __name__ == "__main__":
    main()
