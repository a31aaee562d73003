"""Widgets use nothing that a front end lacks: JupyterLab, Notebook 7, VS Code, Colab. What was read about those is in
docs/teaching.md."""

import ast
import io
import re
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from traitlets import Bunch

from tasnlib.course.widgets.browser_pictures import upload_button

ROOT = Path(__file__).parents[2]
COURSE = sorted((ROOT / "tasnlib" / "course").rglob("*.py"))
NOTEBOOKS = [path for path in sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")) if path.parent.name[0] != "."]
EVERYWHERE = {"SelectionSlider", "FloatSlider", "Dropdown", "FileUpload", "HTML", "HBox", "VBox"}


def names_of(module: str, code: str) -> set[str]:
    """What a program takes from a module."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module:
            found.add(node.attr)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == module:
            found |= {alias.name for alias in node.names}
    return found


def test_names_are_found():
    assert names_of("ipywidgets", "import ipywidgets\nipywidgets.Tab()\nfrom ipywidgets import interact") == {
        "Tab",
        "interact",
    }
    assert names_of("ipywidgets", "from ipywidgets.widgets import Accordion\nother.Output()") == {"Accordion"}


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_course_uses_only_widgets_that_work_in_every_front_end(path):
    assert names_of("ipywidgets", path.read_text(encoding="utf-8")) <= EVERYWHERE


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_notebooks_make_no_widgets_of_their_own(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert "ipywidgets" not in code
    assert not re.search(r"^\s*[%!]", code, re.M)  # nor magics, which a script lacks


def test_javascript_of_widgets_needs_no_network():
    """VS Code and Colab run it under policies of their own; here it is all in the package."""
    for path in (ROOT / "tasnlib" / "course" / "widgets").glob("*"):
        if path.suffix in (".py", ".js"):
            assert not re.search(r"https?:|\bimport\s*\(|\bfetch\(|\brequire\(", path.read_text(encoding="utf-8")), path


def test_widgets_that_read_keys_keep_them_from_the_notebook():
    """Notebook 7 would take the arrow keys for itself; tried in a browser."""
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "tasnlib" / "course" / "widgets").glob("*.[pj][ys]")]
    reading = [code for code in files if '"keydown"' in code]
    assert reading
    assert all('.dataset.lmSuppressShortcuts = "true"' in code for code in reading)


def test_an_upload_is_read_as_ipywidgets_7_of_colab_and_8_hand_it_over():
    png = io.BytesIO()
    Image.new("RGB", (4, 3), "brown").save(png, "PNG")
    in_7 = {"bird.png": {"metadata": {"name": "bird.png"}, "content": png.getvalue()}}
    in_8 = ({"name": "bird.png", "content": memoryview(png.getvalue())},)
    for value in (in_7, in_8):
        opened = []
        button, message = upload_button(opened.append)
        button.notify_change(Bunch(name="value", old=(), new=value, owner=button, type="change"))
        assert [image.size for image in opened] == [(4, 3)]
        assert message.value == ""
