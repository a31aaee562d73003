"""Training, on one device or several, through Hugging Face Accelerate.

The order of the images and the channels of the detail maps are pure functions of (seed, epoch, image). So a run that
was stopped and resumed, or spread over several processes, sees what an undisturbed run sees.

`accelerate launch -m tasnlib.training FOLDER NAME` is a whole run on several devices or machines, see `experiment`.
"""

import time
from collections.abc import Callable, Sized
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tasnlib.arguments import checked, within
from tasnlib.checkpoints import load_training_state, progress_in, save_training_state
from tasnlib.data.batch import Batch
from tasnlib.distillation import tasn_loss
from tasnlib.evaluation import accuracies, answer_batch, as_it_is, evaluate
from tasnlib.faults import (
    ctrl_c_waits,
    diverged,
    leave_ctrl_c_to_parent,
    reading_with,
    require_finite,
    require_finite_weights,
)
from tasnlib.recipes import Recipe
from tasnlib.schedule import EpochOrder, build_optimizer, learning_rate_at
from tasnlib.speed import speed_up


@checked
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
            f"batch_size is {batch_size}, but there are only {images} training images; take at most {images}"
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
    # What must be the same for a checkpoint to be continued. JSON makes lists of tuples.
    identity = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(recipe).items()}
    identity["seed"] = seed
    del identity["weights"]  # only where the first ones came from
    history: list[dict[str, Any]] = []
    begun: dict[str, Any] = {"step": 0, "loss": 0.0, "seconds": 0.0}  # of an epoch that Ctrl-C cut short
    if resume and state_path.is_file():
        progress = load_training_state(state_path, model, optimizer)
        for name, value in identity.items():
            if progress["identity"].get(name) != value:
                was = progress["identity"].get(name)
                raise ValueError(
                    f"{state_path} is of a run with {name} {was!r}, this one has {value!r}: it cannot resume it"
                )
        history, begun = progress["history"], progress.get("begun", begun)
    done = accelerator.gather(torch.tensor([len(history) + begun["step"] / steps], device=accelerator.device)).tolist()
    if len(set(done)) > 1:
        raise ValueError(
            f"{state_path} is not the same in all processes: they would go on after the epochs {done}; "
            "the output folder must be one that every machine sees"
        )
    speed_up(model, accelerator.device, compiled)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

    def save(unfinished: dict[str, Any] | None = None) -> None:
        progress = {"identity": identity, "history": history, **({"begun": unfinished} if unfinished else {})}
        try:
            save_training_state(state_path, accelerator.unwrap_model(model), optimizer, progress)
        except OSError as reason:
            if not continue_unsaved:
                saved = progress_in(state_path)[0] if state_path.is_file() else 0
                then = f"Then resume goes on after epoch {saved}; continue_unsaved=True trains on without a checkpoint."
                raise OSError(reason.errno, f"{reason.strerror} {then}") from reason
            print(f"{reason.strerror} Training goes on, because continue_unsaved is True.", flush=True)

    with reading_with(num_workers), ctrl_c_waits(accelerator.num_processes == 1) as stop_asked:
        for epoch in range(len(history), recipe.epochs):
            told = time.perf_counter()
            started = told - begun["seconds"]
            order.epoch, order.begin = epoch, begun["step"] * batch_size
            model.train()
            total = torch.tensor(begun["loss"], device=accelerator.device)
            losses = torch.zeros(steps, device=accelerator.device)
            for step, batch in enumerate(loader, begun["step"]):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(recipe, (epoch * steps + step) / (recipe.epochs * steps))
                optimizer.zero_grad()
                for number, part in enumerate(_parts(batch, accumulate), 1):
                    # Processes exchange their gradients once a step, with the last part.
                    with nullcontext() if number == accumulate else accelerator.no_sync(model):
                        try:
                            with accelerator.autocast():
                                logits = answer_batch(model, part, seed, epoch, accelerator.device)
                            labels = part.labels.to(accelerator.device, non_blocking=True)
                            loss = _loss(logits, labels, recipe) / accumulate
                        except ValueError as reason:
                            # On a CPU, attention, sampler and loss speak up at once.
                            if "must be finite" not in str(reason):
                                raise
                            raise diverged(str(reason), model, epoch, step) from reason
                        accelerator.backward(loss)
                    total += loss.detach()
                    losses[step] += loss.detach()
                # Looking at the loss waits for a GPU, so there it is looked at now and then.
                if accelerator.device.type == "cpu" or (step + 1) % 50 == 0 or step + 1 == steps:
                    require_finite(model, losses[: step + 1], epoch)
                optimizer.step()
                if time.perf_counter() - told > 60:
                    told = time.perf_counter()
                    _tell(accelerator, epoch, (step + 1) / steps, total.item() / (step + 1), told - started)
                if stop_asked() and step + 1 < steps:
                    require_finite(model, losses[: step + 1], epoch)
                    require_finite_weights(model, epoch, step)
                    save({"step": step + 1, "loss": total.item(), "seconds": time.perf_counter() - started})
                    raise KeyboardInterrupt
            require_finite_weights(model, epoch, steps - 1)
            begun = {"step": 0, "loss": 0.0, "seconds": 0.0}
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
                save()
                if report:
                    report(entry)
            if stop_asked():
                raise KeyboardInterrupt
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # its forward is its own again
    return history


def _parts(batch: Batch, count: int) -> list[Batch]:
    """A batch in so many parts of equal size, in order."""
    return [Batch(*part) for part in zip(*(field.chunk(count) for field in batch), strict=True)]


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


def _size(data: Dataset) -> int:
    if not isinstance(data, Sized):
        raise ValueError("a data set must know its length")
    return len(data)


if __name__ == "__main__":
    # Imports run one way: experiment stands above this file, which only lends it the name that people look for.
    from tasnlib.experiment import command_line

    command_line()
