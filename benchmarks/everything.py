"""Every benchmark one after the other, each in a process of its own, within a given time; one JSON of all.

    python -m benchmarks.everything benchmarks/results/NAME.json [--minutes 25] [--size small|full]

What matters most comes first. The file is written after every step, so that what fails or takes too long loses only
itself; what is in the file already is not measured again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.__main__ import BENCHMARKS

FIRST = ("rates", "sampler", "positions", "attention", "training", "waits", "parts", "feeding")


def commands(size: str, batch_size: int | None = None) -> dict[str, list[str]]:
    """What is run, by name; each writes the JSON whose path is put behind it."""
    batch = ["--batch-size", str(batch_size)] if batch_size else []
    benchmark = ["-m", "benchmarks", "--size", size, *batch]
    order = sorted(BENCHMARKS, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    full = size == "full"
    return {
        **{name: [*benchmark, "--only", name] for name in order},
        "loading": ["-m", "benchmarks.loading", "--images", "200" if full else "10", "--repeats", "3" if full else "1"],
        "precision": ["-m", "benchmarks.precision", "--profile", "laptop" if full else "smoke"],
    }


def measure(steps: dict[str, list[str]], path: Path, seconds: float) -> dict[str, Any]:
    """Run the steps that the file does not hold yet, as far as the time suffices."""
    end = time.monotonic() + seconds
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, words) in enumerate(steps.items(), 1):
            if "failed" not in found.get(name, {"failed": ""}):
                continue
            left, started = end - time.monotonic(), time.monotonic()
            part = Path(folder) / f"{name}.json"
            if left < 0:
                found[name] = {"failed": "no time was left"}
                continue
            print(f"{number}/{len(steps)} {name}, {left / 60:.1f} minutes left", flush=True)
            try:
                subprocess.run([sys.executable, *words, "--json", str(part)], check=True, timeout=left)
                found[name] = json.loads(part.read_text()) | {"seconds": round(time.monotonic() - started, 1)}
            except subprocess.TimeoutExpired:
                found[name] = {"failed": f"took longer than the {left:.0f} seconds that were left"}
            except subprocess.CalledProcessError as reason:
                found[name] = {"failed": f"ended with {reason.returncode}"}
            path.write_text(json.dumps(found, indent=1) + "\n")
    path.write_text(json.dumps(found, indent=1) + "\n")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everything", description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path, metavar="FILE")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these steps")
    options = parser.parse_args(arguments)
    steps = commands(options.size, None if options.size == "full" else 2)
    if unknown := set(options.only or ()) - set(steps):
        parser.error(f"--only knows no {', '.join(sorted(unknown))}; it knows {', '.join(steps)}")
    steps = {name: words for name, words in steps.items() if not options.only or name in options.only}
    options.path.parent.mkdir(parents=True, exist_ok=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    print(f"{len(steps)} steps on {device}, in {options.minutes:g} minutes at most", flush=True)
    found = measure(steps, options.path, 60 * options.minutes)
    failed = {name: one["failed"] for name, one in found.items() if "failed" in one}
    for name, reason in failed.items():
        print(f"{name}: {reason}")
    print(f"{len(found) - len(failed)} of {len(found)} steps are in {options.path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
