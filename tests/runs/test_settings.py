"""The parameters of notebook 05: whatever cannot be meant is refused at once, by name, with what would be right."""

import json
from dataclasses import FrozenInstanceError, fields

import nbformat
import papermill
import pytest
from papermill.translators import PythonTranslator

from tasnlib.runs.cells import assigned_parameters
from tasnlib.runs.settings import DATASETS, Settings, check_names
from tasnlib.training.devices import PRECISIONS
from tasnlib.training.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("as_a_user")

NAMES = [field.name for field in fields(Settings)]
NAN, INFINITY = float("nan"), float("inf")

BAD = {
    "dataset": ["bird", "Birds", "", "cub201", None, 0, True, ["birds"], b"birds"],
    "data_folder": ["", 3, True, ["datasets"], b"datasets"],
    "recipe": ["labtop", "", "LAPTOP", None, 1, ["laptop"], RECIPES["laptop"]],
    "epochs": [0, -1, 2.0, 1.5, "3", "three", True, False, [3], NAN, INFINITY, 2**31],
    "batch_size": [0, 1, -32, 32.0, "32", True, [32], NAN, 2**31],
    "learning_rate": [0, 0.0, -0.1, 10.5, NAN, INFINITY, -INFINITY, "0.1", "1e-3", True, [0.1], 1j],
    "seed": [-1, 0.0, 1.5, "0", None, True, NAN, 2**31, 2**64],
    "output_folder": ["", 3, True, ["runs"], b"runs"],
    "resume": [0, 1, "True", "yes", None, 1.0],
    "precision": ["float16", "fp32", "bf16", "", None, 32, True],
    "compiled": [0, 1, "True", None],
    "num_processes": [0, -1, 2.0, "2", None, True, 2**31],
    "accumulate": [0, -1, 2.0, "2", None, True, 2**31],
    "train_images": [0, 1, -5, 100.0, "100", True, NAN, 2**31],
    "test_images": [0, -5, 100.0, "100", True, False, 2**31],
    "baselines": [0, 1, "False", "no", None, []],
    "weights": ["", 0, 1, True, False, ["DEFAULT"]],
    "backbone": ["", "resnet51", "timm/", 50, True, ["resnet50"]],
    "attention_trunk": ["", "resnet-18", "timm/", 18, False, b"resnet18"],
    "num_workers": [-1, 2.0, "2", True, 2**31],
    "cache": [0, 1, "True", None],
    "continue_unsaved": [0, 1, "yes", None],
}
BAD_CASES = [pytest.param(name, value, id=f"{name}={value!r:.20}") for name, values in BAD.items() for value in values]


@pytest.mark.parametrize(("name", "value"), BAD_CASES)
def test_a_bad_value_is_refused_by_name_with_what_it_may_be(name, value):
    with pytest.raises(ValueError, match=rf"^{name} is ") as refusal:
        Settings(**{name: value})
    message = str(refusal.value)
    assert repr(value) in message
    assert "it must be" in message


def test_bad_values_of_every_parameter_are_tried():
    assert list(BAD) == NAMES


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, 2**31) for name in ("epochs", "batch_size", "seed", "num_processes", "train_images", "test_images")],
)
def test_a_number_that_is_too_large_is_told_the_limit(name, value):
    # "2147483648; it must be a whole number from 0 up" is what it is.
    with pytest.raises(ValueError, match=r"2147483647|2\*\*31|2³¹|2\^31|at most|below|billion"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [("dataset", "bird", "birds"), ("dataset", "birdshard", "birds_hard"), ("recipe", "labtop", "laptop"),
     ("recipe", "Smoke", "smoke"), ("precision", "bfloat", "bfloat16"), ("precision", "float23", "float32")],
)  # fmt: skip
def test_a_misspelt_choice_is_told_the_nearest_and_all(name, value, nearest):
    with pytest.raises(ValueError, match=f"Did you mean {nearest!r}") as refusal:
        Settings(**{name: value})
    choices = {"dataset": DATASETS, "recipe": RECIPES, "precision": PRECISIONS}[name]
    assert all(choice in str(refusal.value) for choice in choices)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for name in ("data_folder", "output_folder"):
        with pytest.raises(ValueError, match=f"{name}.*folder"):
            Settings(**{name: str(tmp_path / "file")})


