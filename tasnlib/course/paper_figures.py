"""The figures for a paper, as PNG and PDF: `python -m tasnlib.course.paper_figures [--profile NAME]`"""

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

import tasnlib
from tasnlib.course.plots.channel_tiles import wall_figure
from tasnlib.course.plots.seeds_and_costs import accuracy_against, seeds_and_means
from tasnlib.course.widgets.gallery import birds_it_knows
from tasnlib.course.widgets.wall import Channels
from tasnlib.data.birds import draw_birds
from tasnlib.networks.build import build_tasn
from tasnlib.research.ablations.plan import CHANCE, PROFILES
from tasnlib.research.ablations.tables import Study, open_study
from tasnlib.research.ablations.variants import TABLES
from tasnlib.research.cost import cost_by_part
from tasnlib.runs.run_folder import as_typed, project_folder, saved_run
from tasnlib.training.recipes import RECIPES


def table_figure(study: Study, name: str) -> Figure:
    """Every seed and mean of one table, a panel per data set."""
    return seeds_and_means({t.dataset: study.rows(name, t.dataset) for t in TABLES if t.name == name}, CHANCE)


def attention_wall(run: Path, bird: int = 5) -> Figure:
    """The attention maps of all channels of a network over one drawn test bird. Raises ValueError if it knows none."""
    predictor = tasnlib.load(run, device="cpu")
    config = birds_it_knows(predictor)
    if config is None:
        raise ValueError(f"{run} was not trained on drawn birds")
    image = draw_birds(config, seed=0, split="test", indices=[bird]).images[0].float() / 255
    channels = Channels(predictor, image)
    return wall_figure(image, channels.maps[channels.shown], channels.shown)


def paper_cost(attention_stages: int) -> dict[str, int]:
    """Multiply-adds of TASN at paper size for one 512 px image, by part.

    >>> round(paper_cost(attention_stages=4)["attention_net"] / 1e9, 1)
    19.7
    """
    recipe = replace(RECIPES["paper"], weights=None, attention_stages=attention_stages)
    return cost_by_part(build_tasn(recipe, classes=200), recipe.image_size)


def paper_figures(study: Study, run: Path) -> dict[str, Figure]:
    """All figures by name. `run` is the folder of a trained model, for the wall of attention maps."""
    figures = {f"{name}_table": table_figure(study, name) for name in ("attention", "sampler", "distillation")}
    hard = study.rows("sampler", "hard")
    figures["accuracy_against_cost"] = accuracy_against(hard, "multiply-adds", "samplers, hard birds")
    attending = [*study.rows("attention", "hard"), *(row for row in hard if "zoom" in row.title)]
    unique = list({row.accuracies: row for row in attending if row.attention}.values())
    figures["magnification_against_accuracy"] = accuracy_against(unique, "magnification", "hard birds")
    figures["attention_wall"] = attention_wall(run)
    return figures


def save(figures: dict[str, Figure], folder: Path) -> None:
    """Each figure as NAME.png at 200 dpi and as NAME.pdf with embedded fonts."""
    with mpl.rc_context({"pdf.fonttype": 42}):  # TrueType: text can be searched and edited
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=200)
            figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
            plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course.paper_figures", description=__doc__)
    parser.add_argument("--profile", default="laptop", choices=PROFILES)
    parser.add_argument("--folder", type=Path, default=None, help="default: figures in the project")
    parser.add_argument("--run", type=Path, default=None, help="a trained model, default: notebooks/saved_run")
    given = parser.parse_args(arguments)
    mpl.use("Agg")
    folder = given.folder or project_folder() / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tasnlib.load(run := given.run or saved_run(), device="cpu")  # raises before anything is trained
        save(figures := paper_figures(open_study(given.profile), run), folder)
    except (ValueError, OSError) as reason:
        parser.exit(2, f"error: {reason}\n")
    print(f"{len(figures)} figures, each as PNG and PDF, in {as_typed(folder)}")


if __name__ == "__main__":
    main()
