"""Devices, precision and processes, all through Hugging Face Accelerate; compilation; data loaders; random state."""

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DataLoaderConfiguration, InitProcessGroupKwargs
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler, default_convert

PRECISIONS = {"float32": "no", "bfloat16": "bf16"}


def require_tracker(track: str | None) -> None:
    """Raises ValueError where a tracker, by Accelerate's name, is not installed."""
    if track and track not in [str(name) for name in get_available_trackers()]:
        package = "'tasnlib[track]'" if track == "tensorboard" else track
        raise ValueError(f"track is {track!r}, but it is not installed; pip install {package}, or leave track out")


def make_accelerator(
    precision: str = "float32", track: str | None = None, track_folder: str | Path | None = None
) -> Accelerator:
    """This machine's hardware. "bfloat16" applies to convolutions and matrix products; processes share a batch.
    `track` names a tracker that Accelerate knows; some write into `track_folder`."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it must be one of {', '.join(PRECISIONS)}")
    require_tracker(track)
    # Accelerate keeps one precision per process; a notebook may train in both, one after the other.
    AcceleratorState._reset_state()
    return Accelerator(
        # Accelerate joins several processes without an accelerator only with cpu=True.
        cpu=not torch.accelerator.is_available(),
        mixed_precision=PRECISIONS[precision],
        log_with=track,
        project_dir=track_folder,
        dataloader_config=DataLoaderConfiguration(split_batches=True, even_batches=True),
        # While one process opens every image of a large data set, the others wait: 10 minutes would be too short.
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=3))],
    )


def leave_processes() -> None:
    """Wait for the other processes and close the connections: open ones may crash a process at its end."""
    state = PartialState()
    state.wait_for_everyone()
    state.destroy_process_group()


def end_with(parent: int) -> None:
    """End this process soon after its parent: a killed notebook must not leave processes on the GPUs."""
    watched = psutil.Process(parent)

    def watch() -> None:
        # A killed process remains a zombie until its own parent waits for it.
        while watched.is_running() and watched.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def speed_up(model: nn.Module, compiled: bool = False) -> None:
    """Make a model faster, in place; results change by rounding only, weights keep names and values.

    torch.compile needs a C++ compiler on a CPU and Triton on a GPU; the first steps take minutes.
    """
    model.to(memory_format=torch.channels_last)  # as vector and matrix units read the weights of convolutions
    if compiled:
        model.compile(dynamic=False)


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
        raise RuntimeError(f"{problem}: {reason} {remedy}. resume=True continues from the last checkpoint") from reason


@contextlib.contextmanager
def isolated_random_state(device: torch.device) -> Iterator[None]:
    """Restore torch's global random state, of the CPU and of this device, at the end."""
    devices, kind = ([], "cuda") if device.type == "cpu" else ([device], device.type)
    with torch.random.fork_rng(devices, device_type=kind):
        yield


def seed_step(device: torch.device, seed: int, epoch: int, step: int, part: int) -> None:
    """Seed the generators of the CPU and of this device, from which dropout draws, for one part of a training step."""
    mixed = int(np.random.SeedSequence((seed, epoch, step, part)).generate_state(1, np.uint64)[0])
    torch.default_generator.manual_seed(mixed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(mixed)
