"""Training, on one device or several, through Hugging Face Accelerate.

The order of the images, the channels of the detail maps and dropout's random numbers are functions of seed, epoch and
step. So a run that was stopped and resumed sees what an uninterrupted run sees.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils.data import Dataset

from tasnlib.data.batch import Batch
from tasnlib.data.files import first_of
from tasnlib.distillation import tasn_loss
from tasnlib.networks.official import own_distillation
from tasnlib.training.checkpoints import load_training_state, new_progress, not_finite, save_training_state
from tasnlib.training.devices import speed_up
from tasnlib.training.evaluation import Predictions, accuracies, evaluate, evaluation_mode, predict_batch
from tasnlib.training.loaders import explained_worker_death, make_loader
from tasnlib.training.random_state import isolated_random_state, seed_step
from tasnlib.training.recipes import Recipe
from tasnlib.training.schedule import EpochOrder, build_optimizer, learning_rate_at

Entry: TypeAlias = dict[str, Any]  # of the history: one epoch, see `fit`
Report: TypeAlias = Callable[[Entry], None]


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
    report: Report | None = None,
    num_workers: int = 0,
    accumulate: int = 1,
    compiled: bool = False,
) -> tuple[list[Entry], Predictions]:
    """Train with the recipe, evaluating and writing a checkpoint after every epoch.

    A stopped run resumes after its last whole epoch, and ends like an uninterrupted one: bit for bit on a CPU, on a GPU
    up to the order of sums. The recipe's batch is split among the processes, and each share into `accumulate` parts,
    one after the other, with one step per batch, so neither number changes a run. Only batch norm, which is not
    synchronised, sees batch_size / (processes * accumulate) images at a time.

    Args:
        model: `TASN` or `PlainClassifier`; trained in place.
        seed: of the order, the channels and dropout. The initial weights are the caller's.
        resume: continue from the checkpoint, at state_path, if it exists.
        report: called after every epoch with its entry of the history, in the first process.

    Returns one entry per epoch: epoch, loss (mean over its steps), accuracy (on test, by net), seconds,
    images_per_second; and the last epoch's predictions, see `evaluation.evaluate`.

    Raises ValueError for a batch or a checkpoint that does not suit the run; FloatingPointError if loss or weights are
    no longer finite, and OSError if a checkpoint cannot be written (both leave the previous one); RuntimeError if a
    worker process died.
    """
    device, batch_size = accelerator.device, recipe.batch_size
    order = EpochOrder(len(train), seed, getattr(train, "unreadable", ()))  # type: ignore[arg-type]
    steps = len(order) // batch_size
    _check_sizes(model, train, order, batch_size, accelerator.num_processes, accumulate)
    optimizer, progress = build_optimizer(model, recipe), new_progress(recipe, seed)
    if resume and state_path.is_file():
        progress = load_training_state(state_path, model, optimizer, progress)
    epochs = accelerator.gather(torch.tensor([len(progress.history)], device=device)).tolist()
    if len(set(epochs)) > 1:
        problem = f"not the same in all processes, whose epochs are {epochs}"
        raise ValueError(f"{state_path} is {problem}; the output folder must be one that every machine sees")
    speed_up(model, compiled)
    inner, loader = model, make_loader(train, batch_size, num_workers, device, order)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

    predictions: Predictions | None = None
    with explained_worker_death(num_workers), isolated_random_state(device):
        for epoch in range(len(progress.history), recipe.epochs):
            started = printed = time.perf_counter()
            order.epoch = epoch
            losses = torch.zeros(steps, device=device)
            model.train()
            for step, batch in enumerate(loader):
                # In the middle of the step: neither the first of a warm-up nor the last of a cosine stands still.
                rate = learning_rate_at(recipe, (epoch * steps + step + 0.5) / (recipe.epochs * steps))
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["multiplier"]
                optimizer.zero_grad()
                try:
                    losses[step] = _backward(model, batch, recipe, (seed, epoch, step), accelerator, accumulate)
                except ValueError as reason:  # on a CPU, attention and sampler reject numbers that are not finite
                    if "finite" not in str(reason):
                        raise
                    raise diverged(f"numbers are no longer finite ({reason})", inner, epoch, step) from reason
                # Reading the loss waits for the GPU, so there it is read only every 50 steps.
                if device.type == "cpu" or (step + 1) % 50 == 0 or step + 1 == steps:
                    require_finite(inner, losses[: step + 1], epoch)
                optimizer.step()
                if (now := time.perf_counter()) - printed > 60 and accelerator.is_main_process:
                    printed = now
                    done, left = (step + 1) / steps, (now - started) * (steps / (step + 1) - 1) / 60
                    print(f"epoch {epoch + 1:2d}: {done:4.0%} done, {left:.0f} minutes to go", flush=True)
            if not_finite(inner.state_dict()):  # by the last step, after its loss
                raise diverged("weights are no longer finite", inner, epoch, steps - 1)
            seconds = time.perf_counter() - started
            predictions = evaluate(model, test, batch_size, accelerator, num_workers)
            entry = {
                "epoch": epoch + 1,
                "loss": accelerator.reduce(losses.sum(), "mean").item() / steps,
                "accuracy": accuracies(predictions, test.labels),  # type: ignore[attr-defined]
                "seconds": seconds,
                "images_per_second": steps * batch_size / seconds,
            }
            progress.history.append(entry)
            if accelerator.is_main_process:
                save_training_state(state_path, inner, optimizer, progress)
                if report:
                    report(entry)
        if predictions is None:  # all epochs were done before
            predictions = evaluate(model, test, batch_size, accelerator, num_workers)
    accelerator.unwrap_model(model, keep_fp32_wrapper=False)  # restores its forward
    return progress.history, predictions


def _check_sizes(
    model: nn.Module, train: Dataset, order: EpochOrder, batch_size: int, processes: int, accumulate: int
) -> None:
    """Raises ValueError for a batch that cannot be trained on; one image must do for the baselines as well."""
    if batch_size > len(order):
        raise ValueError(f"batch_size is {batch_size}, for only {len(order)} training images; take an eighth at most")
    if accumulate < 1 or batch_size % (processes * accumulate):
        given = f"accumulate is {accumulate}, batch_size {batch_size} and the number of processes {processes}"
        raise ValueError(f"{given}; batch_size must be a multiple of processes times accumulate")

    def require_several_values(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, _BatchNorm) and inputs[0][0, 0].numel() == 1:
            given = f"batch_size {batch_size}, in {processes} processes with accumulate {accumulate}, is one image at a"
            raise ValueError(f"{given} time, too few for {module}; take a larger batch_size, or a lower accumulate")

    if batch_size == processes * accumulate:
        image = train.__getitems__([next(iter(order))])  # type: ignore[attr-defined]
        with register_module_forward_pre_hook(require_several_values), evaluation_mode(model):
            predict_batch(model, image, seed=0, epoch=0, device=next(model.parameters()).device)


def _backward(
    model: nn.Module, batch: Batch, recipe: Recipe, place: tuple[int, int, int], accelerator: Accelerator, parts: int
) -> Float[Tensor, ""]:
    """Add the gradients of a batch, at this seed, epoch and step, in equal parts. The mean loss."""
    total = torch.zeros((), device=accelerator.device)
    for number, part in enumerate(zip(*(field.chunk(parts) for field in batch), strict=True), 1):
        # Counted over all processes: part n of one process is what process n would have.
        seed_step(accelerator.device, *place, accelerator.process_index * parts + number)
        # Processes exchange their gradients once per step, with the last part.
        with nullcontext() if number == parts else accelerator.no_sync(model):
            loss = _loss(model, Batch(*part), recipe, place, accelerator)
            accelerator.backward(loss)
        total += loss.detach() / parts
    if parts > 1:  # gradients rather than losses, because a model may add gradients of its own
        for weight in model.parameters():
            if weight.grad is not None:
                weight.grad /= parts
    return total


def _loss(
    model: nn.Module, batch: Batch, recipe: Recipe, place: tuple[int, int, int], accelerator: Accelerator
) -> Float[Tensor, ""]:
    """The forward pass, in the precision asked for, and the loss, in float32."""
    seed, epoch, _ = place
    with accelerator.autocast():
        logits = predict_batch(model, batch, seed, epoch, accelerator.device)
    labels = batch.labels.to(accelerator.device, non_blocking=True)
    weights = {"attention": recipe.attention_weight, "master": recipe.master_weight, "part": recipe.part_weight}
    weights |= {"master_own": recipe.own_weight, "part_own": recipe.own_weight}
    weights = {name: weight for name, weight in weights.items() if name in logits}
    if "master_own" in logits:
        loss = tasn_loss(logits, labels, weights, distillation_weight=0.0, label_smoothing=recipe.label_smoothing)
        return loss + recipe.distillation_weight * own_distillation(logits, recipe.temperature)
    return tasn_loss(logits, labels, weights, recipe.distillation_weight, recipe.temperature, recipe.label_smoothing)


def require_finite(model: nn.Module, losses: Float[Tensor, " steps"], epoch: int) -> None:
    """Raises FloatingPointError with the first step whose loss is not finite. The epoch is counted from 0."""
    if len(wrong := (~torch.isfinite(losses)).nonzero()):
        raise diverged(f"the loss became {losses[wrong[0]].item()}", model, epoch, int(wrong[0]))


def diverged(what: str, model: nn.Module, epoch: int, step: int) -> FloatingPointError:
    """The error, naming weights that are not finite. Epoch and step are counted from 0."""
    weights = first_of(not_finite(model.state_dict()), 3) or "none"
    where = f"in epoch {epoch + 1}, at step {step + 1}. Weights that are not finite: {weights}"
    remedy = "Train again with a lower learning_rate, or with precision float32"
    return FloatingPointError(f"{what}, {where}. The last checkpoint is from before. {remedy}")