def test_weights_that_are_neither_known_nor_a_folder_are_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(ValueError, match="weights"):
        Settings(recipe="paper", weights=str(tmp_path / "nowhere.pth"))
    for weights in ("DEFAULT", "none", str(tmp_path)):
        Settings(recipe="paper", weights=weights)


@pytest.mark.parametrize(
    ("contradiction", "named"),
    [
        ({"batch_size": 33, "num_processes": 2}, ("batch_size", "33", "num_processes", "2", "multiple")),
        ({"num_processes": 3}, ("batch_size", "32", "num_processes", "3")),
        ({"num_processes": 64}, ("batch_size", "32", "num_processes", "64")),
        ({"accumulate": 3}, ("accumulate is 3", "batch_size 32", "divide 32")),
        ({"accumulate": 64}, ("accumulate is 64", "batch_size 32")),
        ({"accumulate": 8, "num_processes": 8}, ("accumulate is 8", "batch_size 32", "8 processes", "4 images")),
        ({"batch_size": 64, "train_images": 63}, ("batch_size", "64", "train_images", "63")),
        ({"train_images": 31}, ("batch_size", "32", "train_images", "31")),
        ({"recipe": "smoke", "batch_size": 129}, ("batch_size", "129", "train_images", "128")),
        ({"resume": True}, ("resume", "output_folder")),
    ],
)
def test_contradictory_values_are_refused_and_both_are_named(contradiction, named):
    with pytest.raises(ValueError, match="must") as refusal:
        Settings(**contradiction)
    assert all(word in str(refusal.value) for word in named)


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"dataset": "birds_hard", "precision": "bfloat16"},
        {"epochs": 1, "batch_size": 2, "train_images": 2, "test_images": 1},
        {"seed": 2**31 - 1, "learning_rate": 10},
        {"learning_rate": 1e-12, "weights": "none", "baselines": False},
        {"resume": True, "output_folder": "runs/one"},
        {"num_processes": 32, "data_folder": "not made yet"},
        {"num_processes": 4, "accumulate": 8},
        *({"recipe": name} for name in RECIPES),
    ],
    ids=str,
)
def test_good_values_pass_and_survive_json(good):
    settings = Settings(**good)
    assert Settings(**json.loads(json.dumps(settings.as_dict()))) == settings
    assert list(settings.as_dict()) == NAMES
    assert {name: settings.as_dict()[name] for name in good} == good


def test_settings_cannot_be_changed_after_the_check():
    with pytest.raises(FrozenInstanceError):
        Settings().epochs = 0


def test_what_is_not_given_is_as_the_recipe_says():
    for name in RECIPES:
        assert Settings(recipe=name).resolved_recipe == RECIPES[name]
    given = {"epochs": 7, "batch_size": 10, "learning_rate": 0.5, "train_images": 99, "test_images": 98,
             "backbone": "timm/resnet10t", "attention_trunk": "vgg11"}  # fmt: skip
    resolved = Settings(recipe="smoke", **given).resolved_recipe
    assert {name: getattr(resolved, name) for name in given} == given
    assert resolved.out_size == RECIPES["smoke"].out_size
    assert Settings(recipe="paper", weights="none").resolved_recipe.weights is None
    assert Settings(recipe="paper").resolved_recipe.weights == "IMAGENET1K_V1"


@pytest.mark.parametrize("name", ["backbone", "attention_trunk"])
def test_weights_that_are_torchvision_s_alone_are_refused_for_timm(name):
    with pytest.raises(ValueError, match=f"{name} is 'timm/resnet10t'.*add weights DEFAULT"):
        Settings(recipe="official", **{name: "timm/resnet10t"})
    Settings(recipe="official", weights="DEFAULT", **{name: "timm/resnet10t"})
    Settings(recipe="modern", **{name: "timm/resnet10t"})


