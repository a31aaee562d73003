"""Birds in large images, drawn once and kept on disk: the images themselves, and what all methods see of the whole.

An image of 2048 px takes 12.6 MB, so a data set never lies in memory: it is drawn and written a few images at a time,
and read only where a method reads it.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Int
from torch import Tensor
from tqdm import tqdm

from benchmarks.high_resolution.methods import Pictures, View, resize
from tasnlib.data.birds import BirdsConfig, draw_birds
from tasnlib.data.files import read_json, write_atomically
from tasnlib.research.ablations.study import each

AT_A_TIME = 4
SEED = 1  # of the birds; numbers of the experiment were chosen on those of seed 0
BASE = 512  # px: at this size both series draw the same birds
UNIT = (0.20, 0.28)  # of BASE: 102 to 143 px; a bird is 1.3 units long
PERIOD = 6.0  # px of the stripes, at BASE
VIEWS = (View(48), View(96), View(192), View(64, antialias=False), View(128))
FIXED, GROWING = "fixed", "growing"


def birds_at(series: str, size: int) -> BirdsConfig:
    """The birds of a series at an image size: "fixed" in pixels, or "growing" with the image, stripes and all.

    >>> birds_at("fixed", 2048).bird_size, birds_at("fixed", 2048).stripe_period
    ((0.05, 0.07), 6.0)
    >>> birds_at("growing", 2048).bird_size, birds_at("growing", 2048).stripe_period
    ((0.2, 0.28), 24.0)
    """
    growth = size / BASE
    if series == GROWING:
        return BirdsConfig(image_size=size, bird_size=UNIT, stripe_period=PERIOD * growth)
    low, high = (round(share / growth, 6) for share in UNIT)
    return BirdsConfig(image_size=size, bird_size=(low, high), stripe_period=PERIOD)


@dataclass(frozen=True)
class Drawings:
    """A split of birds in large images, in a folder of its own.

    `labels`: (count,). Nothing is drawn before `draw`.
    """

    config: BirdsConfig
    split: str
    count: int
    folder: Path
    views: tuple[View, ...] = VIEWS

    @property
    def labels(self) -> Int[Tensor, " count"]:
        return torch.arange(self.count) % self.config.classes  # see `drawing.compose`

    @property
    def about(self) -> dict[str, Any]:
        """What decides the pixels."""
        return json.loads(json.dumps([asdict(self.config), SEED, self.split, self.count, self.views]))

    def path(self, view: View | None = None) -> Path:
        name = "images" if view is None else f"{view.side}{'' if view.antialias else '-aliased'}"
        return self.folder / f"{name}.uint8"

    def bytes_of(self, view: View | None = None) -> int:
        """Of one image."""
        return 3 * (view.side if view else self.config.image_size) ** 2

    @property
    def drawn(self) -> bool:
        done = self.folder / "drawn.json"
        return done.is_file() and read_json(done)["about"] == self.about

    def draw(self, pool: Executor | None = None, progress: bool = True) -> dict[str, Any]:
        """Draw and write all images, unless they are there. Returns seconds (of work, in all processes) and the peak
        memory of a drawing process in bytes."""
        if self.drawn:
            return read_json(self.folder / "drawn.json")
        self.folder.mkdir(parents=True, exist_ok=True)
        needed = self.count * sum(map(self.bytes_of, (None, *self.views)))
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(f"{self.folder} has {free / 1e9:.1f} GB free; these images need {needed / 1e9:.1f} GB")
        for view in (None, *self.views):
            with self.path(view).open("wb") as file:
                file.truncate(self.count * self.bytes_of(view))
        parts = [range(start, min(start + AT_A_TIME, self.count)) for start in range(0, self.count, AT_A_TIME)]
        seconds, peak = 0.0, 0
        title = f"drawing {self.config.image_size} px, {self.split}"
        with tqdm(total=self.count, desc=title, unit=" birds", file=sys.stdout, disable=not progress) as bar:
            for part, (taken, memory) in each(self._draw, parts, pool):
                seconds, peak = seconds + taken, max(peak, memory)
                bar.update(len(part))
        found = {"about": self.about, "seconds": seconds, "peak_memory": peak, "bytes_on_disk": needed}
        write_atomically(self.folder / "drawn.json", json.dumps(found).encode())
        return found

    def _draw(self, indices: range) -> tuple[float, int]:
        started = time.perf_counter()
        for index in indices:
            images = draw_birds(self.config, SEED, self.split, [index]).images
            for view in (None, *self.views):
                with self.path(view).open("r+b") as file:  # not mapped: what is mapped counts as this process's memory
                    file.seek(index * self.bytes_of(view))
                    file.write((resize(images, view) if view else images).numpy().tobytes())
        return time.perf_counter() - started, peak_memory()

    def pictures(self, indices: Iterable[int]) -> Pictures:
        """Some of the images as a batch; the large ones are read where they are used."""
        chosen = [int(index) % self.count for index in indices]
        full, ready = self._mapped(None), {view: torch.from_numpy(self._mapped(view)[chosen]) for view in self.views}
        return Pictures([torch.from_numpy(full[index]) for index in chosen], ready)

    def _mapped(self, view: View | None) -> np.ndarray:
        side = view.side if view else self.config.image_size
        # Copy on write: torch warns of arrays that it must not write to.
        return np.memmap(self.path(view), np.uint8, "c", shape=(self.count, 3, side, side))


def peak_memory() -> int:
    """The most memory that this process has held so far, in bytes, Python and torch included."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, where ru_maxrss also counts the process that started this one
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])  # type: ignore[index]
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
