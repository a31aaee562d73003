"""Recipes: named sets of everything that determines a result except the data set and the seed."""

from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from tasnlib.networks.build import STRICT, Architecture, Count, Positive

Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Recipe(Architecture):
    """One way to build and train TASN. Change a value with `dataclasses.replace(recipe, temperature=3)`.

    `paper` follows the paper, and the authors' MXNet code where it says nothing; `official` follows that code; `modern`
    is our bet, not measured on the paper's data; `photos` is for photographs on a laptop. Row by row: docs/recipes.md.

    >>> RECIPES["laptop"].temperature, RECIPES["paper"].epochs
    (10.0, 300)
    """

    name: str
    train_images: Count  # this and the next two are of the drawn birds: how many, and how fine their stripes are
    test_images: Count
    stripe_period: Annotated[float, Field(gt=2)]

    # Loss.
    attention_weight: Weight = 1.0
    master_weight: Weight = 1.0
    part_weight: Weight = 1.0
    own_weight: Weight = 0.5  # of each own classifier, with official_extras
    distillation_weight: Weight = 2.0
    temperature: Positive = 10.0
    label_smoothing: Share = 0.0

    # Photographs in training, see `data.transforms`. The drawn birds are never augmented.
    augmentation: Literal["official", "modern", "none"] = "official"

    # Optimisation.
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 2e-3
    fresh_multiplier: Positive = 1.0  # of the learning rate, where layers beside pretrained ones start from random
    momentum: Share = 0.9  # of sgd
    nesterov: bool = False
    weight_decay: Weight = 0.01  # of matrices and kernels; biases and norms are not decayed
    warmup: Share = 0.0  # share of all steps over which the learning rate rises from nearly 0
    milestones: tuple[float, ...] = ()  # shares of all steps after which it falls to a tenth; none: half a cosine to 0
    epochs: Count = 8
    batch_size: Count = 32

    @model_validator(mode="after")
    def _rise_and_fit(self) -> "Recipe":
        if not all(low < high for low, high in pairwise((0, *self.milestones, 1))):
            raise ValueError(f"milestones is {self.milestones}; it must be rising shares between 0 and 1")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError("nesterov is True; it needs optimizer 'sgd', with a momentum above 0")
        return self


def scaled_learning_rate(recipe: Recipe, batch_size: int) -> float:
    """The recipe's learning rate for another batch size.

    With SGD it grows with the batch (Goyal et al. 2017), with AdamW with the batch's square root.

    >>> scaled_learning_rate(RECIPES["paper"], 24), scaled_learning_rate(RECIPES["laptop"], 8)
    (0.025, 0.001)
    """
    share = batch_size / recipe.batch_size
    return recipe.learning_rate * (share if recipe.optimizer == "sgd" else share**0.5)


_LAPTOP = Recipe(
    name="laptop",
    image_size=144,
    attention_size=48,
    out_size=48,
    train_images=3000,
    test_images=1000,
    stripe_period=3.5,
    attention_trunk="small",
    backbone="small",
    augmentation="modern",
    warmup=0.2,
)

# The paper's networks, sizes and optimisation, with the attention of the authors' code.
_FULL_SIZE = Recipe(
    name="paper",
    image_size=512,
    attention_size=224,
    out_size=224,
    train_images=20000,
    test_images=4000,
    stripe_period=3.0,
    attention_trunk="resnet18",
    backbone="resnet50",
    weights="IMAGENET1K_V1",
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.0,
    weight_decay=0.0,
    milestones=(1 / 3, 2 / 3),
    epochs=300,
    batch_size=96,
)

RECIPES = {
    # The drawn birds on two CPU cores, in minutes.
    "laptop": _LAPTOP,
    # The same path in seconds, for tests. It learns next to nothing.
    "smoke": replace(_LAPTOP, name="smoke", train_images=128, test_images=50, epochs=2),
    "paper": replace(_FULL_SIZE, scale=1.0, structure_power=1.0),
    "official": replace(
        _FULL_SIZE, name="official", official_extras=True, master_weight=0.5, part_weight=0.5, distillation_weight=1.0
    ),
    # Photographs on a laptop: a small pretrained network twice, its early stages as the attention network.
    "photos": replace(
        _LAPTOP,
        name="photos",
        image_size=336,
        attention_size=112,
        out_size=112,
        attention_trunk="timm/tf_efficientnet_lite0",
        attention_stages=2,
        backbone="timm/tf_efficientnet_lite0",
        weights="DEFAULT",
        learning_rate=5e-4,
        warmup=0.1,
        epochs=6,
        batch_size=16,
    ),
    "modern": replace(
        _FULL_SIZE,
        name="modern",
        out_size=336,
        attention_stages=3,
        weights="DEFAULT",
        distillation_weight=0.0,
        temperature=4.0,
        label_smoothing=0.1,
        augmentation="modern",
        learning_rate=0.01,
        fresh_multiplier=10.0,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        warmup=0.05,
        milestones=(),
        epochs=80,
        batch_size=64,
    ),
}
