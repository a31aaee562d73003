"""Drawing birds: first decide where everything stands (numpy), then paint it from back to front (torch)."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from tasnlib.data import bird_config as looks
from tasnlib.data import shapes
from tasnlib.data.bird_config import BirdsConfig
from tasnlib.data.randomness import Randomness, image_keys
from tasnlib.data.shapes import Ellipse, column, paint

BAND = 2**18  # pixels that a CPU paints at a time


class Scene(NamedTuple):
    """Everything about a batch of images but their pixels: numbers in float64, the same on every machine."""

    labels: np.ndarray  # (images,)
    parts: dict[str, Ellipse]
    boxes: np.ndarray  # (images, parts, 4): x0, y0, x1, y1
    phases: dict[str, np.ndarray]  # of the stripes on each part, in turns
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
    frame = _rotation(tilt) * np.stack([facing, np.ones_like(facing)], -1)[:, None]  # (images, 2, 2)

    def place(point: tuple[float, float]) -> np.ndarray:
        return unit[:, None] * (frame @ np.broadcast_to(np.asarray(point, float), (len(keys), 2))[..., None])[..., 0]

    def ellipse(centre: tuple[float, float], semi: tuple[float, float], degrees: int, sway: int) -> Ellipse:
        axes = frame @ _rotation(np.radians(degrees + uniform(-sway, sway)))  # columns: along, across, in the image
        return Ellipse(place(centre), axes[..., 0], axes[..., 1], unit[:, None] * np.asarray(semi))

    parts = {name: ellipse(*shape) for name, shape in looks.ANATOMY.items()}
    parts["beak"], parts["eye"] = ellipse(*looks.BEAK), ellipse(*looks.EYE)
    outline = np.stack([part.boxes() for part in parts.values()])
    bird = np.concatenate([outline[..., :2].min(0), outline[..., 2:].max(0)], axis=1)
    # The whole bird stays inside: its centre is drawn from where its box fits, one pixel off the border.
    low, high = 1 - bird[:, :2], size - 1 - bird[:, 2:]
    shift = low + (high - low) * uniform(0, 1, 2)
    parts = {name: part._replace(centre=part.centre + shift) for name, part in parts.items()}
    legs = [(shift + place((hip, 0.15)), shift + place((hip + 0.04, 0.38))) for hip in (-0.02, 0.08)]

    labels = indices % config.classes
    code = labels % config.species
    striped: tuple[str, ...] = config.striped_parts
    boxes = np.stack([*(parts[name].boxes() for name in striped), bird + np.tile(shift, 2)], axis=1)
    phases = {name: uniform(0, 1) for name in striped}
    across = {name: (code >> bit & 1).astype(bool) for bit, name in enumerate(striped)}
    return Scene(labels, parts, boxes, phases, across, unit, legs, randomness)


def _rotation(angle: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)  # (images, 2, 2)


def _clutter(canvas: Tensor, config: BirdsConfig, randomness: Randomness, x: Tensor, y: Tensor) -> None:
    """One striped patch in each cell of a turned grid: every pixel looks up its own, whatever the number of patches."""
    device, size = canvas.device, config.image_size
    cell = size / 7.0
    cells = 2 * int(np.ceil(0.75 * size / cell)) + 1  # across, so that the turned grid covers the corners
    turn = np.radians(randomness.uniform(-45, 45))
    cos, sin = column(np.cos(turn), device), column(np.sin(turn), device)
    dx, dy = x - size / 2, y - size / 2
    u = (dx * cos + dy * sin) / cell + cells / 2
    v = (dy * cos - dx * sin) / cell + cells / 2
    home_u, home_v = u.floor().clamp(0, cells - 1), v.floor().clamp(0, cells - 1)
    home = (home_v * cells + home_u).long().flatten(1)  # (images, pixels)

    def look_up(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device).gather(1, home).view_as(u)

    count, uniform = cells * cells, randomness.uniform
    angle = uniform(0, np.pi, count)
    along_x, along_y = look_up(np.cos(angle)), look_up(np.sin(angle))
    px = (u - home_u - look_up(uniform(0.4, 0.6, count))) * cell
    py = (v - home_v - look_up(uniform(0.4, 0.6, count))) * cell
    along, across = px * along_x + py * along_y, py * along_x - px * along_y
    semi_along = look_up(uniform(0.28, 0.42, count) * cell)
    semi_across = look_up(uniform(0.16, 0.32, count) * cell)
    present = uniform(0, 1, count) < config.clutter
    coverage = shapes.ellipse_coverage(along, across, semi_along, semi_across) * look_up(present)

    worn = looks.HEAD_COLOURS[: config.head_colours], looks.WING_COLOURS[: config.wing_colours]
    palette = np.concatenate([looks.CLUTTER_COLOURS, *worn])
    plain = randomness.choice(len(looks.CLUTTER_COLOURS), count)
    decoy = len(looks.CLUTTER_COLOURS) + randomness.choice(len(palette) - len(looks.CLUTTER_COLOURS), count)
    chosen = palette[np.where(uniform(0, 1, count) < config.decoys, decoy, plain)]  # (images, cells², 3)
    period = look_up(uniform(0.9, 1.1, count) * config.stripe_period)
    wave = looks.STRIPE_AMPLITUDE * shapes.sine(along / period + look_up(uniform(0, 1, count)))
    colour = torch.stack([look_up(chosen[..., c]) for c in range(3)], dim=1) + wave[:, None]
    paint(canvas, colour, coverage)


def _colour(values: np.ndarray | tuple[float, ...], device: torch.device) -> Float[Tensor, "images 3 1 1"]:
    return torch.from_numpy(np.atleast_2d(np.asarray(values, np.float32))).to(device)[..., None, None]


def render(config: BirdsConfig, scene: Scene, device: torch.device) -> UInt8[Tensor, "images 3 size size"]:
    """The pixels of a scene. A CPU paints a band of rows at a time, which stays in its cache at any image size."""
    x, y = shapes.pixel_centres(config.image_size, device)
    rows = max(1, BAND // (len(scene.labels) * config.image_size)) if device.type == "cpu" else config.image_size
    return torch.cat([_render_band(config, scene, x, band) for band in y.split(rows)], dim=2)


def _render_band(config: BirdsConfig, scene: Scene, x: Tensor, y: Tensor) -> UInt8[Tensor, "images 3 rows size"]:
    """The rows with these centres, painted from back to front."""
    size, images, device = config.image_size, len(scene.labels), x.device
    randomness = copy.copy(scene.randomness)  # every band reads the same numbers
    uniform = randomness.uniform

    ground = looks.CLUTTER_COLOURS[randomness.choice(len(looks.CLUTTER_COLOURS))][:, :, None, None]
    canvas = shapes.smooth_ground(ground + uniform(-0.1, 0.1, 3, 5, 5), x, y)
    _clutter(canvas, config, randomness, x, y)

    for start, end in scene.legs:
        paint(canvas, _colour((0.30, 0.24, 0.20), device), shapes.segment_coverage(start, end, 0.03 * scene.unit, x, y))

    genus = scene.labels // config.species
    head, wing = looks.HEAD_COLOURS[genus // config.wing_colours], looks.WING_COLOURS[genus % config.wing_colours]
    colours: dict[str, np.ndarray | tuple[float, ...]] = {"head": head, "breast": head, "wing": wing, "tail": wing}
    colours |= {"body": looks.BODY_COLOUR, "beak": (0.80, 0.60, 0.20), "eye": (0.08, 0.08, 0.10)}
    for name, part in scene.parts.items():
        if part.boxes()[:, 1].min() > y[-1].item() + 2 or part.boxes()[:, 3].max() < y[0].item() - 2:
            continue  # no image's part reaches into this band
        along, across = shapes.local_coordinates(part, x, y)
        semi_along, semi_across = (column(semi, device) for semi in part.semi.T)
        coverage = shapes.ellipse_coverage(along, across, semi_along, semi_across)
        # A part that carries no stripes must not give the genus away twice: it wears the body's colour.
        coloured = name not in looks.STRIPABLE or name in config.striped_parts
        colour = _colour(colours[name] if coloured else looks.BODY_COLOUR, device)
        if name in config.striped_parts:
            # Stripes that run along the part vary across it.
            position = torch.where(column(scene.across[name], device) > 0, along, across)
            wave = shapes.sine(position / config.stripe_period + column(scene.phases[name], device))
            colour = colour + looks.STRIPE_AMPLITUDE * wave[:, None]
        paint(canvas, colour, coverage)

    for _ in range(config.grass):
        root = np.stack([uniform(0, size), np.full(images, float(size))], -1)
        tip = root + np.stack([uniform(-0.12, 0.12), uniform(-0.75, -0.25)], -1) * size
        blade = shapes.segment_coverage(root, tip, uniform(0.006, 0.012) * size, x, y)
        paint(canvas, _colour((0.30, 0.46, 0.22), device), blade)

    light = uniform(0.8, 1.15)[:, None] * (1 + uniform(-0.05, 0.05, 3))
    canvas = canvas * _colour(light, device) + config.noise * shapes.pixel_noise(scene.randomness.keys, x, y)
    return (canvas.clamp(0, 1) * 255).round().to(torch.uint8)
