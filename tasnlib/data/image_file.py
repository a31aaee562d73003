"""One image file, of whatever format, as upright RGB."""

import contextlib
import functools
import io
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from tasnlib.data.files import expanded

# Pillow knows these by name, but reads them only with plug-ins, or by starting other programs. An EPS file is a program
# itself, which Ghostscript would run, whatever its name ends with.
_NOT_BY_PILLOW_ALONE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Pillow rejects PNGs whose text is long (1 MB, of editors and microscopes); these limits still stop an attack.
PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = 2**26, 2**28


@functools.cache
def formats() -> tuple[str, ...]:
    """The image formats that are read, by Pillow's names."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_BY_PILLOW_ALONE)


def open_image(path: Path | str) -> Image.Image:
    """The image in a file, as RGB and upright.

    Transparent pixels lie over white. Greyscale of more than 8 bits is scaled by 255, 1023, 4095, 16383 or 65535, the
    least of these that is not below its largest value; fractions by 1; what leaves these ranges by its own range.

    Raises ValueError, naming the file, where it is missing, damaged, no image, or too large (179 million pixels).
    """
    path = expanded(path, "path")
    return decode_image(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The content of a file; raises ValueError, naming it, where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as reason:
        raise ValueError(f"{path} cannot be read: {reason.strerror}") from reason


def decode_image(content: bytes, path: Path) -> Image.Image:
    """As `open_image`, from the bytes of the file. The path is for messages only."""
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            return upright_rgb(image)
    except MemoryError:
        raise  # says something of the machine, not of the file
    except Exception as reason:  # Pillow's readers raise all kinds: OSError, SyntaxError, struct.error, ...
        why = str(reason) or type(reason).__name__
        if isinstance(reason, UnidentifiedImageError):  # its text names a place in memory instead of the file
            why = "it has no known image format" if content else "it is empty, 0 bytes"
        if isinstance(reason, Image.DecompressionBombError):
            why += " If you trust it, make a smaller copy by data_scripts/resize_images.py with --megapixels"
        raise ValueError(f"{path} is not a readable image: {why}") from reason


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened image as `open_image` gives it; as a copy."""
    image.load()  # of TIFF, this turns the pixels and forgets the orientation
    if image.mode.startswith(("I", "F")):
        rgb = Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    elif image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        rgb = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    else:
        rgb = image.convert("RGB")  # a copy in any case
    rgb.info = {}  # a damaged EXIF block must not make the image unreadable: its orientation is all that is needed
    with contextlib.suppress(Exception):  # whatever a damaged EXIF block makes Pillow raise
        rgb.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(rgb)


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scaled as `open_image` says; one value throughout, which tells nothing of a range, by 65535 (fractions: by 1)."""
    low, high = 0.0, 1.0 if values.dtype.kind == "f" else 65535.0
    values = np.nan_to_num(values.astype(np.float64), posinf=high, neginf=low)
    lowest, highest = values.min(), values.max()
    if lowest == highest:
        values = values.clip(low, high)
    elif lowest < low or highest > high:
        low, high = lowest, highest
    elif high > 1:
        high = next(float(2**bits - 1) for bits in (8, 10, 12, 14, 16) if highest < 2**bits)
    return np.rint((values - low) / (high - low) * 255).astype(np.uint8)
