"""Draw the figures of notebook 08 from the photographs: python data_scripts/make_photograph_figures.py

    [--data datasets] [--weights FOLDER] [--seed 0]

Needs the Grocery Store Dataset (python data_scripts/download_grocery.py). Trains TASN and the plain network with the
recipe `photos` on the 24 look-alike classes, ten minutes on two CPU cores, keeps both in runs/photographs-seed0, and
writes notebooks/photographs/*.png. A second call tests them again and draws.
"""

import argparse
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from tasnlib.attention_sampler import class_activation
from tasnlib.course.plots.notebook_display import palette_png
from tasnlib.course.plots.picture_grids import Picture, picture_grid
from tasnlib.data.files import write_atomically
from tasnlib.data.photographs import ImageFiles
from tasnlib.model import TASN, downsample
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training.checkpoints import load_model
from tasnlib.training.evaluation import look

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "notebooks" / "photographs"
NOTICE = "Photos: Grocery Store Dataset, © 2019 Marcus Klasson, MIT"
RIGHT, WRONG = "#009E73", "#D55E00"
SIDE = 112  # of a photograph in a figure


def shown(images: ImageFiles, chosen: Iterable[int]) -> Tensor:
    return images.take(list(chosen)).images.float() / 255


def small(image: Tensor) -> Tensor:
    return downsample(image[None], SIDE)[0]


def wrapped(name: str) -> str:
    """A class name on two lines of similar length."""
    words = name.split()
    middle = min(range(len(words) + 1), key=lambda i: abs(len(" ".join(words[:i])) - len(" ".join(words[i:]))))
    return "\n".join((" ".join(words[:middle]), " ".join(words[middle:]))).strip()


def first_of_each_class(images: ImageFiles, wanted: Iterable[int]) -> list[int]:
    """The first of these images of each class, in the order of the classes."""
    first: dict[int, int] = {}
    for image in wanted:
        first.setdefault(int(images.labels[image]), image)
    return [first[label] for label in sorted(first)]


def classes_figure(test: ImageFiles) -> Figure:
    chosen = first_of_each_class(test, range(len(test)))
    pictures = [
        Picture(small(image), wrapped(test.class_names[label]))
        for image, label in zip(shown(test, chosen), test.labels[chosen], strict=True)
    ]
    return picture_grid([pictures[start : start + 8] for start in range(0, len(pictures), 8)], width=1.15, titles=7)


def lost_figure(test: ImageFiles, tasn: TASN, chosen: Sequence[int]) -> Figure:
    """What is left of a photograph in 112 px, by three ways of spending them."""
    rows: list[list[Picture]] = []
    for image in shown(test, chosen):
        ways = {
            "the photograph, 336 px": image,
            "resized to 112 px": downsample(image[None], SIDE)[0],
            "its middle half, 112 px": downsample(image[None, :, 84:252, 84:252], SIDE)[0],
            "sampled by attention, 112 px": look(tasn, image[None])[1][0],
        }
        rows.append([Picture(picture, title if not rows else "") for title, picture in ways.items()])
    return picture_grid(rows, width=2.3, titles=9)


def attention_figure(test: ImageFiles, tasn: TASN, plain: Any, chosen: Sequence[int]) -> Figure:
    """Photographs, TASN's attention, the plain network's class activation, and what the sampler makes of the first."""
    images = shown(test, chosen)
    maps, sampled = look(tasn, images)
    activation = class_activation(nn.Sequential(plain.backbone, plain.classifier), downsample(images, SIDE))
    names = [wrapped(test.class_names[label]) for label in test.labels[list(chosen)]]
    return picture_grid(
        [
            [Picture(small(image), name) for image, name in zip(images, names, strict=True)],
            *(
                [
                    Picture(small(image), "" if n else title, attention=one)
                    for n, (image, one) in enumerate(zip(images, attention, strict=True))
                ]
                for title, attention in (("TASN's attention", maps), ("class activation map", activation))
            ),
            [Picture(image, "" if n else "structure image, 112 px") for n, image in enumerate(sampled)],
        ],
        width=1.5,
        titles=8,
    )


def outcomes_figure(test: ImageFiles, tasn: TASN, by_tasn: Tensor, by_plain: Tensor, count: int = 6) -> Figure:
    """Photographs that only TASN gets right, and others that only the plain network does."""
    rows: list[list[Picture]] = []
    for who, right, wrong in (("TASN", by_tasn, by_plain), ("plain", by_plain, by_tasn)):
        only = ((right == test.labels) & (wrong != test.labels)).nonzero().flatten().tolist()
        one_each = first_of_each_class(test, only)
        chosen = one_each[:: max(1, len(one_each) // count)][:count]
        images = shown(test, chosen)
        titles = [
            f"{wrapped(test.class_names[test.labels[i]])}\ntaken for\n{wrapped(test.class_names[wrong[i]])}"
            for i in chosen
        ]
        colour = RIGHT if who == "TASN" else WRONG
        rows.append([Picture(small(image), title, colour) for image, title in zip(images, titles, strict=True)])
        rows.append([Picture(image, colour=colour) for image in look(tasn, images)[1]])
    return picture_grid(rows, width=1.5, titles=8)


def save(name: str, figure: Figure) -> None:
    figure.text(1, 0, NOTICE, fontsize=7, ha="right", va="top", color="#666666")  # below the pictures
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=80, bbox_inches="tight")
    plt.close(figure)
    write_atomically(FIGURES / f"{name}.png", palette_png(Image.open(png)))
    print(FIGURES / f"{name}.png")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "datasets", help="the folder with GroceryStoreDataset")
    parser.add_argument("--weights", type=Path, help="a folder with EfficientNet-Lite0's weights; default: download")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    given = {"data_folder": str(options.data), "weights": options.weights and str(options.weights)}
    settings = Settings(
        dataset="grocery_look_alikes", recipe="photos", seed=options.seed, resume=True, baselines="downsampled",
        output_folder=str(ROOT / "runs" / f"photographs-seed{options.seed}"), **given,
    )  # fmt: skip
    folder, data = prepare_folder(settings), load_data(settings)
    test = data[1]
    by_tasn, by_plain = (
        train(name, settings, folder, data).predictions[net][:, 0]
        for name, net in (("tasn", "master"), ("downsampled", "downsampled"))
    )
    tasn, plain = (load_model(folder / f"{name}.safetensors")[0] for name in ("tasn", "downsampled"))
    every = first_of_each_class(test, range(len(test)))
    save("classes", classes_figure(test))
    save("lost", lost_figure(test, tasn, (every[18], every[5])))
    save("attention", attention_figure(test, tasn, plain, every[::4]))
    save("outcomes", outcomes_figure(test, tasn, by_tasn, by_plain))


if __name__ == "__main__":
    main()
