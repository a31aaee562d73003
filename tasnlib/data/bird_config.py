"""What a drawn bird is: its parts, its colours, and the numbers that make a set of birds easy or hard."""

from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

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
STRIPABLE = ("tail", "breast", "wing", "head")

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

Share = Annotated[float, Field(ge=0, le=1)]
Colours = Annotated[int, Field(ge=1, le=4)]
OfImage = Annotated[float, Field(ge=0.05, le=0.6)]
Part = Literal["tail", "breast", "wing", "head"]


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class BirdsConfig:
    """What the birds look like. Lengths in pixels unless said otherwise. Raises ValueError, naming the field.

    >>> BirdsConfig().classes, BirdsConfig().class_names[5]
    (16, 'red-violet, head across, wing along')
    """

    image_size: Annotated[int, Field(ge=32, le=2**16)] = 144
    stripe_period: Annotated[float, Field(gt=2)] = 3.5  # 2 is the shortest period that pixels can show
    head_colours: Colours = 2
    wing_colours: Colours = 2
    striped_parts: Annotated[tuple[Part, ...], Field(min_length=1)] = ("head", "wing")
    bird_size: tuple[OfImage, OfImage] = (0.30, 0.42)  # the unit of ANATOMY, as a share of the image: from, to
    clutter: Share = 0.75  # share of the background's patches that are there
    decoys: Share = 0.0  # share of those patches that wear a bird's colours
    grass: Annotated[int, Field(ge=0, le=100)] = 5  # blades in front of the bird
    noise: Annotated[float, Field(ge=0, le=0.5)] = 0.06  # half the width of the uniform noise

    @model_validator(mode="after")
    def _fits_together(self) -> "BirdsConfig":
        if len(set(self.striped_parts)) < len(self.striped_parts):
            raise ValueError(f"striped_parts is {self.striped_parts}; each part may be named once")
        if self.bird_size[0] > self.bird_size[1]:
            raise ValueError(f"bird_size is {self.bird_size}; the first share must not be above the second")
        return self

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
        """Of every genus: the colours of head and wing."""
        heads, wings = HEAD_COLOUR_NAMES[: self.head_colours], WING_COLOUR_NAMES[: self.wing_colours]
        return [f"{head}-{wing}" for head in heads for wing in wings]

    @property
    def class_names(self) -> list[str]:
        """Of every class: its genus, and how the stripes run on each part."""
        directions = []
        for code in range(self.species):
            of_part = [("across" if code >> bit & 1 else "along") for bit in range(len(self.striped_parts))]
            directions.append(", ".join(map(" ".join, zip(self.striped_parts, of_part, strict=True))))
        return [f"{genus}, {direction}" for genus in self.genus_names for direction in directions]


EASY = BirdsConfig()
HARD = BirdsConfig(striped_parts=("head", "wing", "tail", "breast"), clutter=0.9, decoys=0.15, grass=8)
