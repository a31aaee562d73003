"""What a drawn bird is: its parts, its colours, and the numbers that make a set of birds easy or hard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# A bird in its own frame: the beak points to +x, the feet to +y. Centre, semi-axes, angle in degrees, and by how many
# degrees the angle varies from bird to bird. Order of painting: later parts cover earlier ones.
ANATOMY = {
    "tail": ((-0.47, 0.02), (0.22, 0.085), -4, 12),
    "body": ((0.00, 0.00), (0.36, 0.21), 0, 0),
    "breast": ((0.20, 0.09), (0.15, 0.105), 35, 8),
    "wing": ((-0.07, -0.04), (0.25, 0.12), -6, 10),
    "head": ((0.36, -0.21), (0.165, 0.145), 10, 15),
}
BEAK = ((0.555, -0.19), (0.10, 0.035), 12, 0)
EYE = ((0.43, -0.25), (0.028, 0.028), 0, 0)
STRIPABLE = tuple(part for part in ANATOMY if part != "body")

# Mid-tones, so that stripes of either sign fit into [0, 1]. Head and breast share a colour, wing and tail share one.
HEAD_COLOURS = np.array([[0.74, 0.30, 0.28], [0.28, 0.40, 0.74], [0.72, 0.34, 0.66], [0.26, 0.68, 0.70]])
WING_COLOURS = np.array([[0.74, 0.64, 0.26], [0.52, 0.30, 0.72], [0.74, 0.48, 0.26], [0.30, 0.50, 0.52]])
HEAD_COLOUR_NAMES = ("red", "blue", "pink", "cyan")
WING_COLOUR_NAMES = ("yellow", "violet", "orange", "teal")
CLUTTER_COLOURS = np.array(
    [[0.36, 0.50, 0.28], [0.46, 0.42, 0.30], [0.30, 0.40, 0.30], [0.55, 0.53, 0.46], [0.44, 0.56, 0.36]]
)
BODY_COLOUR = (0.62, 0.58, 0.54)
STRIPE_AMPLITUDE = 0.22


def _whole(value: object, low: int, high: float = np.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _number(value: object, low: float = -np.inf, high: float = np.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _parts_once(value: object) -> bool:
    return isinstance(value, tuple) and len(set(value)) == len(value) > 0


def _two_shares(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(_number, value)):
        return False
    return 0.05 <= value[0] <= value[1] <= 0.6


# What each number of a BirdsConfig may be, as a test and in words.
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "image_size": (lambda v: _whole(v, 32, 2**16), "a whole number from 32 to 65536"),
    "stripe_period": (lambda v: _number(v) and 2 < v < np.inf, "a number above 2, the shortest period pixels can show"),
    "head_colours": (lambda v: _whole(v, 1, 4), "1 to 4"),
    "wing_colours": (lambda v: _whole(v, 1, 4), "1 to 4"),
    "striped_parts": (_parts_once, f"a tuple of one or more of {', '.join(STRIPABLE)}, each once"),
    "bird_size": (_two_shares, "a tuple of two shares, 0.05 <= low <= high <= 0.6"),
    "clutter": (lambda v: _number(v, 0, 1), "a number from 0 to 1"),
    "decoys": (lambda v: _number(v, 0, 1), "a number from 0 to 1"),
    "grass": (lambda v: _whole(v, 0, 100), "a whole number from 0 to 100"),
    "noise": (lambda v: _number(v, 0, 0.5), "a number from 0 to 0.5"),
}


@dataclass(frozen=True)
class BirdsConfig:
    """What the birds look like. Lengths in pixels unless said otherwise.

    >>> BirdsConfig().classes, BirdsConfig().class_names[5]
    (16, 'red-violet, head across, wing along')
    >>> BirdsConfig(striped_parts=("beak",))
    Traceback (most recent call last):
        ...
    ValueError: striped_parts: 'beak' is not a part; choose among tail, breast, wing, head
    """

    image_size: int = 144
    stripe_period: float = 3.5
    head_colours: int = 2
    wing_colours: int = 2
    striped_parts: tuple[str, ...] = ("head", "wing")
    bird_size: tuple[float, float] = (0.30, 0.42)  # the unit of ANATOMY, as a share of the image
    clutter: float = 0.75  # share of the background's patches that are there
    decoys: float = 0.0  # share of those patches that wear a bird's colours
    grass: int = 5  # blades in front of the bird
    noise: float = 0.06  # half the width of the uniform noise

    def __post_init__(self) -> None:
        for part in self.striped_parts if isinstance(self.striped_parts, tuple) else ():
            if part not in STRIPABLE:
                raise ValueError(f"striped_parts: {part!r} is not a part; choose among {', '.join(STRIPABLE)}")
        for name, (fits, text) in _ALLOWED.items():
            value = getattr(self, name)
            try:
                fine = fits(value)
            except TypeError:  # a string where a number belongs, and the like
                fine = False
            if not fine:
                raise ValueError(f"{name} is {value!r}; it must be {text}")

    @property
    def genera(self) -> int:
        """Head colours times wing colours."""
        return self.head_colours * self.wing_colours

    @property
    def species(self) -> int:
        """Species in a genus: every striped part runs along or across."""
        return 2 ** len(self.striped_parts)

    @property
    def classes(self) -> int:
        """Class = genus · species + species within the genus."""
        return self.genera * self.species

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the boxes, in their order."""
        return (*self.striped_parts, "bird")

    @property
    def genus_names(self) -> list[str]:
        heads, wings = HEAD_COLOUR_NAMES[: self.head_colours], WING_COLOUR_NAMES[: self.wing_colours]
        return [f"{head}-{wing}" for head in heads for wing in wings]

    @property
    def class_names(self) -> list[str]:
        directions = [
            ", ".join(
                f"{part} {'across' if code >> bit & 1 else 'along'}" for bit, part in enumerate(self.striped_parts)
            )
            for code in range(self.species)
        ]
        return [f"{genus}, {direction}" for genus in self.genus_names for direction in directions]


EASY = BirdsConfig()
HARD = BirdsConfig(striped_parts=("head", "wing", "tail", "breast"), clutter=0.9, decoys=0.15, grass=8)
