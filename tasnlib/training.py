"""Training and evaluation, on one device or several, through Hugging Face Accelerate.

The order of the images and the channels of the detail maps are pure functions of (seed, epoch, image). So a run that
was stopped and resumed, or spread over several processes, sees what an undisturbed run sees.
"""

import math
import time
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DataLoaderConfiguration
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from tasnlib.checkpoints import load_training_state, save_training_state
from tasnlib.data.randomness import hash32
from tasnlib.distillation import tasn_loss
from tasnlib.model import TASN
from tasnlib.recipes import Recipe

PRECISIONS = {"float32": "no", "bfloat16": "bf16"}


def make_accelerator(precision: str = "float32") -> Accelerator:
    """Whatever hardware there is. A batch is the batch of all processes together.

    Args:
        precision: "float32", or "bfloat16" for the convolutions and matrix products.
    """
    # Accelerate keeps one precision a process; a notebook may train in both, one after the other.
    AcceleratorState._reset_state()
    config = DataLoaderConfiguration(split_batches=True, even_batches=True)
    # Only with cpu=True does Accelerate join several processes that have no accelerator.
    no_accelerator = not torch.accelerator.is_available()
    return Accelerator(cpu=no_accelerator, mixed_precision=PRECISIONS[precision], dataloader_config=config)


class EpochOrder(Sampler[int]):
    """A shuffle for every epoch, decided by the seed and the epoch alone.

    >>> order = EpochOrder(size=4, seed=0)
    >>> order.epoch = 1
    >>> list(order) == list(order), sorted(order)
    (True, [0, 1, 2, 3])
    """

    def __init__(self, size: int, seed: int):
        self.size, self.seed, self.epoch = size, seed, 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.size, generator=generator).tolist())


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


def draw_channels(indices: Int[Tensor, " b"], channels: int, seed: int, epoch: int) -> Int[Tensor, " b"]:
    """One channel an image, uniform over the channels: a hash of (seed, epoch, image).

    >>> draw_channels(torch.arange(5), channels=1, seed=0, epoch=0).tolist()
    [0, 0, 0, 0, 0]
    """
    return hash32(hash32(indices) + seed * 0x9E3779B1 + epoch * 0x3C6EF372) % channels


def _logits(model: nn.Module, batch, seed: int, epoch: int, device: torch.device) -> dict[str, Tensor]:
    """The model's answers to a batch as a data set hands it out: pixels from 0 to 255."""
    images = batch.images.to(device, non_blocking=True).float() / 255
    inner = getattr(model, "module", model)  # several processes wrap the model
    if isinstance(inner, TASN):
        channels = inner.attention_net.classifier.in_features
        return model(images, channel=draw_channels(batch.indices, channels, seed, epoch)).logits
    return model(images).logits


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Dataset, batch_size: int, accelerator: Accelerator | None = None
) -> dict[str, Int[Tensor, " images"]]:
    """What the model answers to every image of a data set: each of its nets' class, in the data set's order.

    Every image counts once, whatever the batch size or the number of processes: answers are put in their image's place,
    so that an image that was seen twice to fill up a batch changes nothing. The detail map's channel is a function of
    the image alone.

    Args:
        model: `TASN` or `PlainClassifier`.
        data: gives batches of images, labels and indices, as `data.birds.Birds` does.
        accelerator: the one the model was prepared with; one is made where there is none.

    Raises:
        ValueError: for an empty data set.
    """
    count = len(data)  # type: ignore[arg-type]
    if count == 0:
        raise ValueError("the data set to evaluate on is empty")
    accelerator = accelerator or make_accelerator()
    loader = accelerator.prepare_data_loader(DataLoader(data, batch_size, collate_fn=_as_it_is))
    was_training = model.training
    model.eval().to(accelerator.device)
    answers: dict[str, Tensor] = {}
    for batch in loader:
        with accelerator.autocast():
            logits = _logits(model, batch, seed=0, epoch=0, device=accelerator.device)
        indices = accelerator.gather(batch.indices)
        for name, answer in logits.items():
            places = answers.setdefault(name, torch.full((count,), -1, device=accelerator.device))
            places[indices] = accelerator.gather(answer.argmax(dim=1))
    model.train(was_training)
    return {name: places.cpu() for name, places in answers.items()}


def accuracies(answers: dict[str, Int[Tensor, " n"]], labels: Int[Tensor, " n"]) -> dict[str, float]:
    """The share of right answers of each net, from 0 to 1.

    >>> accuracies({"master": torch.tensor([1, 2, 3])}, torch.tensor([1, 2, 0]))
    {'master': 0.6666666666666666}
    """
    labels = labels.cpu()
    return {name: (answer == labels).double().mean().item() for name, answer in answers.items()}


def _as_it_is(batch):
    """Data sets here hand out whole batches: there is nothing to collate."""
    return batch


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
) -> list[dict[str, Any]]:
    """Train by the recipe, evaluating and writing a checkpoint after every epoch.

    Args:
        model: `TASN` or `PlainClassifier`; trained in place.
        train, test: give batches of images, labels and indices, as `data.birds.Birds` does.
        seed: of the order of the images and of the channels. The weights are the caller's.
        state_path: of the checkpoint that `resume` continues from.
        resume: continue from state_path where there is one; else start.
        report: called after every epoch with its entry of the history, once for all processes.

    Returns:
        One entry an epoch: epoch, loss (mean over its steps), accuracy (on test, by net), seconds, images_per_second.

    Raises:
        ValueError: where a batch is larger than the training set, and where a checkpoint is of another recipe or seed.
        FloatingPointError: where the loss is no longer a number; the last checkpoint is from before.
    """
    images, batch_size = _size(train), recipe.batch_size
    steps = images // batch_size
    if steps == 0:
        raise ValueError(
            f"batch_size is {batch_size}, but there are only {images} training images; take at most {images}"
        )
    order = EpochOrder(images, seed)
    loader = DataLoader(train, batch_size, sampler=order, drop_last=True, collate_fn=_as_it_is)
    optimizer = build_optimizer(model, recipe)
    # What must be the same for a checkpoint to be continued. JSON makes lists of tuples.
    identity = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(recipe).items()}
    identity["seed"] = seed
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
        started = time.perf_counter()
        order.epoch = epoch
        model.train()
        total = torch.zeros((), device=accelerator.device)
        for step, batch in enumerate(loader):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(recipe, (epoch * steps + step) / (recipe.epochs * steps))
            try:
                with accelerator.autocast():
                    logits = _logits(model, batch, seed, epoch, accelerator.device)
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
        seconds = time.perf_counter() - started
        answers = evaluate(model, test, batch_size, accelerator)
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
    weights = {"attention": recipe.attention_weight, "master": recipe.master_weight, "part": recipe.part_weight}
    weights = {name: weight for name, weight in weights.items() if name in logits}
    return tasn_loss(logits, labels, weights, recipe.distillation_weight, recipe.temperature)


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
