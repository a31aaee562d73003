"""The pages made from docstrings: every public name of the paper's files, explained."""

import html
import inspect
import re
from importlib import import_module

import pytest

from tasnlib.course.site import REFERENCE, write_reference

# A line and the shapes say it all.
HELPERS = {"sides", "require_a_map_each", "invert_zoom", "read_bilinearly", "result_type", "positions"}


def public(module_name: str) -> dict[str, object]:
    module = import_module(f"tasnlib.{module_name}")
    own = {name: thing for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}
    return {name: thing for name, thing in own.items() if not name.startswith("_") and callable(thing)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    assert write_reference(folder).is_file()
    return folder


@pytest.mark.parametrize("module", REFERENCE)
def test_every_public_name_is_explained_with_shapes_and_an_example(pages, module):
    page = (pages / "tasnlib" / f"{module.replace('.', '/')}.html").read_text(encoding="utf-8")
    names = public(module)
    assert len(names) >= 2
    for name, thing in names.items():
        assert f'id="{name}"' in page
        assert inspect.getdoc(thing)
        record = hasattr(thing, "_fields")
        assert name in HELPERS or record or ">>>" in inspect.getdoc(thing)
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert "Float[Tensor, 'b " in text
