"""What every data set hands to training."""

from typing import NamedTuple

from jaxtyping import Int, UInt8
from torch import Tensor


class Batch(NamedTuple):
    """Images, their labels, and which images of the data set they are.

    A data set hands out whole batches, and takes numbers from 0 up without end: number n is image n % len of pass
    n // len. So what is random about an image in training can be a pure function of that number, whichever process or
    worker it is read in, and also after a resume.
    """

    images: UInt8[Tensor, "b 3 h w"]
    labels: Int[Tensor, " b"]
    indices: Int[Tensor, " b"]  #: n % len
