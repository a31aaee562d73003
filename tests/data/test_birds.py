"""The drawn birds: reproducible to the last byte, and every label and box held against the pixels that were drawn."""

import errno
import hashlib
import os
import re
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from tasnlib.data import birds as birds_module
from tasnlib.data.bird_config import (
    BODY_COLOUR,
    HEAD_COLOUR_NAMES,
    HEAD_COLOURS,
    STRIPABLE,
    WING_COLOUR_NAMES,
    WING_COLOURS,
)
from tasnlib.data.birds import EASY, HARD, Birds, BirdsConfig, draw_birds
from tasnlib.data.drawing import Scene, compose, render
from tasnlib.data.shapes import column, local_coordinates, pixel_centres, pixel_noise
from tasnlib.model import downsample

CPU = torch.device("cpu")
SMALL = BirdsConfig(image_size=33)
# Odd, so that vector units and threads cannot share the pixels out evenly; and over 64, because torch computes smaller
# images in other ways than larger ones.
ODD = replace(HARD, image_size=97)
STRIPED = [pytest.param(style, part, id=part) for style, part in ((EASY, "head"), (EASY, "wing"), (HARD, "tail"))]


@contextmanager
def threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


pytestmark = pytest.mark.usefixtures("one_thread")


def clean(style: BirdsConfig) -> BirdsConfig:
    """Without what hides a bird's pixels: grass and noise."""
    return replace(style, grass=0, noise=0.0)


def scene_of(style: BirdsConfig, count: int = 12) -> Scene:
    return compose(style, 0, "train", np.arange(count))


def pixels_of(style: BirdsConfig, change=lambda scene: {}, count: int = 12) -> torch.Tensor:
    """A scene rendered after some of its fields were changed."""
    scene = scene_of(style, count)
    return render(style, scene._replace(**change(scene)), CPU).float()


def turned(part: str, by: float, upto: str | None = None):
    """Change of scene: the phase of one part's stripes moved on; parts painted after `upto` left away."""

    def change(scene: Scene) -> dict:
        kept = list(scene.parts)
        kept = kept if upto is None else kept[: kept.index(upto) + 1]
        phases = {**scene.phases, part: scene.phases[part] + by}
        return {"phases": phases, "parts": {name: scene.parts[name] for name in kept}}

    return change


def differ(*pictures: torch.Tensor) -> torch.Tensor:
    """(images, h, w): where any of the pictures is unlike the first."""
    return torch.stack([(picture != pictures[0]).any(1) for picture in pictures[1:]]).any(0)


def striped_pixels(style: BirdsConfig, part: str, upto: str | None = None, count: int = 12) -> torch.Tensor:
    """The pixels that this part's stripes reach: three phases, so that no pixel lies in a node of all of them."""
    return differ(*(pixels_of(style, turned(part, by, upto), count) for by in (0, 0.25, 0.5)))


def boxes_of(mask: torch.Tensor) -> np.ndarray:
    found = []
    for one in mask:
        y, x = torch.where(one)
        found.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return np.array(found, float)


def assert_boxes_fit(boxes: np.ndarray, mask: torch.Tensor) -> None:
    """A box fits when widening it to whole pixels gives the pixels' own box."""
    wider = (boxes_of(mask) - boxes) * [-1, -1, 1, 1]
    assert wider.min() > -0.1
    assert wider.max() < 1.05
    assert 0.35 < wider.mean() < 0.65  # on the average half a pixel, as rounding outwards is


def interior(scene: Scene, part: str) -> torch.Tensor:
    """(images, h, w): the pixels 2.5 px inside the part, and 2 px away from all that is painted over it."""
    x, y = pixel_centres(EASY.image_size, CPU)

    def inside(name: str, margin: float) -> torch.Tensor:
        shape = scene.parts[name]
        along, across = local_coordinates(shape, x, y)
        semi_along, semi_across = column(shape.semi[:, 0] + margin, CPU), column(shape.semi[:, 1] + margin, CPU)
        return (along / semi_along) ** 2 + (across / semi_across) ** 2 < 1

    order = list(scene.parts)
    mask = inside(part, -2.5)
    for later in order[order.index(part) + 1 :]:
        mask &= ~inside(later, 2.0)
    assert mask.sum((1, 2)).min() >= 10  # or there is nothing to measure
    return mask


