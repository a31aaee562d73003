"""Losses and weights that are no longer finite: found before they are saved, and explained."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn


def require_finite(model: nn.Module, losses: Float[Tensor, " steps"], epoch: int) -> None:
    """Raises FloatingPointError with the first step whose loss is not finite. The epoch is counted from 0."""
    wrong = ~torch.isfinite(losses)
    if wrong.any():
        step = int(wrong.nonzero()[0])
        raise diverged(f"the loss became {losses[step].item()}", model, epoch, step)


def require_finite_weights(model: nn.Module, epoch: int, step: int) -> None:
    """Raises FloatingPointError before weights are saved that the last step, after its loss, made non-finite."""
    if not_finite(model.state_dict()):
        raise diverged("weights are no longer finite", model, epoch, step)


def diverged(what: str, model: nn.Module, epoch: int, step: int) -> FloatingPointError:
    """The error, naming weights that are not finite. Epoch and step are counted from 0."""
    names = not_finite(model.state_dict())
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    weights = ", ".join(names[:3]) or "none"
    return FloatingPointError(
        f"{what}, in epoch {epoch + 1}, at step {step + 1}. Weights that are not finite: {weights}{more}. The last "
        "checkpoint is from before. Train again with a lower learning_rate, or with precision float32"
    )


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the tensors that hold a NaN or an infinity."""
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist()
    return [name for name, fine in zip(tensors, finite, strict=True) if not fine]
