"""Matrices as pictures: small ones with their numbers, large ones by colour alone."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import seaborn
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.style import ATTENTION_MAP


def number_tables(
    tables: Sequence[Float[Tensor, "_ _"]],
    titles: Sequence[str],
    digits: int = 0,
    between: str = "",
    rows: str = "",
    columns: str | Sequence[str] = "",
) -> Figure:
    """Tables of numbers side by side, each number on a colour; every table has its own colour scale.

    Args:
        tables: of any sizes.
        titles: one each.
        digits: after the point.
        between: a sign for each gap between two tables, such as "+=" for a sum of two and its result.
        rows, columns: names of the axes, as in "channel i"; an axis with a name is numbered. One name of the
            columns serves all tables, or each has its own.

    >>> figure = number_tables([torch.eye(2), torch.ones(2, 3)], ["one", "two"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '0', '0', '1']
    """
    columns = [columns] * len(tables) if isinstance(columns, str) else columns
    widths = [table.shape[1] + 0.8 for table in tables]
    height = max(table.shape[0] for table in tables)
    figure, row = plt.subplots(
        1, len(tables), figsize=(0.62 * sum(widths) + 0.6, 0.62 * height + 0.9),
        width_ratios=widths, squeeze=False, layout="constrained",
    )  # fmt: skip
    for number, (axes, table, title) in enumerate(zip(row[0], tables, titles, strict=True)):
        seaborn.heatmap(
            table.detach().numpy(), ax=axes, annot=True, fmt=f".{digits}f", annot_kws={"size": 11}, square=True,
            cmap=ATTENTION_MAP, vmin=min(0.0, table.min().item()), vmax=1.15 * max(table.max().item(), 1e-12),
            cbar=False, xticklabels="auto" if columns[number] else False,
            yticklabels="auto" if rows and number == 0 else False,
        )  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.tick_params(length=0, labelsize=9, rotation=0)
        axes.set_xlabel(columns[number], fontsize=9)
        if between and number:
            place = (-0.13 * table.shape[1], table.shape[0] / 2)
            axes.text(*place, between[number - 1], ha="center", va="center", size=14)
    row[0][0].set_ylabel(rows, fontsize=9)
    return figure


def relations(matrices: Mapping[str, Float[Tensor, "c c"]], order: Tensor | None = None, ends: str = "") -> Figure:
    """Large matrices of which channel goes with which; every row is divided by its own sum.

    Args:
        matrices: by their titles.
        order: in which the channels are drawn, (c,); as they come if None.
        ends: what the order means, for the axes' labels.

    >>> len(relations({"one": torch.rand(4, 4), "two": torch.rand(4, 4)}).axes)
    3
    """
    size = (4.3 * len(matrices) + 0.5, 4.3)
    figure, grid = plt.subplots(1, len(matrices), figsize=size, squeeze=False, layout="constrained")
    suffix = f", {ends}" if ends else ""
    for axes, (title, matrix) in zip(grid[0], matrices.items(), strict=True):
        order = torch.arange(len(matrix)) if order is None else order
        shares = 100 * (matrix / matrix.sum(1, keepdim=True).clamp_min(1e-12))[order][:, order]
        drawn = axes.imshow(shares.numpy(), cmap=ATTENTION_MAP, vmin=0, vmax=25)
        axes.set_title(title, fontsize=11)
        axes.set(xticks=[], yticks=[], xlabel=f"channel j{suffix}")
    grid[0][0].set_ylabel(f"channel i{suffix}")
    figure.colorbar(drawn, ax=grid[0], label="share of the row, %", extend="max", shrink=0.85)
    return figure


def matrix_product(
    a_y: Float[Tensor, "n h"], image: Float[Tensor, "h w"], a_x: Float[Tensor, "m w"], sampled: Float[Tensor, "n m"]
) -> Figure:
    """The sampler as a product of matrices: A_y · image · A_xᵀ = sampled image.

    >>> len(matrix_product(torch.rand(2, 4), torch.rand(4, 6), torch.rand(3, 6), torch.rand(2, 3)).axes)
    4
    """
    factors = {"$A_y$": a_y, "image $I$": image, "$A_x^T$": a_x.T, "sampled image": sampled}
    widths = [values.shape[1] for values in factors.values()]
    figure, row = plt.subplots(1, 4, figsize=(10, 2.9), width_ratios=widths, layout="constrained")
    for axes, (name, values), sign in zip(row, factors.items(), ("·", "·", "=", ""), strict=True):
        weights = name.startswith("$A")
        texts = [[f"{value:.1f}" if weights and value > 0.01 else "" for value in row] for row in values.tolist()]
        seaborn.heatmap(
            values.numpy(), ax=axes, annot=texts, fmt="", annot_kws={"size": 7}, square=True, cbar=False,
            cmap="Blues" if weights else "gray", vmin=0, vmax=1 if weights else float(image.max()),
            xticklabels=False, yticklabels=False,
        )  # fmt: skip
        axes.set_title(f"{name}\n{values.shape[0]} × {values.shape[1]}", fontsize=10)
        axes.text(1.04, 0.5, sign, transform=axes.transAxes, fontsize=16, va="center")
    return figure
