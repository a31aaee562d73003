"""Get a data set that torchvision downloads: python data_scripts/download_torchvision_set.py flowers102

Aircraft, Flowers-102, Oxford-IIIT Pets, Food-101 and iNaturalist 2021, into datasets/ in the project. torchvision
checks the hash of every archive but Aircraft's, which has none. A stopped download starts again with its archive. What
was unpacked only in part is unpacked again; torchvision itself would take the folder for a complete one.
"""

import argparse
import shutil
import sys
from pathlib import Path

from typed_path import typed_path

from tasnlib.data.inspection import inspected
from tasnlib.data.torchvision_sets import SETS, TorchvisionSet, load_torchvision

PROJECT = Path(__file__).resolve().parent.parent


def download(known: TorchvisionSet, folder: Path) -> None:
    """Fetch and unpack every part. A mark stands in the folder while this lasts."""
    unfinished, unpacked = folder / f".{known.folder}.unfinished", folder / known.folder
    if unfinished.exists() and unpacked.is_dir():
        for part in (place for place in unpacked.iterdir() if place.is_dir()):
            shutil.rmtree(part)
        if not any(one.suffix in (".tgz", ".gz") for one in unpacked.iterdir()):  # the archive lies beside the folder
            shutil.rmtree(unpacked)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    for part in (*known.train, *known.test):
        known.reader(folder, part, download=True)
    unfinished.unlink()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Get a data set that torchvision downloads.")
    parser.add_argument("name", choices=SETS, metavar="NAME", help=", ".join(SETS))
    parser.add_argument("folder", nargs="?", type=typed_path, default=PROJECT / "datasets", metavar="FOLDER")
    parser.add_argument("--verify", action="store_true", help="open every image of a finished data set; fetch nothing")
    given = parser.parse_args(arguments)
    try:
        known = SETS[given.name]
        if not given.verify:
            download(known, given.folder)
        for split in ("train", "test"):
            images = load_torchvision(given.name, given.folder, split)
            print(f"{images.name}: {len(images):,} images of {images.classes:,} classes", flush=True)
            if given.verify and inspected(images).unreadable:
                return 1
    except (ValueError, OSError, RuntimeError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; run the same command again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
