"""Slider of notebook 06: what a table says with one seed, and with more."""

from tasnlib.course.plots.ablations import seeds_and_means
from tasnlib.course.widgets.explore import Slider, explore
from tasnlib.research.ablations.plan import CHANCE
from tasnlib.research.ablations.tables import Study


def how_many_seeds(study: Study, name: str = "attention", dataset: str = "hard") -> None:
    """Turn through the first seed, the first two, and so on, of one table.

    >>> import inspect
    >>> list(inspect.signature(how_many_seeds).parameters)
    ['study', 'name', 'dataset']
    """
    rows = study.rows(name, dataset)
    counts = range(1, len(rows[0].accuracies) + 1)
    explore(
        lambda seeds: seeds_and_means({dataset: rows}, CHANCE, seeds),
        [Slider("seeds", "seeds", list(counts), 1)],
        f"accuracy of every variant of {name} on {dataset} birds, by the first seeds",
    )
