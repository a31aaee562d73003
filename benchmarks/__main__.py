"""Every benchmark, as a table and as JSON.

    python -m benchmarks [--device cpu|cuda] [--size small|full] [--json FILE] [--only NAME ...]

Small runs in seconds and shows that everything works; its figures say nothing. Programs of their own, each by
`python -m`: benchmarks.loading (what reading an image costs, step by step), benchmarks.sliders (the notebooks'
sliders), benchmarks.precision (whether bfloat16 trains as well as float32), benchmarks.everything (all but sliders).
"""

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import attention, feeding, imports, inference, memory, parts, rates, sampler, synchronisations, training
from benchmarks.report import surroundings, table
from benchmarks.setting import COMPILE_MODES, SIZES, Setting
from tasnlib.training.recipes import RECIPES

BENCHMARKS = {
    "rates": rates.measure,
    "imports": imports.measure,
    "attention": attention.measure,
    "positions": sampler.measure_positions,
    "sampler": sampler.measure,
    "memory": memory.measure,
    "training": training.measure,
    "parts": parts.measure,
    "inference": inference.measure,
    "curves": training.measure_curves,
    "waits": synchronisations.measure,
    "feeding": feeding.measure,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    gpu = torch.cuda.is_available()
    yes_or_no = argparse.BooleanOptionalAction
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cuda" if gpu else "cpu")
    add("--size", choices=SIZES, default="full")
    add("--json", type=Path, metavar="FILE", help="write the figures there as well")
    add("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=list(BENCHMARKS), help=", ".join(BENCHMARKS))
    add("--recipes", nargs="+", choices=RECIPES, metavar="NAME", help="default: laptop; on a GPU paper and modern")
    add("--precision", choices=("float32", "bfloat16"), help="default: float32; on a GPU bfloat16")
    add("--channels-last", action=yes_or_no, default=None, help="default: on a GPU only")
    add("--compile", choices=(*COMPILE_MODES, "off"), help="default: off; on a GPU 'default'")
    add("--batch-size", type=int, help="default: the recipe's; of the paper's networks 96")
    add("--batch-sizes", type=int, nargs="*", help="of the curve by batch")
    add("--image-sizes", type=int, nargs="*", help="of the curve by image size")
    add("--threads", type=int, help="of a CPU; default: torch's")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not gpu:
        parser.error("--device is cuda, but torch sees no such device; choose cpu")
    numbers = [options.batch_size, options.threads, *(options.batch_sizes or ()), *(options.image_sizes or ())]
    if any(number is not None and number < 1 for number in numbers):
        parser.error("batch sizes, image sizes and --threads must be 1 or more")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json is {options.json}, but there is no folder {options.json.parent}; make it first")
    return options


def setting_of(options: argparse.Namespace) -> Setting:
    """What is not given depends on the device and the size."""
    gpu, full = options.device == "cuda", options.size == "full"
    mode = options.compile or ("default" if gpu else "off")
    batch_sizes = ((48, 96, 192, 256) if gpu else (8, 16, 32, 64)) if full else (2, 4)
    image_sizes = ((256, 384, 512, 768) if gpu else (96, 144, 216)) if full else (96, 144)
    return Setting(
        device=torch.device(options.device),
        size=options.size,
        precision=options.precision or ("bfloat16" if gpu else "float32"),
        channels_last=gpu if options.channels_last is None else options.channels_last,
        compile=None if mode == "off" else mode,
        recipes=tuple(options.recipes or (("paper", "modern") if gpu else ("laptop",))),
        batch_size=options.batch_size,
        batch_sizes=batch_sizes if options.batch_sizes is None else tuple(options.batch_sizes),
        image_sizes=image_sizes if options.image_sizes is None else tuple(options.image_sizes),
    )


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    setting = setting_of(options)
    torch.manual_seed(0)
    if options.threads:
        torch.set_num_threads(options.threads)
    if setting.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # TF32 in products too: by default only convolutions use it
    if setting.compile:
        torch._dynamo.config.recompile_limit = 64  # every batch and every network is compiled for itself
    figures = []
    with tqdm(dict.fromkeys(options.only), unit=" benchmarks") as bar:
        for name in bar:
            bar.set_postfix_str(name)
            figures += BENCHMARKS[name](setting)
    about = surroundings(setting)
    words = [about["device"], f"{about['threads']} threads", f"torch {about['torch']}", about["date"], setting.size]
    print(", ".join(words), end="\n\n")
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(about | {"figures": [f.as_dict() for f in figures]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
