"""The runs: every method at every size of both series, from every seed; each one's result is a small JSON file.

The file's name is a hash of everything that decides the result, so an interrupted experiment resumes where it stopped.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from torch import nn
from torch.nn import functional as F

from benchmarks.high_resolution.drawings import BASE, FIXED, GROWING, Drawings, birds_at
from benchmarks.high_resolution.methods import LOOK, TILE, Full, Method, Recogniser
from tasnlib.data.files import read_json, write_atomically
from tasnlib.training.evaluation import evaluation_mode
from tasnlib.training.recipes import RECIPES, Recipe
from tasnlib.training.schedule import EpochOrder, build_optimizer, learning_rate_at

VERSION = 1  # increment when a change to the code changes results
FULL = "full resolution"


@dataclass(frozen=True)
class Plan:
    """How large the experiment is."""

    sizes: tuple[int, ...] = (512, 1024, 2048)
    seeds: tuple[int, ...] = (0, 1, 2)
    train_images: int = 800
    test_images: int = 300
    tested_larger: int = 100  # images that full resolution is tested on above BASE: they take a second each
    epochs: int = 5
    batch_size: int = 8
    learning_rate: float = 2e-3

    @property
    def recipe(self) -> Recipe:
        """The same for all methods: the course's "laptop", in smaller batches, because few images mean few steps."""
        numbers = {"batch_size": self.batch_size, "learning_rate": self.learning_rate, "epochs": self.epochs}
        return replace(RECIPES["laptop"], **numbers)


def methods_at(size: int) -> dict[str, Method]:
    """By title, in the order of the table.

    >>> [title for title, method in methods_at(1024).items() if method.kind == "crop"]
    ['crop at the maximum, 1/4 of the side', 'crop at the maximum, 128 px']
    """
    return {
        "plain, 48 px": Method("plain", 48),
        "plain, 96 px": Method("plain", 96),
        "plain, 192 px": Method("plain", 192),
        "plain, 64 px, aliased": Method("plain", 64, antialias=False),
        "crop at the maximum, 1/4 of the side": Method("crop", 64, window=size // 4),
        "crop at the maximum, 128 px": Method("crop", 64, window=128),
        "TASN": Method("sampled", 64),
        "TASN, zoom up to 16": Method("sampled", 64, max_zoom=16.0),
        "TASN, two stages": Method("sampled", 64, stages=2),
        FULL: Method("full", 0),
    }


@dataclass(frozen=True)
class Run:
    """A method on the birds of a series at an image size, from a seed."""

    series: str
    size: int
    title: str
    seed: int
    plan: Plan

    @property
    def method(self) -> Method:
        return methods_at(self.size)[self.title]

    @property
    def file_name(self) -> str:
        # Not the title and not the series: at BASE both series are the same, and so are two crops.
        plan = {name: value for name, value in asdict(self.plan).items() if name not in ("sizes", "seeds")}
        identity = [VERSION, asdict(birds_at(self.series, self.size)), asdict(self.method), plan, LOOK, TILE]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.size}px-{self.method.kind}-{digest}-seed{self.seed}.json"

    @property
    def base(self) -> "Run":
        """The run at BASE whose weights full resolution has: the birds are the same, pixel by pixel."""
        return replace(self, size=BASE)

    def weights(self, data: Path) -> Path:
        return data / f"{self.file_name.removesuffix('.json')}.weights"

    def drawings(self, data: Path, split: str) -> Drawings:
        count = self.plan.train_images if split == "train" else self.plan.test_images
        return Drawings(birds_at(self.series, self.size), split, count, data / f"{self.series}-{self.size}-{split}")


def plan_runs(plan: Plan) -> list[Run]:
    """All runs, each once, size by size.

    Full resolution above BASE takes the network trained at BASE, which only birds of a fixed size allow.

    >>> runs = plan_runs(Plan())
    >>> len(runs), runs[0].size, runs[-1].size
    (141, 512, 2048)
    """
    runs = [
        Run(series, size, title, seed, plan)
        for size in plan.sizes
        for series in (FIXED, GROWING)
        for seed in plan.seeds
        for title in methods_at(size)
        if title != FULL or series == FIXED or size == BASE
    ]
    return list({run.file_name: run for run in reversed(runs)}.values())[::-1]


def train_run(run: Run, folder: Path, data: Path) -> Path:
    """Train and test one method, and save the result. Its images must be drawn already."""
    set_seed(run.seed)
    test = run.drawings(data, "test")
    model = run.method.build(test.config.classes).to(memory_format=torch.channels_last)  # a third faster
    started = time.perf_counter()
    if isinstance(model, Full) and run.size > BASE:
        model.load_state_dict(torch.load(run.base.weights(data), weights_only=True))
        losses, count = [], min(run.plan.tested_larger, len(test.labels))
    else:
        losses, count = train(model, run.drawings(data, "train"), run.plan.recipe, run.seed), test.count
    seconds = time.perf_counter() - started
    if isinstance(model, Full) and run.size == BASE:
        torch.save(model.state_dict(), run.weights(data))
    result = {
        "title": run.title,
        "series": "both" if run.size == BASE else run.series,
        "size": run.size,
        "seed": run.seed,
        "accuracy": accuracy(model, test, count),
        "losses": losses,
        "seconds": round(seconds, 1),
        "test_images": count,
        "method": asdict(run.method),
        "plan": asdict(run.plan),
        "version": VERSION,
        "torch": torch.__version__,
    }
    write_atomically(folder / run.file_name, json.dumps(result, indent=1).encode())
    return folder / run.file_name


def train(model: Recogniser, drawings: Drawings, recipe: Recipe, seed: int) -> list[float]:
    """Train in place. The mean loss of every epoch: the sum of all nets' cross-entropies."""
    optimizer, order = build_optimizer(model, recipe), EpochOrder(drawings.count, seed)
    steps, losses = drawings.count // recipe.batch_size, []
    for epoch in range(recipe.epochs):
        order.epoch, total = epoch, 0.0
        model.train()
        for step, indices in enumerate(_batches(order, recipe.batch_size, steps)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(recipe, (epoch * steps + step + 0.5) / (recipe.epochs * steps))
            optimizer.zero_grad()
            labels = drawings.labels[torch.tensor(indices) % drawings.count]
            logits = model(drawings.pictures(indices))
            loss = torch.stack([F.cross_entropy(scores, labels) for scores in logits.values()]).sum()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(round(total / steps, 4))
    return losses


def _batches(order: Iterable[int], size: int, count: int) -> Iterator[list[int]]:
    indices = list(order)
    return (indices[step * size : (step + 1) * size] for step in range(count))


def accuracy(model: nn.Module, drawings: Drawings, count: int) -> dict[str, float]:
    """The share of the first `count` images that each net recognises; for full resolution also tile by tile."""
    right: dict[str, int] = {}
    with evaluation_mode(model):
        for index in range(count):
            pictures = drawings.pictures([index])
            logits = model(pictures)
            if isinstance(model, Full):
                by_tiles = model.by_tiles(pictures.full[0])
                logits |= {f"maximum over tiles of the {name}": scores for name, scores in by_tiles.items()}
            for name, scores in logits.items():
                right[name] = right.get(name, 0) + int(scores.argmax() == drawings.labels[index])
    return {name: hits / count for name, hits in right.items()}


def read_result(run: Run, folder: Path) -> dict[str, Any] | None:
    """A run's result, None where there is none yet."""
    path = folder / run.file_name
    return read_json(path) if path.is_file() else None