# -- One image, one function of (seed, split, index) -------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_one_batch():
    with threads(2):  # workers and other processes below have one
        return draw_birds(ODD, 0, "train", range(24))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 23), min_size=1, max_size=12))
def test_an_image_is_the_same_in_any_batch_and_order(in_one_batch, indices):
    with threads(2):
        drawn = draw_birds(ODD, 0, "train", indices)
    for some, everything in zip(drawn, in_one_batch, strict=True):
        assert torch.equal(some, everything[indices])


def test_an_image_is_the_same_whatever_the_number_of_threads():
    for size in [97, 144]:
        drawn = []
        for count in (1, 2, 3):
            with threads(count):
                drawn.append(draw_birds(replace(HARD, image_size=size), 0, "test", range(12)).images)
        assert (drawn[0] != drawn[1]).sum() == 0
        assert (drawn[0] != drawn[2]).sum() == 0


@pytest.mark.parametrize("style", [ODD, replace(EASY, image_size=300, bird_size=(0.05, 0.07))], ids=["large", "small"])
def test_an_image_is_the_same_whatever_the_bands_it_is_painted_in(style, monkeypatch):
    drawn = []
    for pixels in (1, 7 * 3 * style.image_size, 2**40):  # a row at a time, seven rows, all
        monkeypatch.setattr("tasnlib.data.drawing.BAND", pixels)
        drawn.append(draw_birds(style, 0, "train", range(3)).images)
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], drawn[2])


class DrawnWhenAsked(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        return draw_birds(ODD, 0, "train", [index]).images[0]


def test_an_image_is_the_same_in_the_workers_of_a_data_loader(in_one_batch):
    loader = DataLoader(DrawnWhenAsked(), batch_size=5, num_workers=2)
    assert (torch.cat(list(loader)) != in_one_batch.images).sum() == 0


def test_a_data_loader_hands_out_whole_batches_that_know_which_images_they_are(in_one_batch):
    order = [5, 0, 23, 7, 7, 2]
    data = Birds(in_one_batch, ODD)
    loader = DataLoader(data, batch_size=4, sampler=order, num_workers=2, collate_fn=lambda batch: batch)
    batches = list(loader)
    assert [batch.indices.tolist() for batch in batches] == [order[:4], order[4:]]
    assert torch.equal(torch.cat([batch.images for batch in batches]), in_one_batch.images[order])
    assert torch.equal(torch.cat([batch.labels for batch in batches]), in_one_batch.labels[order])


def test_an_image_is_the_same_in_another_process(in_one_batch):
    program = """
import dataclasses, hashlib, torch
from tasnlib.data.birds import HARD, draw_birds
drawn = draw_birds(dataclasses.replace(HARD, image_size=97), 0, "train", range(23, -1, -1))
print(*(hashlib.sha256(part.flip(0).numpy().tobytes()).hexdigest() for part in drawn), torch.get_num_threads())
"""
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "77"}
    printed = subprocess.run([sys.executable, "-c", program], env=alone, capture_output=True, text=True, check=True)
    here = [hashlib.sha256(part.numpy().tobytes()).hexdigest() for part in in_one_batch]
    assert printed.stdout.split() == [*here, "1"]


def test_another_seed_split_or_index_is_another_image(in_one_batch):
    first = in_one_batch.images[0]
    others = [draw_birds(ODD, 1, "train", [0]), draw_birds(ODD, 0, "val", [0]), draw_birds(ODD, 0, "test", [0])]
    for other in (*(drawn.images[0] for drawn in others), *in_one_batch.images[1:]):
        assert (other != first).float().mean() > 0.9


