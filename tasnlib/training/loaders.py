"""Batches for training and evaluation, read by worker processes."""

import contextlib
import re
import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_convert


def ignore_interrupt(worker: int) -> None:
    """For a data loader's workers: a terminal sends them Ctrl-C too, while the training process still needs them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_loader(
    data: Dataset, batch_size: int, num_workers: int, device: torch.device, order: Sampler[int] | None = None
) -> DataLoader:
    """A loader of `data.batch.Batch`es: every image in turn; with an order, full batches only."""
    return DataLoader(
        data,
        batch_size,
        sampler=order,
        drop_last=order is not None,
        collate_fn=default_convert,  # our data sets return whole batches: there is nothing to collate
        num_workers=num_workers,
        worker_init_fn=ignore_interrupt,
        persistent_workers=num_workers > 0 and order is not None,
        pin_memory=num_workers > 0 and device.type == "cuda",
    )


@contextlib.contextmanager
def explained_worker_death(num_workers: int) -> Iterator[None]:
    """Explain torch's RuntimeError about a dead worker process, and say what to do."""
    try:
        yield
    except RuntimeError as reason:
        if not re.match(r"DataLoader worker \(pid.*(exited|killed)", str(reason)):
            raise
        problem = f"one of {num_workers} worker processes that read images died, most often because memory ran out"
        remedy = f"Lower num_workers from {num_workers} (0: none), or give a container more shared memory (--shm-size)"
        raise RuntimeError(f"{problem}: {reason} {remedy}; then go on: resume=True, or --csv as before") from reason
