"""The sampler from 512, 1024 and 2048 pixels to 224: beside reading a grid that is ready, and plain resizing.

    python -m benchmarks.resolutions [--device cpu|cuda] [--sizes 512 1024 2048] [--json FILE]

One and two threads on a CPU, batches of 1 and 8, all alternatives in turns. Figures are milliseconds; memory is the
most that the work allocates on top of its inputs.
"""

import argparse
import json
from collections.abc import Callable

import torch
from torch.nn import functional as F
from torchvision.transforms.v2.functional import resize

from benchmarks.alternatives import dense_grid, read_grid
from benchmarks.memory import MB, peak_bytes
from benchmarks.report import Figure, json_file, surroundings, table
from benchmarks.sampler import bytes_to_move
from benchmarks.setting import Setting
from benchmarks.timing import compare
from tasnlib.attention_sampler import AttentionSampler
from tasnlib.sampler import sampling_positions

OUT = 224


def measure(setting: Setting, size: int, batch: int, dtype: torch.dtype = torch.float32) -> list[Figure]:
    images = torch.rand(batch, 3, size, size, device=setting.device).to(dtype)
    attention = torch.rand(batch, 28, 28, device=setting.device) ** 4
    sampler = AttentionSampler(OUT)
    grid = dense_grid(*sampling_positions(attention, size, OUT), size)
    works: dict[str, Callable[[], object]] = {
        "AttentionSampler": lambda: sampler(images, attention),
        "its positions alone": lambda: sampling_positions(attention, size, OUT),
        "grid_sample, its grid ready": lambda: read_grid(images, grid),
        "resize, antialiased": lambda: resize(images, [OUT, OUT], antialias=True),
        "interpolate, aliased": lambda: F.interpolate(images, (OUT, OUT), mode="bilinear"),
    }
    threads = torch.get_num_threads() if setting.device.type == "cpu" else 0
    name = f"{batch} × 3 × {size}², {str(dtype).removeprefix('torch.')}" + (f", {threads} threads" if threads else "")
    with torch.no_grad():
        seconds, rates = compare(works, setting, name)
        memory = {work: peak_bytes(does, setting) / MB for work, does in works.items()}
    moved = bytes_to_move(images, attention, OUT)
    limit = 1e3 * moved / rates.copy
    ready = 1e3 * seconds["grid_sample, its grid ready"]
    return [
        Figure(
            *("resolutions", f"{work}, {name}", 1e3 * seconds[work], "ms", "grid_sample, its grid ready", ready),
            *("bytes it must move", limit),
            note=f"{moved / MB:.1f} MB to move, memory {memory[work]:.1f} MB",
        )
        for work in works
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resolutions", description=__doc__.split("\n")[0])
    gpu = torch.cuda.is_available()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if gpu else "cpu")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--size", choices=("small", "full"), default="full", help="small only shows that it runs")
    parser.add_argument("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not gpu:
        parser.error("--device is cuda, but torch finds no GPU; choose cpu")
    setting = Setting(torch.device(options.device), options.size)
    cpu = options.device == "cpu"
    before, figures = torch.get_num_threads(), []
    for threads in (1, 2) if cpu else (before,):
        torch.set_num_threads(threads)
        for size in options.sizes:
            for batch in (1, 8):
                for dtype in (torch.float32,) if cpu else (torch.float32, torch.bfloat16):
                    figures += measure(setting, size, batch, dtype)
    torch.set_num_threads(before)
    print(table(figures))
    if options.json:
        about = surroundings(setting)
        options.json.write_text(json.dumps(about | {"figures": [one.as_dict() for one in figures]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
