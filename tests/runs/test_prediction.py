"""A trained model in three lines: the same answer as in a test, on any image file."""

import io
from dataclasses import replace

import pytest
import torch
from PIL import Image

import tasnlib
from tasnlib.data.images import ImageFiles
from tasnlib.networks.build import build_model
from tasnlib.runs.prediction import Prediction, Predictor
from tasnlib.training.checkpoints import load_model, save_weights
from tasnlib.training.recipes import RECIPES
from tests.data.photo_sets import make_cub200

SMOKE = replace(RECIPES["smoke"], image_size=64)
NAMES = ["wren", "robin", "lark"]


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run, its model answering lively."""
    torch.manual_seed(0)
    model = build_model("tasn", SMOKE, len(NAMES))
    torch.nn.init.normal_(model.classifier.weight, std=5.0)
    torch.nn.init.ones_(model.attention_net.norm.bias)  # nor is its attention silent
    save_weights(tmp_path / "run" / "tasn.safetensors", model, "tasn", SMOKE, NAMES)
    save_weights(
        tmp_path / "run" / "downsampled.safetensors", build_model("downsampled", SMOKE, 3), "downsampled", SMOKE, NAMES
    )
    return tmp_path / "run"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    home = make_cub200(tmp_path_factory.mktemp("photographs"))
    return sorted(home.glob("images/*/*.jpg"))[:6]


def test_a_prediction_is_what_the_test_says_of_the_same_file(run, photographs):
    model, _ = load_model(run / "tasn.safetensors")
    files = ImageFiles(photographs, [0] * 6, NAMES, 64, "six")
    expected = model.predict(files.take(range(6)).images.float() / 255).softmax(1)
    answers = set()
    for path, shares in zip(photographs, expected, strict=True):
        prediction = tasnlib.load(run).predict(path)
        found = dict(zip(prediction.class_names, prediction.probabilities, strict=True))
        assert found == pytest.approx(dict(zip(NAMES, shares.tolist(), strict=True)), abs=1e-5)
        assert prediction.probabilities == sorted(prediction.probabilities, reverse=True)
        answers.add(round(prediction.probabilities[0], 4))
    assert len(answers) > 1


def test_the_attention_picture_is_that_of_the_network(run, photographs):
    predictor = tasnlib.load(str(run / "tasn.safetensors"))
    prediction = predictor.predict(str(photographs[0]))
    output = predictor.model(prediction.image[None], torch.zeros(1, dtype=torch.int64))
    assert prediction.attention.max() > prediction.attention.min()
    torch.testing.assert_close(prediction.attention, output.structure[0])
    torch.testing.assert_close(prediction.structure_image, output.structure_images[0])
    titles = [axes.get_title() for axes in prediction.figure().axes]
    assert titles[:3] == ["image", "attention", "structure image"]
    assert titles[3].startswith(prediction.class_names[0])
    assert str(prediction).startswith(prediction.class_names[0])


def test_an_opened_image_of_any_mode_will_do(run, photographs):
    predictor = tasnlib.load(run)
    with Image.open(photographs[0]) as image:
        opened = predictor.predict(image)
        grey = predictor.predict(image.convert("L"))
    assert opened.probabilities == predictor.predict(photographs[0]).probabilities
    assert torch.equal(grey.image[0], grey.image[1])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (64, 64), (65, 63)])
def test_an_image_of_any_size_will_do(run, tmp_path, size):
    Image.new("RGB", size, "brown").save(tmp_path / "image.png")
    assert tasnlib.load(run).predict(tmp_path / "image.png").image.shape == (3, 64, 64)


def test_what_cannot_be_read_is_named(run, tmp_path):
    (tmp_path / "새 사진.jpg").write_bytes(b"not an image")
    for name in ("새 사진.jpg", "missing.jpg"):
        with pytest.raises(ValueError, match=name):
            tasnlib.load(run).predict(tmp_path / name)


def test_an_opened_image_whose_file_is_cut_off_is_named(run, photographs, tmp_path):
    content = photographs[0].read_bytes()
    (tmp_path / "새 cut.jpg").write_bytes(content[: len(content) // 2])
    predictor = tasnlib.load(run)
    with (
        Image.open(tmp_path / "새 cut.jpg") as opened,
        pytest.raises(ValueError, match=r"image .*새 cut\.jpg cannot be read: .*truncated"),
    ):
        predictor.predict(opened)
    with (
        Image.open(io.BytesIO(content[: len(content) // 2])) as opened,
        pytest.raises(ValueError, match=r"image \(opened\) cannot be read: .*truncated"),
    ):
        predictor.predict(opened)


def test_an_empty_path_is_told(run):
    with pytest.raises(ValueError, match="path is empty; name the file of an image"):
        tasnlib.load(run).predict("")


@pytest.mark.parametrize("classes", [0, -1, "a", True, 1.5, None])
def test_a_figure_of_less_than_one_class_is_refused(as_a_user, classes):
    with pytest.raises(ValueError, match=rf"classes is {classes!r}; it must be"):
        of_two_classes().figure(classes)


def test_a_figure_shows_as_many_classes_as_asked_for_or_all():
    for classes, bars in ((1, 1), (2, 2), (5, 2)):
        assert len(of_two_classes().figure(classes).axes[3].patches) == bars


def test_a_folder_without_a_model_is_told_what_it_should_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no trained model at .*tasn\.safetensors.*notebook 05"):
        tasnlib.load(tmp_path)


def test_a_control_is_not_taken_for_tasn(run):
    with pytest.raises(ValueError, match="plain classifier"):
        tasnlib.load(run / "downsampled.safetensors")


def test_only_predict_and_load_are_needed():
    assert tasnlib.load.__module__ == "tasnlib.runs.prediction"
    assert callable(Predictor.predict)


def of_two_classes() -> Prediction:
    return Prediction(["wren", "robin"], [0.9, 0.1], torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6))


def test_a_prediction_is_one_line_and_silent_attention_is_told():
    seen = of_two_classes()
    assert repr(seen) == "<Prediction: wren 90.0 %, robin 10.0 %>"
    titles = [axes.get_title() for axes in seen.figure().axes]
    silent = [axes.get_title() for axes in replace(seen, attention=torch.zeros(3, 3)).figure().axes]
    assert titles == ["image", "attention", "structure image", "wren, 90.0 %"]
    assert silent == ["image", "attention: 0 everywhere", *titles[2:]]
