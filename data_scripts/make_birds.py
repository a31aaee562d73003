"""Draw birds into a folder: PNG files by class, part boxes as CSV, and a contact sheet.

python data_scripts/make_birds.py birds/train --count 200
python data_scripts/make_birds.py birds/test --split test --count 50 --difficulty hard --size 512 --stripe-period 3
"""

import argparse
import csv
from dataclasses import replace

from PIL import Image
from typed_path import typed_path

from tasnlib.course.plots.picture_grids import contact_sheet
from tasnlib.data.birds import EASY, HARD, Birds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=typed_path, help="made if missing; must be empty")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", choices=("easy", "hard"), default="easy")
    parser.add_argument("--size", type=int, default=EASY.image_size, help="side of an image in pixels")
    parser.add_argument("--stripe-period", type=float, default=EASY.stripe_period, help="in pixels")
    given = parser.parse_args(arguments)
    if given.folder.exists() and any(given.folder.iterdir()):
        parser.error(f"{given.folder} is not empty: name another folder")
    try:
        style = {"easy": EASY, "hard": HARD}[given.difficulty]
        style = replace(style, image_size=given.size, stripe_period=given.stripe_period)
        birds = Birds.load(style, given.split, given.count, given.seed)
    except ValueError as reason:
        parser.error(str(reason))

    given.folder.mkdir(parents=True, exist_ok=True)
    with (given.folder / "boxes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "class", "part", "x0", "y0", "x1", "y1"])
        for number, (image, label, boxes) in enumerate(zip(birds.images, birds.labels, birds.boxes, strict=True)):
            name = f"{int(label):03d}/{number:06d}.png"
            (given.folder / name).parent.mkdir(exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(given.folder / name)
            for part, box in zip(style.parts, boxes.tolist(), strict=True):
                table.writerow([name, birds.class_names[int(label)], part, *(f"{side:.2f}" for side in box)])
    contact_sheet(birds.images[:32], boxes=birds.boxes[:32]).savefig(given.folder / "contact_sheet.png", dpi=100)
    print(f"{len(birds)} birds of {birds.classes} classes in {given.folder}; see contact_sheet.png there")


if __name__ == "__main__":
    main()
