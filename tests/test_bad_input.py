"""Whatever is given to a public function, it answers rightly or refuses by name: never NaN, a hang, torch's own words.

For a new function, add a `Function` to one of the lists: how it is called, arguments that it takes, and bad values for
each. A function that nobody calls by hand goes to `NOT_CALLED_BY_HAND`, with the reason.
"""

import importlib
import inspect
import math
import pkgutil
import re

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tasnlib
from tests import fuzzed_networks
from tests.bad_inputs import assert_refused_by_name, refusal_of
from tests.data import fuzzed_data

pytestmark = pytest.mark.usefixtures("as_a_user")

FUNCTIONS = {
    function.name: function
    for listed in (fuzzed_networks, fuzzed_data)
    for name, functions in vars(listed).items()
    if name.endswith("_FUNCTIONS")
    for function in functions
}


def cases():
    for function in FUNCTIONS.values():
        for argument, bad in function.bad.items():
            for label, value in bad.items():
                yield pytest.param(function, argument, value, id=f"{function.name}({argument}: {label})")


CASES = list(cases())


@pytest.mark.parametrize(("function", "argument", "value"), CASES)
def test_a_bad_value_is_refused_by_name(function, argument, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raised = refusal_of(function, {argument: value})
    assert raised is not None, "it was accepted"
    assert_refused_by_name(function, {argument: value}, raised)
    assert list(tmp_path.iterdir()) == []


def test_more_than_300_distinct_bad_inputs_are_tried(capsys):
    distinct = {case.id for case in CASES}
    with capsys.disabled():
        print(f"\n{len(distinct)} distinct bad inputs to {len(FUNCTIONS)} functions")
    assert len(distinct) == len(CASES) > 300


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_good_arguments_are_good(function):
    assert refusal_of(function, {}) is None


# -- At random ---------------------------------------------------------------------------------------------------------

at_random = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("function", [one for one in FUNCTIONS.values() if len(one.bad) > 1], ids=lambda one: one.name)
def test_several_bad_values_together_are_refused_by_the_name_of_one(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = {argument: st.sampled_from(list(values.values())) for argument, values in function.bad.items()}

    @at_random
    @given(st.fixed_dictionaries({}, optional=bad).filter(lambda changed: len(changed) > 1))
    def fuzz(changed):
        raised = refusal_of(function, changed)
        assert raised is not None, f"{changed} was accepted"
        assert_refused_by_name(function, changed, raised)

    fuzz()


@st.composite
def tensors(draw):
    """Of any shape, kind and content, at most 4 long each way."""
    shape = draw(st.lists(st.integers(0, 4), max_size=5))
    numbers = torch.rand(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    scale = draw(st.sampled_from([1.0, -1.0, 0.0, 1e38, math.nan, math.inf]))
    kinds = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]
    kind = draw(st.sampled_from(kinds))
    return ((4 * numbers).floor() if not kind.is_floating_point else scale * numbers).to(kind)


# No numbers between those that are quickly done and those that nobody has memory for.
NUMBERS = st.integers(-(2**80), 40) | st.integers(2**40, 2**80) | st.floats(width=64)
PLAIN = NUMBERS | st.none() | st.booleans() | st.text(max_size=9) | st.binary(max_size=9) | st.complex_numbers()
NONSENSE = PLAIN | tensors() | st.lists(PLAIN, max_size=4) | st.tuples(NUMBERS, NUMBERS) | st.dictionaries(PLAIN, PLAIN)
ONLY_COMPUTE = [one for one in FUNCTIONS.values() if not one.touches_files]


@pytest.mark.parametrize("function", ONLY_COMPUTE, ids=lambda one: one.name)
def test_nonsense_is_answered_with_finite_numbers_or_refused_by_name(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @at_random
    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(function.bad, NONSENSE)))
    def fuzz(changed):
        raised = refusal_of(function, changed)
        if raised is not None:
            assert_refused_by_name(function, changed, raised)

    fuzz()


# -- None is left out --------------------------------------------------------------------------------------------------

# Modules, or parts of one, that are left out of the lists: somebody else sees to their arguments.
NOT_CALLED_BY_HAND = {
    "the checks themselves": "arguments",
    "called by cells of the notebooks, with what the library gave them": "ablations exercises plots widgets",
    "commands, which parse what they are given": "notebook_errors pages pipeline report run_notebook site",
    "take Settings, which are checked when they are made": "cells datasets experiment results run_folder",
    "take a function, or nothing": "cost data.image_file:kinds devices:leave_processes small_networks:small_backbone",
    "between processes": "devices:end_with files run_lock",
    "steps of fit": "faults progress speed:compile_parts",
    "results": "attention:PooledAttention model:TASNOutput model:PlainOutput prediction:Prediction",
    "steps of Birds, ImageFiles and augment": "data.batch data.cache data.drawing data.inspection data.layout "
    "data.folder:holds_images_by_class data.randomness data.shapes data.birds:BirdsBatch data.images:image_seed "
    "data.image_file:decode_image "
    "data.image_file:in_threads data.image_file:opened data.image_file:read_bytes "
    "data.image_file:stored_geometry "
    "data.image_file:upright_points data.image_file:upright_rgb data.image_file:upright_size "
    "data.transforms:centre_window "
    "data.transforms:check_style data.transforms:draw_window data.transforms:finish data.transforms:to_tensor",
    "steps of other networks' functions": "evaluation:answer_batch "
    "evaluation:as_it_is evaluation:silent_images pretrained strides",
    "tried in test_settings": "settings:Settings.from_cells settings:Settings.as_dict settings:Settings.as_parameters "
    "settings:check_names",
}
LEFT_OUT = [place for places in NOT_CALLED_BY_HAND.values() for place in places.split()]


def public_functions() -> list[str]:
    """What of tasnlib may be called, as "module:function", "module:Class" and "module:Class.method"."""
    found = []
    for listed in pkgutil.walk_packages(tasnlib.__path__, "tasnlib."):
        for name, one in vars(importlib.import_module(listed.name)).items():
            if getattr(one, "__module__", "") == listed.name and callable(one):
                methods = vars(one) if inspect.isclass(one) else {}
                names = [name, *(f"{name}.{method}" for method in methods if callable(getattr(one, method)))]
                found += [f"{listed.name.removeprefix('tasnlib.')}:{one}" for one in names]
    return [place for place in found if not re.search(r"[:.]_", place)]


def is_in(place: str, whole: str) -> bool:
    return place == whole or place.startswith((f"{whole}.", f"{whole}:"))


def test_every_public_function_is_tried_or_left_out_for_a_reason():
    tried = {re.split(r"[ ,\[]", name)[0] for name in FUNCTIONS}
    asked = [one for one in public_functions() if not any(is_in(one, left_out) for left_out in LEFT_OUT)]
    assert [one for one in asked if one.split(":")[1] not in tried] == []


def test_what_is_left_out_is_there():
    public = public_functions()
    assert [left_out for left_out in LEFT_OUT if not any(is_in(one, left_out) for one in public)] == []
