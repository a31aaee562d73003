"""Torch's global random state: left as it was, and the same at every step whatever was trained before."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch


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
