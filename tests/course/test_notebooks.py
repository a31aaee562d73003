"""Committed notebooks keep the rules; and the rules see each way of breaking them."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.course.notebook_rules import problems

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").rglob("*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebook_keeps_the_rules(path):
    assert problems(nbformat.read(path, as_version=4), path) == []


def a_good_notebook():
    picture = new_output("display_data", {"image/png": PNG}, metadata={"image/png": {"alt": "a dot"}})
    return new_notebook(
        cells=[
            new_markdown_cell("# Title\n\n![a bird](bird.png)"),
            new_code_cell("1 + 1", execution_count=1, outputs=[new_output("execute_result", {"text/plain": "2"})]),
            new_code_cell("show()", execution_count=2, outputs=[picture]),
        ]
    )


def test_a_good_notebook_has_no_problems():
    assert problems(a_good_notebook()) == []


def unexecuted(book):
    book.cells[2].execution_count = None


def out_of_order(book):
    book.cells[1].execution_count = 7


def empty_cell(book):
    book.cells.append(new_code_cell(""))


def stderr(book):
    book.cells[1].outputs.append(new_output("stream", name="stderr", text="warning"))


def error(book):
    book.cells[1].outputs.append(new_output("error", ename="ValueError", evalue="no", traceback=[]))


def bare_false(book):
    book.cells[1].outputs = [new_output("execute_result", {"text/plain": "False"})]


def path_in_output(book):
    book.cells[1].outputs.append(new_output("stream", name="stdout", text="saved to /home/me/run"))


def path_in_source(book):
    book.cells[1].source = "open('/root/secret')"


def path_on_windows(book):
    book.cells[1].outputs.append(new_output("stream", name="stdout", text="C:\\Users\\me"))


def remote_image(book):
    book.cells[0].source = "![a bird](https://example.org/bird.png)"


def remote_image_by_html(book):
    book.cells[0].source = "<img alt='a bird' src='http://example.org/bird.png'>"


def remote_image_in_output(book):
    html = "<img alt='x' src='https://example.org/bird.png'>"
    book.cells[1].outputs.append(new_output("display_data", {"text/html": html}))


def markdown_picture_without_text(book):
    book.cells[0].source = "![](bird.png)"


def html_picture_without_text(book):
    book.cells[0].source = "<img src='bird.png'>"


def output_picture_without_text(book):
    book.cells[2].outputs[0].metadata = nbformat.from_dict({})


def svg(book):
    book.cells[2].outputs.append(new_output("display_data", {"image/svg+xml": "<svg/>"}))


def lost_section(book):
    book.cells[0].source += "\n\n## 1 · The idea\n\n## 3 · The result"


def long_cell(book):
    book.cells[1].source = "\n".join(["1"] * 31)
    book.cells.append(new_code_cell("1", execution_count=3))


def long_median(book):
    for cell in book.cells[1:]:
        cell.source = "\n".join(["1"] * 9)


def widget_without_state(book):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    book.cells[1].outputs.append(new_output("display_data", view))


def widget_with_error(book):
    outputs = [{"output_type": "error", "ename": "KeyError", "evalue": "no"}]
    state = {"state": {"a": {"state": {"outputs": outputs}}}}
    book.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": state}


def ignored_output(book):
    book.cells[1].metadata["tags"] = ["nbval-ignore-output"]


BROKEN = {
    ignored_output: "cell 1 is ignored",
    unexecuted: "never executed",
    out_of_order: "execution count 7",
    empty_cell: "is empty",
    stderr: "stderr",
    error: "ended in an error",
    bare_false: "shows a bare False",
    path_in_output: "path of one machine",
    path_in_source: "path of one machine",
    path_on_windows: "path of one machine",
    remote_image: "from the network",
    remote_image_by_html: "from the network",
    remote_image_in_output: "from the network",
    markdown_picture_without_text: "alternative text",
    html_picture_without_text: "alternative text",
    output_picture_without_text: "alternative text",
    svg: "image/svg",
    lost_section: "numbered 1, 3",
    long_cell: "31 lines",
    long_median: "median cell has 9",
    widget_without_state: "state is not saved",
    widget_with_error: "widget holds an error",
}


@pytest.mark.parametrize(("spoil", "sentence"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_each_broken_rule_is_found_and_named(spoil, sentence):
    book = a_good_notebook()
    spoil(book)
    found = problems(book)
    assert len(found) == 1
    assert sentence in found[0]


def test_a_heavy_file_is_found(tmp_path):
    book = a_good_notebook()
    book.cells[0].source += "x" * 1_000_000
    path = tmp_path / "heavy.ipynb"
    nbformat.write(book, path)
    assert ["bytes" in problem for problem in problems(book, path)] == [True]
