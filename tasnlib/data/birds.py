"""Drawn birds: fine-grained recognition small enough to learn in minutes on a laptop, with nothing to download.

A bird's *genus* shows at any size: the colours of its head and its wing. Its *species* shows only close up: whether
fine stripes on a part run along it or across it. They have a random phase and the part's own mean colour, so
antialiased downsampling erases them. The background is cluttered with patches striped at the same period. Image i of a
split is a pure function of (seed, split, i): see `randomness`.
"""

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from tqdm import tqdm

from tasnlib.data.batch import Batch, BatchDataset, Indices, image_numbers
from tasnlib.data.bird_config import EASY, HARD, BirdsConfig
from tasnlib.data.drawing import compose, render
from tasnlib.data.files import expanded, write_atomically
from tasnlib.data.randomness import SPLITS

__all__ = ["EASY", "HARD", "Birds", "BirdsBatch", "BirdsConfig", "draw_birds"]

# Part of the stored file's name: raise it whenever a change to the drawing changes a pixel.
DRAWING_VERSION = 2
TOGETHER = 16  # images drawn at a time: they stay in the processor's cache, which is twice as fast


class BirdsBatch(NamedTuple):
    """Drawn images with all that is known of them."""

    images: UInt8[Tensor, "images 3 size size"]
    labels: Int[Tensor, " images"]
    boxes: Float[Tensor, "images parts 4"]


def draw_birds(
    config: BirdsConfig, seed: int, split: str, indices: Indices, device: torch.device | str = "cpu"
) -> BirdsBatch:
    """Draw the images with these indices, on `device`: a GPU's pixels may differ from a CPU's by one level of 255.

    >>> batch = draw_birds(BirdsConfig(image_size=64), seed=0, split="train", indices=[3, 0])
    >>> batch.images.shape, batch.labels.tolist(), batch.boxes.shape
    (torch.Size([2, 3, 64, 64]), [3, 0], torch.Size([2, 3, 4]))
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; it must be from 0 to 2^63 - 1")
    scene = compose(config, seed, split, np.array(image_numbers(indices)))
    labels, boxes = torch.from_numpy(scene.labels), torch.from_numpy(scene.boxes.astype(np.float32))
    return BirdsBatch(render(config, scene, torch.device(device)), labels.to(device), boxes.to(device))


class Birds(BatchDataset):
    """A split of drawn birds, held in memory.

    >>> birds = Birds.load(BirdsConfig(image_size=32), "test", count=20, progress=False)
    >>> len(birds), birds.classes, birds[3].images.shape
    (20, 16, torch.Size([1, 3, 32, 32]))
    """

    def __init__(self, drawn: BirdsBatch, config: BirdsConfig):
        self.images, self.labels, self.boxes = drawn
        self.config = config
        self.classes, self.class_names = config.classes, config.class_names

    def take(self, indices: Indices) -> Batch:
        """These images as one batch; an image is the same in every epoch."""
        chosen = torch.tensor(image_numbers(indices), device=self.images.device) % len(self)
        return Batch(self.images[chosen], self.labels[chosen], chosen)

    @property
    def data_hash(self) -> str:
        """Of what the birds look like, where their parts are and what they are: other birds, another hash."""
        identity = json.dumps([DRAWING_VERSION, asdict(self.config), self.labels.tolist()], sort_keys=True)
        return hashlib.sha256(identity.encode() + self.boxes.cpu().numpy().tobytes()).hexdigest()

    @classmethod
    def load(
        cls,
        config: BirdsConfig,
        split: str,
        count: int,
        seed: int = 0,
        folder: str | Path | None = None,
        device: torch.device | str = "cpu",
        progress: bool = True,
    ) -> "Birds":
        """The first `count` images of a split, drawn or read from `folder` where they were drawn before, on `device`.

        Drawn on a CPU: the same to the last bit wherever they end up. A file that cannot be read is drawn again."""
        if count < 1:
            raise ValueError(f"count is {count}; it must be 1 or more")
        identity = json.dumps([DRAWING_VERSION, asdict(config), seed], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        name = f"birds-{config.image_size}px-{split}-{count}-{digest}.safetensors"
        path = None if folder is None else expanded(folder, "folder") / name
        drawn = None
        try:
            if path and path.is_file():
                drawn = BirdsBatch(**safetensors.torch.load_file(path))
        except (safetensors.SafetensorError, TypeError, OSError) as reason:
            print(f"{path} cannot be read ({reason}): drawing it again")
        if drawn is None:
            drawn = cls._draw(config, split, count, seed, progress)
            if path:
                try:
                    write_atomically(path, safetensors.torch.save(drawn._asdict()))
                except OSError as reason:
                    print(f"the birds were drawn but not kept for the next run ({reason})")
        return cls(BirdsBatch(*(part.to(device) for part in drawn)), config)

    @staticmethod
    def _draw(config: BirdsConfig, split: str, count: int, seed: int, progress: bool) -> BirdsBatch:
        images = torch.empty(count, 3, config.image_size, config.image_size, dtype=torch.uint8)
        labels_and_boxes, title = [], f"drawing {split} birds"
        with tqdm(total=count, desc=title, unit=" birds", file=sys.stdout, disable=not progress) as bar:
            for start in range(0, count, TOGETHER):
                some = draw_birds(config, seed, split, range(start, min(start + TOGETHER, count)))
                images[start : start + TOGETHER] = some.images
                labels_and_boxes.append(some[1:])
                bar.update(len(some.images))
        return BirdsBatch(images, *map(torch.cat, zip(*labels_and_boxes, strict=True)))
