"""Training, on one device or several, through Hugging Face Accelerate.

The order of the images and the channels of the detail maps are pure functions of (seed, epoch, image). So a run that
was stopped and resumed, or spread over several processes, sees what an undisturbed run sees.
"""

import time
from collections.abc import Callable, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tasnlib.arguments import checked, within
from tasnlib.data.batch import Batch
from tasnlib.distillation import tasn_loss
from tasnlib.networks.official import own_distillation
from tasnlib.training.compilation import speed_up
from tasnlib.training.evaluation import accuracies, answer_batch, as_it_is, evaluate
from tasnlib.training.progress import Progress
from tasnlib.training.recipes import Recipe
from tasnlib.training.schedule import EpochOrder, build_optimizer, learning_rate_at
from tasnlib.training.signals import (
    ctrl_c_waits,
    diverged,
    leave_ctrl_c_to_parent,
    reading_with,
    require_finite,
    require_finite_weights,
)


@checked
def fit(
    model: nn.Module,
    train: Dataset,
    test: Dataset,
    recipe: Recipe,
    seed: int,
    state_path: Path,
    accelerator: Accelerator,
    *,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
    num_workers: int = 0,
    accumulate: int = 1,
    compiled: bool = False,
    continue_unsaved: bool = False,
) -> list[dict[str, Any]]:
    """Train by the recipe, evaluating and writing a checkpoint after every epoch.

    On Ctrl-C, one process ends its step and writes a checkpoint first; a second Ctrl-C, or one that interrupts several
    processes, leaves that of the last epoch. Either way a resumed run ends as an undisturbed one, bit for bit on a CPU.
    On a GPU the order of the images, the channels and the augmentation are the same in every run of a seed, the sums
    inside torch's fastest kernels are not: torch's switches (cudnn.benchmark, TF32, deterministic algorithms) are left
    as they are found.

    The recipe's batch is shared out among the processes, and each share into `accumulate` parts that go through the
    model one after the other. The optimiser takes one step a batch, by the mean gradient over all its images; so
    learning rate, number of steps and order of the images depend on neither number, and a run may be resumed with
    others.

    Only batch norm does: it is not synchronised, as the authors' was not, and sees batch_size / (processes *
    accumulate) images at a time (TASN's backbone twice as many: structure and detail images). N processes train as one
    does with accumulate N, to rounding. Of the running statistics, those of the first process are kept.

    Args:
        model: `TASN` or `PlainClassifier`; trained in place.
        train, test: give batches of images, labels and indices, as `data.birds.Birds` does.
        seed: of the order of the images and of the channels. The weights are the caller's.
        state_path: of the checkpoint that `resume` continues from.
        resume: continue from state_path where there is one; else start.
        report: called after every epoch with its entry of the history, once for all processes. Within a long epoch, a
            line a minute is printed.
        num_workers: processes that read images, for each process that trains.
        accumulate: parts of each process's share of a batch; more of them need less memory.
        compiled: compile the model, see `speed.speed_up`.
        continue_unsaved: where a checkpoint cannot be written, say so and train on. The next epoch tries again.

    Returns:
        One entry an epoch: epoch, loss (mean over its steps), accuracy (on test, by net), seconds, images_per_second.

    Raises:
        ValueError: where a batch is larger than the training set or cannot be shared out evenly; where a checkpoint is
            of another recipe or seed, or not the same in all processes.
        FloatingPointError: where loss or weights are no longer numbers; the last checkpoint is from before.
        OSError: where a checkpoint cannot be written; the one before is untouched.
        RuntimeError: where a process that reads images died.
        KeyboardInterrupt: after Ctrl-C.
    """
    within(num_workers, "num_workers", 0, 1024)
    order = EpochOrder(_size(train), seed, getattr(train, "unreadable", ()))
    images, batch_size = len(order), recipe.batch_size
    steps = images // batch_size
    if steps == 0:
        raise ValueError(
            f"batch_size is {batch_size}, but there are only {images} training images; "
            f"take at most {images}, and better an eighth of them, because every batch is one step of learning"
        )
    if accumulate < 1 or batch_size % (accelerator.num_processes * accumulate):
        raise ValueError(
            f"accumulate is {accumulate}, batch_size {batch_size} and the number of processes "
            f"{accelerator.num_processes}; batch_size must be a multiple of processes times accumulate"
        )
    loader = DataLoader(
        *(train, batch_size),
        sampler=order,
        drop_last=True,
        collate_fn=as_it_is,
        num_workers=num_workers,
        worker_init_fn=leave_ctrl_c_to_parent,
        persistent_workers=num_workers > 0,
        pin_memory=num_workers > 0 and accelerator.device.type == "cuda",
    )
    optimizer = build_optimizer(model, recipe)
    progress = Progress(state_path, recipe, seed, continue_unsaved)
    if resume and state_path.is_file():
        progress.resume(model, optimizer, steps)
    progress.require_same_everywhere(accelerator)
    speed_up(model, accelerator.device, compiled)
    inner = model
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

    with reading_with(num_workers), ctrl_c_waits(accelerator.num_processes == 1) as stop_asked:
        for epoch in range(len(progress.history), recipe.epochs):
            told = time.perf_counter()
            started = told - progress.seconds
            order.epoch, order.begin = epoch, progress.step * batch_size
            total = torch.tensor(progress.loss, device=accelerator.device)
            losses = torch.zeros(steps, device=accelerator.device)
            model.train()
            for step, batch in enumerate(loader, progress.step):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(recipe, (epoch * steps + step) / (recipe.epochs * steps))
                optimizer.zero_grad()
                try:
                    losses[step] = _backward(model, batch, recipe, seed, epoch, accelerator, accumulate)
                except ValueError as reason:  # on a CPU, attention and sampler reject numbers that are not finite
                    if "finite" not in str(reason):
                        raise
                    raise diverged(f"numbers are no longer finite ({reason})", inner, epoch, step) from reason
                total += losses[step]
                # Looking at the loss waits for a GPU, so there it is looked at now and then.
                if accelerator.device.type == "cpu" or (step + 1) % 50 == 0 or step + 1 == steps:
                    require_finite(inner, losses[: step + 1], epoch)
                optimizer.step()
                if time.perf_counter() - told > 60:
                    told = time.perf_counter()
                    _tell(accelerator, epoch, (step + 1) / steps, total.item() / (step + 1), told - started)
                if stop_asked() and step + 1 < steps:
                    require_finite(inner, losses[: step + 1], epoch)
                    require_finite_weights(inner, epoch, step)
                    progress.begin(step + 1, total.item(), time.perf_counter() - started)
                    progress.save(inner, optimizer)
                    raise KeyboardInterrupt
            require_finite_weights(inner, epoch, steps - 1)
            seconds = time.perf_counter() - started
            answers = evaluate(model, test, batch_size, accelerator, num_workers)
            entry = {
                "epoch": epoch + 1,
                "loss": accelerator.reduce(total, "mean").item() / steps,
                "accuracy": accuracies(answers, test.labels),  # type: ignore[attr-defined]
                "seconds": seconds,
                "images_per_second": steps * batch_size / seconds,
            }
            progress.history.append(entry)
            progress.begin()
            if accelerator.is_main_process:
                progress.save(inner, optimizer)
                if report:
                    report(entry)
            if stop_asked():
                raise KeyboardInterrupt
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # its forward is its own again
    return progress.history


