"""What every data set hands to training."""

import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

from jaxtyping import Int, UInt8
from torch import Tensor


class Batch(NamedTuple):
    """Images, their labels, and which images of the data set they are.

    A data set hands out whole batches, and takes numbers from 0 up without end: number n is image n % len of epoch
    n // len. So the augmentation of an image can be a pure function of that number, also after a resume.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    indices: Int[Tensor, " b"]  #: n % len


def image_numbers(indices: Iterable[Any]) -> list[int]:
    """Numbers of images, from a range, a list, an array or a tensor. Raises for none, or what is not from 0 up."""
    numbers = [operator.index(index) for index in indices]
    if not numbers or min(numbers) < 0 or max(numbers) >= 2**63:
        raise ValueError(f"indices must be one or more integers from 0 up, got {numbers}")
    return numbers
