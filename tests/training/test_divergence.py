"""Losses and weights that are no longer finite: named with their step, and never saved."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tasnlib.training.checkpoints import load_training_state
from tasnlib.training.fit import require_finite
from tasnlib.training.schedule import build_optimizer
from tests.training.tiny import STEPS, TINY, new_model, run

pytestmark = pytest.mark.usefixtures("one_thread")


def break_in_step(model: nn.Module, step: int, spoil) -> None:
    """Let a function spoil the model at the start of that training step."""
    left = [step]

    def count(*_) -> None:
        left[0] -= model.training
        if left[0] == 0 and model.training:
            spoil(model)

    model.register_forward_pre_hook(count)


def spoil_weight(model: nn.Module) -> None:
    with torch.no_grad():
        model.classifier.weight[1, 2] = torch.nan


def spoil_attention(model: nn.Module) -> None:
    model.attention_net.trunk[1][0].weight.data.fill_(torch.inf)


def spoil_gradient(model: nn.Module) -> None:
    model.classifier.bias.register_hook(lambda gradient: gradient * torch.inf)


def spoil_running_mean(model: nn.Module) -> None:
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))

    def spoil(*_) -> None:
        norm.running_mean.data.fill_(torch.nan)

    norm.register_forward_hook(spoil)


@pytest.mark.parametrize(
    ("kind", "spoil", "step", "message"),
    [
        ("downsampled", spoil_weight, STEPS + 2, r"nan, in epoch 2, at step 2\..*: classifier\.weight\. The last"),
        ("tasn", spoil_weight, STEPS + 2, r"in epoch 2, at step 2\..*: classifier\.weight\. The last"),
        ("tasn", spoil_attention, STEPS + 1, r"no longer finite .*in epoch 2, at step 1\..*attention_net\.trunk\.1\.0"),
        # The last step's loss is finite, but not what the optimiser makes of its gradients.
        ("downsampled", spoil_gradient, 2 * STEPS, r"weights.*in epoch 2, at step 3\..*: classifier\.bias\. The last"),
        ("downsampled", spoil_running_mean, 2 * STEPS, r"in epoch 2, at step 3\..*: .*running_mean\. The last"),
    ],
)
def test_what_is_not_finite_is_named_with_its_step_and_never_saved(tmp_path, birds, kind, spoil, step, message):
    model = new_model(kind)
    break_in_step(model, step, spoil)
    with pytest.raises(FloatingPointError, match=message):
        run(tmp_path, birds, model)
    saved = new_model(kind, seed=3)
    progress = load_training_state(tmp_path / "state.safetensors", saved, build_optimizer(saved, TINY))
    assert [entry["epoch"] for entry in progress.history] == [1]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in saved.state_dict().values())


def test_the_first_loss_that_is_not_finite_is_named_where_several_are_read_at_once():
    model = new_model()
    require_finite(model, torch.tensor([3.0, 2.0]), epoch=4)
    with pytest.raises(FloatingPointError, match=r"loss became inf, in epoch 5, at step 2\..*not finite: none\. The"):
        require_finite(model, torch.tensor([3.0, torch.inf, torch.nan]), epoch=4)


def test_a_long_list_is_cut_short(tmp_path, birds):
    model = new_model()
    break_in_step(model, 2, lambda model: [weight.data.fill_(torch.nan) for weight in model.parameters()])
    with pytest.raises(FloatingPointError, match=r"not finite: \S+, \S+, \S+ and \d+ more"):
        run(tmp_path, birds, model)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["tasn", "downsampled"])
def test_a_learning_rate_that_is_far_too_high_is_named(tmp_path, birds, kind):
    recipe = replace(TINY, optimizer="sgd", learning_rate=1e30, warmup=0.0)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        run(tmp_path, birds, new_model(kind), recipe)
