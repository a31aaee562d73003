"""What a committed notebook must be: executed in order by one clean run, free of errors and local paths, light, and
readable by everyone. Each rule yields one sentence for each place where it is broken."""

import json
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

LARGEST = 1_000_000  # bytes
LONGEST_CELL = 30  # lines
MEDIAN_CELL = 8
LOCAL_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|Users|mnt|work|var|opt)/[\w.-]|[A-Z]:\\\\?Users")
REMOTE_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*https?:|<img[^>]+src\s*=\s*[\"']?https?:", re.I)
MARKDOWN_IMAGE = re.compile(r"!\[([^\]]*)\]\(")
HTML_IMAGE = re.compile(r"<img\b([^>]*)>", re.I)


def code_lines(cell: NotebookNode) -> int:
    return len([line for line in cell.source.splitlines() if line.strip()])


def problems(notebook: NotebookNode, path: Path | None = None) -> list[str]:
    """Every broken rule, in words; none for a notebook that may be committed."""
    found = [*_execution(notebook), *_outputs(notebook), *_pictures(notebook), *_lengths(notebook), *_widgets(notebook)]
    found += [*_sections(notebook), *_ignored(notebook)]
    if path is not None and path.stat().st_size > LARGEST:
        found.append(f"the file has {path.stat().st_size:,} bytes, more than {LARGEST:,}")
    return found


def _code(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(n, cell) for n, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


def _execution(notebook: NotebookNode) -> Iterator[str]:
    for expected, (number, cell) in enumerate(_code(notebook), start=1):
        if cell.execution_count is None:
            yield f"cell {number} was never executed"
        elif cell.execution_count != expected:
            yield f"cell {number} has execution count {cell.execution_count}, in one clean run it would be {expected}"
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and not cell.source.strip():
            yield f"cell {number} is empty"


def _outputs(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in _code(notebook):
        allowed_to_raise = "nbval-raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield f"cell {number} wrote to stderr: {output.text.strip()[:80]!r}"
            if output.output_type == "error" and not allowed_to_raise:
                yield f"cell {number} ended in an error: {output.ename}: {output.evalue[:80]}"
            if output.output_type == "execute_result" and output.data.get("text/plain") in ("True", "False"):
                yield f"cell {number} shows a bare {output.data['text/plain']}"
            # Pictures are base64 and could hold anything.
            data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
            text = json.dumps(data) + output.get("text", "") + "".join(output.get("traceback", []))
            if match := LOCAL_PATH.search(text):
                yield f"cell {number} shows a path of one machine: {text[match.start() : match.start() + 40]!r}"
    for number, cell in enumerate(notebook.cells):
        if match := LOCAL_PATH.search(cell.source):
            yield f"cell {number} holds a path of one machine: {cell.source[match.start() : match.start() + 40]!r}"


def _pictures(notebook: NotebookNode) -> Iterator[str]:
    for number, cell in enumerate(notebook.cells):
        if REMOTE_IMAGE.search(cell.source):
            yield f"cell {number} loads an image from the network"
        if cell.cell_type == "markdown":
            alternatives = [match[1] for match in MARKDOWN_IMAGE.finditer(cell.source)]
            alternatives += [_alt_of(match[1]) for match in HTML_IMAGE.finditer(cell.source)]
            if not all(text.strip() for text in alternatives):
                yield f"cell {number} has a picture without alternative text"
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            if REMOTE_IMAGE.search(html):
                yield f"cell {number} shows an image from the network"
            if not all(_alt_of(match[1]).strip() for match in HTML_IMAGE.finditer(html)):
                yield f"cell {number} shows a picture without alternative text"
            for kind in output.get("data", {}):
                if kind == "image/png":
                    if not output.metadata.get(kind, {}).get("alt", "").strip():
                        yield f"cell {number} shows a picture without alternative text"
                elif kind.startswith("image/"):
                    yield f"cell {number} shows {kind}; pictures are PNG, because SVG carries a date"


def _alt_of(attributes: str) -> str:
    match = re.search(r"alt\s*=\s*(\"[^\"]*\"|'[^']*')", attributes, re.I)
    return match[1][1:-1] if match else ""


def _sections(notebook: NotebookNode) -> Iterator[str]:
    """A number that is missing is a heading that an edit has lost, with the text below it."""
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    numbers = [int(number) for number in re.findall(r"^## (\d+) · ", texts, re.M)]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the sections are numbered {', '.join(map(str, numbers))}; none may be missing"


def _ignored(notebook: NotebookNode) -> Iterator[str]:
    """Strict nbval leaves out the output of tagged cells, so nothing tests their numbers."""
    trains = any(re.search(r"(?<![.\w])(?:fit|train)\(", cell.source) for _, cell in _code(notebook))
    for number, cell in _code(notebook):
        shows_widget = any("application/vnd.jupyter.widget-view+json" in one.get("data", {}) for one in cell.outputs)
        if "nbval-ignore-output" in cell.metadata.get("tags", []) and not (shows_widget or trains):
            yield f"the output of cell {number} is ignored, but it is no widget, and this notebook trains nothing"


def _lengths(notebook: NotebookNode) -> Iterator[str]:
    lengths = [code_lines(cell) for _, cell in _code(notebook)]
    for (number, _), length in zip(_code(notebook), lengths, strict=True):
        if length > LONGEST_CELL:
            yield f"cell {number} has {length} lines of code, more than {LONGEST_CELL}"
    if lengths and statistics.median(lengths) > MEDIAN_CELL:
        yield f"the median cell has {statistics.median(lengths):g} lines of code, more than {MEDIAN_CELL}"


def _widgets(notebook: NotebookNode) -> Iterator[str]:
    shows_widget = any(
        "application/vnd.jupyter.widget-view+json" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    saved = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    if shows_widget and "state" not in saved:
        yield "widgets are shown but their state is not saved, which code-hosting sites call an invalid notebook"
    for model in saved.get("state", {}).values():
        for output in model.get("state", {}).get("outputs", []):
            if output.get("output_type") == "error":
                yield f"a widget holds an error: {output.get('ename')}: {str(output.get('evalue'))[:80]}"
