"""Drawn birds: fine-grained recognition small enough to learn in minutes on a laptop, with nothing to download.

A bird's *genus* shows at any size: the colour of its head and the colour of its wing. Its *species* shows only close
up: whether fine stripes on a part run along it or across it. The stripes have a random phase and the part's own mean
colour, so a proper downsampling erases them. The background is cluttered with patches striped at the same period.
Because every image is drawn, the place of each part is known, and attention can be scored, not only admired.

Image i of a split is a pure function of (seed, split, i): see `drawing`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from tasnlib.data.drawing import (
    SPLITS,
    Ellipse,
    Randomness,
    column,
    ellipse_coverage,
    image_keys,
    local_coordinates,
    paint,
    pixel_centres,
    pixel_noise,
    segment_coverage,
)

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
CLUTTER_COLOURS = np.array([[0.36, 0.50, 0.28], [0.46, 0.42, 0.30], [0.30, 0.40, 0.30], [0.55, 0.53, 0.46], [0.44, 0.56, 0.36]])
BODY_COLOUR = (0.62, 0.58, 0.54)
STRIPE_AMPLITUDE = 0.22


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
    stripe_period: float = 4.0
    head_colours: int = 2
    wing_colours: int = 2
    striped_parts: tuple[str, ...] = ("head", "wing")
    bird_size: tuple[float, float] = (0.30, 0.42)  # the unit of ANATOMY, as a share of the image
    clutter: float = 0.75  # share of the background's patches that are there
    decoys: float = 0.0  # share of those patches that wear a bird's colours
    grass: int = 5  # blades in front of the bird
    noise: float = 0.06  # half the width of the uniform noise

    def __post_init__(self):
        for part in self.striped_parts:
            if part not in STRIPABLE:
                raise ValueError(f"striped_parts: {part!r} is not a part; choose among {', '.join(STRIPABLE)}")
        allowed = {
            "image_size": (isinstance(self.image_size, int) and self.image_size >= 32, "a whole number from 32 up"),
            "stripe_period": (2 < self.stripe_period < np.inf, "above 2, the shortest period pixels can show"),
            "head_colours": (self.head_colours in range(1, 5), "1 to 4"),
            "wing_colours": (self.wing_colours in range(1, 5), "1 to 4"),
            "striped_parts": (len(set(self.striped_parts)) == len(self.striped_parts) > 0, "one part or more, each once"),
            "bird_size": (0.05 <= self.bird_size[0] <= self.bird_size[1] <= 0.6, "two shares, 0.05 <= low <= high <= 0.6"),
            "clutter": (0 <= self.clutter <= 1, "from 0 to 1"),
            "decoys": (0 <= self.decoys <= 1, "from 0 to 1"),
            "grass": (isinstance(self.grass, int) and 0 <= self.grass <= 100, "a whole number from 0 to 100"),
            "noise": (0 <= self.noise <= 0.5, "from 0 to 0.5"),
        }
        for name, (fine, what) in allowed.items():
            if not fine:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {what}")

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
            ", ".join(f"{part} {'across' if code >> bit & 1 else 'along'}" for bit, part in enumerate(self.striped_parts))
            for code in range(self.species)
        ]
        return [f"{genus}, {direction}" for genus in self.genus_names for direction in directions]


EASY = BirdsConfig()
HARD = BirdsConfig(striped_parts=("head", "wing", "tail", "breast"), clutter=0.9, decoys=0.15, grass=8)


class Scene(NamedTuple):
    """Everything about a batch of images but their pixels: numbers in float64, the same on every machine."""

    keys: np.ndarray  # (images,)
    labels: np.ndarray  # (images,)
    parts: dict[str, Ellipse]
    boxes: np.ndarray  # (images, parts, 4): x0, y0, x1, y1
    phases: dict[str, np.ndarray]  # of the stripes on each part, radians
    across: dict[str, np.ndarray]  # does the part's stripe pattern vary along (False: stripes run along) ...
    unit: np.ndarray  # (images,) pixels in one unit of ANATOMY
    legs: list[tuple[np.ndarray, np.ndarray]]
    randomness: Randomness


def compose(config: BirdsConfig, seed: int, split: str, indices: np.ndarray) -> Scene:
    """Decide where everything stands. Labels go round the classes, so every split is balanced."""
    keys = image_keys(seed, split, indices)
    randomness = Randomness(keys)
    uniform = randomness.uniform
    size = config.image_size

    unit = size * uniform(*config.bird_size)
    facing = np.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    tilt = np.radians(uniform(-20, 20))
    # Bird frame to image: mirror where it faces left, then rotate.
    cos, sin = np.cos(tilt), np.sin(tilt)
    frame = np.stack([np.stack([cos * facing, -sin], -1), np.stack([sin * facing, cos], -1)], 1)  # (images, 2, 2)

    def place(point) -> np.ndarray:
        return unit[:, None] * (frame @ np.broadcast_to(np.asarray(point, float), (len(keys), 2))[..., None])[..., 0]

    def ellipse(centre, semi, degrees, sway) -> Ellipse:
        angle = np.radians(degrees + uniform(-sway, sway))
        axes = np.stack([np.stack([np.cos(angle), -np.sin(angle)], -1), np.stack([np.sin(angle), np.cos(angle)], -1)], 1)
        axes = frame @ axes  # columns: along, across, in the image
        return Ellipse(place(centre), axes[..., 0], axes[..., 1], unit[:, None] * np.asarray(semi))

    parts = {name: ellipse(*shape) for name, shape in ANATOMY.items()}
    parts["beak"], parts["eye"] = ellipse(*BEAK), ellipse(*EYE)
    outline = np.stack([part.boxes() for part in parts.values()])
    bird = np.concatenate([outline[..., :2].min(0), outline[..., 2:].max(0)], axis=1)
    # The whole bird stays inside: its centre is drawn from where its box fits, one pixel off the border.
    low, high = 1 - bird[:, :2], size - 1 - bird[:, 2:]
    shift = low + (high - low) * uniform(0, 1, 2)
    parts = {name: part._replace(centre=part.centre + shift) for name, part in parts.items()}
    legs = [(shift + place((hip, 0.15)), shift + place((hip + 0.04, 0.38))) for hip in (-0.02, 0.08)]

    labels = indices % config.classes
    code = labels % config.species
    return Scene(
        keys=keys,
        labels=labels,
        parts=parts,
        boxes=np.stack([*(parts[name].boxes() for name in config.striped_parts), bird + np.tile(shift, 2)], axis=1),
        phases={name: uniform(0, 2 * np.pi) for name in config.striped_parts},
        across={name: (code >> bit & 1).astype(bool) for bit, name in enumerate(config.striped_parts)},
        unit=unit,
        legs=legs,
        randomness=randomness,
    )


def _clutter(canvas: Tensor, config: BirdsConfig, randomness: Randomness, x: Tensor, y: Tensor) -> None:
    """One striped patch in each cell of a turned grid. Every pixel looks up its own cell, so the cost does not grow
    with the number of patches."""
    device, size = canvas.device, config.image_size
    cell = size / 7.0
    cells = 2 * int(np.ceil(0.75 * size / cell)) + 1  # across, so that the turned grid covers the corners
    turn = column(np.radians(randomness.uniform(-45, 45)), device)
    dx, dy = x - size / 2, y - size / 2
    u = (dx * turn.cos() + dy * turn.sin()) / cell + cells / 2
    v = (dy * turn.cos() - dx * turn.sin()) / cell + cells / 2
    home_u, home_v = u.floor().clamp(0, cells - 1), v.floor().clamp(0, cells - 1)
    home = (home_v * cells + home_u).long().flatten(1)  # (images, pixels)

    def look_up(values: np.ndarray) -> Tensor:
        table = torch.from_numpy(values.astype(np.float32)).to(device)
        return table.gather(1, home).view_as(u)

    count = cells * cells
    uniform = randomness.uniform
    angle = look_up(uniform(0, np.pi, count))
    along_x, along_y = angle.cos(), angle.sin()
    px = (u - home_u - look_up(uniform(0.4, 0.6, count))) * cell
    py = (v - home_v - look_up(uniform(0.4, 0.6, count))) * cell
    along, across = px * along_x + py * along_y, py * along_x - px * along_y
    semi_along = look_up(uniform(0.28, 0.42, count) * cell)
    semi_across = look_up(uniform(0.16, 0.32, count) * cell)
    present = uniform(0, 1, count) < config.clutter
    coverage = ellipse_coverage(along, across, semi_along, semi_across) * look_up(present)

    palette = np.concatenate([CLUTTER_COLOURS, HEAD_COLOURS[: config.head_colours], WING_COLOURS[: config.wing_colours]])
    plain = randomness.choice(len(CLUTTER_COLOURS), count)
    decoy = len(CLUTTER_COLOURS) + randomness.choice(len(palette) - len(CLUTTER_COLOURS), count)
    chosen = palette[np.where(uniform(0, 1, count) < config.decoys, decoy, plain)]  # (images, cells², 3)
    period = look_up(uniform(0.9, 1.1, count) * config.stripe_period)
    wave = STRIPE_AMPLITUDE * torch.sin(2 * np.pi * along / period + look_up(uniform(0, 2 * np.pi, count)))
    colour = torch.stack([look_up(chosen[..., c]) for c in range(3)], dim=1) + wave[:, None]
    paint(canvas, colour, coverage)


def _colour(values, device: torch.device) -> Float[Tensor, "images 3 1 1"]:
    return torch.from_numpy(np.atleast_2d(np.asarray(values, np.float32))).to(device)[..., None, None]


def render(config: BirdsConfig, scene: Scene, device: torch.device) -> UInt8[Tensor, "images 3 size size"]:
    """The pixels of a scene, painted from back to front."""
    size, randomness, images = config.image_size, scene.randomness, len(scene.keys)
    uniform = randomness.uniform
    x, y = pixel_centres(size, device)

    ground = CLUTTER_COLOURS[randomness.choice(len(CLUTTER_COLOURS))][:, :, None, None] + uniform(-0.1, 0.1, 3, 5, 5)
    ground = torch.from_numpy(ground.astype(np.float32)).to(device)
    canvas = F.interpolate(ground, size=(size, size), mode="bilinear", align_corners=True)
    _clutter(canvas, config, randomness, x, y)

    for start, end in scene.legs:
        paint(canvas, _colour((0.30, 0.24, 0.20), device), segment_coverage(start, end, 0.03 * scene.unit, x, y))

    genus = scene.labels // config.species
    head, wing = HEAD_COLOURS[genus // config.wing_colours], WING_COLOURS[genus % config.wing_colours]
    colours = {"head": head, "breast": head, "wing": wing, "tail": wing, "body": BODY_COLOUR}
    colours |= {"beak": (0.80, 0.60, 0.20), "eye": (0.08, 0.08, 0.10)}
    for name, part in scene.parts.items():
        along, across = local_coordinates(part, x, y)
        coverage = ellipse_coverage(along, across, column(part.semi[:, 0], device), column(part.semi[:, 1], device))
        # A part that carries no stripes must not give the genus away twice: it wears the body's colour.
        colour = _colour(colours[name] if name not in STRIPABLE or name in config.striped_parts else BODY_COLOUR, device)
        if name in config.striped_parts:
            # Stripes that run along the part vary across it.
            position = torch.where(column(scene.across[name], device) > 0, along, across)
            wave = torch.sin(2 * np.pi / config.stripe_period * position + column(scene.phases[name], device))
            colour = colour + STRIPE_AMPLITUDE * wave[:, None]
        paint(canvas, colour, coverage)

    for _ in range(config.grass):
        root = np.stack([uniform(0, size), np.full(images, float(size))], -1)
        tip = root + np.stack([uniform(-0.12, 0.12), uniform(-0.75, -0.25)], -1) * size
        paint(canvas, _colour((0.30, 0.46, 0.22), device), segment_coverage(root, tip, uniform(0.006, 0.012) * size, x, y))

    light = uniform(0.8, 1.15)[:, None] * (1 + uniform(-0.05, 0.05, 3))
    canvas = canvas * _colour(light, device) + config.noise * pixel_noise(scene.keys, size, device)
    return (canvas.clamp(0, 1) * 255).round().to(torch.uint8)


class BirdsBatch(NamedTuple):
    """Drawn images with all that is known of them."""

    images: UInt8[Tensor, "images 3 size size"]
    labels: Int[Tensor, " images"]
    boxes: Float[Tensor, "images parts 4"]


def draw_birds(
    config: BirdsConfig, seed: int, split: str, indices, device: torch.device | str = "cpu"
) -> BirdsBatch:
    """Draw the images with these indices. The pixels are computed on `device` and stay there.

    Args:
        config: what the birds look like.
        seed: a whole number from 0 up; another seed is another data set.
        split: "train", "val" or "test".
        indices: whole numbers from 0 up, in any order.

    Raises:
        ValueError: for an unknown split, a negative seed or a negative index.

    >>> batch = draw_birds(BirdsConfig(image_size=64), seed=0, split="train", indices=[3, 0])
    >>> batch.images.shape, batch.labels.tolist(), batch.boxes.shape
    (torch.Size([2, 3, 64, 64]), [3, 0], torch.Size([2, 3, 4]))
    """
    indices = np.asarray(indices, np.int64).reshape(-1)
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be a whole number from 0 up")
    if len(indices) == 0 or indices.min() < 0:
        raise ValueError(f"indices must be one or more whole numbers from 0 up, got {indices.tolist()}")
    scene = compose(config, seed, split, indices)
    images = render(config, scene, torch.device(device))
    labels, boxes = torch.from_numpy(scene.labels), torch.from_numpy(scene.boxes.astype(np.float32))
    return BirdsBatch(images, labels.to(device), boxes.to(device))