def test_the_random_state_of_torch_and_numpy_is_neither_used_nor_changed(in_one_batch):
    torch.manual_seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with threads(2):
        assert torch.equal(draw_birds(ODD, 0, "train", [3]).images[0], in_one_batch.images[3])
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_the_same_pixels_to_one_level_of_255(style=HARD):  # noqa: PT028
    on_cpu, on_gpu = (draw_birds(style, 0, "train", range(8), device) for device in ("cpu", "cuda"))
    assert {part.device.type for part in on_gpu} == {"cuda"}
    assert torch.equal(on_gpu.labels.cpu(), on_cpu.labels)
    assert torch.equal(on_gpu.boxes.cpu(), on_cpu.boxes)
    unlike = (on_gpu.images.cpu().int() - on_cpu.images.int()).abs()
    assert unlike.max() <= 1
    assert (unlike > 0).float().mean() < 0.01


def test_noise_is_uniform_and_a_function_of_the_image_alone():
    keys = np.array([2**63 + 5, 1, 2**40], np.uint64)
    centres = pixel_centres(64, CPU)
    noise = pixel_noise(keys, *centres)
    assert torch.equal(pixel_noise(keys[1:2], *centres)[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    assert noise.min() >= -1
    assert noise.max() <= 1
    for colour in noise.transpose(0, 1).flatten(1):
        assert abs(colour.mean()) < 5 * (1 / 3 / colour.numel()) ** 0.5
        assert abs(colour.var() - 1 / 3) < 0.015
    assert torch.corrcoef(noise.transpose(0, 1).flatten(1)).fill_diagonal_(0).abs().max() < 0.05


# -- Labels and boxes --------------------------------------------------------------------------------------------------


def test_labels_and_boxes_are_these_on_every_machine():
    easy, hard = draw_birds(EASY, 0, "train", [0, 17]), draw_birds(HARD, 3, "test", [127])
    assert easy.labels.tolist() == [0, 1]
    assert hard.labels.tolist() == [63]
    golden = [
        [
            [29.9069, 68.4122, 46.0954, 82.9490],
            [48.4434, 73.3308, 72.5794, 86.4427],
            [24.1003, 68.4122, 91.4185, 95.1991],
        ],
        [
            [42.2705, 66.3746, 61.5144, 83.2942],
            [62.1529, 78.4702, 90.4259, 94.1902],
            [34.6887, 66.3746, 111.8623, 100.6950],
        ],
    ]
    assert torch.allclose(easy.boxes, torch.tensor(golden), rtol=0, atol=1e-3)
    golden = [
        *([100.7270, 9.3929, 119.2376, 26.1686], [77.6558, 25.2930, 102.5377, 44.6713]),  # head, wing
        *([57.9830, 39.2910, 81.5271, 52.1412], [98.7673, 30.5529, 115.2928, 43.2226]),  # tail, breast
        [57.9830, 9.3929, 126.4701, 52.1412],
    ]
    assert torch.allclose(hard.boxes[0], torch.tensor(golden), rtol=0, atol=1e-3)


def test_labels_are_balanced_and_cover_all_classes():
    for style in [EASY, HARD, BirdsConfig(head_colours=1, wing_colours=3, striped_parts=("tail",))]:
        whole = compose(style, 0, "val", np.arange(3 * style.classes)).labels
        assert np.bincount(whole).tolist() == [3] * style.classes
        cut_short = np.bincount(compose(style, 0, "val", np.arange(100)).labels, minlength=style.classes)
        assert cut_short.max() - cut_short.min() <= 1


def test_the_styles_have_as_many_classes_and_boxes_as_they_say():
    assert (EASY.classes, EASY.parts) == (16, ("head", "wing", "bird"))
    assert (HARD.classes, HARD.parts) == (64, ("head", "wing", "tail", "breast", "bird"))
    for style in (EASY, HARD):
        assert len(set(style.class_names)) == len(style.class_names) == style.classes == style.genera * style.species
        assert draw_birds(style, 0, "val", [1]).boxes.shape == (1, len(style.parts), 4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(32, 200), st.floats(0.05, 0.6), st.floats(0.05, 0.6), st.integers(0, 2**31), st.sampled_from(STRIPABLE)
)
def test_boxes_lie_inside_the_image_and_the_bird_holds_its_parts(size, low, high, seed, part):
    parts = (part, *(name for name in STRIPABLE if name != part))
    style = BirdsConfig(image_size=size, bird_size=(min(low, high), max(low, high)), striped_parts=parts)
    boxes = compose(style, seed, "test", np.arange(40)).boxes
    bird = boxes[:, -1:]
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    assert (bird[..., :2] >= 1 - 1e-9).all()
    assert (bird[..., 2:] <= size - 1 + 1e-9).all()
    assert (boxes[..., :2] >= bird[..., :2] - 1e-9).all()
    assert (boxes[..., 2:] <= bird[..., 2:] + 1e-9).all()


@pytest.mark.parametrize(("style", "part"), STRIPED)
def test_a_parts_box_is_the_box_of_its_pixels(style, part):
    style = clean(style)
    boxes = scene_of(style).boxes[:, style.parts.index(part)]
    whole = striped_pixels(style, part, upto=part)  # nothing painted over it
    assert_boxes_fit(boxes, whole)
    seen = striped_pixels(style, part)
    assert not bool((seen & ~whole).any())
    # Eye and beak cover a little of the head, body and wing a little of tail and breast, never the most of anything.
    assert (seen.sum((1, 2)) / whole.sum((1, 2))).min() > 0.75


def test_the_birds_box_is_the_box_of_all_its_parts_without_legs():
    for style in [EASY, HARD]:
        style = clean(style)
        painted = differ(
            pixels_of(style, lambda _: {"legs": []}), pixels_of(style, lambda _: {"legs": [], "parts": {}})
        )
        assert_boxes_fit(scene_of(style).boxes[:, -1], painted)


def test_drawn_boxes_and_labels_are_those_of_the_scene():
    drawn, scene = draw_birds(HARD, 0, "train", range(12)), scene_of(HARD)
    assert torch.equal(drawn.boxes, torch.from_numpy(scene.boxes).float())
    assert drawn.labels.tolist() == scene.labels.tolist()


# -- Stripes and colours: what tells the classes apart -----------------------------------------------------------------


@pytest.mark.parametrize(("style", "part"), STRIPED)
def test_the_direction_in_a_class_name_is_the_direction_that_was_drawn(style, part):
    style, count = clean(style), 2 * style.classes
    scene = scene_of(style, count)
    drawn = draw_birds(style, 0, "train", range(count))
    slope_y, slope_x = torch.gradient(drawn.images.float().mean(1), dim=(1, 2))
    shape, mask = scene.parts[part], interior(scene, part)

    def energy(axis: np.ndarray) -> torch.Tensor:
        return ((slope_x * column(axis[:, 0], CPU) + slope_y * column(axis[:, 1], CPU)) ** 2 * mask).sum((1, 2))

    # Stripes that run along the part change across it.
    measured = ["along" if changes else "across" for changes in energy(shape.across) > 10 * energy(shape.along)]
    clear = torch.maximum(energy(shape.across) / energy(shape.along), energy(shape.along) / energy(shape.across))
    assert clear.min() > 10
    named = [re.search(rf"{part} (\w+)", style.class_names[label]).group(1) for label in drawn.labels]
    assert measured == named


def test_along_is_the_direction_of_a_parts_longest_extent():
    for part in ["tail", "wing"]:
        style = clean(HARD)
        shape = scene_of(style).parts[part]
        for number, one in enumerate(striped_pixels(style, part, upto=part)):
            y, x = torch.where(one)
            longest = torch.linalg.eigh(torch.cov(torch.stack([x, y]).double())).eigenvectors[:, -1].numpy()
            assert abs(longest @ shape.along[number]) > np.cos(np.radians(5))
            assert abs(longest @ shape.across[number]) < np.sin(np.radians(5))


@pytest.mark.parametrize(("style", "part"), STRIPED)
def test_proper_downsampling_erases_stripes_and_aliased_downsampling_does_not(style, part):
    style = clean(style)
    striped, opposite = pixels_of(style, count=24), pixels_of(style, turned(part, 0.5), count=24)
    mask = interior(scene_of(style, 24), part)
    small_mask = torch.nn.functional.avg_pool2d(mask.float(), 3) > 0.99
    assert small_mask.sum() >= 12

    def unlike(first, second, where) -> float:
        return (first - second).mean(1)[where].square().mean().sqrt().item()

    assert unlike(striped, opposite, mask) > 60  # levels of 255
    assert unlike(downsample(striped, 48), downsample(opposite, 48), small_mask) < 8
    assert unlike(downsample(striped, 48, antialias=False), downsample(opposite, 48, antialias=False), small_mask) > 40


@pytest.mark.parametrize(("style", "part"), STRIPED)
def test_a_parts_mean_colour_is_the_same_along_and_across(style, part):
    style, count = clean(style), 32
    other_way = pixels_of(style, lambda scene: {"across": {**scene.across, part: ~scene.across[part]}}, count)
    mask = striped_pixels(style, part, count=count)
    difference = (other_way - pixels_of(style, count=count)) * mask[:, None]
    difference *= column(np.where(scene_of(style, count).across[part], -1.0, 1.0), CPU)[:, None]  # across minus along
    means = difference.sum((2, 3)) / mask.sum((1, 2))[:, None]  # (images, 3)
    assert difference.abs().max() > 60
    assert means.abs().max() < 8  # one image: cut stripes at the edge do not quite cancel
    assert means.mean(0).abs().max() < 1  # many images: nothing is left


def test_phases_are_random():
    for phase in scene_of(HARD, 400).phases.values():
        assert abs(np.exp(2j * np.pi * phase).mean()) < 0.2
        assert abs(np.exp(4j * np.pi * phase).mean()) < 0.2


def test_nothing_but_the_striped_parts_tells_the_class():
    for style in [EASY, HARD]:
        style = clean(style)

        def other_class(scene: Scene, style=style) -> dict:
            across = {part: ~value for part, value in scene.across.items()}
            return {"labels": style.classes - 1 - scene.labels, "across": across}

        changed = differ(pixels_of(style), pixels_of(style, other_class))
        on_parts = torch.stack([striped_pixels(style, part, upto=part) for part in style.striped_parts]).any(0)
        # Colours differ by more than stripes do, so they show in thinner slivers of a pixel.
        on_parts = torch.nn.functional.max_pool2d(on_parts.float(), 3, stride=1, padding=1) > 0
        assert bool(changed.any())
        assert not bool((changed & ~on_parts).any())


def test_place_size_and_pose_do_not_depend_on_the_class():
    for split in ["train"]:
        indices = np.arange(64 * 40)
        boxes = compose(HARD, 0, split, indices).boxes.reshape(len(indices), -1)
        by_class = boxes.reshape(40, 64, -1)
        # One-way analysis of variance: F is near 1 where classes differ by no more than chance.
        between, within = 40 * by_class.mean(0).var(0, ddof=1), by_class.var(0, ddof=1).mean(0)
        assert (between / within).max() < 1.9


def test_the_colours_in_a_class_name_are_the_colours_that_were_drawn():
    for part, colours, names, which in [
        ("head", HEAD_COLOURS, HEAD_COLOUR_NAMES, 0),
        ("wing", WING_COLOURS, WING_COLOUR_NAMES, 1),
    ]:
        style = clean(replace(EASY, head_colours=4, wing_colours=4))
        count = style.classes
        drawn, mask = draw_birds(style, 0, "train", range(count)), interior(scene_of(style, count), part)
        means = (drawn.images.double() * mask[:, None]).sum((2, 3)) / mask.sum((1, 2))[:, None]
        palette = torch.tensor(np.vstack([colours, BODY_COLOUR]))
        # Light makes a colour brighter or darker: compare directions.
        nearest = torch.cosine_similarity(means[:, None], palette[None], dim=2).argmax(1)
        found = [(*names, "body")[number] for number in nearest]
        assert found == [style.class_names[label].split(",")[0].split("-")[which] for label in drawn.labels]


def test_grass_stands_in_front_of_the_bird():
    bare, grassy = pixels_of(clean(EASY)) + 1, pixels_of(replace(EASY, noise=0.0)) + 1
    ratio = grassy / bare
    light = ratio.flatten(2).median(2).values[..., None, None]  # drawn after the grass, so it is another light
    blades = ((ratio / light - 1).abs() > 0.1).any(1)
    assert 0.01 < blades.float().mean() < 0.2
    birds = differ(pixels_of(clean(EASY)), pixels_of(clean(EASY), lambda _: {"parts": {}}))
    assert (blades & birds).sum() > 100


def test_clutter_fills_the_asked_for_share_of_the_background():
    def background(clutter: float) -> torch.Tensor:
        return pixels_of(replace(clean(EASY), clutter=clutter), lambda _: {"parts": {}, "legs": []}, count=24)

    bare = background(0.0)
    some, all_of_it = (differ(bare, background(clutter)).float().mean() for clutter in (0.4, 1.0))
    assert all_of_it > 0.2
    assert 0.35 < some / all_of_it < 0.45
    slopes = torch.gradient(bare, dim=(2, 3))
    assert max(slope.abs().max() for slope in slopes) < 4  # levels a pixel: without clutter the ground is smooth


def test_the_noise_is_as_strong_as_asked_for():
    unlike = (pixels_of(replace(EASY, noise=0.06)) - pixels_of(replace(EASY, noise=0.0))) / 255
    assert 0.055 < unlike.abs().max() < 0.064
    assert abs(unlike.std() - 0.06 / 3**0.5) < 0.003


# -- Bad arguments -----------------------------------------------------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")
BAD = {
    "image_size": (31, 0, 144.0, "144", None, True),
    "stripe_period": (2, -3.5, NAN, INFINITY, "3.5"),
    "head_colours": (0, 5, 2.0),
    "striped_parts": ((), ("head", "head"), ("beak",), ("body",), "head", (1,), ["head"]),
    "bird_size": ((0.5, 0.4), (0.0, 0.3), (0.3, 0.7), (NAN, 0.4), (0.3,), 0.3, (0.3, 0.35, 0.4)),
    "clutter": (-0.1, 1.1, NAN, "0.5"),
    "grass": (-1, 101, 2.5),
    "noise": (-0.01, 0.51, NAN),
    "clutte": (0.5,),
}


def test_a_bad_value_in_a_config_is_named():
    for name in BAD:
        for value in BAD[name]:
            with pytest.raises((ValueError, TypeError), match=name):
                BirdsConfig(**{name: value})
            with pytest.raises((ValueError, TypeError), match=name):
                replace(EASY, **{name: value})


def test_a_config_does_not_change():
    with pytest.raises(AttributeError):
        EASY.grass = 0


def test_a_bad_argument_to_draw_birds_is_named():
    for name, values in [
        ("split", ("Train", "", "validation")),
        ("seed", (-1, 2**64)),
        ("indices", ([], [-1], [0, -3], [2**70])),
    ]:
        for value in values:
            with pytest.raises(ValueError, match=name):
                draw_birds(**{"config": SMALL, "seed": 0, "split": "train", "indices": [0], name: value})
        with pytest.raises(TypeError):
            draw_birds(SMALL, 0, "train", [0.5])


# -- Keeping them ------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_drawing(monkeypatch):
    """Call it, and from then on nothing can be drawn."""

    def refuse(*_, **__):
        raise AssertionError("drew, where it should have read")

    return lambda: monkeypatch.setattr(birds_module, "draw_birds", refuse)


def load(folder, count: int = 20, split: str = "train", **changes) -> Birds:
    config = replace(SMALL, **{name: changes.pop(name) for name in tuple(changes) if hasattr(SMALL, name)})
    return Birds.load(config, split, count, folder=folder, **{"progress": False, **changes})


def assert_same_birds(first: Birds, second: Birds) -> None:
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.labels, second.labels)
    assert torch.equal(first.boxes, second.boxes)
    assert first.class_names == second.class_names


def test_loaded_birds_are_the_drawn_ones():
    birds, drawn = load(None), draw_birds(SMALL, 0, "train", range(20))
    assert len(birds) == 20
    assert torch.equal(birds.images, drawn.images)
    assert torch.equal(birds.labels, drawn.labels)
    assert torch.equal(birds.boxes, drawn.boxes)
    assert torch.equal(birds[3].images, drawn.images[3:4])
    assert birds[3].indices.tolist() == [3]


def test_a_second_load_reads_what_the_first_one_drew(tmp_path, no_drawing):
    first = load(tmp_path / "new" / "folder")
    no_drawing()
    assert_same_birds(load(tmp_path / "new" / "folder"), first)
    assert [path.suffix for path in (tmp_path / "new" / "folder").iterdir()] == [".safetensors"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"split": "test"}, {"grass": 4}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_the_pixels_decides_the_name_of_the_stored_file(tmp_path, no_drawing, change):
    load(tmp_path)
    other = load(tmp_path, **change)
    assert_same_birds(other, load(None, **change))
    assert len(list(tmp_path.iterdir())) == 2
    no_drawing()
    assert_same_birds(load(tmp_path, **change), other)


def test_a_truncated_file_is_drawn_again(tmp_path, no_drawing, capsys):
    whole = load(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert_same_birds(load(tmp_path), whole)
    assert path.name in capsys.readouterr().out
    no_drawing()
    assert_same_birds(load(tmp_path), whole)


def test_birds_are_there_even_where_they_cannot_be_kept(tmp_path, monkeypatch, capsys):
    def refuse(source, target):
        assert list(tmp_path.iterdir()) == [source] != [target]  # it takes its name last
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    assert_same_birds(load(tmp_path), load(None))
    assert list(tmp_path.iterdir()) == []
    assert "Permission denied" in capsys.readouterr().out


def test_birds_are_there_even_where_the_disk_is_full(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # no file may grow beyond: writing fails
    try:
        birds = load(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_same_birds(birds, load(None))
    assert list(tmp_path.iterdir()) == []


def test_birds_are_there_even_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    assert_same_birds(load(tmp_path / "file" / "folder"), load(None))


def test_progress_goes_to_stdout_and_only_where_it_is_wanted(tmp_path, capsys):
    load(tmp_path, progress=True)
    shown = capsys.readouterr()
    assert "drawing train birds" in shown.out
    assert "20/20" in shown.out
    assert shown.err == ""
    load(None, progress=False)
    load(tmp_path, progress=True)  # only read
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


def test_a_count_below_one_is_rejected():
    with pytest.raises(ValueError, match="count"):
        load(None, count=0)


def test_what_is_kept_was_drawn_on_the_cpu_whatever_the_device(tmp_path, monkeypatch):
    """A GPU's pixels may differ by a level, and would be read on a CPU later."""
    devices = []

    def spy(config, seed, split, indices, device="cpu"):
        devices.append(torch.device(device).type)
        return draw_birds(config, seed, split, indices, device)

    monkeypatch.setattr(birds_module, "draw_birds", spy)
    birds = load(tmp_path, device="meta")  # stands for a GPU: every machine has it
    assert set(devices) == {"cpu"}
    assert {birds.images.device.type, birds.labels.device.type, birds.boxes.device.type} == {"meta"}
    assert_same_birds(load(tmp_path), load(None))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_birds_on_a_gpu_are_those_of_the_cpu(tmp_path):
    on_gpu = load(tmp_path, device="cuda")
    assert on_gpu.images.device.type == "cuda"
    assert torch.equal(on_gpu.images.cpu(), load(None).images)
    assert torch.equal(load(tmp_path, device="cuda").images, on_gpu.images)


@pytest.mark.parametrize(
    ("style", "expected"),
    [(EASY, "11cc41476ebd5f8b"), (HARD, "76870f10d0619e53")],
    ids=["easy", "hard"],
)
def test_the_pixels_are_the_same_to_the_last_bit_on_every_cpu(style, expected):
    """Drawing uses only operations whose last bit IEEE 754 fixes. Where this fails after a change that is meant to
    change the pixels, raise DRAWING_VERSION, so that no cache of earlier birds is taken for the new ones."""
    pixels = draw_birds(style, 0, "test", range(8)).images
    assert hashlib.sha256(pixels.numpy().tobytes()).hexdigest()[:16] == expected
