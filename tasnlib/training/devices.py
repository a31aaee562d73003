"""Devices, precision and processes, all through Hugging Face Accelerate; compilation."""

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.tracking import get_available_trackers
from accelerate.utils import DataLoaderConfiguration, InitProcessGroupKwargs
from torch import nn

PRECISIONS = {"float32": "no", "bfloat16": "bf16"}


def require_tracker(track: str | None) -> None:
    """Raises ValueError where a tracker, by Accelerate's name, is not installed."""
    if track and track not in [str(name) for name in get_available_trackers()]:
        package = "'tasnlib[track]'" if track == "tensorboard" else track
        raise ValueError(f"track is {track!r}, but it is not installed; pip install {package}, or leave track out")


def make_accelerator(precision: str = "float32", track: str | None = None, folder: Path | None = None) -> Accelerator:
    """This machine's hardware. "bfloat16" applies to convolutions and matrix products; processes share a batch.
    `track` names a tracker that Accelerate knows; some write into `folder`. Raises ValueError for others."""
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
        project_dir=folder,
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
    """Make a model faster, in place; results change by rounding only, weights keep names and values."""
    model.to(memory_format=torch.channels_last)  # as vector and matrix units read the weights of convolutions
    if compiled:  # which needs a C++ compiler on a CPU and Triton on a GPU; the first steps take minutes
        model.compile(dynamic=False)
