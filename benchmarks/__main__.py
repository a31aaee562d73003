"""Every benchmark, as a table and as JSON.

    python -m benchmarks [--device cpu|cuda] [--size small|full] [--json FILE] [--only NAME ...]

Small takes seconds and only shows that everything runs. Further programs: `python -m benchmarks.loading` (images
read per second, step by step), `python -m benchmarks.precision` (does bfloat16 train as well as float32?),
`python -m benchmarks.resolutions` (the sampler from 512 to 2048 px), `python -m benchmarks.frozen` (a frozen network),
`python -m benchmarks.high_resolution` (training on images of 512 to 2048 px: two hours on one core).
"""

import argparse
import json

import torch
from tqdm import tqdm

from benchmarks import attention, imports, inference, memory, sampler, training
from benchmarks.report import json_file, surroundings, table
from benchmarks.setting import COMPILE_MODES, SIZES, Setting
from tasnlib.training.recipes import RECIPES

BENCHMARKS = {
    "imports": imports.measure,
    "attention": attention.measure,
    "positions": sampler.measure_positions,
    "sampler": sampler.measure,
    "memory": memory.measure,
    "training": training.measure,
    "inference": inference.measure,
}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    gpu = torch.cuda.is_available()
    yes_or_no = argparse.BooleanOptionalAction
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cuda" if gpu else "cpu")
    add("--size", choices=SIZES, default="full")
    add("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    add("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=list(BENCHMARKS), help=", ".join(BENCHMARKS))
    add("--recipes", nargs="+", choices=RECIPES, metavar="NAME", help="default: laptop; on a GPU paper and modern")
    add("--precision", choices=("float32", "bfloat16"), help="default: float32; on a GPU bfloat16")
    add("--channels-last", action=yes_or_no, default=None, help="default: on a GPU only")
    add("--compile", choices=(*COMPILE_MODES, "off"), help="default: off; on a GPU 'default'")
    add("--batch-size", type=int, help="default: the recipe's; of the paper's networks 96")
    add("--threads", type=int, help="of a CPU; default: torch's")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not gpu:
        parser.error("--device is cuda, but torch finds no GPU; choose cpu")
    if any(number is not None and number < 1 for number in (options.batch_size, options.threads)):
        parser.error("--batch-size and --threads must be 1 or more")
    return options


def setting_of(options: argparse.Namespace) -> Setting:
    """Defaults depend on the device."""
    gpu = options.device == "cuda"
    mode = options.compile or ("default" if gpu else "off")
    return Setting(
        device=torch.device(options.device),
        size=options.size,
        precision=options.precision or ("bfloat16" if gpu else "float32"),
        channels_last=gpu if options.channels_last is None else options.channels_last,
        compile=None if mode == "off" else mode,
        recipes=tuple(options.recipes or (("paper", "modern") if gpu else ("laptop",))),
        batch_size=options.batch_size,
    )


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    setting = setting_of(options)
    torch.manual_seed(0)
    if options.threads:
        torch.set_num_threads(options.threads)
    if setting.device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # TF32 for products too, as for convolutions
    if setting.compile:
        torch._dynamo.config.recompile_limit = 64  # one compilation per network
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
