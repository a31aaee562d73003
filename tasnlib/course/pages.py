"""From notebooks to web pages that ask the network for nothing: styles and pictures inside, formulas as MathML."""

import copy
import html
import re

import latex2mathml.converter
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

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


def body_of(notebook: NotebookNode, exporter: HTMLExporter | None = None) -> str:
    """A notebook's cells as HTML, formulas as MathML.

    Args:
        notebook: as executed; it is left as it is.
        exporter: another one than the plain one, for a page that is laid out differently.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
        # A widget that was not prerendered cannot work on a page; the strip of pictures beside it does.
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata.pop("widgets", None)
    exporter = exporter or HTMLExporter(template_name="basic", sanitize_html=False)
    return exporter.from_notebook_node(notebook)[0]


def framed(title: str, body: str, style: str = "", head: str = "") -> str:
    """A whole page around a body.

    Args:
        title: as text.
        body: as HTML.
        style: rules besides the course's own.
        head: more for the page's head, as HTML.
    """
    code_style = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{code_style}{style}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
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
