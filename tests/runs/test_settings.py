"""The parameters of notebook 05: what makes no sense is rejected at once, by name, with what is allowed."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papermill.translators import PythonTranslator

from tasnlib.runs.settings import NAMES, PATHS, TEXTS, Settings, check_names
from tasnlib.training.recipes import RECIPES

NAN, INFINITY = float("nan"), float("inf")
DEFAULTS = asdict(Settings())

BAD = {
    "dataset": ["bird", "", None, ["birds"]],
    "data_folder": ["", 3, True, b"datasets"],
    "recipe": ["labtop", None, RECIPES["laptop"]],
    "epochs": [0, 2.0, "3", True, NAN, 2**31],
    "batch_size": [1, -32, "32", True],
    "learning_rate": [0, -0.1, 10.5, NAN, INFINITY, "0.1", True],
    "seed": [-1, 1.5, "0", None, True, 2**31],
    "output_folder": ["", 3, True],
    "resume": [0, "True", None],
    "precision": ["float16", None, 32],
    "compiled": [1, "True"],
    "num_processes": [0, 2.0, None, True],
    "accumulate": [0, "2", None],
    "train_images": [1, 100.0, True],
    "test_images": [0, "100", False],
    "baselines": ["False", None, "", "crop,fill", 1],
    "out_size": [0, 224.0, "224"],
    "distillation_weight": [-1, NAN, "8"],
    "weights": ["", 1, "nowhere.pth"],
    "backbone": ["", 50],
    "attention_trunk": ["", 18],
    "num_workers": [-1, "2", True],
    "track": ["tensorbord", "", 3, True],
}


@pytest.mark.parametrize(("name", "values"), BAD.items())
def test_bad_values_are_rejected_by_name_with_what_is_allowed(name, values):
    for value in values:
        with pytest.raises(ValueError, match=name):
            Settings(**{name: value})
        with pytest.raises(ValueError, match=rf"^{name} is .*; it must be ") as rejected:
            Settings.from_values({name: value})
        assert repr(value) in str(rejected.value)
        assert "\n" not in str(rejected.value)


def test_bad_values_of_every_parameter_are_tried():
    assert list(BAD) == NAMES


@given(st.sampled_from(NAMES), st.one_of(st.integers(), st.floats(), st.text(max_size=8), st.booleans(), st.none()))
@settings(max_examples=100, deadline=None)
def test_any_value_is_accepted_and_kept_or_rejected_by_name(name, value):
    try:
        found = Settings.from_values({name: value})
    except ValueError as reason:
        message = str(reason)
    else:
        message = name if name in PATHS or getattr(found, name) == value else "changed"
    assert name in message


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [("dataset", "birdshard", "birds_hard"), ("recipe", "labtop", "laptop"), ("precision", "bfloat", "bfloat16"),
     ("track", "tensorbord", "tensorboard"), ("dataset", "stanford_dog", "stanford_dogs")],
)  # fmt: skip
def test_a_misspelt_choice_suggests_the_nearest(name, value, nearest):
    with pytest.raises(ValueError, match=f"Did you mean {nearest!r}"):
        Settings.from_values({name: value})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("data_folder", "output_folder"):
        with pytest.raises(ValueError, match=f"{name}.*must be the path of a folder"):
            Settings.from_values({name: str(tmp_path / "file")})
    for weights in ("DEFAULT", "none", str(tmp_path)):
        Settings(recipe="paper", weights=weights)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_size": 33, "num_processes": 2}, ("batch_size is 33", "num_processes 2", "multiple of 2")),
        ({"accumulate": 8, "num_processes": 8}, ("batch_size is 32", "accumulate 8", "multiple of 64")),
        ({"train_images": 31}, ("batch_size is 32", "train_images only 31")),
        ({"recipe": "smoke", "batch_size": 129}, ("batch_size is 129", "train_images only 128")),
        ({"resume": True}, ("resume is True", "output_folder is None")),
        ({"dataset": "folder"}, ("data_folder is None", "path of your images")),
        ({"weights": "DEFAULT"}, ("weights is 'DEFAULT'", "small networks")),
    ],
)
def test_contradictory_values_are_rejected_and_both_are_named(values, words):
    with pytest.raises(ValueError, match=r"must|add") as rejected:
        Settings.from_values(values)
    assert all(word in str(rejected.value) for word in words)


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"dataset": "birds_hard", "precision": "bfloat16"},
        {"epochs": 1, "batch_size": 2, "train_images": 2, "test_images": 1},
        {"seed": 2**31 - 1, "learning_rate": 10},
        {"resume": True, "output_folder": "runs/one", "num_processes": 4, "accumulate": 8},
        {"recipe": "modern", "backbone": "timm/resnet10t"},
        *({"recipe": name} for name in RECIPES),
    ],
    ids=str,
)
def test_good_values_survive_json(good):
    found = Settings(**good)
    assert Settings.from_values(json.loads(json.dumps(asdict(found)))) == found
    assert {name: asdict(found)[name] for name in good} == good


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().epochs = 0


def test_defaults_are_the_recipes():
    for name in RECIPES:
        assert Settings(recipe=name).resolved_recipe == RECIPES[name]
    changes = {"epochs": 7, "batch_size": 10, "learning_rate": 0.5, "train_images": 99, "test_images": 98,
               "backbone": "timm/resnet10t", "attention_trunk": "vgg11"}  # fmt: skip
    resolved = Settings(recipe="smoke", **changes).resolved_recipe
    assert {name: getattr(resolved, name) for name in changes} == changes
    assert Settings(recipe="paper", weights="none").resolved_recipe.weights is None
    assert Settings(recipe="paper").resolved_recipe.weights == "IMAGENET1K_V1"


def test_another_batch_size_scales_the_learning_rate_unless_one_is_given():
    assert Settings(recipe="paper", batch_size=48).resolved_recipe.learning_rate == pytest.approx(0.05)
    assert Settings(recipe="paper", batch_size=48, learning_rate=0.1).resolved_recipe.learning_rate == 0.1


def test_paths_become_absolute_and_names_of_weights_do_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Settings(recipe="paper", data_folder="data", output_folder="runs/one", weights="none").valid_anywhere()
    assert (found.data_folder, found.weights) == (str(tmp_path / "data"), "none")
    assert found.output_folder == str(tmp_path / "runs" / "one")


def test_paths_are_taken_as_people_type_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights").mkdir()
    found = Settings(recipe="paper", data_folder="'~/data' ", output_folder="~/runs/one", weights="~/weights")
    assert (found.data_folder, found.output_folder) == (str(tmp_path / "data"), str(tmp_path / "runs" / "one"))
    assert found.resolved_recipe.weights == str(tmp_path / "weights")


# -- Names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [("seeed", "seed"), ("epoch", "epochs"), ("batch-size", "batch_size"), ("output_dir", "output_folder")],
)
def test_a_misspelt_name_suggests_the_nearest_and_lists_all(misspelt, nearest):
    with pytest.raises(ValueError, match=f"no parameter '{misspelt}'. Did you mean '{nearest}'") as rejected:
        check_names(["seed", misspelt], NAMES)
    assert all(name in str(rejected.value) for name in NAMES)


def test_an_unlike_name_suggests_nothing():
    with pytest.raises(ValueError, match="no parameter 'qqq'") as rejected:
        check_names(["qqq"], NAMES)
    assert "Did you mean" not in str(rejected.value)


def test_a_value_of_the_recipe_says_where_it_stands():
    with pytest.raises(ValueError, match=r"temperature is not a parameter but a value of .*temperature=\.\.\."):
        Settings.from_values({"temperature": 3})


def test_a_path_as_data_set_says_where_it_goes():
    with pytest.raises(ValueError, match=r"For images of your own: dataset folder, and data_folder '\.\./my birds'"):
        Settings.from_values({"dataset": "../my birds"})


# -- Out of a notebook's namespace -------------------------------------------------------------------------------------


def test_values_come_from_the_namespace_whatever_else_is_in_it():
    namespace = {**DEFAULTS, "seed": 5, "answer": 42, "In": ["", "answer = 42", "import torch"]}
    assert Settings.from_namespace(namespace) == Settings(seed=5)


def test_without_the_cell_of_parameters_nothing_starts():
    with pytest.raises(ValueError, match=r"dataset, data_folder.* has no value; run the cell of parameters"):
        Settings.from_namespace({"In": [""]})


def test_a_misspelt_name_in_the_cell_of_parameters_is_rejected_until_it_is_corrected():
    misspelt = {**DEFAULTS, "seeed": 1, "In": ["# Parameters. Any\nseed = 0", "# Parameters\nseeed = 1\n"]}
    with pytest.raises(ValueError, match=r"no parameter 'seeed'. Did you mean 'seed'"):
        Settings.from_namespace(misspelt)
    corrected = {**misspelt, "seed": 1, "In": [*misspelt["In"], "settings = ...", "# Parameters\nseed = 1\n"]}
    assert Settings.from_namespace(corrected) == Settings(seed=1)


def test_every_value_that_papermill_writes_is_understood():
    given = {"seed": 3, "learning_rate": 2.5e-9, "output_folder": 'it\'s "quoted"', "epochs": None, "resume": True}
    namespace = dict(DEFAULTS)
    cell = PythonTranslator.codify(given)
    exec(cell, namespace)
    assert Settings.from_namespace({**namespace, "In": [cell]}) == Settings(**given)


def test_the_paths_that_papermill_injects_are_no_unknown_parameters():
    cell = "# Parameters\nPAPERMILL_INPUT_PATH = 'a'\nPAPERMILL_OUTPUT_PATH = 'b'\nseed = 1"
    assert Settings.from_namespace({**DEFAULTS, "seed": 1, "In": [cell]}) == Settings(seed=1)


@pytest.mark.parametrize(("name", "value"), [("output_folder", 7), ("data_folder", 20261128), ("output_folder", True)])
def test_a_folder_that_papermill_made_a_number_of_is_rejected_with_the_remedy(name, value):
    with pytest.raises(ValueError, match=rf"{name} is {value};.*papermill's -p .* -r {name} .*keeps the text"):
        Settings.from_values({name: value})


def test_texts_are_the_parameters_that_may_be_text():
    accept = {name for name in NAMES if "str" in str(Settings.__annotations__[name])}
    literal = {"dataset", "recipe", "precision", "track"}
    assert set(TEXTS) == accept - {"baselines"} | literal  # which may be True as well
