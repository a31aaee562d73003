"""The runs of a study: every variant of every table, with every seed.

A run's file name is a hash of everything that decides its result, so an interrupted study resumes where it stopped, and
only runs that changed are trained again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import torch

from tasnlib.data.birds import EASY, HARD, BirdsConfig
from tasnlib.research.ablations.variant_network import build_variant
from tasnlib.research.ablations.variants import TASN, Table, Variant
from tasnlib.research.cost import cost_by_part
from tasnlib.training.recipes import RECIPES, Recipe

VERSION = 2  # increment when a change to the code changes results


@dataclass(frozen=True)
class Profile:
    """How large a study is."""

    recipes: dict[str, Recipe]  # by data set
    seeds: tuple[int, ...]  # a table takes the first of them, see `Table.seeds`
    precision: str = "float32"


_SMOKE = replace(RECIPES["smoke"], train_images=64, test_images=32, batch_size=16)
_GPU = replace(
    RECIPES["laptop"],
    image_size=512,
    attention_size=224,
    out_size=224,
    stripe_period=4.0,
    train_images=12000,
    attention_trunk="resnet18",
    backbone="resnet18",
    batch_size=64,
    learning_rate=1e-3,
)
# Hard birds are learnt faster with a higher learning rate: of 0.002, 0.004, 0.006 and 0.012 (validation birds, one
# seed) the last three are similar.
PROFILES = {
    "smoke": Profile({name: replace(_SMOKE, epochs=1) for name in ("easy", "hard")}, (0,)),
    "laptop": Profile(
        {
            "easy": replace(RECIPES["laptop"], epochs=6),
            "hard": replace(RECIPES["laptop"], epochs=16, learning_rate=8e-3),
        },
        seeds=(0, 1, 2, 3, 4),
    ),
    "photos": Profile(dict.fromkeys(("grocery_look_alikes", "grocery"), RECIPES["photos"]), (0, 1, 2)),
    "gpu": Profile(
        {"easy": replace(_GPU, epochs=8), "hard": replace(_GPU, epochs=12, learning_rate=3e-3)},
        seeds=(0, 1, 2, 3, 4),
        precision="bfloat16",
    ),
}
STYLES = {"easy": EASY, "hard": HARD}  # of drawn birds
CLASSES = {name: style.classes for name, style in STYLES.items()} | {"grocery_look_alikes": 24, "grocery": 81}
CHANCE = {name: 1 / classes for name, classes in CLASSES.items()}


@dataclass(frozen=True)
class Run:
    """One training run: a variant, a data set, a seed."""

    variant: Variant
    dataset: str
    seed: int
    recipe: Recipe  # the variant's
    split: str = "test"
    precision: str = "float32"

    @property
    def style(self) -> BirdsConfig | None:
        if self.dataset not in STYLES:
            return None  # photographs
        return replace(STYLES[self.dataset], image_size=self.recipe.image_size, stripe_period=self.recipe.stripe_period)

    @property
    def file_name(self) -> str:
        # Fields at their default are left out, so that a new field does not rename saved results.
        identity = [
            VERSION,
            _changed(self.variant, "title", "predicts"),
            _changed(self.recipe, "name"),
            asdict(self.style) if self.style else self.dataset,
            self.split,
            self.precision,
        ]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.dataset}-{digest}-seed{self.seed}.json"


def _changed(values: Any, *but: str) -> dict[str, Any]:
    default = {field.name: field.default for field in fields(values)}
    return {name: value for name, value in asdict(values).items() if name not in but and value != default[name]}


def plan(profile: Profile, tables: Sequence[Table]) -> list[Run]:
    """All runs that these tables need, each once, the first seed of all tables first.

    >>> from tasnlib.research.ablations.variants import TABLES
    >>> runs = plan(PROFILES["laptop"], TABLES[:1])
    >>> len(runs), runs[0].seed, runs[-1].seed
    (27, 0, 2)
    """
    rows = [(table, variant) for table in tables for variant in table.variants]
    runs = [run_of(profile, table, variant, seed) for table, variant in rows for seed in profile.seeds[: table.seeds]]
    runs.sort(key=lambda run: run.seed)  # stable: otherwise in the order of the tables
    return list({run.file_name: run for run in runs}.values())


def run_of(profile: Profile, table: Table, variant: Variant, seed: int) -> Run:
    recipe = variant.recipe(profile.recipes[table.dataset])
    if variant.equal_compute:
        sizes = profile.recipes[table.dataset], CLASSES[table.dataset]
        whole, own = (multiply_adds(one, *sizes) for one in (TASN, variant))
        recipe = replace(recipe, epochs=round(recipe.epochs * whole / own))
    return Run(variant, table.dataset, seed, recipe, table.split, profile.precision)


@lru_cache
def multiply_adds(variant: Variant, recipe: Recipe, classes: int) -> int:
    """Of one image's forward pass through a variant of TASN with this recipe."""
    recipe = replace(variant.recipe(recipe), weights=None)  # which are not needed to count
    with torch.device("meta"):
        return cost_by_part(build_variant(variant, recipe, classes), recipe.image_size)["total"]
