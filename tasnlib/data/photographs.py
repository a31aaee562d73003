"""Photographs in files, handed out as batches: the same for every data set that is a list of files with labels."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tasnlib.data.batch import Batch, BatchDataset, Indices, image_numbers
from tasnlib.data.image_file import open_image
from tasnlib.data.randomness import image_keys
from tasnlib.data.transforms import augment, augmentation, resize_short_side

GREY = 128  # the value of all pixels of an image that cannot be read


class ImageFiles(BatchDataset):
    """Images in files, as evaluation sees them: short side to `image_size`, and of that the square in the middle.

    `augmented` gives a copy that hands out training images, each a pure function of (seed, epoch, image). `name` is for
    messages and results. Paths are shown and hashed relative to `root`, by default the folder that contains them all.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        labels: Sequence[int] | Int[Tensor, " images"],
        class_names: Sequence[str],
        image_size: int,
        name: str,
        root: Path | None = None,
    ):
        self.paths = [Path(path) for path in paths]
        self.labels = torch.as_tensor(labels).long()
        self.class_names, self.classes = list(class_names), len(class_names)
        self.image_size, self.name = image_size, name
        if not 0 < len(self.paths) == len(self.labels):
            raise ValueError(f"{name} has {len(self.labels)} labels for {len(self.paths)} paths; each needs one")
        if not 0 <= self.labels.min() <= self.labels.max() < self.classes:
            raise ValueError(f"{name} has labels outside of 0 to {self.classes - 1}, for {self.classes} class_names")
        if len(set(class_names)) < self.classes:
            raise ValueError(f"{name} has class_names that are not all different")
        if not 1 <= image_size <= 2**16:
            raise ValueError(f"image_size is {image_size}; it must be from 1 to {2**16}")
        self.root = Path(root) if root is not None else Path(os.path.commonpath([p.parent for p in self.paths]))
        self.unreadable: frozenset[int] = frozenset()
        self.data_hash: str | None = None  #: of all names, labels and bytes; filled in by `inspection.inspected`
        self.style, self.seed = "none", 0

    def take(self, indices: Indices) -> Batch:
        """The images of these numbers: n is image n % len in epoch n // len, see `Batch`."""
        numbers = image_numbers(indices)
        images = torch.empty(len(numbers), 3, self.image_size, self.image_size, dtype=torch.uint8)
        with torch.random.fork_rng(devices=[]):
            for place, number in enumerate(numbers):
                epoch, image = divmod(number, len(self))
                if image in self.unreadable:
                    images[place] = GREY
                    continue
                of_epoch = int(image_keys(self.seed, "train", np.array([epoch]))[0])
                # Only the CPU's generator: torch.manual_seed would also set those of the caller's GPUs.
                torch.default_generator.manual_seed(int(image_keys(of_epoch, "train", np.array([image]))[0]))
                resized = resize_short_side(open_image(self.paths[image]), self.image_size)
                images[place] = augment(self.style, resized, self.image_size)
        chosen = torch.tensor(numbers) % len(self)
        return Batch(images, self.labels[chosen], chosen)

    def augmented(self, style: str, seed: int) -> "ImageFiles":
        """A copy that hands out training images of a style of `transforms.augment`. Raises ValueError for any other."""
        augmentation(style, self.image_size)  # raises for an unknown style
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed is {seed}; it must be from 0 to 2^63 - 1")
        return self.changed(style=style, seed=seed)

    def subset(self, count: int) -> "ImageFiles":
        """`count` images, evenly spaced, so that classes stay nearly balanced. Inspect it anew for its `data_hash`."""
        if not 1 <= count <= len(self):
            raise ValueError(f"count is {count}; {self.name} allows 1 to {len(self)}")
        chosen = (torch.arange(count) * len(self) + len(self) // 2) // count
        old = chosen.tolist()
        return self.changed(
            paths=[self.paths[i] for i in old],
            labels=self.labels[chosen],
            unreadable=frozenset(new for new, i in enumerate(old) if i in self.unreadable),
            data_hash=self.data_hash if count == len(self) else None,
        )

    def changed(self, **changes: Any) -> "ImageFiles":
        """A copy with other attributes."""
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other
