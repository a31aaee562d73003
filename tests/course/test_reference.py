"""The pages made from docstrings: every public name of the paper's files, explained."""

import html
import inspect
import re
from importlib import import_module

import pytest

from tasnlib.attention_sampler import AttentionSampler, SamplingGrid
from tasnlib.course.site import REFERENCE, write_reference

# A line and the shapes say it all.
HELPERS = {"sides", "require_a_map_each", "invert_zoom", "read_bilinearly", "result_type", "positions"}


def public(module_name: str) -> dict[str, object]:
    module = import_module(f"tasnlib.{module_name}")
    if hasattr(module, "__all__"):  # a package, which shows what users import
        return {name: getattr(module, name) for name in module.__all__}
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


@pytest.mark.parametrize("name", ["to_sampled", "to_image", "boxes_to_sampled", "boxes_to_image", "unsample", "x", "y"])
def test_every_way_there_and_back_is_explained(name):
    text = inspect.getdoc(vars(SamplingGrid)[name])
    assert text
    assert name in "xy" or ">>>" in text
    assert name in "xy" or "Raises:" in text or "with its errors" in text


def test_every_public_method_has_a_docstring():
    for thing in (AttentionSampler, SamplingGrid):
        own = {name: one for name, one in vars(thing).items() if not name.startswith("_") and callable(one)}
        assert own
        assert [name for name, one in own.items() if not inspect.getdoc(one)] == []
