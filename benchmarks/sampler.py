"""The sampler: positions against the authors' loop, and reading against grid_sample."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.alternatives import authors_loop, authors_vectorised, dense_grid, read_grid
from benchmarks.limits import bytes_of
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.timing import compare
from tasnlib.sampler import attention_sample, sampling_positions

SECTOR = 32  # bytes that memory transfers together


def example(setting: Setting, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, int]:
    """Images, attention maps with a few peaks, and the side of the sampled image."""
    batch = 96 if setting.device.type == "cuda" else 8
    batch, size, cells, out_size = (batch, 512, 28, 224) if setting.full else (2, 64, 7, 28)
    images = torch.rand(batch, 3, size, size, device=setting.device).to(dtype)
    return images, torch.rand(batch, cells, cells, device=setting.device) ** 4, out_size


def bytes_to_move(images: Float[Tensor, "b c h w"], attention: Float[Tensor, "b i j"], out_size: int) -> int:
    """What no sampler can avoid: every sector of memory that it reads, once, and every sampled pixel.

    >>> bytes_to_move(torch.rand(1, 3, 64, 64), torch.ones(1, 2, 2), 64) == 2 * 3 * 64 * 64 * 4
    True
    """
    b, c, h, w = images.shape
    item = images.element_size()
    x, y = sampling_positions(attention.float(), (h, w), out_size)
    rows = _touched(y, h, 1)
    sectors = _touched(x, w, max(1, SECTOR // item))
    read = sum(row * column for row, column in zip(rows, sectors, strict=True)) * c * min(SECTOR, w * item)
    return read + b * c * out_size**2 * item


def _touched(positions: Float[Tensor, "b n"], size: int, pixels: int) -> Iterable[int]:
    """How many groups of this many adjacent pixels the positions of each image touch."""
    first = (positions.cpu() - 0.5).clamp(0, size - 1).floor().long()
    both = torch.cat([first, (first + 1).clamp_max(size - 1)], dim=1) // pixels
    return [len(line.unique()) for line in both]


def measure_positions(setting: Setting) -> list[Figure]:
    """From attention maps to positions. The limit: reading the maps and writing the positions."""
    images, attention, out_size = example(setting)
    size = images.shape[-1]
    works = {
        "ours": lambda: sampling_positions(attention, size, out_size),
        "the authors' loop": lambda: authors_loop(attention, size, out_size),
    }
    if setting.device.type == "cpu":  # our port of their operator computes on the CPU
        works["their arithmetic, image by image"] = lambda: authors_vectorised(attention, size, out_size)
    seconds, rates = compare(works, setting, "positions")
    limit = bytes_of([attention, *works["ours"]()]) / rates.copy
    name = f"positions, {len(images)} images, {size} → {out_size}"
    return [
        Figure(
            *("positions", name, 1e3 * seconds["ours"], "ms", alternative, 1e3 * taken, "bytes", 1e3 * limit),
            goal=setting.goal(cpu=("ratio", 5.0)) if alternative == "the authors' loop" else None,
        )
        for alternative, taken in list(seconds.items())[1:]
    ]


def measure(setting: Setting) -> list[Figure]:
    """From attention maps to sampled images; in training these are float32 at any precision of the networks."""
    return [figure for dtype in dict.fromkeys((torch.float32, setting.dtype)) for figure in _sampler(setting, dtype)]


def _sampler(setting: Setting, dtype: torch.dtype) -> list[Figure]:
    images, attention, out_size = example(setting, dtype)
    size = images.shape[-1]
    grid = dense_grid(*sampling_positions(attention, size, out_size), size)
    works = {
        "grid_sample, its grid ready": lambda: read_grid(images, grid),
        "grid_sample, its grid made": lambda: read_grid(
            images, dense_grid(*sampling_positions(attention, size, out_size), size)
        ),
        "sampler": lambda: attention_sample(images, attention, out_size),
    }
    if setting.compile:
        compiled = torch.compile(attention_sample, mode=setting.compile, dynamic=False)
        works["sampler, compiled"] = lambda: compiled(images, attention, out_size)
    with torch.no_grad():
        seconds, rates = compare(works, setting, f"sampler, {dtype}")
    needed = bytes_to_move(images, attention, out_size)
    name = f"{len(images)} × 3 × {size} × {size} → {out_size}, {str(dtype).removeprefix('torch.')}"
    measured = [work for work in works if work.startswith("sampler")]
    figures = [
        Figure(
            *("sampler", f"{work}, {name}", 1e3 * seconds[work], "ms", other, 1e3 * seconds[other]),
            *("bytes it must move", 1e3 * needed / rates.copy),
            goal=_goal(setting, dtype, best=work == measured[-1], ready=other.endswith("ready")),
        )
        for work in measured
        for other in list(works)[:2]
    ]
    ready = next(iter(works))
    alone = Figure(
        *("sampler", f"{ready}, {name}", 1e3 * seconds[ready], "ms", "sampler", 1e3 * seconds["sampler"]),
        *("bytes it must move", 1e3 * (needed + bytes_of([grid.to(dtype)])) / rates.copy),
    )
    return [*figures, alone]


def _goal(setting: Setting, dtype: torch.dtype, best: bool, ready: bool) -> tuple[str, float] | None:
    """On a CPU at most twice the time of grid_sample alone; on a GPU a share of the copy rate."""
    if not (ready and best and dtype == torch.float32):
        return None
    return setting.goal(cpu=("ratio", 0.5), cuda=("share", 0.6))
