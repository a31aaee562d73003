"""Training and evaluation, on one device or several, through Hugging Face Accelerate.

The order of the images and the channels of the detail maps are pure functions of (seed, epoch, image). So a run that
was stopped and resumed, or spread over several processes, sees what an undisturbed run sees.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sized
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from tasnlib.checkpoints import load_training_state, save_training_state
from tasnlib.distillation import tasn_loss
from tasnlib.evaluation import accuracies, answer_batch, as_it_is, evaluate
from tasnlib.recipes import Recipe


class EpochOrder(Sampler[int]):
    """A shuffle for every epoch, decided by the seed and the epoch alone.

    It gives the numbers of `data.batch.Batch`, epoch * size + image: a data set that changes its images in training
    learns from them which epoch it is, in whatever process it lives.

    Args:
        left_out: images that are never asked for, because they cannot be read.

    >>> order = EpochOrder(size=4, seed=0, left_out={2})
    >>> order.epoch = 1
    >>> list(order) == list(order), sorted(order)
    (True, [4, 5, 7])
    """

    def __init__(self, size: int, seed: int, left_out: Collection[int] = ()):
        self.size, self.seed, self.epoch = size, seed, 0
        self.left_out = frozenset(left_out)

    def __len__(self) -> int:
        return self.size - len(self.left_out)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        shuffled = torch.randperm(self.size, generator=generator).tolist()
        return iter([self.epoch * self.size + image for image in shuffled if image not in self.left_out])


def learning_rate_at(recipe: Recipe, done: float) -> float:
    """The learning rate when this share of all steps is done, from 0 to 1.

    >>> from tasnlib.recipes import RECIPES
    >>> [round(learning_rate_at(RECIPES["paper"], done), 4) for done in (0.0, 0.3, 0.5, 0.9)]
    [0.1, 0.1, 0.01, 0.001]
    """
    if done < recipe.warmup:
        return recipe.learning_rate * done / recipe.warmup
    if recipe.milestones:
        return recipe.learning_rate * 0.1 ** sum(done >= milestone for milestone in recipe.milestones)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - recipe.warmup) / (1 - recipe.warmup)))


def build_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; its learning rate is set anew in every step."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
    return torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)


def fit(
    model: nn.Module,
    train: Dataset,
    test: Dataset,
    recipe: Recipe,
    seed: int,
    state_path: Path,
    accelerator: Accelerator,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
    num_workers: int = 0,
) -> list[dict[str, Any]]:
    """Train by the recipe, evaluating and writing a checkpoint after every epoch.

    Args:
        model: `TASN` or `PlainClassifier`; trained in place.
        train, test: give batches of images, labels and indices, as `data.birds.Birds` does.
        seed: of the order of the images and of the channels. The weights are the caller's.
        state_path: of the checkpoint that `resume` continues from.
        resume: continue from state_path where there is one; else start.
        report: called after every epoch with its entry of the history, once for all processes. Within a long epoch, a
            line a minute is printed.
        num_workers: processes that read images, for each process that trains.

    Returns:
        One entry an epoch: epoch, loss (mean over its steps), accuracy (on test, by net), seconds, images_per_second.

    Raises:
        ValueError: where a batch is larger than the training set, and where a checkpoint is of another recipe or seed.
        FloatingPointError: where the loss is no longer a number; the last checkpoint is from before.
    """
    order = EpochOrder(_size(train), seed, getattr(train, "unreadable", ()))
    images, batch_size = len(order), recipe.batch_size
    steps = images // batch_size
    if steps == 0:
        raise ValueError(
            f"batch_size is {batch_size}, but there are only {images} training images; take at most {images}"
        )
    loader = DataLoader(
        *(train, batch_size),
        sampler=order,
        drop_last=True,
        collate_fn=as_it_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=num_workers > 0 and accelerator.device.type == "cuda",
    )
    optimizer = build_optimizer(model, recipe)
    # What must be the same for a checkpoint to be continued. JSON makes lists of tuples.
    identity = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(recipe).items()}
    identity["seed"] = seed
    del identity["weights"]  # only where the first ones came from
    history: list[dict[str, Any]] = []
    if resume and state_path.is_file():
        progress = load_training_state(state_path, model, optimizer)
        for name, value in identity.items():
            if progress["identity"].get(name) != value:
                was = progress["identity"].get(name)
                raise ValueError(
                    f"{state_path} is of a run with {name} {was!r}, this one has {value!r}: it cannot resume it"
                )
        history = progress["history"]
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

    for epoch in range(len(history), recipe.epochs):
        started = told = time.perf_counter()
        order.epoch = epoch
        model.train()
        total = torch.zeros((), device=accelerator.device)
        for step, batch in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(recipe, (epoch * steps + step) / (recipe.epochs * steps))
            try:
                with accelerator.autocast():
                    logits = answer_batch(model, batch, seed, epoch, accelerator.device)
            except ValueError as reason:
                # On a CPU the sampler is the first to notice features that are no numbers.
                if "attention must be finite" not in str(reason):
                    raise
                raise _diverged("the attention is no longer finite", epoch, step) from reason
            loss = _loss(logits, batch.labels.to(accelerator.device, non_blocking=True), recipe)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            total += loss.detach()
            # Looking at the loss waits for the device, so it is looked at now and then.
            if (step + 1) % 50 == 0 or step + 1 == steps:
                _check_loss(total, epoch, step)
            if time.perf_counter() - told > 60:
                told = time.perf_counter()
                _tell(accelerator, epoch, (step + 1) / steps, total.item() / (step + 1), told - started)
        seconds = time.perf_counter() - started
        answers = evaluate(model, test, batch_size, accelerator, num_workers)
        entry = {
            "epoch": epoch + 1,
            "loss": accelerator.reduce(total, "mean").item() / steps,
            "accuracy": accuracies(answers, test.labels),  # type: ignore[attr-defined]
            "seconds": seconds,
            "images_per_second": steps * batch_size / seconds,
        }
        history.append(entry)
        if accelerator.is_main_process:
            inner = accelerator.unwrap_model(model)
            save_training_state(state_path, inner, optimizer, {"identity": identity, "history": history})
            if report:
                report(entry)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # its forward is its own again
    return history


def _loss(logits: dict[str, Tensor], labels: Tensor, recipe: Recipe) -> Tensor:
    weights = {
        "attention": recipe.attention_weight,
        "master": recipe.master_weight,
        "part": recipe.part_weight,
        "master_own": recipe.own_weight,
        "part_own": recipe.own_weight,
    }
    weights = {name: weight for name, weight in weights.items() if name in logits}
    return tasn_loss(logits, labels, weights, recipe.distillation_weight, recipe.temperature, recipe.teacher_gradient)


def _tell(accelerator: Accelerator, epoch: int, done: float, loss: float, seconds: float) -> None:
    if accelerator.is_main_process:
        left = seconds / done - seconds
        print(f"epoch {epoch + 1:2d}: {done:4.0%} done, {left / 60:.0f} minutes to go, loss {loss:.3f}", flush=True)


def _check_loss(total: Tensor, epoch: int, step: int) -> None:
    if not torch.isfinite(total):
        raise _diverged(f"the loss became {total.item()}", epoch, step)


def _diverged(what: str, epoch: int, step: int) -> FloatingPointError:
    return FloatingPointError(
        f"{what}, in epoch {epoch + 1}, by step {step + 1}. The last checkpoint is from before. "
        "Train again with a lower learning_rate, or with precision float32"
    )


def _size(data: Dataset) -> int:
    if not isinstance(data, Sized):
        raise ValueError("a data set must know its length")
    return len(data)
