"""Order of the images, learning rate, optimiser."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tasnlib.networks.build import build_tasn
from tasnlib.training.schedule import EpochOrder, build_optimizer, learning_rate_at
from tests.training.tiny import TINY, new_model


def order_of(seed: int, epoch: int) -> list[int]:
    order = EpochOrder(200, seed)
    order.epoch = epoch
    return list(order)


def test_seed_and_epoch_alone_decide_the_shuffle():
    places = [(seed, epoch) for seed in range(4) for epoch in range(4)]
    torch.manual_seed(1)
    shuffles = [order_of(*place) for place in places]
    torch.manual_seed(2)
    assert [order_of(*place) for place in places] == shuffles
    assert len({tuple(shuffle) for shuffle in shuffles}) == 16
    for (_, epoch), shuffle in zip(places, shuffles, strict=True):
        assert sorted(shuffle) == list(range(200 * epoch, 200 * (epoch + 1)))
        assert sum(place == index % 200 for place, index in enumerate(shuffle)) < 10


def test_unreadable_images_are_left_out():
    order = EpochOrder(10, 0, left_out={3, 7})
    order.epoch = 2
    assert sorted(order) == [20, 21, 22, 24, 25, 26, 28, 29]
    assert len(order) == 8


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_range_is_rejected(seed):
    with pytest.raises(ValueError, match="seed"):
        EpochOrder(5, seed)


def test_the_largest_seed_does_not_overflow():
    assert sorted(EpochOrder(5, 2**31 - 1)) == [0, 1, 2, 3, 4]


def rates(recipe, count: int = 101) -> np.ndarray:
    return np.array([learning_rate_at(recipe, done) for done in np.linspace(0, 1, count)]) / recipe.learning_rate


def test_warmup_rises_linearly():
    found = rates(replace(TINY, warmup=0.2))
    assert found[:21] == pytest.approx(np.arange(21) / 20, abs=1e-9)
    assert found.argmax() == 20


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_without_milestones_it_falls_by_half_a_cosine_to_zero(warmup):
    recipe = replace(TINY, warmup=warmup, milestones=())
    found = [learning_rate_at(recipe, done) / TINY.learning_rate for done in np.linspace(warmup, 1, 5)]
    assert found == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0])


def test_at_every_milestone_it_falls_to_a_tenth():
    found = rates(replace(TINY, warmup=0.0, milestones=(0.5, 0.75)), 9)
    assert found == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])
    found = rates(replace(TINY, warmup=0.25, milestones=(0.5, 0.75)), 9)
    assert found == pytest.approx([0, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_the_recipe_decides_the_optimiser():
    adamw = build_optimizer(new_model(), replace(TINY, optimizer="adamw", weight_decay=0.3))
    sgd = build_optimizer(new_model(), replace(TINY, optimizer="sgd", momentum=0.7, weight_decay=0.2, nesterov=True))
    assert (type(adamw), adamw.param_groups[0]["weight_decay"]) == (torch.optim.AdamW, 0.3)
    assert type(sgd) is torch.optim.SGD
    group = sgd.param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.7, 0.2, True)


def groups_of(model: torch.nn.Module, recipe) -> dict[str, dict]:
    """The optimiser's group of every weight, by name."""
    groups = {id(weight): group for group in build_optimizer(model, recipe).param_groups for weight in group["params"]}
    return {name: groups[id(weight)] for name, weight in model.named_parameters()}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_biases_and_norms_are_not_decayed(optimizer):
    model = new_model("tasn")
    groups = groups_of(model, replace(TINY, optimizer=optimizer, weight_decay=0.3))
    assert len(groups) == len(list(model.parameters()))
    for name, weight in model.named_parameters():
        assert groups[name]["weight_decay"] == (0.3 if weight.ndim > 1 else 0.0), name
    assert groups["attention_net.norm.bias"]["weight_decay"] == 0  # it starts at -1, and decay would pull it to 0


def test_layers_without_published_weights_learn_faster_beside_pretrained_ones():
    recipe = replace(TINY, fresh_multiplier=10, weights="DEFAULT", attention_trunk="resnet18", backbone="resnet18")
    model = build_tasn(replace(recipe, weights=None), classes=3)
    fast = {name for name, group in groups_of(model, recipe).items() if group["multiplier"] == 10}
    assert {name.rsplit(".", 1)[0] for name in fast} == {
        *("attention_net.norm", "attention_net.classifier", "classifier"),
        *("attention_net.multi_dilation.0.kernel", "attention_net.multi_dilation.1.kernel"),
    }
    for network in ({"attention_trunk": "small", "attention_size": 48}, {"backbone": "small"}):  # these start fresh
        mixed = replace(recipe, **network)
        found = groups_of(build_tasn(replace(mixed, weights=None), classes=3), mixed)
        part = "backbone." if "backbone" in network else "attention_net.trunk."
        assert {found[name]["multiplier"] for name in found if name.startswith(part)} == {10}
    alone = groups_of(model, replace(recipe, weights=None))  # nothing is pretrained, so nothing is to catch up
    assert {group["multiplier"] for group in alone.values()} == {1}
