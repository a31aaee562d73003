"""The paper's networks at the paper's size, on a CPU: two steps of training, to know that the path holds."""

import math

import pytest

from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import load_model


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_paper_s_recipe_trains_at_its_own_size(tmp_path, precision):
    settings = Settings(
        recipe="paper",
        weights="none",
        epochs=1,
        batch_size=4,
        learning_rate=0.001,
        train_images=8,
        test_images=5,
        precision=precision,
        data_folder=str(tmp_path / "data"),
        output_folder=str(tmp_path / "run"),
    )
    folder, data = prepare_folder(settings), load_data(settings)
    assert data[0].images.shape == (8, 3, 512, 512)
    trained = train("tasn", settings, folder, data)
    # A network that guesses among 16 classes: CE of three nets, and λ times the entropy of a guess.
    assert trained.history[0]["loss"] == pytest.approx((3 + 2) * math.log(16), rel=0.2)
    model, _ = load_model(trained.weights_path)
    assert sum(weight.numel() for weight in model.parameters()) > 30_000_000
