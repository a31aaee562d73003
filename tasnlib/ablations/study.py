"""Running ablations: every variant, on every data set, from every seed, each kept as soon as it is done.

A run's file is named after everything that decides its result, so a study that was stopped goes on where it stopped,
and one whose variants changed runs only what changed.
"""

import hashlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import Tensor
from tqdm import tqdm

from tasnlib.ablations.measures import measure_maps
from tasnlib.ablations.networks import ChangedTASN, build_variant
from tasnlib.ablations.variants import TASN, Table, Variant
from tasnlib.cost import cost_by_part
from tasnlib.data.birds import EASY, HARD, Birds, BirdsBatch, BirdsConfig
from tasnlib.devices import make_accelerator
from tasnlib.evaluation import accuracies, evaluate
from tasnlib.files import write_atomically
from tasnlib.recipes import RECIPES, Recipe
from tasnlib.sampler import attention_sample
from tasnlib.training import fit

VERSION = 1  # raise it whenever a change to the code changes a result
WATCHED = 200  # images that the accuracy after each epoch is measured on; at the end it is all


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
        what = asdict(self.variant) | {"title": ""}
        identity = [VERSION, what, asdict(self.recipe), asdict(self.style), self.split, self.precision]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.dataset}-{digest}-seed{self.seed}.json"


def plan(profile: Profile, tables: Iterable[Table]) -> list[Run]:
    """All runs that these tables need, each once, the first seed of all before the second of any.

    >>> from tasnlib.ablations.variants import TABLES
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
        whole, own = (
            cost_by_part(build_variant(one, recipe, classes), recipe.image_size)["total"]
            for one in (TASN, replace(variant, equal_compute=False))
        )
        recipe = replace(recipe, epochs=round(recipe.epochs * whole / own))
    return Run(variant, table.dataset, seed, recipe, table.split, profile.precision)


def study(runs: Sequence[Run], folder: Path, data_folder: Path, processes: int = 1) -> list[dict[str, Any]]:
    """The results of all runs, in their order: read where they are kept, trained where not.

    Args:
        folder: where results are kept, one small JSON a run.
        data_folder: where the drawn birds are kept.
        processes: how many runs at a time, each on one thread. On a GPU: 1.
    """
    missing = [run for run in runs if not (folder / run.file_name).is_file()]
    if missing:
        started = time.perf_counter()
        with tqdm(total=len(missing), desc="ablations", unit="run", file=sys.stdout, mininterval=5) as bar:
            for run in _trained(missing, folder, data_folder, processes):
                bar.set_postfix_str(f"{run.dataset}, {run.variant.title}, seed {run.seed}")
                bar.update()
        print(f"{len(missing)} runs in {(time.perf_counter() - started) / 60:.0f} minutes")
    return [json.loads((folder / run.file_name).read_text()) for run in runs]


def _trained(runs: Sequence[Run], folder: Path, data_folder: Path, processes: int) -> Iterable[Run]:
    if processes == 1:
        for run in runs:
            train_run(run, folder, data_folder)
            yield run
        return
    # Threads that share a core wait for each other by spinning, so each process has one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = {pool.submit(train_run, run, folder, data_folder): run for run in runs}
        for done in as_completed(waiting):
            done.result()
            yield waiting[done]


def train_run(run: Run, folder: Path, data_folder: Path) -> dict[str, Any]:
    """Train one variant, test it, measure its attention, and keep the result."""
    train_set, test_set = _data(run, data_folder)
    accelerator = make_accelerator(run.precision)
    set_seed(run.seed)
    model = build_variant(run.variant, run.recipe, test_set.classes)
    cost = cost_by_part(model, test_set.images.shape[-1])["total"]
    with tempfile.TemporaryDirectory() as state:
        seen = BirdsBatch(test_set.images[:WATCHED], test_set.labels[:WATCHED], test_set.boxes[:WATCHED])
        watched = Birds(seen, test_set.config)
        history = fit(model, train_set, watched, run.recipe, run.seed, Path(state) / "state", accelerator)
    answers = evaluate(model, test_set, run.recipe.batch_size, accelerator)
    result = {
        "title": run.variant.title,
        "dataset": run.dataset,
        "split": run.split,
        "seed": run.seed,
        "accuracy": accuracies(answers, test_set.labels),
        "by_epoch": [entry["accuracy"] for entry in history],
        "multiply_adds": cost,
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "epochs": run.recipe.epochs,
        "attention": measure_maps(model, run.recipe, test_set) if isinstance(model, ChangedTASN) else None,
        "test_images": len(test_set),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "torch": torch.__version__,
    }
    write_atomically(folder / run.file_name, json.dumps(result, indent=1).encode())
    return result


@lru_cache(maxsize=2)
def _birds(style: BirdsConfig, split: str, count: int, folder: Path) -> Birds:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Birds.load(style, split, count, folder=folder, device=device, progress=False)


def _data(run: Run, folder: Path) -> tuple[Birds, Birds]:
    train_set = _birds(run.style, "train", run.recipe.train_images, folder)
    test_set = _birds(run.style, run.split, run.recipe.test_images, folder)
    if run.variant.sampler != "boxes":
        return train_set, test_set
    return _sampled_at_boxes(train_set, run.recipe), _sampled_at_boxes(test_set, run.recipe)


def _sampled_at_boxes(birds: Birds, recipe: Recipe) -> Birds:
    """The structure images that attention sampling would make, did attention know the parts."""
    small = []
    for start in range(0, len(birds), 64):
        images, boxes = birds.images[start : start + 64], birds.boxes[start : start + 64, :-1]  # the last is the bird
        attention = inside_boxes(boxes, recipe.image_size)
        sampled = attention_sample(images.float() / 255, attention, recipe.out_size, recipe.max_zoom, recipe.antialias)
        small.append((sampled * 255).round().to(torch.uint8))
    return Birds(BirdsBatch(torch.cat(small), birds.labels, birds.boxes), birds.config)


def inside_boxes(boxes: Tensor, size: int) -> Tensor:
    """1 where a pixel's centre lies in any of an image's boxes (b, p, 4), 0 elsewhere: (b, size, size)."""
    centres = torch.arange(size, device=boxes.device) + 0.5
    x = (centres >= boxes[..., 0, None]) & (centres < boxes[..., 2, None])  # (b, p, size)
    y = (centres >= boxes[..., 1, None]) & (centres < boxes[..., 3, None])
    return (y[..., :, None] & x[..., None, :]).any(dim=1).float()
