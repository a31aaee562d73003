"""The course as web pages that need no kernel and no network: `python -m tasnlib.course.site FOLDER NOTEBOOK...`

Every notebook becomes one self-contained page: pictures and styles are embedded, formulas are MathML, and sliders are
prerendered: their pictures are on the page, and a few lines of script switch between them.
"""

import argparse
import copy
import html
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

import latex2mathml.converter
import nbformat
import pdoc
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from pygments.formatters import HtmlFormatter

from tasnlib import PAPER
from tasnlib.course.headless import executed
from tasnlib.course.widgets.sliders import PRERENDER
from tasnlib.data.files import write_atomically

# Its content security policy: whatever a notebook printed, no request leaves the page.
PAGE = Template(Path(__file__).with_name("site.html").read_text(encoding="utf-8"))
STYLE = Path(__file__).with_name("site.css").read_text(encoding="utf-8")
NAVIGATION = '<nav><a href="index.html">The course</a></nav>\n'
# The files whose docstrings become pages.
REFERENCE = (*PAPER, "attention_sampler", *(f"attention_sampler.{n}" for n in ("module", "sampling_grid", "adapters")))
DOCS = Path(__file__).parents[2] / "docs"  # in a checkout
# Where no word becomes a link: code, formulas, links, headings, summaries and the tags themselves.
CLOSED = r"```.*?```|`[^`\n]*`|<(?P<tag>math|a|summary)\b.*?</(?P=tag)>|<[^>]+>|\[[^\]]*\]\([^)]*\)|^#+ [^\n]*"
OFF_THE_SITE = re.compile(r"\[([^]]*)\]\(\.\./(?!notebooks/\d)[^)]*\)")  # links to other files of the project
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


def terms_of(glossary: str) -> dict[str, str]:
    """The terms of a glossary by every form in which they are written; "" for phrases that mean something else.

    >>> terms_of("# Glossary\\n### cell\\nAn entry of a map.\\nAlso: entry, entries.\\n<!-- not: data entry -->")
    {'entry': 'cell', 'entries': 'cell', 'data entry': '', 'cell': 'cell'}
    """
    terms = dict[str, str]()
    for entry in glossary.split("\n### ")[1:]:
        term, _, text = entry.partition("\n")
        for pattern, meant in ((r"^Also: (.*)\.$", term), (r"^<!-- not: (.*) -->$", "")):
            for forms in re.findall(pattern, text, re.M):
                terms |= dict.fromkeys(forms.lower().split(", "), meant)
        terms[term.lower()] = term
    return terms


def with_links(markdown: str, terms: dict[str, str], used: set[str]) -> str:
    """The first use of each term as a link to the glossary. Terms in `used` are not linked again, new ones are added.

    >>> with_links("`cell`, Cells, cells", {"cell": "cell"}, set())
    '`cell`, <a href="glossary.html#cell">Cells</a>, cells'
    """

    def link(match: re.Match) -> str:
        term = terms.get((match["form"] or "").lower(), "")
        if term in {"", *used}:
            return match[0]
        used.add(term)
        return f'<a href="glossary.html#{term.replace(" ", "-")}">{match[0]}</a>'

    forms = "|".join(map(re.escape, sorted(terms, key=len, reverse=True)))
    return re.sub(rf"{CLOSED}|\b(?P<form>{forms})s?\b", link, markdown, flags=re.S | re.M | re.I) if terms else markdown


def write_reference(folder: Path) -> Path:
    """Write the docstrings of the paper's files as pages: every public name with its shapes, errors and examples.

    Returns the path of their index."""
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*(f"tasnlib.{name}" for name in REFERENCE), output_directory=folder)
    return folder / "index.html"


def write_pages(
    notebooks: Mapping[str, NotebookNode], folder: Path, title: str, beside: Mapping[str, str], docs: Mapping[str, str]
) -> Path:
    """Write a page for each executed notebook, and an index of them. Returns the index's path.

    Args:
        notebooks: by the names that their pages get.
        folder: for the pages; created if missing.
        title: of the index.
        beside: what the index shows of each notebook besides its title and promise, as HTML.
        docs: markdown by the names of its pages. To the terms of "glossary", the notebooks' pages link.
    """
    rows, terms = [], terms_of(docs.get("glossary", ""))
    for name, notebook in notebooks.items():
        heading, promise = title_of(notebook)
        link = f'<a href="{name}.html">{html.escape(heading)}</a><br>{html.escape(promise)}'
        rows.append(f"<tr><td>{_first_picture(notebook)}</td><td>{link}</td>{beside.get(name, '')}</tr>")
        write_atomically(folder / f"{name}.html", _framed(heading, NAVIGATION + _body(notebook, terms)).encode())
    table = f'<h1>{html.escape(title)}</h1>\n<table class="course">{"".join(rows)}</table>'
    for name, text in docs.items():
        page = new_notebook(cells=[new_markdown_cell(OFF_THE_SITE.sub(r"\1", text))])
        heading, _ = title_of(page)
        write_atomically(folder / f"{name}.html", _framed(heading, NAVIGATION + _body(page, {})).encode())
        table += f'\n<p><a href="{name}.html">{html.escape(heading)}</a></p>'
    if (folder / "reference").is_dir():
        table += '\n<p><a href="reference/index.html">Reference</a>: each public name of the method and the sampler</p>'
    write_atomically(folder / "index.html", _framed(title, table).encode())
    return folder / "index.html"


def title_of(notebook: NotebookNode) -> tuple[str, str]:
    """A notebook's title and the promise below it."""
    lines = [line.strip() for line in notebook.cells[0].source.splitlines() if line.strip()]
    return lines[0].lstrip("# "), next((line.strip("*") for line in lines[1:] if line.startswith("**")), "")


def _body(notebook: NotebookNode, terms: dict[str, str]) -> str:
    notebook, used = copy.deepcopy(notebook), set[str]()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(with_mathml(cell.source), terms, used)
        # A widget that was not prerendered cannot work on a page; the strip of pictures beside it does.
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    body = HTMLExporter(template_name="basic", sanitize_html=False).from_notebook_node(notebook)[0]
    return re.sub(r'(<a href=")(?:\.\./notebooks/)?([\w-]+)\.(?:ipynb|md)(?=["#])', r"\1\2.html", body)


def _framed(title: str, body: str) -> str:
    """A complete page around a body."""
    style = STYLE + HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return PAGE.substitute(title=html.escape(title), style=style, body=body)


def _first_picture(notebook: NotebookNode) -> str:
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "image/png" in output.get("data", {}):
            alt = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
            return f'<img alt="{alt}" src="data:image/png;base64,{"".join(output.data["image/png"].split())}">'
    return ""


def build(paths: list[Path], folder: Path) -> Path:
    """Write the course's pages, notebooks with sliders executed for them. Returns the index's path."""
    notebooks = {}
    for path in paths:
        print(path.stem, flush=True)
        committed = nbformat.read(path, as_version=4)
        code = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "code")
        has_sliders = "tasnlib.course.widgets" in code
        notebooks[path.stem] = executed(path, **{PRERENDER: "1"}) if has_sliders else committed
    write_reference(folder / "reference")
    docs = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md")) if "." not in path.stem}
    return write_pages(notebooks, folder, "TASN: learn attention sampling by building it", {}, docs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.site", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("notebooks", type=Path, nargs="+")
    given = parser.parse_args()
    try:
        print(f"open {build(given.notebooks, given.folder)}")
    except (ValueError, OSError) as reason:
        parser.exit(2, f"error: {reason}\n")
