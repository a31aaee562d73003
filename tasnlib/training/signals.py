"""What goes wrong in the middle of training: Ctrl-C, numbers that are none, processes that die."""

import contextlib
import re
import signal
import threading
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ctrl_c_waits(wait: bool = True) -> Iterator[Callable[[], bool]]:
    """While this lasts, Ctrl-C is only noted, so that a step is done before it is saved; a second one does not wait.

    Args:
        wait: False: Ctrl-C interrupts at once, as ever.

    Yields:
        Has it been pressed?

    Raises:
        KeyboardInterrupt: at the second one; at the end, where nobody asked.
    """
    pressed = threading.Event()
    # Who handles it in a way of his own, or ignores it, goes on to do so. Only the main thread may set a handler.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not wait or not usual or threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed.is_set():
        raise KeyboardInterrupt


def leave_ctrl_c_to_parent(worker: int) -> None:
    """For a data loader's workers: a terminal sends Ctrl-C to them too, and the parent may still need them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# -- Processes that read images ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def reading_with(num_workers: int) -> Iterator[None]:
    """Says what to do where a data loader's worker dies.

    Raises:
        RuntimeError: instead of torch's own.
    """
    try:
        yield
    except RuntimeError as reason:
        if not re.match(r"DataLoader worker \(pid.*(exited|killed)", str(reason)):
            raise
        raise RuntimeError(
            f"one of {num_workers} processes that read images died, most often for want of memory: {reason} "
            f"Take fewer: num_workers is {num_workers}, 0 reads in the training process itself; in a container, give "
            "it more shared memory (--shm-size). A run goes on from its last checkpoint with resume=True"
        ) from reason


# -- Numbers -----------------------------------------------------------------------------------------------------------


def require_finite(model: nn.Module, losses: Float[Tensor, " steps"], epoch: int) -> None:
    """Makes sure that the losses of the steps so far are numbers.

    Raises:
        FloatingPointError: naming the first step whose loss is none, and the weights that are none.
    """
    wrong = ~torch.isfinite(losses)
    if bool(wrong.any()):
        step = int(wrong.nonzero()[0])
        raise diverged(f"the loss became {losses[step].item()}", model, epoch, step)


def require_finite_weights(model: nn.Module, epoch: int, step: int) -> None:
    """Makes sure that what is about to be saved is worth it: the last step may have spoilt it after its loss was seen.

    Raises:
        FloatingPointError: naming weights, or running means, that are no numbers.
    """
    if not_finite(model.state_dict()):
        raise diverged("weights are no longer finite", model, epoch, step)


def diverged(what: str, model: nn.Module, epoch: int, step: int) -> FloatingPointError:
    """The error, with what is wrong by now. Epoch and step are counted from 0."""
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    found = {"weights": (model.state_dict(), not_finite(model.state_dict()))}
    found["gradients"] = (gradients, not_finite(gradients))
    wrong = [f"{len(names)} of {len(all_)} {kind} ({_first(names)})" for kind, (all_, names) in found.items() if names]
    return FloatingPointError(
        f"{what}, in epoch {epoch + 1}, at step {step + 1}. Not finite: {' and '.join(wrong) or 'no weight yet'}. "
        "The last checkpoint is from before. Train again with a lower learning_rate, or with precision float32"
    )


def not_finite(tensors: dict[str, Tensor]) -> list[str]:
    """The names of those that hold a NaN or an infinity."""
    finite = torch.stack([torch.isfinite(tensor).all() for tensor in tensors.values()]).tolist() if tensors else []
    return [name for name, fine in zip(tensors, finite, strict=True) if not fine]


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name.removeprefix("module.") for name in names[:3]) + more
