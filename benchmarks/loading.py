"""Images per second of one worker, step by step, and how many workers one GPU needs.

    python -m benchmarks.loading [--image-size 512] [--images 200] [--repeats 3] [--json FILE]

The images are made here: JPEG files of 500 x 375 pixels, the usual size in CUB-200-2011, with as much noise as gives
such files their usual 60 to 120 kB. They are in the system's memory when they are read: a slow disk comes on top.
"""

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, features

from benchmarks.report import json_file
from tasnlib.data.image_file import open_image
from tasnlib.data.photographs import ImageFiles
from tasnlib.data.transforms import resize_short_side

GPU = 1000  # images per second that one GPU takes in training: the assumption of docs/scaling.md
BATCH = 10


def make_photographs(folder: Path, count: int) -> list[Path]:
    """JPEG files: a smooth picture with noise on it."""
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        random = np.random.default_rng(number)
        smooth = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((500, 375), 3)
        noisy = np.asarray(smooth) + random.normal(0, 9, (375, 500, 1))  # of the light, as a camera's
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def steps(paths: list[Path], image_size: int) -> dict[str, Callable[[list[int]], object]]:
    """What is measured: functions that process the images with these numbers."""
    data = ImageFiles(paths, [0] * len(paths), ["noise"], image_size, "noise")
    return {
        "decode": lambda numbers: [open_image(paths[n]) for n in numbers],
        "decode, resize": lambda numbers: [resize_short_side(open_image(paths[n]), image_size) for n in numbers],
        "evaluation": data.take,
        "official": data.augmented("official", 0).take,
        "modern": data.augmented("modern", 0).take,
    }


def measure(work: dict[str, Callable[[list[int]], object]], images: int, repeats: int) -> dict[str, float]:
    """Images per second: the median of the repeats, in which all steps take turns, batch by batch."""
    seconds = {name: [0.0] * repeats for name in work}
    for treat in work.values():
        treat(list(range(min(BATCH, images))))  # warm-up
    for repeat in range(repeats):
        for start in range(0, images, BATCH):
            numbers = list(range(start, min(start + BATCH, images)))
            for name, treat in work.items():
                before = time.perf_counter()
                treat(numbers)
                seconds[name][repeat] += time.perf_counter() - before
    return {name: images / statistics.median(taken) for name, taken in seconds.items()}


def processor() -> str:
    """The processor's name, if the system provides it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=json_file, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    if min(options.image_size, options.images, options.repeats) < 1:
        parser.error("--image-size, --images and --repeats must be 1 or more")
    torch.set_num_threads(1)  # as a worker of a DataLoader has
    with tempfile.TemporaryDirectory() as folder:
        paths = make_photographs(Path(folder), options.images)
        kilobytes = statistics.mean(path.stat().st_size for path in paths) / 1000
        rates = measure(steps(paths, options.image_size), options.images, options.repeats)
    print(f"{options.images} JPEG files of 500 x 375, {kilobytes:.0f} kB; short side to {options.image_size}\n")
    print(f"| one process | images/s | ms per image | workers for {GPU} images/s |")
    print("| --- | ---: | ---: | ---: |")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {1000 / rate:.1f} | {math.ceil(GPU / rate)} |")
    if options.json:
        versions = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "pillow": PIL.__version__,
            "jpeg": features.version("libjpeg_turbo") or features.version("jpg"),
        }
        figures = {
            "images_per_second": rates,
            "images": options.images,
            "repeats": options.repeats,
            "image_size": options.image_size,
            "kilobytes": kilobytes,
            "processor": processor(),
            "versions": versions,
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
