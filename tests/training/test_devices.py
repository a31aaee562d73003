"""Memory format and compilation change how fast a model is, and nothing else."""

from dataclasses import replace

import pytest
import torch

from tasnlib.networks.build import build_model
from tasnlib.training.checkpoints import (
    Progress,
    load_model,
    load_training_state,
    save_training_state,
    save_weights,
)
from tasnlib.training.devices import speed_up
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import build_optimizer

SMOKE = replace(RECIPES["smoke"], train_images=64, epochs=1, batch_size=16)


def fresh(channels_last: bool = False):
    torch.manual_seed(0)
    model = build_model("tasn", SMOKE, 16)
    if channels_last:
        speed_up(model)
    return model


def test_weights_lie_channels_last_and_keep_their_values(tmp_path):
    plain, fast = fresh(), fresh(channels_last=True)
    kernels = [p for p in fast.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    save_weights(tmp_path / "a.safetensors", fast, "tasn", SMOKE, [str(n) for n in range(16)])
    for name, value in load_model(tmp_path / "a.safetensors")[0].state_dict().items():
        assert torch.equal(value, plain.state_dict()[name])


def test_a_step_channels_last_is_the_same_to_rounding_and_can_be_resumed(tmp_path):
    """In float64: in float32, rounding may choose another maximum, and turn round AdamW's first step, which is as long
    as the learning rate whatever the gradient."""
    images, channel = torch.rand(4, 3, 144, 144, dtype=torch.float64), torch.arange(4)
    states, gradients = [], []
    for fast in (False, True):
        model, other = fresh(fast).double(), fresh(fast).double()
        optimizer = build_optimizer(model, SMOKE)
        model(images, channel=channel).logits["master"].square().mean().backward()
        gradients.append({name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None})
        optimizer.step()
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        save_training_state(tmp_path / "state.safetensors", model, optimizer, Progress({}))
        load_training_state(tmp_path / "state.safetensors", other, build_optimizer(other, SMOKE))
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    for name, gradient in gradients[0].items():
        largest = gradient.abs().max().item()
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-6, atol=1e-6 * largest)
        clear = gradient.abs() > 1e-4 * largest  # more than rounding
        torch.testing.assert_close(states[1][name][clear], states[0][name][clear], rtol=1e-6, atol=1e-9)


def test_attention_and_sampler_are_one_graph_each():
    model = fresh()
    features, images, channel = torch.rand(2, 32, 12, 12), torch.rand(2, 3, 144, 144), torch.arange(2)
    attend = torch.compile(model.attend, fullgraph=True, backend="aot_eager", dynamic=False)
    sample = torch.compile(model.sample, fullgraph=True, backend="aot_eager", dynamic=False)
    maps, same = attend(features, channel), model.attend(features, channel)
    torch.testing.assert_close(maps.structure, same.structure)
    torch.testing.assert_close(sample(images, maps.structure), model.sample(images, same.structure))


@pytest.mark.parametrize("side", [144, 400])  # read an image, and a channel at a time where nothing is compiled
def test_the_sampler_s_graph_does_not_grow_with_the_batch(side):
    steps = []

    def count(graph, _inputs):
        steps.append(len(graph.graph.nodes))
        return graph.forward

    model = fresh()
    torch._dynamo.reset()
    for batch in (2, 8):
        sample = torch.compile(model.sample, fullgraph=True, backend=count, dynamic=False)
        sample(torch.rand(batch, 3, side, side), torch.rand(batch, 12, 12))
    assert len(steps) == 2
    assert steps[0] == steps[1]
