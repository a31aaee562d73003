"""Devices, precision and processes, all through Hugging Face Accelerate."""

import os
import threading
import time
from datetime import timedelta

import psutil
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DataLoaderConfiguration, InitProcessGroupKwargs

from tasnlib.arguments import checked, one_of

PRECISIONS = {"float32": "no", "bfloat16": "bf16"}


@checked
def make_accelerator(precision: str = "float32") -> Accelerator:
    """Whatever hardware there is. A batch is the batch of all processes together.

    Args:
        precision: "float32", or "bfloat16" for the convolutions and matrix products.
    """
    one_of(precision, "precision", PRECISIONS)
    # Accelerate keeps one precision a process; a notebook may train in both, one after the other.
    AcceleratorState._reset_state()
    config = DataLoaderConfiguration(split_batches=True, even_batches=True)
    # Only with cpu=True does Accelerate join several processes that have no accelerator.
    no_accelerator = not torch.accelerator.is_available()
    # While one process opens every image of a large data set, the others wait for it; 10 minutes would be too short.
    waiting = InitProcessGroupKwargs(timeout=timedelta(hours=3))
    return Accelerator(
        cpu=no_accelerator,
        mixed_precision=PRECISIONS[precision],
        dataloader_config=config,
        kwargs_handlers=[waiting],
    )


def leave_processes() -> None:
    """What each of several processes does last: wait for the others, and take leave of them in order.

    A process that ends with its connections open may crash at the very end, after all work is done.
    """
    state = PartialState()
    state.wait_for_everyone()
    state.destroy_process_group()


def end_with(parent: int) -> None:
    """End this process soon after that one is gone: a killed notebook must not leave processes on the GPUs."""

    watched = psutil.Process(parent)

    def watch() -> None:
        # A killed process may stay in the list, as a zombie, until whoever started it asks for it.
        while watched.is_running() and watched.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
