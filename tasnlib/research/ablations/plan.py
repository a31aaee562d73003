"""Which runs a study consists of: every variant of every table, from every seed, each named by what decides its result.

So a study that was stopped goes on where it stopped, and one whose variants changed runs only what changed.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import torch

from tasnlib.data.birds import EASY, HARD, BirdsConfig
from tasnlib.research.ablations.networks import build_variant
from tasnlib.research.ablations.variants import TASN, Table, Variant
from tasnlib.research.cost import cost_by_part
from tasnlib.training.recipes import RECIPES, Recipe

VERSION = 1  # raise it whenever a change to the code changes a result


@dataclass(frozen=True)
class Profile:
    """How large a study is."""

    recipes: dict[str, Recipe]  # by data set
    seeds: tuple[int, ...]
    choice_seeds: tuple[int, ...]  # of tables on validation birds, after which something is chosen
    precision: str = "float32"

    def seeds_of(self, table: Table) -> tuple[int, ...]:
        return self.choice_seeds if table.split == "val" else self.seeds


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
# Hard birds are learnt faster with longer steps: of 0.002, 0.004, 0.006 and 0.012, tried on validation birds with one
# seed, the last three are alike. After 8 epochs nothing has stopped learning.
PROFILES = {
    "smoke": Profile({name: replace(_SMOKE, epochs=1) for name in ("easy", "hard")}, (0,), (0,)),
    "laptop": Profile(
        {
            "easy": replace(RECIPES["laptop"], epochs=6),
            "hard": replace(RECIPES["laptop"], epochs=8, learning_rate=8e-3),
        },
        seeds=(0, 1, 2),
        choice_seeds=(0, 1, 2, 3, 4),
    ),
    "gpu": Profile(
        {"easy": replace(_GPU, epochs=8), "hard": replace(_GPU, epochs=12, learning_rate=3e-3)},
        seeds=(0, 1, 2, 3, 4),
        choice_seeds=(0, 1, 2, 3, 4),
        precision="bfloat16",
    ),
}
STYLES = {"easy": EASY, "hard": HARD}


@dataclass(frozen=True)
class Run:
    """One training: what, on what, from which seed."""

    variant: Variant
    dataset: str
    seed: int
    recipe: Recipe  # the variant's
    split: str = "test"
    precision: str = "float32"

    @property
    def style(self) -> BirdsConfig:
        return replace(STYLES[self.dataset], image_size=self.recipe.image_size, stripe_period=self.recipe.stripe_period)

    @property
    def file_name(self) -> str:
        # A field at its default says that nothing is changed: left out, so that a new field renames no old result.
        unchanged = asdict(Variant(self.variant.title))
        what = {name: value for name, value in asdict(self.variant).items() if value != unchanged[name]}
        identity = [VERSION, what, asdict(self.recipe), asdict(self.style), self.split, self.precision]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.dataset}-{digest}-seed{self.seed}.json"


def plan(profile: Profile, tables: Iterable[Table]) -> list[Run]:
    """All runs that these tables need, each once, the first seed of all before the second of any.

    >>> from tasnlib.research.ablations.variants import TABLES
    >>> runs = plan(PROFILES["laptop"], TABLES[:1])
    >>> len(runs), runs[0].seed, runs[-1].seed
    (27, 0, 2)
    """
    runs = [
        (number, run_of(profile, table, variant, seed))
        for table in tables
        for variant in table.variants
        for number, seed in enumerate(profile.seeds_of(table))
    ]
    runs.sort(key=lambda numbered: numbered[0])  # otherwise in the order of the tables
    return list({run.file_name: run for _, run in runs}.values())


def run_of(profile: Profile, table: Table, variant: Variant, seed: int) -> Run:
    recipe = variant.recipe(profile.recipes[table.dataset])
    if variant.equal_compute:
        classes = STYLES[table.dataset].classes
        with torch.device("meta"):  # networks to be counted need no weights
            whole, own = (
                cost_by_part(build_variant(one, recipe, classes), recipe.image_size)["total"]
                for one in (TASN, replace(variant, equal_compute=False))
            )
        recipe = replace(recipe, epochs=round(recipe.epochs * whole / own))
    return Run(variant, table.dataset, seed, recipe, table.split, profile.precision)