def test_one_s_own_images_need_a_folder_and_drawn_ones_no_cache():
    with pytest.raises(ValueError, match="data_folder is None; it must be the path of your images"):
        Settings(dataset="folder")
    with pytest.raises(ValueError, match="cache is True, but 'birds' is drawn"):
        Settings(cache=True)


def test_another_batch_size_brings_a_scaled_learning_rate_unless_one_is_given():
    assert Settings(recipe="paper", batch_size=48).resolved_recipe.learning_rate == pytest.approx(0.05)
    assert Settings(recipe="laptop", batch_size=8).resolved_recipe.learning_rate == pytest.approx(0.001)
    assert Settings(recipe="paper", batch_size=48, learning_rate=0.1).resolved_recipe.learning_rate == 0.1


# -- Names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [("seeed", "seed"), ("Seed", "seed"), ("epoch", "epochs"), ("batchsize", "batch_size"),
     ("batch-size", "batch_size"), ("lerning_rate", "learning_rate"), ("output_dir", "output_folder"),
     ("data_set", "dataset"), ("num_process", "num_processes"), ("baseline", "baselines"),
     ("train_image", "train_images")],
)  # fmt: skip
def test_a_misspelt_name_is_told_the_nearest_and_all(misspelt, nearest):
    with pytest.raises(ValueError, match=f"no parameter '{misspelt}'. Did you mean '{nearest}'") as refusal:
        check_names({"seed": 1, misspelt: 1}, NAMES)
    assert all(name in str(refusal.value) for name in NAMES)


def test_a_name_like_no_other_is_told_all():
    with pytest.raises(ValueError, match="no parameter 'qqq'") as refusal:
        check_names({"qqq": 1}, NAMES)
    assert "Did you mean" not in str(refusal.value)
    assert all(name in str(refusal.value) for name in NAMES)
    check_names({"seed": 1, "weights": None}, NAMES)
    check_names({}, NAMES)


# -- Out of a notebook's cells -----------------------------------------------------------------------------------------

ORDINARY = [
    "",
    "# only a comment",
    "'''only text'''",
    "import torch\nfrom tasnlib.runs.settings import Settings",
    "settings = Settings.from_cells(In)",
    "get_ipython().run_line_magic('matplotlib', 'inline')",
    "%matplotlib inline\nseeed = 3",
    "!ls",
    "def seeed():\n    return 1",
    "for seeed in range(3):\n    pass",
    "seeed = 3\nprint(seeed)",
    "seeed = sum([1, 2])",
    "seeed = epochs",
    "seeed = float(epochs)",
    "seeed = float()",
    "seeed += 1",
    "seeed.x = 3",
    "seeed[0] = 3",
    "seeed = other = 3",
    "seeed, other = 3, 4",
    "seeed = f'{3}'",
    "seeed = [n for n in (1, 2)]",
    "seeed = lambda: 3",
    "seeed =",
]


@pytest.mark.parametrize("cell", ORDINARY, ids=repr)
def test_ordinary_cells_are_left_alone(cell):
    assert assigned_parameters(["seed = 1", cell, "epochs = 2"]) == {"seed": 1, "epochs": 2}


def test_later_cells_win_as_they_do_in_the_notebook():
    assert assigned_parameters(["seed = 1\nepochs = 2\nseed = 3", "# Parameters\nepochs = 4\n"]) == {
        "seed": 3,
        "epochs": 4,
    }


def test_a_parameter_may_be_annotated_as_papermill_allows():
    assert assigned_parameters(["seed: int = 3\nepochs: int | None = None"]) == {"seed": 3, "epochs": None}
    with pytest.raises(ValueError, match="seeed"):
        Settings.from_cells(["seeed: int = 3"])


@pytest.mark.parametrize(
    "value",
    [0, -1, 3, 0.001, -2.5e-9, 1e300, "text", 'it\'s "quoted"\n', None, True, False, INFINITY, -INFINITY, ["a", 1]],
)
def test_every_value_that_papermill_writes_is_read_back(value):
    cell = PythonTranslator.codify({"seed": value})
    found = assigned_parameters([cell])["seed"]
    assert found == value
    assert type(found) is type(value)


def test_a_papermill_nan_is_refused_as_a_value():
    with pytest.raises(ValueError, match="learning_rate is nan"):
        Settings.from_cells([PythonTranslator.codify({"learning_rate": NAN})])


