"""Birds of two classes side by side, and the birds with the smallest margins."""

from collections.abc import Sequence
from textwrap import fill

from jaxtyping import Float, Int
from matplotlib.figure import Figure
from torch import Tensor

from tasnlib.course.plots.bent_grid import small_enough
from tasnlib.course.plots.picture_grids import Picture, picture_grid
from tasnlib.course.plots.style import COLOURS


def hard_cases(
    images: Float[Tensor, "n 3 height width"],
    attention: Float[Tensor, "n h w"],
    structure_images: Float[Tensor, "n 3 s s"],
    titles: Sequence[str],
    boxes: Float[Tensor, "n parts 4"],
) -> Figure:
    """One column per bird: above, attention and the boxes of the parts; below, the structure image.

    >>> boxes = torch.zeros(2, 3, 4)
    >>> len(hard_cases(torch.rand(2, 3, 9, 9), torch.rand(2, 3, 3), torch.rand(2, 3, 6, 6), ["a", "b"], boxes).axes)
    4
    """
    above = [
        Picture(image, title, attention=one, boxes=box)
        for image, title, one, box in zip(images, titles, attention, boxes, strict=True)
    ]
    return picture_grid([above, [Picture(image, "", COLOURS["structure"]) for image in structure_images]], 2.1, 8.5)


def differences(first: str, second: str) -> str:
    """What differs between two classes, in words from their names.

    >>> differences("red-yellow, head along, wing along", "red-yellow, head across, wing along")
    'head along against head across'
    >>> differences("wren", "wren")
    'nothing: it is the same class'
    """
    if first == second:
        return "nothing: it is the same class"
    one, other = first.split(", "), second.split(", ")
    if len(one) != len(other):
        return f"{first} against {second}"
    return "; ".join(f"{a} against {b}" for a, b in zip(one, other, strict=True) if a != b)


def two_classes(
    images: Float[Tensor, "n 3 height width"],
    labels: Int[Tensor, " n"],
    attention: Float[Tensor, "n h w"],
    structure_images: Float[Tensor, "n 3 s s"],
    class_names: Sequence[str],
    first: str,
    second: str,
    birds: int = 2,
) -> Figure:
    """Attention and structure image of a few birds of two classes, one row each; above them what differs in words.

    Args:
        class_names: by label.
        first, second: two of them.

    Raises ValueError for a name that is no class.

    >>> names = ["grey, head along", "grey, head across"]
    >>> figure = two_classes(torch.rand(4, 3, 9, 9), torch.tensor([0, 1, 0, 1]), torch.rand(4, 3, 3),
    ...     torch.rand(4, 3, 6, 6), names, *names)
    >>> [axes.get_title() for axes in figure.axes[:2]], len(figure.axes)
    (['what differs: head along against head across\\ngrey, head along', ''], 8)
    """
    rows = []
    titles = (f"{fill(f'what differs: {differences(first, second)}', 100)}\n{first}", second)
    for name, title in zip((first, second), titles, strict=True):
        if name not in class_names:
            raise ValueError(f"{name!r} is not a class; choose one of {', '.join(class_names)}")
        row: list[Picture] = []
        for number in (labels == list(class_names).index(name)).nonzero().flatten()[:birds].tolist():
            row.append(Picture(small_enough(images[number]), "" if row else title, attention=attention[number]))
            row.append(Picture(structure_images[number], "", COLOURS["structure"]))
        rows.append(row)
    return picture_grid(rows, width=1.9)