def _backward(
    model: nn.Module,
    batch: Batch,
    recipe: Recipe,
    seed: int,
    epoch: int,
    accelerator: Accelerator,
    accumulate: int,
) -> Float[Tensor, ""]:
    """Add the gradients of a batch to the weights', in `accumulate` parts of equal size. The mean loss."""
    total = torch.zeros((), device=accelerator.device)
    parts = zip(*(field.chunk(accumulate) for field in batch), strict=True)
    for number, part in enumerate(parts, 1):
        # Processes exchange their gradients once a step, with the last part.
        with nullcontext() if number == accumulate else accelerator.no_sync(model):
            loss = _loss(model, Batch(*part), recipe, seed, epoch, accelerator) / accumulate
            accelerator.backward(loss)
        total += loss.detach()
    return total


def _loss(
    model: nn.Module, batch: Batch, recipe: Recipe, seed: int, epoch: int, accelerator: Accelerator
) -> Float[Tensor, ""]:
    """The forward pass, in the precision asked for, and the loss, in float32."""
    with accelerator.autocast():
        logits = answer_batch(model, batch, seed, epoch, accelerator.device)
    labels = batch.labels.to(accelerator.device, non_blocking=True)
    weights = {
        "attention": recipe.attention_weight,
        "master": recipe.master_weight,
        "part": recipe.part_weight,
        "master_own": recipe.own_weight,
        "part_own": recipe.own_weight,
    }
    weights = {name: weight for name, weight in weights.items() if name in logits}
    if "master_own" not in logits:
        return tasn_loss(logits, labels, weights, recipe.distillation_weight, recipe.temperature)
    loss = tasn_loss(logits, labels, weights, distillation_weight=0.0)
    return loss + recipe.distillation_weight * own_distillation(logits, recipe.temperature)


def _tell(accelerator: Accelerator, epoch: int, done: float, loss: float, seconds: float) -> None:
    if accelerator.is_main_process:
        left = seconds / done - seconds
        print(f"epoch {epoch + 1:2d}: {done:4.0%} done, {left / 60:.0f} minutes to go, loss {loss:.3f}", flush=True)


def _size(data: Dataset) -> int:
    if not isinstance(data, Sized):
        raise ValueError("a data set must know its length")
    return len(data)
