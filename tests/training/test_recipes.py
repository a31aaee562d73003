from dataclasses import asdict, replace

import pytest
from pydantic import ValidationError

from tasnlib.training.recipes import RECIPES, Recipe, scaled_learning_rate

LAPTOP = RECIPES["laptop"]


def test_recipes_are_named_as_they_are_filed():
    assert [recipe.name for recipe in RECIPES.values()] == list(RECIPES)


def test_paper_and_official_differ_as_documented():
    paper, official, modern = (RECIPES[name] for name in ("paper", "official", "modern"))
    for recipe in (paper, official):
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == ("sgd", 0.1, 0, 0)
        assert [round(share * recipe.epochs) for share in recipe.milestones] == [100, 200]
        assert (recipe.epochs, recipe.batch_size, recipe.temperature) == (300, 96, 10)
        assert (recipe.image_size, recipe.attention_size, recipe.out_size) == (512, 224, 224)
        assert (recipe.attention_trunk, recipe.backbone, recipe.weights) == ("resnet18", "resnet50", "IMAGENET1K_V1")
        assert recipe.augmentation == "official"
    assert (paper.scale, paper.structure_power, paper.distillation_weight) == (1, 1, 2)
    assert (official.scale, official.structure_power, official.distillation_weight) == (7, 2, 1)
    assert (paper.official_extras, official.official_extras) == (False, True)
    assert (official.attention_weight, official.master_weight, official.part_weight) == (1, 0.5, 0.5)
    assert official.own_weight == 0.5
    assert (modern.optimizer, modern.nesterov, modern.momentum, modern.weight_decay) == ("sgd", True, 0.9, 5e-4)
    assert (modern.learning_rate, modern.fresh_multiplier, modern.batch_size, modern.epochs) == (0.01, 10, 64, 80)
    assert (modern.warmup, modern.milestones, modern.label_smoothing) == (0.05, (), 0.1)
    assert (modern.out_size, modern.attention_stages, modern.augmentation) == (336, 3, "modern")
    assert (modern.distillation_weight, modern.temperature) == (0, 4)


@pytest.mark.parametrize(
    "bad",
    [
        {"batch_size": "32"},
        {"stripe_period": 2.0},
        {"temperature": 0.0},
        {"learning_rate": float("inf")},
        {"momentum": 1.0},
        {"warmup": True},
        {"optimizer": "adam"},
        {"milestones": (0.5, 0.5)},
        {"nesterov": True},  # of adamw
        {"label_smoothing": 1.0},
        {"fresh_multiplier": 0.0},
        {"max_zoom": 0.5},  # of the architecture
    ],
    ids=str,
)
def test_bad_values_are_rejected_by_name(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        replace(LAPTOP, **bad)


def test_a_misspelt_or_missing_field_is_rejected():
    with pytest.raises(ValueError, match="no 'temprature'; nearest: temperature"):
        replace(LAPTOP, temprature=3.0)
    with pytest.raises(ValidationError, match="image_size"):
        Recipe(name="mine")


def test_a_whole_number_will_do_for_a_float():
    recipe = replace(LAPTOP, temperature=3, milestones=(0.5, 0.75))
    assert (recipe.temperature, recipe.milestones) == (3.0, (0.5, 0.75))
    assert Recipe(**asdict(recipe)) == recipe


@pytest.mark.parametrize(
    ("name", "batch_size", "expected"), [("paper", 192, 0.2), ("official", 12, 0.0125), ("laptop", 8, 0.001)]
)
def test_the_learning_rate_is_scaled_with_the_batch(name, batch_size, expected):
    assert scaled_learning_rate(RECIPES[name], batch_size) == pytest.approx(expected)
