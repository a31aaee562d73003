"""Processes that train a little, to be disturbed: started from one server that has imported everything already."""

import contextlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from tasnlib.runs.__main__ import main

EPOCHS, STEPS = 4, 6
TINY = {"recipe": "smoke", "epochs": EPOCHS, "batch_size": 8, "train_images": 8 * STEPS, "test_images": 5}
Around = Callable[[Path], contextlib.AbstractContextManager]


def parameters(**given) -> list[str]:
    """As on the command line."""
    return [word for name, value in {**TINY, **given}.items() for word in ("-p", name, str(value))]


def undisturbed(_: Path) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext()


def start(arguments: list[str], around: Around = undisturbed) -> BaseProcess:
    """Does in a process of its own what `python -m tasnlib.runs train FOLDER NAME ...` does. It prints to FOLDER.txt.

    Args:
        around: makes a context in which it does so, from the folder.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training.processes"])
    process = context.Process(target=_train, args=(arguments, around))
    process.start()
    return process


def _train(arguments: list[str], around: Around) -> None:
    torch.set_num_threads(1)
    folder = Path(arguments[0])
    with folder.with_suffix(".txt").open("w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    with around(folder):
        sys.exit(main(["train", *arguments]))


def outcome(folder: Path, name: str) -> tuple[bytes, list[dict]]:
    """What must not depend on what happened to a run: its weights, and its history without times."""
    history = json.loads((folder / f"{name}.history.json").read_text())
    without_times = [{key: value for key, value in entry.items() if "second" not in key} for entry in history]
    return (folder / f"{name}.safetensors").read_bytes(), without_times


def words(folder: Path) -> str:
    """What the last process for this folder printed, to either stream."""
    return folder.with_suffix(".txt").read_text(encoding="utf-8")


def finish(process: BaseProcess, seconds: float = 120) -> int:
    """Its exit code, once it has ended."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise TimeoutError(f"not done after {seconds} s")
    return process.exitcode
