"""Drawn birds: fine-grained recognition small enough to learn in minutes on a laptop, with nothing to download.

A bird's *genus* shows at any size: the colour of its head and the colour of its wing. Its *species* shows only close
up: whether fine stripes on a part run along it or across it. The stripes have a random phase and the part's own mean
colour, so a proper downsampling erases them. The background is cluttered with patches striped at the same period.
Because every image is drawn, the place of each part is known, and attention can be scored, not only admired.

Image i of a split is a pure function of (seed, split, i): see `randomness`.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from tasnlib.arguments import check_device, checked, one_of, within
from tasnlib.data.batch import Batch, check_index, image_numbers
from tasnlib.data.bird_config import EASY, HARD, BirdsConfig
from tasnlib.data.drawing import compose, render
from tasnlib.data.randomness import SPLITS

__all__ = ["EASY", "HARD", "Birds", "BirdsBatch", "BirdsConfig", "draw_birds"]

# Part of the cache's name: raise it whenever a change to the drawing changes a pixel.
DRAWING_VERSION = 2


class BirdsBatch(NamedTuple):
    """Drawn images with all that is known of them."""

    images: UInt8[Tensor, "images 3 size size"]
    labels: Int[Tensor, " images"]
    boxes: Float[Tensor, "images parts 4"]


@checked
def draw_birds(
    config: BirdsConfig,
    seed: int,
    split: str,
    indices: Iterable[int] | Tensor | np.ndarray,
    device: torch.device | str = "cpu",
) -> BirdsBatch:
    """Draw the images with these indices. The pixels are computed on `device` and stay there.

    Args:
        config: what the birds look like.
        seed: a whole number from 0 up; another seed is another data set.
        split: "train", "val" or "test".
        indices: whole numbers from 0 up, in any order.

    Raises:
        ValueError: for an unknown split, a negative seed or a negative index.

    >>> batch = draw_birds(BirdsConfig(image_size=64), seed=0, split="train", indices=[3, 0])
    >>> batch.images.shape, batch.labels.tolist(), batch.boxes.shape
    (torch.Size([2, 3, 64, 64]), [3, 0], torch.Size([2, 3, 4]))
    """
    one_of(split, "split", SPLITS)
    within(seed, "seed", 0, 2**63 - 1)
    check_device(device)
    numbers = image_numbers(indices)
    if numbers.min() < 0:
        raise ValueError(f"indices must be one or more whole numbers from 0 up, got {indices!r}")
    scene = compose(config, seed, split, numbers)
    images = render(config, scene, torch.device(device))
    labels, boxes = torch.from_numpy(scene.labels), torch.from_numpy(scene.boxes.astype(np.float32))
    return BirdsBatch(images, labels.to(device), boxes.to(device))


class Birds(Dataset):
    """A split of drawn birds, held in memory.

    Args:
        images, labels, boxes: as `draw_birds` gives them; `Birds.load` draws or reads them.
        config: what they look like.

    >>> birds = Birds.load(BirdsConfig(image_size=32), "test", count=20, progress=False)
    >>> len(birds), birds.classes, birds.class_names[0], birds[3].images.shape
    (20, 16, 'red-yellow, head along, wing along', torch.Size([1, 3, 32, 32]))
    """

    @checked
    def __init__(self, drawn: BirdsBatch, config: BirdsConfig):
        self.images, self.labels, self.boxes = drawn
        self.config = config
        self.classes, self.class_names = config.classes, config.class_names

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        check_index(index, len(self))
        return self.__getitems__([index])

    def __getitems__(self, indices: list[int]) -> Batch:
        """A whole batch at once: a data loader that finds this method does not collate image by image.

        The numbers go on from len without end, see `Batch`; a drawn image is the same in every pass.
        """
        if min(indices) < 0:
            raise IndexError(f"index is {min(indices)}; it must be 0 or more")
        chosen = torch.tensor(indices, device=self.images.device) % len(self)
        return Batch(self.images[chosen], self.labels[chosen], chosen)

    def take(self, indices: Iterable[int] | Tensor | np.ndarray) -> Batch:
        """These images as one batch, for looking at.

        >>> Birds.load(BirdsConfig(image_size=32), "test", count=20, progress=False).take(range(3)).labels.shape
        torch.Size([3])
        """
        return self.__getitems__(image_numbers(indices).tolist())

    @property
    def data_hash(self) -> str:
        """Of what the birds look like, where their parts are and what they are: other birds, another hash."""
        identity = json.dumps([DRAWING_VERSION, asdict(self.config), self.labels.tolist()], sort_keys=True)
        return hashlib.sha256(identity.encode() + self.boxes.cpu().numpy().tobytes()).hexdigest()

    @classmethod
    @checked
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
        """The first `count` images of a split, drawn on `device`, or read from `folder` where they were drawn before.

        A cached file is named after everything that decides its pixels, written under another name first and then
        renamed; one that cannot be read is drawn again.

        Raises:
            ValueError: as `draw_birds`, and for a count below 1.
        """
        within(count, "count", 1, 2**31 - 1)
        one_of(split, "split", SPLITS)
        check_device(device)
        path = None if folder is None else Path(folder) / cls._cache_name(config, split, count, seed)
        if path is not None and path.is_file():
            try:
                stored = safetensors.torch.load_file(path, device=str(device))
                return cls(BirdsBatch(stored["images"], stored["labels"], stored["boxes"]), config)
            except (safetensors.SafetensorError, KeyError, OSError) as reason:
                print(f"{path.name} cannot be read ({reason}): drawing it again")
        drawn = cls._draw(config, split, count, seed, device, progress)
        if path is not None:
            unfinished = path.with_suffix(f".{os.getpid()}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                safetensors.torch.save_file({name: part.cpu() for name, part in drawn._asdict().items()}, unfinished)
                os.replace(unfinished, path)
            except (OSError, safetensors.SafetensorError) as reason:
                print(f"the birds were drawn but not kept for the next run ({reason})")
                with contextlib.suppress(OSError):
                    unfinished.unlink()
        return cls(drawn, config)

    @staticmethod
    def _cache_name(config: BirdsConfig, split: str, count: int, seed: int) -> str:
        identity = json.dumps([DRAWING_VERSION, asdict(config), seed], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        return f"birds-{config.image_size}px-{split}-{count}-{digest}.safetensors"

    @staticmethod
    def _draw(
        config: BirdsConfig, split: str, count: int, seed: int, device: torch.device | str, progress: bool
    ) -> BirdsBatch:
        # Few images at a time on a CPU: they stay in its cache, which is twice as fast.
        together = 16 if torch.device(device).type == "cpu" else 64
        size = config.image_size
        images = torch.empty(count, 3, size, size, dtype=torch.uint8, device=device)
        labels, boxes = [], []
        with tqdm(
            total=count,
            desc=f"drawing {split} birds",
            unit=" birds",
            file=sys.stdout,
            disable=not progress,
            mininterval=1,
        ) as bar:
            for start in range(0, count, together):
                some = draw_birds(config, seed, split, range(start, min(start + together, count)), device)
                images[start : start + len(some.images)] = some.images
                labels.append(some.labels)
                boxes.append(some.boxes)
                bar.update(len(some.images))
        return BirdsBatch(images, torch.cat(labels), torch.cat(boxes))
