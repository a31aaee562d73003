"""Photographs in files, handed out as batches: the same for every data set that is a list of files with labels."""

import copy
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from tasnlib.arguments import checked, within
from tasnlib.data.batch import Batch, check_index, image_numbers
from tasnlib.data.cache import ImageCache, cached_images
from tasnlib.data.image_file import open_image, stored_geometry, upright_points, upright_size
from tasnlib.data.inspection import inspect_files
from tasnlib.data.randomness import image_keys
from tasnlib.data.transforms import centre_window, check_style, draw_window, finish, resize_short_side, resized_geometry

GREY = 128  # what stands for an image that cannot be read


class ImageFiles(Dataset):
    """Images in files, with their labels and, where known, the places of their parts.

    Hands out the form for evaluation: short side to `image_size`, and of that the square in the middle. `augmented`
    gives a copy that hands out training images. What is random about those is a pure function of (seed, epoch, image).

    Args:
        paths: the files, in the order of the data set.
        labels: one a file, from 0 up.
        class_names: one a label.
        image_size: in pixels.
        name: for messages and result files, such as "CUB-200-2011, test".
        points: the place of each part in pixels of the image as stored in the file (x to the right, y down, 0 at the
            image's left and upper edge), NaN where the part is not visible.
        part_names: one a part.
        root: paths are shown and hashed relative to this folder. Left out: the folder that holds them all.

    Raises:
        ValueError: where these do not fit together.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "wren.png"
    >>> Image.new("RGB", (40, 30), "brown").save(path)
    >>> wrens = ImageFiles([path], [0], ["wren"], image_size=24, name="wrens")
    >>> wrens[0].images.shape, wrens[0].labels.tolist()
    (torch.Size([1, 3, 24, 24]), [0])
    >>> training = wrens.augmented("official", seed=0)
    >>> training.take([0, 1]).indices.tolist()  # number 1 is image 0 in the second epoch
    [0, 0]
    >>> folder.cleanup()
    """

    @checked
    def __init__(
        self,
        paths: Sequence[Path | str],
        labels: Sequence[int] | Int[Tensor, " images"],
        class_names: Sequence[str],
        image_size: int,
        name: str,
        points: Float[Tensor, "images parts 2"] | None = None,
        part_names: Sequence[str] = (),
        root: Path | None = None,
    ):
        self.paths = [Path(path) for path in paths]
        self.labels = torch.as_tensor(labels).long()
        self.class_names, self.classes = list(class_names), len(class_names)
        self.image_size, self.name = image_size, name
        self.points, self.part_names = points, list(part_names)
        self._check()
        self.root = Path(root) if root is not None else Path(os.path.commonpath([p.parent for p in self.paths]))
        self.unreadable: frozenset[int] = frozenset()
        self.data_hash: str | None = None  #: of all names, labels and bytes; filled in by `inspected`
        self.style, self.seed = "none", 0
        self._cache: ImageCache | None = None
        self._rows = torch.arange(len(self.paths))  # where each image is in the cache

    def _check(self) -> None:
        if not self.paths:
            raise ValueError(f"{self.name}: paths is empty: there is no image in it")
        if self.labels.shape != (len(self.paths),):
            raise ValueError(f"{self.name}: {len(self.paths)} paths, but labels of shape {tuple(self.labels.shape)}")
        if len(set(self.class_names)) < self.classes:
            raise ValueError(f"{self.name}: class_names must differ from each other, got {self.class_names}")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.classes:
            raise ValueError(f"{self.name}: labels are {low} to {high}; {self.classes} class_names allow 0 to "
                             f"{self.classes - 1}")  # fmt: skip
        within(self.image_size, "image_size", 1, 2**16)
        expected = (len(self.paths), len(self.part_names), 2)
        if (self.points is None) != (not self.part_names) or (
            self.points is not None and tuple(self.points.shape) != expected
        ):
            given = None if self.points is None else tuple(self.points.shape)
            raise ValueError(f"{self.name}: points of shape {given}; images, part_names and x, y ask for {expected}")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Batch:
        check_index(index, len(self))
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A whole batch. Number n is image n % len in epoch n // len, see `Batch`.

        Raises:
            IndexError: for a negative number.
            ValueError: naming the file, where an image cannot be read and is not in `unreadable`.
        """
        numbers = torch.as_tensor(indices).long().reshape(-1)
        if len(numbers) and numbers.min() < 0:
            raise IndexError(f"index is {int(numbers.min())}; it must be 0 or more")
        chosen = numbers % len(self)
        images = torch.empty(len(numbers), 3, self.image_size, self.image_size, dtype=torch.uint8)
        with torch.random.fork_rng(devices=[]):
            for place, number in enumerate(numbers.tolist()):
                epoch, image = divmod(number, len(self))
                images[place] = self._image(epoch, image)
        return Batch(images, self.labels[chosen], chosen)

    def take(self, indices: Iterable[int] | Tensor | np.ndarray) -> Batch:
        """The images of these numbers, for notebooks."""
        return self.__getitems__(image_numbers(indices).tolist())

    def _image(self, epoch: int, image: int) -> UInt8[Tensor, "3 size size"] | Tensor:
        if image in self.unreadable:
            return torch.tensor(GREY, dtype=torch.uint8)  # spreads over the whole image
        if self.style != "none":
            # Only the CPU's generator: torch.manual_seed would also set those of the caller's GPUs.
            torch.default_generator.manual_seed(image_seed(self.seed, epoch, image))
        if self._cache is not None:
            row = int(self._rows[image])
            window = draw_window(self.style, *self._cache.size(row), self.image_size)
            return finish(self.style, self._cache.read(row, window), self.image_size)
        resized = resize_short_side(open_image(self.paths[image]), self.image_size)
        left, top, width, height = draw_window(self.style, *resized.size, self.image_size)
        return finish(self.style, resized.crop((left, top, left + width, top + height)), self.image_size)

    @checked
    def augmented(self, style: str, seed: int) -> "ImageFiles":
        """A copy that hands out training images.

        Args:
            style: "official", "modern" or "none", see `transforms.augment`.
            seed: a whole number from 0 up.

        Raises:
            ValueError: for another style or seed.
        """
        check_style(style)
        within(seed, "seed", 0, 2**63 - 1)
        return self._with(style=style, seed=seed)

    @checked
    def subset(self, count: int) -> "ImageFiles":
        """`count` images, evenly spaced over the set, so that classes that lie together stay nearly balanced.

        Its `data_hash` is open again, as its content is another: call `inspected` on the subset.

        Raises:
            ValueError: for a count below 1 or above the number of images.
        """
        if not 1 <= count <= len(self):
            raise ValueError(f"count is {count}; {self.name} allows 1 to {len(self)}")
        kept = (torch.arange(count) * len(self) + len(self) // 2) // count
        old = kept.tolist()
        return self._with(
            paths=[self.paths[i] for i in old],
            labels=self.labels[kept],
            points=None if self.points is None else self.points[kept],
            unreadable=frozenset(new for new, i in enumerate(old) if i in self.unreadable),
            data_hash=self.data_hash if count == len(self) else None,
            _rows=self._rows[kept],
        )

    @checked
    def inspected(self, workers: int = 8, progress: bool = True, folder: Path | str | None = None) -> "ImageFiles":
        """A copy with `unreadable` and `data_hash` filled in, by opening every file once, see `inspect_files`.

        Args:
            workers: threads.
            progress: whether to draw a bar.
            folder: where to remember the result for the next run; None: nowhere.
        """
        found = inspect_files(self.paths, self.labels.tolist(), self.root, self.name, workers, progress, folder)
        return self._with(unreadable=frozenset(found.unreadable), data_hash=found.data_hash)

    @checked
    def cached(self, folder: Path | str, workers: int = 8, progress: bool = True) -> "ImageFiles":
        """A copy that reads resized images from one file in `folder`, which is made first where it is missing.

        Of what is in `unreadable` nothing is kept there: call `inspected` before, not after.

        Raises:
            ValueError: naming a file that cannot be read and is not in `unreadable`.
            OSError: where there is not enough space, or the folder cannot be written.
        """
        cache = cached_images(self.paths, self.root, self.unreadable, self.image_size, folder, workers, progress)
        return self._with(_cache=cache, _rows=torch.arange(len(self)))

    def part_points(self, indices: Iterable[int] | Tensor | np.ndarray) -> Float[Tensor, "b parts 2"]:
        """Where the parts are in the images as evaluation sees them, in pixels from the left and upper edge.

        NaN where a part is not visible, or is cut off, or the image cannot be read.

        Raises:
            ValueError: where the data set has no points, naming it.
            IndexError: for an index that is no image.
        """
        if self.points is None:
            raise ValueError(f"{self.name} has no part points")
        chosen = image_numbers(indices).tolist()
        for index in chosen:
            check_index(index, len(self))
        return torch.stack([self._as_seen(self.points[index], index) for index in chosen])

    def _as_seen(self, points: Float[Tensor, "parts 2"], image: int) -> Float[Tensor, "parts 2"]:
        if image in self.unreadable:
            return torch.full_like(points, torch.nan)
        stored = stored_geometry(self.paths[image])
        points = upright_points(points, *stored)
        (left, top, right, bottom), resized = resized_geometry(*upright_size(*stored), self.image_size)
        scale = torch.tensor([resized[0] / (right - left), resized[1] / (bottom - top)])
        crop = centre_window(*resized, self.image_size)[:2]
        points = (points - torch.tensor([left, top])) * scale - torch.tensor(crop)
        inside = ((points >= 0) & (points <= self.image_size)).all(-1, keepdim=True)
        return points.where(inside, torch.nan)

    def _with(self, **changes: Any) -> "ImageFiles":
        other = copy.copy(self)
        for attribute, value in changes.items():
            setattr(other, attribute, value)
        return other


def image_seed(seed: int, epoch: int, image: int) -> int:
    """A hash of all three, 0 to 2^64 - 1. Torch's generator on the CPU uses the lower 32 bits of it."""
    of_epoch = int(image_keys(seed, "train", np.array([epoch]))[0])
    return int(image_keys(of_epoch, "train", np.array([image]))[0])
