"""What every data set hands to training."""

import operator
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

Indices: TypeAlias = Iterable[int] | Tensor | np.ndarray


class Batch(NamedTuple):
    """Images, their labels, and which images of the data set they are.

    A data set hands out whole batches, and takes numbers from 0 up without end: number n is image n % len of epoch
    n // len. So the augmentation of an image can be a pure function of that number, also after a resume."""

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    indices: Int[Tensor, " b"]  #: n % len


class BatchDataset(Dataset):
    """A data set of labelled images that hands out whole batches, by `take`."""

    labels: Int[Tensor, " images"]

    def take(self, indices: Indices) -> Batch:
        """The images of these numbers, which go on from len without end, see `Batch`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):  # or a loop over the data set would never end
            raise IndexError(f"index is {index}; it must be from 0 to {len(self) - 1}")
        return self.take([index])

    def __getitems__(self, indices: Indices) -> Batch:
        return self.take(indices)  # a data loader that finds this method does not collate image by image


def image_numbers(indices: Indices) -> list[int]:
    """Numbers of images, from a range, a list, an array or a tensor. Raises for none, or what is not from 0 up."""
    numbers = [operator.index(index) for index in indices]
    if not numbers or min(numbers) < 0 or max(numbers) >= 2**63:
        raise ValueError(f"indices must be one or more integers from 0 up, got {numbers}")
    return numbers