def test_settings_come_out_of_cells():
    cells = ["", 'dataset = "birds"  # which\nepochs = None\nseed = 0', "# Parameters\nseed = 5\n", "import torch"]
    assert Settings.from_cells(cells) == Settings(seed=5)
    assert Settings.from_cells([]) == Settings()


@pytest.mark.parametrize(
    "cell",
    [
        *("epochs = 2 * 3", "seed = 1\nepochs = 2 * 3", "epochs = 3\nprint(epochs)", "epochs: int = len([1])"),
        *("import os\nepochs = 3", "epochs, batch_size = 3, 4", "epochs += 1", "seed = epochs = 3"),
    ],
    ids=repr,
)
def test_a_parameter_in_an_ordinary_cell_is_not_passed_over_in_silence(cell):
    with pytest.raises(ValueError, match=r"'(seed = )?epochs.* \+?= .*write the value of (epochs|seed) itself"):
        Settings.from_cells(["seed = 0\nepochs = None", cell])


@pytest.mark.parametrize(
    "cell",
    [
        *("if True:\n    epochs = 3", "try:\n    epochs = 3\nfinally:\n    pass", "for epochs in (3, 4):\n    pass"),
        *("print(epochs := 3)", "del epochs", "with open('x') as epochs:\n    pass", "import time as epochs"),
        *("def epochs():\n    pass", "%%time\nepochs = 3", "%time epochs = 3", "!ls\nepochs = 3"),
    ],
    ids=repr,
)
def test_nor_is_one_inside_a_statement_or_behind_a_command_of_ipython(cell):
    with pytest.raises(ValueError, match=r"there is ['\"].*epochs.*['\"] in a cell .*write the value of epochs itself"):
        Settings.from_cells(["seed = 0\nepochs = None", cell])


@pytest.mark.parametrize(
    "cell",
    [
        *("def train():\n    epochs = 3", "print([epochs for epochs in (1, 2)])", "run(lambda epochs: 3, epochs=4)"),
        *("%%bash\nepochs=3", "%timeit epochs = 3", "model.epochs = 3", "class Run:\n    epochs = 3", "epochs ="),
    ],
    ids=repr,
)
def test_a_name_of_somebody_else_s_is_none_of_ours(cell):
    assert Settings.from_cells(["epochs = 2", cell]) == Settings(epochs=2)


def test_a_parameter_that_is_then_given_plainly_is_taken():
    cells = ["if total:\n    epochs = 7", "epochs = 2 * 3", "epochs = 6", "total = 3\nmodel = print"]
    assert Settings.from_cells(cells) == Settings(epochs=6)


@pytest.mark.parametrize(
    ("cell", "named"),
    [("seeed = 1", "'seeed'.*'seed'"), ("epochs = 'three'", "epochs is 'three'"), ("epochs = True", "epochs is True")],
)
def test_a_bad_name_or_value_in_a_cell_is_refused(cell, named):
    with pytest.raises(ValueError, match=named):
        Settings.from_cells(["seed = 0\nepochs = None", "# Parameters\n" + cell])


def test_notebook_05_offers_every_parameter_with_its_default(request):
    notebook = request.config.rootpath / "notebooks/05_train_full.ipynb"
    assert list(papermill.inspect_notebook(str(notebook))) == NAMES
    cells = [cell for cell in nbformat.read(notebook, 4).cells if "parameters" in cell.metadata.get("tags", [])]
    assert [Settings(**assigned_parameters([cell.source])) for cell in cells] == [Settings()]


def test_who_asks_for_a_value_of_the_recipe_is_told_where_it_stands():
    with pytest.raises(ValueError, match=r"temperature is no parameter but a value of the recipe.*temperature=\.\.\."):
        Settings.from_cells(["seed = 0", "# Parameters\ntemperature = 3"])


def test_a_path_in_the_data_set_s_place_is_told_where_it_goes():
    with pytest.raises(ValueError, match=r"For images of your own: dataset folder, and data_folder '\.\./my birds'"):
        Settings(dataset="../my birds")
