"""What every data set hands to training."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from torch import Tensor

from tasnlib.arguments import is_whole


class Batch(NamedTuple):
    """Images, their labels, and which images of the data set they are.

    A data set hands out whole batches, and takes numbers from 0 up without end: number n is image n % len of pass
    n // len. So what is random about an image in training can be a pure function of that number, whichever process or
    worker it is read in, and also after a resume.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    indices: Int[Tensor, " b"]  #: n % len


def image_numbers(indices: Iterable[int] | Tensor | np.ndarray) -> np.ndarray:
    """Numbers of images, int64, out of whatever holds whole numbers.

    Raises:
        ValueError: for no number at all, or what is none. Whether it may be negative is the caller's business.

    >>> image_numbers(range(3))
    array([0, 1, 2])
    """
    try:
        numbers = np.asarray(indices if isinstance(indices, Tensor | np.ndarray) else list(indices))
    except (TypeError, ValueError, RuntimeError):  # not to be counted up, ragged, or on an accelerator
        numbers = np.array([])
    whole = numbers.ndim == 1 and numbers.size > 0 and numbers.dtype.kind in "iu"
    if not whole or numbers.max() >= 2**63:
        raise ValueError(f"indices must be one or more whole numbers from 0 up, got {indices!r}")
    return numbers.astype(np.int64)


def check_index(index: Any, count: int) -> None:
    """Refuse what is not the number of one of `count` images: without this, a loop over a data set would never end.

    Raises:
        IndexError, TypeError
    """
    if not is_whole(index):
        raise TypeError(f"index is {index!r}; it must be a whole number")
    if not 0 <= index < count:
        raise IndexError(f"index is {index}; it must be from 0 to {count - 1}")
