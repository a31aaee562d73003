"""A trained model in three lines: predicts what the test does, on any image file."""

import io
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import tasnlib
from tasnlib.data.photographs import ImageFiles
from tasnlib.networks.build import build_model
from tasnlib.runs.__main__ import main
from tasnlib.runs.prediction import VIEWS, prepared
from tasnlib.runs.prediction_result import Prediction
from tasnlib.training.checkpoints import load_model, save_weights
from tests.data.photo_sets import make_cub200
from tests.runs.tiny_run import NAMES, SMOKE, save_tiny_run


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run, with lively predictions."""
    save_tiny_run(tmp_path / "run")
    save_weights(
        tmp_path / "run" / "downsampled.safetensors", build_model("downsampled", SMOKE, 3), "downsampled", SMOKE, NAMES
    )
    return tmp_path / "run"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    home = make_cub200(tmp_path_factory.mktemp("photographs"))
    return sorted(home.glob("images/*/*.jpg"))[:6]


def test_a_prediction_is_that_of_the_test_on_the_same_file(run, photographs):
    model, _ = load_model(run / "tasn.safetensors")
    files = ImageFiles(photographs, [0] * 6, NAMES, 64, "six")
    expected = model.predict(files.take(range(6)).images.float() / 255).softmax(1)
    seen = set()
    for path, shares in zip(photographs, expected, strict=True):
        prediction = tasnlib.load(run).predict(path)
        found = dict(zip(prediction.class_names, prediction.probabilities, strict=True))
        assert found == pytest.approx(dict(zip(NAMES, shares.tolist(), strict=True)), abs=1e-5)
        assert prediction.probabilities == sorted(prediction.probabilities, reverse=True)
        seen.add(round(prediction.probabilities[0], 4))
    assert len(seen) > 1


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


def test_an_unreadable_file_is_named(run, tmp_path):
    (tmp_path / "새 사진.jpg").write_bytes(b"not an image")
    for name in ("새 사진.jpg", "missing.jpg"):
        with pytest.raises(ValueError, match=name):
            tasnlib.load(run).predict(tmp_path / name)


def test_an_opened_image_whose_file_is_truncated_is_named(run, photographs, tmp_path):
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


def test_an_empty_path_is_rejected(run):
    with pytest.raises(ValueError, match="path is ''; write the path of a file"):
        tasnlib.load(run).predict("")


def test_a_figure_of_no_class_is_rejected():
    with pytest.raises(ValueError, match="classes is 0; it must be from 1 up"):
        of_two_classes().figure(0)


def test_a_figure_shows_as_many_classes_as_asked_for_or_all():
    for classes, bars in ((1, 1), (2, 2), (5, 2)):
        assert len(of_two_classes().figure(classes).axes[3].patches) == bars


def test_a_folder_without_a_model_is_rejected_with_what_it_should_hold(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no trained model at .*tasn\.safetensors.*notebook 05"):
        tasnlib.load(tmp_path)


def test_a_baseline_is_not_loaded_as_tasn(run):
    with pytest.raises(ValueError, match="is a baseline"):
        tasnlib.load(run / "downsampled.safetensors")


def test_predicting_changes_neither_the_model_nor_the_random_state_and_attends_once(run, photographs, monkeypatch):
    predictor = tasnlib.load(run, device="cpu")
    expected = predictor.predict(photographs[0]).probabilities
    predictor.model.train()
    weights = {name: value.clone() for name, value in predictor.model.state_dict().items()}
    random_state, calls = torch.get_rng_state(), []
    look = predictor.model.attention_net.forward
    monkeypatch.setattr(predictor.model.attention_net, "forward", lambda images: calls.append(1) or look(images))
    assert predictor.predict(photographs[0]).probabilities == expected
    assert torch.equal(torch.get_rng_state(), random_state)
    assert predictor.model.training
    assert all(torch.equal(weights[name], value) for name, value in predictor.model.state_dict().items())
    assert len(calls) == 1


def test_outside_of_a_notebook_the_prediction_is_shown_as_text(capsys):
    of_two_classes().show()
    assert capsys.readouterr().out.startswith("wren 90.0 %, robin 10.0 %\n")


def test_in_a_notebook_the_figure_is_shown_with_its_text(monkeypatch):
    import IPython

    shown = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=None))
    monkeypatch.setattr(IPython.display, "display", lambda data, **options: shown.append((data, options)))
    of_two_classes().show()
    data, options = shown[0]
    assert data["image/png"].startswith(b"\x89PNG")
    assert "wren 90.0 %" in options["metadata"]["image/png"]["alt"]


def test_the_command_prints_the_three_most_probable_classes(run, photographs, tmp_path, capsys):
    assert main(["predict", str(run), *map(str, photographs[:2])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in photographs[:2]]
    assert all(name in lines[0] for name in NAMES)
    assert main(["predict", str(tmp_path / "nowhere"), "a.jpg"]) == 1
    assert "no trained model" in capsys.readouterr().err


def of_two_classes() -> Prediction:
    return Prediction(["wren", "robin"], [0.9, 0.1], torch.rand(3, 9, 9), torch.rand(3, 3), torch.rand(3, 6, 6))


def test_a_prediction_is_one_line():
    prediction = of_two_classes()
    assert repr(prediction) == "<Prediction: wren 90.0 %, robin 10.0 %>"
    titles = [axes.get_title() for axes in prediction.figure().axes]
    assert titles == ["image", "attention", "structure image", "wren, 90.0 %"]


# -- Batches and views -------------------------------------------------------------------------------------------------


def test_a_batch_gives_what_one_at_a_time_gives(run, photographs):
    predictor = tasnlib.load(run, device="cpu")
    shares = predictor.shares(torch.stack([prepared(path, 64) for path in photographs]))
    for path, found in zip(photographs, shares, strict=True):
        single = predictor.predict(path)
        expected = dict(zip(single.class_names, single.probabilities, strict=True))
        assert dict(zip(NAMES, found.tolist(), strict=True)) == pytest.approx(expected, abs=1e-5)


def test_views_average_the_image_its_mirror_image_and_its_crops(run, photographs):
    predictor = tasnlib.load(run, device="cpu")
    images = torch.stack([prepared(path, 64) for path in photographs])
    whole, flip, crops = (predictor.shares(images, views) for views in VIEWS)
    mirrored = predictor.shares(images.flip(3))
    torch.testing.assert_close(flip, (whole + mirrored) / 2)
    assert not torch.allclose(whole, mirrored)
    torch.testing.assert_close(predictor.shares(images.flip(3), "flip and crops"), crops)  # the same twelve views
    corner = torch.nn.functional.interpolate(images[..., :56, :56].float(), (64, 64), mode="bilinear", antialias=True)
    seen = []
    real = predictor.model.predict
    predictor.model.predict = lambda pixels: seen.append(pixels) or real(pixels)
    predictor.shares(images, "flip and crops")
    assert len(seen) == 12
    assert any(torch.allclose(pixels, corner / 255, atol=1e-5) for pixels in seen)
    with pytest.raises(ValueError, match="views is 'all'; it must be one of whole, flip, flip and crops"):
        predictor.shares(images, "all")
