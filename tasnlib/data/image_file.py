"""One image file, whatever its kind, as upright RGB; and work on many files in threads."""

import functools
import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from tasnlib.arguments import checked

# What makes an image upright, by its EXIF orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ORIENTATION, WIDTH, HEIGHT = 0x0112, 256, 257  # the tags' numbers in EXIF and TIFF
# Pillow knows these by name, but reads them only with plug-ins, or by starting other programs. An EPS file is a program
# itself, which Ghostscript would run, whatever ending its name has.
_NOT_BY_PILLOW_ALONE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


@functools.cache
def kinds() -> tuple[str, ...]:
    """The kinds of image file that are read, by Pillow's names.

    >>> "JPEG" in kinds(), "EPS" in kinds()
    (True, False)
    """
    Image.init()
    return tuple(kind for kind in Image.ID if kind not in _NOT_BY_PILLOW_ALONE)


def opened(file: Path | BinaryIO | io.BytesIO) -> Image.Image:
    """Pillow's Image.open, for kinds that Pillow reads without other programs. All files are opened here."""
    return Image.open(file, formats=kinds())


@checked
def open_image(path: Path | str) -> Image.Image:
    """The image in a file, as RGB and upright.

    Transparent pixels lie over white. Greyscale of 16 or more bits is scaled down to 8, not clipped.

    Args:
        path: a file of any kind that Pillow reads alone, see `kinds`.

    Raises:
        ValueError: naming the file, where it is missing, empty, truncated, damaged, no image, or so large that Pillow
            takes it for an attack.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("CMYK", (40, 30)).save(Path(folder) / "white.jpg")
    ...     image = open_image(Path(folder) / "white.jpg")
    >>> image.mode, image.size, image.getpixel((0, 0))
    ('RGB', (40, 30), (255, 255, 255))
    """
    if path == "":
        raise ValueError("path is empty; name the file of an image")
    path = Path(path)
    return decode_image(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ValueError: naming the file, where it is missing, empty or not to be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as reason:
        raise ValueError(f"{path} does not exist") from reason
    except OSError as reason:
        raise ValueError(f"{path} cannot be read: {reason.strerror}") from reason
    if not content:
        raise ValueError(f"{path} is empty: 0 bytes")
    return content


def decode_image(content: bytes, path: Path) -> Image.Image:
    """As `open_image`, from the bytes of the file. The path is for messages only."""
    try:
        with opened(io.BytesIO(content)) as image:
            return upright_rgb(image)
    except MemoryError:
        raise  # says something of the machine, not of the file
    except Exception as reason:  # Pillow's readers raise all kinds: OSError, SyntaxError, struct.error, ...
        raise _not_readable(path, reason) from reason


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened image as `open_image` gives it; as a copy."""
    image.load()  # of TIFF, this turns the pixels and forgets the orientation
    orientation, rgb = _orientation(image), _as_rgb(image)
    return rgb.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else rgb


def stored_geometry(path: Path) -> tuple[int, int, int]:
    """Width and height of the image as stored, and its EXIF orientation, without decoding the pixels.

    Raises:
        ValueError: as `open_image`, as far as the first bytes of the file tell.
    """
    try:
        with path.open("rb") as file:
            return _geometry(file)
    except FileNotFoundError as reason:
        raise ValueError(f"{path} does not exist") from reason
    except MemoryError:
        raise
    except Exception as reason:
        raise _not_readable(path, reason) from reason


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height once the image stands upright.

    >>> upright_size(40, 30, orientation=6)
    (30, 40)
    """
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def upright_points(
    points: Float[Tensor, "parts 2"], width: int, height: int, orientation: int
) -> Float[Tensor, "parts 2"]:
    """Points of a stored image in the same image standing upright.

    >>> upright_points(torch.tensor([[10.0, 2.0]]), 40, 30, orientation=3)  # stored upside down
    tensor([[30., 28.]])
    """
    x, y = points.unbind(-1)
    mirrored_x, mirrored_y = width - x, height - y
    placed = {
        Image.Transpose.FLIP_LEFT_RIGHT: (mirrored_x, y),
        Image.Transpose.ROTATE_180: (mirrored_x, mirrored_y),
        Image.Transpose.FLIP_TOP_BOTTOM: (x, mirrored_y),
        Image.Transpose.TRANSPOSE: (y, x),
        Image.Transpose.ROTATE_270: (mirrored_y, x),
        Image.Transpose.TRANSVERSE: (mirrored_y, mirrored_x),
        Image.Transpose.ROTATE_90: (y, mirrored_x),
    }
    return torch.stack(placed[UPRIGHT[orientation]] if orientation in UPRIGHT else (x, y), dim=-1)


def _geometry(file: BinaryIO) -> tuple[int, int, int]:
    with opened(file) as image:
        width, height = image.size
        if image.format == "TIFF":  # Pillow gives the upright size of these before it has turned the pixels
            tags = image.tag_v2  # type: ignore[attr-defined]  # its type says nothing of the kind of image
            width, height = tags[WIDTH], tags[HEIGHT]
        return width, height, _orientation(image)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # a damaged note about the image does not make the image unreadable
        return 1


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        over = image if image.mode in ("RGBA", "RGBa") else image.convert("RGBA")
        over = over.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scaled by the range of their kind: 16 bits, or 0 to 1 for fractions; where they leave it, by their own range.

    One and the same value throughout has no range: outside of that of its kind it is the nearer end, black or white.

    >>> _to_8_bits(np.array([[0, 257, 65535]], np.uint16))
    array([[  0,   1, 255]], dtype=uint8)
    """
    low, high = 0.0, 1.0 if values.dtype.kind == "f" else 65535.0
    values = np.nan_to_num(values.astype(np.float64), posinf=high, neginf=low)
    lowest, highest = values.min(), values.max()
    if lowest == highest:
        values = values.clip(low, high)
    elif lowest < low or highest > high:
        low, high = lowest, highest
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)


def _not_readable(path: Path, reason: Exception) -> ValueError:
    # Pillow would name a place in memory instead of the file.
    why = "no image of a known kind" if isinstance(reason, UnidentifiedImageError) else str(reason)
    return ValueError(f"{path} is not a readable image: {why or type(reason).__name__}")


def in_threads(
    function: Callable[[int], Any], count: int, workers: int, description: str, progress: bool
) -> Iterator[Any]:
    """function(0), ..., function(count - 1), in this order, computed in threads under a progress bar.

    Threads serve here, because Pillow lets go of Python's lock while it decodes and resizes.

    >>> list(in_threads(lambda number: number**2, 4, workers=2, description="squares", progress=False))
    [0, 1, 4, 9]
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be a whole number from 1 up")
    together = 1024  # so that a million files are not a million waiting tasks
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(
            total=count, desc=description, unit=" images", file=sys.stdout, disable=not progress, mininterval=1
        ) as bar,
    ):
        for start in range(0, count, together):
            for result in pool.map(function, range(start, min(start + together, count))):
                bar.update()
                yield result
