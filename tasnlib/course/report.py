"""One HTML file that holds a whole run of the course and asks the network for nothing.

Its first part says what was run, where, with which result; then comes every notebook's text, figures and printed
results, the code folded. What can only be moved with a kernel behind it is left out: the strip of pictures that stands
beside each slider shows the same.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output

from tasnlib.course.notebook_errors import VIEW
from tasnlib.course.pages import body_of, framed, title_of
from tasnlib.course.plots import LABELS
from tasnlib.data.files import write_atomically

RECORD = "tasn_pipeline"  # where an executed notebook's metadata say by whom and how
TRAINING, ABLATIONS = "05", "06"  # notebooks whose results are told on the first page
TABLE = "table"  # the tag of cells of 06 whose output belongs there; HTML tables do anyway

# The browser's own lock: whatever a notebook printed, no script runs and no request leaves the page.
LOCK = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
)
STYLE = """
section { border-top: 3px solid #0072B2; margin-top: 4rem } nav ul { margin: 0.2rem 0 0.6rem; padding-left: 1.2rem }
nav h2 { color: #1c1e21; font-size: 1.5rem }
details.code { padding: 0.1rem 0.8rem; margin: 0.3rem 0; font-size: 0.9rem; color: #666 }
table.values td { font: 14px/1.3 ui-monospace, monospace } td.number { text-align: right }
.stand-in { color: #666; font-style: italic } .figures { display: flex; flex-wrap: wrap; gap: 0 3rem }
@media print { details.code { display: none } section { break-before: page } }
"""
_FOLDED = (
    "{% extends 'basic/index.html.j2' %}{% block input_group %}"
    "<details class='code'><summary>code</summary>{{ super() }}</details>{% endblock %}"
)
_MOVABLE = "In the notebook something stands here that one can move. The pictures beside it show some of what it shows."


def write_report(executed: list[Path], path: Path, profile: str) -> None:
    """Write the report of a run.

    Args:
        executed: whole notebooks, in order, with a record of their run in their metadata.
        path: of the HTML file; it is replaced as a whole.
        profile: as it was run.
    """
    notebooks = {notebook.stem: nbformat.read(notebook, as_version=4) for notebook in executed}
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"folded.html.j2": _FOLDED})],
        **{"template_file": "folded.html.j2", "sanitize_html": False},
    )
    sections = {stem: section(stem, notebook, exporter) for stem, notebook in notebooks.items()}
    title = f"TASN, the whole course run at size {profile}"
    first = [f"<h1>{title}</h1>", _what_was_run(notebooks)]
    for stem, notebook in notebooks.items():
        if stem[:2] == TRAINING:
            first.append(_training(last_result(notebook)))
        if stem[:2] == ABLATIONS:
            first.append(_tables(stem, notebook))
    contents = "".join(_contents(stem, body) for stem, body in sections.items())
    first.append(f"<nav><h2>Contents</h2><ul>{contents}</ul></nav>")
    write_atomically(path, framed(title, "\n".join([*first, *sections.values()]), STYLE, LOCK).encode())


def in_words(seconds: float) -> str:
    """A time for people.

    >>> in_words(14.2), in_words(185), in_words(7260)
    ('14 s', '3 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def section(stem: str, notebook: NotebookNode, exporter: HTMLExporter) -> str:
    """One notebook as a part of the page. Its headings are called after it, for others may have the same ones."""
    body = body_of(_standing_still(notebook), exporter)
    body = re.sub(r'(<[a-z][^<>]*?\s)id="([^"]+)"', lambda match: f'{match[1]}id="{stem}--{_plain(match[2])}"', body)
    body = re.sub(r'href="#([^"]+)"', lambda match: f'href="#{stem}--{_plain(match[1])}"', body)
    # Other notebooks are on this page; other files are not there.
    body = re.sub(r'href="(?:\./)?(\d\d_\w+)\.ipynb(?:#[^"]*)?"', r'href="#\1"', body)
    body = re.sub(r'<a href="(?!https?:|#)[^"]*">(.*?)</a>', r"\1", body, flags=re.S)
    return f'<section id="{stem}">\n{body}\n</section>'


def _plain(name: str) -> str:
    return re.sub(r"\W+", "-", unquote(name)).strip("-")


def last_result(notebook: NotebookNode) -> dict[str, Any] | None:
    """The last line that a notebook printed, where it is a result in JSON."""
    printed = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )
    try:
        result = json.loads(printed.rstrip().rpartition("\n")[2])
        return result if isinstance(result.get("accuracy"), dict) else None
    except (ValueError, AttributeError):  # no JSON, or no object
        return None


def _standing_still(notebook: NotebookNode) -> NotebookNode:
    """Without what needs a kernel or a script."""
    still = nbformat.from_dict(notebook)
    for cell in still.cells:
        for number, output in enumerate(cell.get("outputs", [])):
            if VIEW in output.get("data", {}):
                text = {"text/html": f'<p class="stand-in">{_MOVABLE}</p>'}
                cell.outputs[number] = new_output("display_data", data=text)
            output.get("data", {}).pop("application/javascript", None)
    return still


def _table(rows: Iterable[Iterable[str]], head: Iterable[str] = (), kind: str = "") -> str:
    """Cells are HTML."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="{kind}">{f"<thead><tr>{top}</tr></thead>" if top else ""}<tbody>{body}</tbody></table>'


def _values(values: Mapping[str, Any], head: tuple[str, str]) -> str:
    return _table([(html.escape(name), html.escape(str(value))) for name, value in values.items()], head, "values")


def _what_was_run(notebooks: Mapping[str, NotebookNode]) -> str:
    records = {stem: notebook.metadata[RECORD] for stem, notebook in notebooks.items()}
    rows = []
    for stem, record in records.items():
        given = ", ".join(f"{name} = {value}" for name, value in record["parameters"].items())
        title = html.escape(title_of(notebooks[stem])[0])
        rows.append((f'<a href="#{stem}">{title}</a>', in_words(record["seconds"]), record["finished"], given))
    total = in_words(sum(record["seconds"] for record in records.values()))
    # All were run with the same versions on the same device: otherwise they would have been run again.
    record = next(reversed(records.values()))
    return (
        f"<p>Written {datetime.now():%Y-%m-%d %H:%M}. {len(rows)} notebooks, {total} in all, on "
        f"{html.escape(record['device'])}.</p>"
        + _table(rows, ("notebook", "time", "finished", "parameters"))
        + f"<details><summary>Versions</summary>{_values(record['versions'], ('package', 'version'))}</details>"
    )


def _training(result: dict[str, Any] | None) -> str:
    if result is None:
        return ""
    shares = [
        (html.escape(LABELS.get(name, name)), "not run" if share is None else f"{100 * share:.1f} %")
        for name, share in result["accuracy"].items()
    ]
    told = ("dataset", "recipe", "seed", "epochs", "seconds", "images_per_second", "test_images", "precision", "device")
    facts = {name: result[name] for name in (*told, "checkpoint") if name in result}
    recipe = _values(result.get("recipe_values", {}), ("value", "of this run"))
    return (
        "<h2>The training run</h2><p>Numbers and figures are those of this run. The words around them in the notebook "
        'were written about a run by the recipe laptop.</p><div class="figures">'
        f"{_table(shares, ('net', 'test accuracy'))}{_values(facts, ('what', 'of this run'))}</div>"
        f"<details><summary>The recipe, all values</summary>{recipe}</details>"
    )


def _tables(stem: str, notebook: NotebookNode) -> str:
    """The tables of a notebook, each under its heading."""
    chosen, heading = [], ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+\s+(.*)", cell.source, re.M)
            heading = headings[-1] if headings else heading
            continue
        outputs = cell.get("outputs", [])
        is_table = any("<table" in "".join(output.get("data", {}).get("text/html", "")) for output in outputs)
        if is_table or TABLE in cell.metadata.get("tags", []):
            chosen += [new_markdown_cell(f"### {heading}")] if heading else []
            chosen.append(cell)
            heading = ""
    if not chosen:
        return ""
    plain = HTMLExporter(template_name="basic", sanitize_html=False, exclude_input=True)
    return f"<h2>What each part is worth</h2>{section(f'{stem}-tables', new_notebook(cells=chosen), plain)}"


def _contents(stem: str, body: str) -> str:
    """One notebook's headings as links."""
    first = re.search(r"<h1[^>]*>(.*?)</h1>", body, re.S)
    rest = re.findall(r'<h2[^>]*\sid="([^"]+)"[^>]*>(.*?)</h2>', body, re.S)
    links = "".join(f'<li><a href="#{name}">{_unlinked(text)}</a></li>' for name, text in rest)
    return f'<li><a href="#{stem}">{_unlinked(first[1]) if first else stem}</a><ul>{links}</ul></li>'


def _unlinked(text: str) -> str:
    """A heading without the link to itself that follows it, and without others."""
    return re.sub(r"</?a\b[^>]*>", "", re.sub(r'<a class="anchor-link".*?</a>', "", text))
