"""Whatever is given to a public function, it answers rightly or refuses by name: never NaN, a hang, torch's own words.

For a new function, add a `Function` to the list: how it is called, arguments that it takes, and bad values for each.
"""

import tempfile
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from tasnlib import attention, backbones, checkpoints, distillation, evaluation, localization, model, prediction
from tasnlib import sampler as sampling
from tasnlib.authors_sampler import authors_sample
from tasnlib.building import build_model, build_tasn
from tasnlib.data import birds, folder, image_file, images, transforms
from tasnlib.devices import make_accelerator
from tasnlib.recipes import RECIPES, Recipe, scaled_learning_rate
from tasnlib.schedule import build_optimizer, learning_rate_at
from tasnlib.settings import Settings
from tests.bad_inputs import (
    HUGE,
    NAN,
    Function,
    assert_refused_by_name,
    but,
    choice,
    flag,
    float_tensor,
    module,
    number,
    other,
    path,
    refusal_of,
    sides,
    whole,
    whole_tensor,
    without_none,
)

pytestmark = pytest.mark.usefixtures("as_a_user")


def drawn(*shape: int) -> torch.Tensor:
    """Numbers in [0, 1), the same every time."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


# -- What good arguments are made of -----------------------------------------------------------------------------------

SMOKE = replace(RECIPES["smoke"], image_size=32, attention_size=16, out_size=16)
TINY = birds.BirdsConfig(image_size=32)
NAMES = ["wren", "robin", "lark"]
BOXES = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 8.0, 8.0]], [[1.0, 1.0, 3.0, 5.0], [0.0, 4.0, 8.0, 8.0]]])
WRONG_BOXES = {"three numbers": BOXES[..., :3], "other images": BOXES[:1], "turned round": BOXES[..., [2, 3, 0, 1]]}


@cache
def tiny_birds() -> birds.Birds:
    return birds.Birds.load(TINY, "test", count=6, progress=False)


@cache
def tiny_tasn() -> model.TASN:
    return build_tasn(SMOKE, 16).eval()


@cache
def on_disk() -> Path:
    """Images in folders by class, a saved model and a saved state of training."""
    home = Path(tempfile.mkdtemp())
    for kind in NAMES[:2]:
        (home / "images" / kind).mkdir(parents=True)
        for shade in range(4):
            Image.new("RGB", (40, 30), (60 * shade, 90, 30)).save(home / "images" / kind / f"{shade}.png")
    checkpoints.save_weights(home / "tasn.safetensors", build_tasn(SMOKE, 3), "tasn", SMOKE, NAMES)
    plain = build_model("downsampled", SMOKE, 3)
    progress = {"identity": {}, "history": []}
    checkpoints.save_training_state(home / "state", plain, build_optimizer(plain, SMOKE), progress)
    (home / "text.txt").write_text("no model, no image, no folder")
    return home


def photographs() -> images.ImageFiles:
    return folder.load_folder(on_disk() / "images", "train", 24)


def picture() -> Image.Image:
    return Image.new("RGB", (40, 30), "brown")


BAD_PICTURES = other("no/such/image.png", np.zeros((4, 4, 3), np.uint8))


# -- The functions, in the order of an image's way ---------------------------------------------------------------------

FEATURES = float_tensor(drawn(2, 4, 3, 3))
SCALE = number(0, -1, 1e39, HUGE * 10**30)
OF_ATTENTION = {"features": FEATURES, "scale": SCALE}
CHANNEL = without_none(whole_tensor(torch.tensor([1, 2]), 0, 3))
DILATIONS = but(other((0,), (-1,), (1.5,), ("1",), (True,), ()), "list")

ATTENTION_FUNCTIONS = [
    *(
        Function(f.__name__, f, lambda: {"features": drawn(2, 4, 3, 3), "scale": 7.0}, OF_ATTENTION)
        for f in (attention.bilinear_attention, attention.trilinear_attention)
    ),
    Function(
        "pooled_attention",
        attention.pooled_attention,
        lambda: {"features": drawn(2, 4, 3, 3), "scale": 7.0, "channel": torch.tensor([1, 2]), "generator": None,
                 "distinct": False},
        OF_ATTENTION | {"channel": CHANNEL, "distinct": flag()},
    ),
    Function(
        "pooled_attention drawing",
        partial(attention.pooled_attention, drawn(2, 4, 3, 3)),
        lambda: {"generator": torch.Generator()},
        {"generator": without_none(other())},
    ),
    Function(
        "MultiDilation",
        attention.MultiDilation,
        lambda: {"channels": 4, "dilations": (1, 2)},
        {"channels": whole(0, -1), "dilations": DILATIONS},
    ),
    Function(
        "MultiDilation.forward",
        lambda features: attention.MultiDilation(4, (1,))(features),
        lambda: {"features": drawn(2, 4, 3, 3)},
        {"features": float_tensor(drawn(2, 4, 3, 3), finite=False) | {"other channels": drawn(2, 5, 3, 3)}},
    ),
    Function(
        "AttentionNet",
        attention.AttentionNet,
        lambda: {"trunk": nn.Conv2d(3, 4, 3), "channels": 4, "classes": 5, "dilations": ((1, 2),), "norm_bias": 0.0 },
        {
            "trunk": module(),
            "channels": whole(0, -1),
            "classes": whole(0, -1),
            "dilations": but(other((1, 2), ((0,),), ((),)), "numpy", "tensor"),
            "norm_bias": number(),
        },
    ),
]  # fmt: skip

MAPS, BATCH = drawn(2, 3, 5), drawn(2, 3, 8, 8)
MAX_ZOOM = number(0, 0.99, -4)
OF_MAPS = {"attention": float_tensor(MAPS, negative=False), "image_size": sides(), "max_zoom": MAX_ZOOM}
OF_POSITIONS = OF_MAPS | {"out_size": sides()}
OF_BATCH = float_tensor(BATCH) | {"other number": BATCH[:1]}

SAMPLER_FUNCTIONS = [
    Function(
        "zoom_profiles",
        sampling.zoom_profiles,
        lambda: {"attention": MAPS, "image_size": 8, "max_zoom": 4.0},
        OF_MAPS,
    ),
    Function(
        "sampling_positions",
        sampling.sampling_positions,
        lambda: {"attention": MAPS, "image_size": (8, 9), "out_size": 6, "max_zoom": 4.0},
        OF_POSITIONS,
    ),
    Function(
        "sampling_matrices",
        sampling.sampling_matrices,
        lambda: {"attention": MAPS, "image_size": (8, 9), "out_size": 6, "max_zoom": 4.0, "antialias": True},
        OF_POSITIONS | {"antialias": flag()},
    ),
    *(
        Function(
            f"attention_sample{', antialias' * antialias}",
            sampling.attention_sample,
            partial(dict, images=BATCH, attention=MAPS, out_size=6, max_zoom=4.0, antialias=antialias),
            {"images": OF_BATCH, "attention": OF_MAPS["attention"] | {"other number": MAPS[:1]}, "out_size": sides(),
             "max_zoom": MAX_ZOOM, "antialias": flag()},
        )
        for antialias in (False, True)
    ),
    Function(
        "authors_sample",
        authors_sample,
        lambda: {"images": BATCH, "attention": MAPS, "out_size": 6, "max_zoom": 4.0, "deviations": ("corners",)},
        {"images": OF_BATCH, "attention": OF_MAPS["attention"], "out_size": sides(), "max_zoom": MAX_ZOOM,
         "deviations": other(("corner",), "corners", (1,))},
    ),
]  # fmt: skip

LOGITS = drawn(3, 4)
BAD_LOGITS = float_tensor(LOGITS) | {"other classes": drawn(3, 5), "other images": drawn(2, 4)}
LABELS = whole_tensor(torch.tensor([0, 1, 3]), 0, 3)
TEMPERATURE = number(0, -1, 1e-42, 1e-300)

DISTILLATION_FUNCTIONS = [
    Function(
        "soft_target_cross_entropy",
        distillation.soft_target_cross_entropy,
        lambda: {"student_logits": LOGITS, "teacher_logits": LOGITS, "temperature": 10.0, "teacher_gradient": False},
        # A teacher may rule a class out: its logit is -infinite.
        {"student_logits": BAD_LOGITS, "teacher_logits": but(BAD_LOGITS, "-infinite"), "temperature": TEMPERATURE,
         "teacher_gradient": flag()},
    ),
    Function(
        "tasn_loss",
        distillation.tasn_loss,
        lambda: {"logits": {"master": LOGITS, "part": LOGITS}, "labels": torch.tensor([0, 1, 3]), "weights": None,
                 "distillation_weight": 2.0, "temperature": 10.0, "teacher_gradient": False},
        {
            "logits": other({}, (), {1: LOGITS}, [LOGITS])
            | {f"part {label}": {"master": LOGITS, "part": bad}
               for label, bad in but(BAD_LOGITS, "-infinite").items()},
            "labels": LABELS,
            "weights": {f"part {label}": {"part": value} for label, value in number(-1).items()}
            | but(other({"detail": 1.0}), "None"),
            "distillation_weight": number(-1),
            "temperature": TEMPERATURE,
            "teacher_gradient": flag(),
        },
    ),
]  # fmt: skip

IMAGES = drawn(2, 3, 20, 24)
BAD_IMAGES = float_tensor(IMAGES) | {"pixels of 8 bits": IMAGES.byte(), "grey": IMAGES[:, :1]}
SIDE = whole(0, -1) | {"two": (4, 4)}
TINY_CHANNEL = without_none(whole_tensor(torch.tensor([1, 2]), 0, 31))


def tasn_parts() -> dict:
    net = attention.AttentionNet(nn.Conv2d(3, 4, 3, stride=2), 4, 5, dilations=())
    backbone = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return {"attention_net": net, "backbone": backbone, "classifier": nn.Linear(6, 5), "attention_size": 16,
            "out_size": 16, "scale": 7.0, "structure_power": 2.0, "max_zoom": 4.0, "antialias": False,
            "own_classifiers": None, "distinct_channels": False, "test_detail": "channel"}  # fmt: skip


MODEL_FUNCTIONS = [
    Function(
        "downsample",
        model.downsample,
        lambda: {"images": IMAGES, "size": 8, "antialias": True},
        {"images": but(BAD_IMAGES, "grey"), "size": SIDE, "antialias": flag()},
    ),
    Function(
        "TASN",
        model.TASN,
        tasn_parts,
        {
            "attention_net": module() | {"a layer": nn.Linear(2, 2)},
            **{"backbone": module(), "classifier": module(), "attention_size": SIDE, "out_size": SIDE},
            "scale": number(0, -1),
            "structure_power": number(0, -1),
            "max_zoom": MAX_ZOOM,
            **{"antialias": flag(), "distinct_channels": flag(), "test_detail": choice("channels")},
            "own_classifiers": without_none(other((None, None), (nn.Linear(6, 5),))),
        },
    ),
    Function(
        "TASN.forward",
        lambda images, channel: tiny_tasn()(images, channel),
        lambda: {"images": IMAGES, "channel": torch.tensor([1, 2])},
        {"images": BAD_IMAGES, "channel": TINY_CHANNEL},
    ),
    Function(
        "TASN.predict",
        lambda images: tiny_tasn().predict(images),
        lambda: {"images": IMAGES},
        {"images": BAD_IMAGES},
    ),
    Function(
        "PlainClassifier",
        model.PlainClassifier,
        lambda: {name: tasn_parts()[name] for name in ("backbone", "classifier", "antialias")} | {"size": 16},
        {"backbone": module(), "classifier": module(), "size": SIDE, "antialias": flag()},
    ),
    Function(
        "PlainClassifier.forward",
        lambda images: build_model("downsampled", SMOKE, 3).eval()(images),
        lambda: {"images": IMAGES},
        {"images": BAD_IMAGES},
    ),
]

OF_BOXES = float_tensor(BOXES, finite=False) | WRONG_BOXES
OF_HEAT = float_tensor(MAPS, negative=False)
PLACES = float_tensor(drawn(2, 6)) | {"other images": drawn(1, 6)}

LOCALIZATION_FUNCTIONS = [
    Function(
        "boxes_around",
        localization.boxes_around,
        lambda: {"points": drawn(2, 3, 2), "side": 4},
        {"points": float_tensor(drawn(2, 3, 2), finite=False) | {"of 3": drawn(2, 3, 3)}, "side": number(0, -4)},
    ),
    Function(
        "area_share",
        localization.area_share,
        lambda: {"boxes": BOXES, "image_size": 8},
        {"boxes": but(OF_BOXES, "other images"), "image_size": sides()},
        nan_is_meant=True,
    ),
    *(
        Function(
            measure.__name__,
            measure,
            lambda: {"attention": MAPS, "boxes": BOXES, "image_size": 8},
            {"attention": OF_HEAT, "boxes": OF_BOXES, "image_size": sides()},
            nan_is_meant=True,
        )
        for measure in (localization.attention_mass, localization.pointing_game)
    ),
    Function(
        "magnification",
        localization.magnification,
        lambda: {"x": 8 * drawn(2, 6), "y": 8 * drawn(2, 6), "boxes": BOXES, "image_size": 8},
        {"x": PLACES, "y": PLACES, "boxes": OF_BOXES, "image_size": sides()},
        nan_is_meant=True,
    ),
    Function(
        "coverage",
        localization.coverage,
        lambda: {"magnifications": 4 * drawn(3, 2, 2), "at_least": 2.0},
        {"magnifications": float_tensor(drawn(3, 2, 2), finite=False) | {"all unseen": drawn(3, 2, 2) * NAN},
         "at_least": number(0, -1)},
    ),
    Function(
        "diversity",
        localization.diversity,
        lambda: {"maps": drawn(2, 4, 3, 3)},
        {"maps": float_tensor(drawn(2, 4, 3, 3), negative=False) | {"one channel": drawn(2, 1, 3, 3)}},
    ),
    Function(
        "uniform_attention",
        localization.uniform_attention,
        lambda: {"like": MAPS},
        {"like": float_tensor(MAPS, finite=False)},
    ),
    Function(
        "random_attention",
        localization.random_attention,
        lambda: {"like": MAPS, "seed": 0},
        {"like": float_tensor(MAPS), "seed": whole(-1, 2**64, huge=False)},
    ),
]  # fmt: skip

SEED = whole(-1, 2**63, huge=False)

BIRD_FUNCTIONS = [
    Function(
        "BirdsConfig",
        birds.BirdsConfig,
        lambda: asdict(birds.EASY),
        {
            **{"image_size": whole(0, -1, 31), "stripe_period": number(2, 0, -3)},
            **{name: whole(0, 5) for name in ("head_colours", "wing_colours")},
            "striped_parts": other((), ("beak",), ("head", "head"), ["head"], "head", ([],), (None,)),
            "bird_size": other((0.4, 0.3), (0.0, 0.3), (0.3, 0.7), (0.3,), (NAN, NAN), ("a", "b"), [0.3, 0.4]),
            **{name: number(-0.1, 1.1) for name in ("clutter", "decoys")},
            **{"grass": whole(-1, 101), "noise": number(-0.1, 0.6)},
        },
    ),
    Function(
        "draw_birds",
        birds.draw_birds,
        lambda: {"config": TINY, "seed": 0, "split": "train", "indices": [0, 5], "device": "cpu"},
        {
            "config": other({"image_size": 32}, birds.BirdsConfig),
            "seed": SEED,
            "split": choice("trian"),
            "indices": but(other([], [-1], [0.5], [True], ["a"], [NAN], [[0, 1], [2]], [[0, 1], [2, 3]], [None],
                                 [2**70]), "list"),
            "device": choice("cpuu"),
        },
    ),
    Function(
        "Birds.load",
        partial(birds.Birds.load, progress=False),
        lambda: {"config": TINY, "split": "test", "count": 2, "seed": 0, "folder": None, "device": "cpu"},
        {"config": other(), "split": choice("tets"), "count": whole(0, -3), "seed": SEED,
         "folder": but(path(), "None", "nowhere", "too long"), "device": choice("cpuu")},
        touches_files=True,
    ),
    Function(
        "Birds[index]",
        lambda index: tiny_birds()[index],
        lambda: {"index": 3},
        {"index": but(whole(-1, 6), "numpy") | {"numpy": np.array([1, 2])}},
    ),
    Function(
        "Birds.take",
        lambda indices: tiny_birds().take(indices),
        lambda: {"indices": [0, 3]},
        {"indices": but(other([], [-1], [0.5], ["a"], [None], [2**70], 3), "list", "3")},
    ),
]  # fmt: skip

SIZE = whole(0, -1) | {"two": (24, 24)}

PHOTOGRAPH_FUNCTIONS = [
    Function("open_image", image_file.open_image, lambda: {"path": on_disk() / "images/wren/0.png"},
             {"path": path()}, touches_files=True),
    Function(
        "resized_geometry",
        transforms.resized_geometry,
        lambda: {"width": 40, "height": 30, "size": 24},
        {"width": whole(0, -1, huge=False), "height": whole(0, -1, huge=False), "size": whole(0, -1, huge=False)},
    ),
    Function("resize_short_side", transforms.resize_short_side, lambda: {"image": picture(), "size": 24},
             {"image": BAD_PICTURES, "size": SIZE}),
    Function(
        "evaluation",
        transforms.evaluation,
        lambda: {"image": picture(), "size": 30},
        {"image": BAD_PICTURES | {"larger": Image.new("RGB", (50, 50)), "grey": Image.new("L", (30, 30))},
         "size": SIZE},
    ),
    Function(
        "augment",
        transforms.augment,
        lambda: {"style": "official", "image": picture(), "size": 30},
        {"style": choice("oficial"), "size": SIZE,
         "image": BAD_PICTURES | {"larger": Image.new("RGB", (50, 50)), "grey": Image.new("L", (30, 30))}},
    ),
    Function(
        "load_folder",
        folder.load_folder,
        lambda: {"folder": on_disk() / "images", "split": "train", "image_size": 24, "test_share": 0.2, "seed": 0},
        {"folder": path(""), "split": choice("tets"), "image_size": whole(0, -1, huge=False),
         "test_share": number(0, 1, -0.1, 1.1),
         "seed": but(whole(huge=False))},
        touches_files=True,
    ),
    Function(
        "ImageFiles",
        images.ImageFiles,
        lambda: {"paths": ["a/wren.png", "b/robin.png"], "labels": [0, 1], "class_names": NAMES[:2], "image_size": 24,
                 "name": "two birds", "points": drawn(2, 3, 2), "part_names": ["head", "wing", "tail"]},
        {
            "paths": other([], ["a"], [None, None], ["a", 3]),
            "labels": but(other([0], [0, 2], [-1, 0], [0.7, 0.2], ["a", "b"], [True, False], [[0], [1]]), "list"),
            "class_names": other([], ["wren"], ["wren", "wren"], [1, 2]),
            "image_size": whole(0, -1, huge=False),
            "name": but(other(), "text"),
            "points": float_tensor(drawn(2, 3, 2), finite=False) | {"other parts": drawn(2, 4, 2)},
            "part_names": other([], ["head"], [1, 2, 3]),
        },
        touches_files=True,
    ),
    Function("ImageFiles[index]", lambda index: photographs()[index], lambda: {"index": 0},
             {"index": whole(-1, 6)}, touches_files=True),
    Function("ImageFiles.take", lambda indices: photographs().take(indices), lambda: {"indices": [0, 3]},
             {"indices": but(other([], [-1], [0.5], ["a"], [None], [2**70]), "list", "number", "numpy")},
             touches_files=True, known_as={"indices": "(?:indices|index)"}),
    Function("ImageFiles.augmented", lambda **given: photographs().augmented(**given),
             lambda: {"style": "modern", "seed": 0}, {"style": choice("modren"), "seed": SEED}, touches_files=True),
    Function("ImageFiles.subset", lambda count: photographs().subset(count), lambda: {"count": 2},
             {"count": whole(0, -1, 7)}, touches_files=True),
    Function(
        "ImageFiles.inspected",
        lambda **given: photographs().inspected(progress=False, **given),
        lambda: {"workers": 1, "folder": None},
        {"workers": whole(0, -1, huge=False), "folder": but(path(), "None", "nowhere", "too long")},
        touches_files=True,
    ),
    Function(
        "ImageFiles.cached",
        lambda **given: photographs().cached(progress=False, **given),
        lambda: {"folder": on_disk() / "cache", "workers": 1},
        {"folder": but(path(), "nowhere", "too long")},
        touches_files=True,
    ),
]  # fmt: skip

NETWORK = but(other("", True), "text")  # whether there is one of that name shows when it is built
OF_RECIPE = {
    **{name: whole(0, -1) for name in ("image_size", "attention_size", "out_size", "epochs")},
    **{name: whole(0, -1) for name in ("train_images", "test_images", "batch_size")},
    **{"stripe_period": number(2, 0, -1), "scale": number(0, -1), "structure_power": number(0, -1)},
    **{"max_zoom": MAX_ZOOM, "temperature": number(0, -1), "learning_rate": number(0, -1)},
    **{name: number(-1) for name in ("attention_weight", "master_weight", "part_weight", "own_weight")},
    **{"distillation_weight": number(-1), "weight_decay": number(-1), "momentum": number(-0.1, 1)},
    **{"warmup": number(-0.1, 1), "milestones": other([0.5], (0,), (1.5,), ("a",), (0.5, 0.2), (NAN,))},
    **{name: flag() for name in ("light_attention", "antialias", "distinct_channels", "own_classifiers")},
    **{"teacher_gradient": flag(), "optimizer": choice("adam"), "augmentation": choice("oficial")},
    **{"test_detail": choice("channels"), "attention_trunk": NETWORK,
       "backbone": NETWORK, "weights": without_none(NETWORK)},
}  # fmt: skip

RECIPE_FUNCTIONS = [
    Function("Recipe", Recipe, lambda: asdict(RECIPES["laptop"]), OF_RECIPE),
    Function(
        "scaled_learning_rate",
        scaled_learning_rate,
        lambda: {"recipe": RECIPES["laptop"], "batch_size": 8},
        {"recipe": other("laptop"), "batch_size": whole(0, -8, huge=False)},
    ),
    Function("learning_rate_at", learning_rate_at, lambda: {"recipe": RECIPES["laptop"], "done": 0.5},
             {"recipe": other("laptop"), "done": number(-0.1, 1.1)}),
    Function("build_tasn", build_tasn, lambda: {"recipe": SMOKE, "classes": 3},
             {"recipe": other("laptop"), "classes": whole(0, -1)}),
    Function("build_model", build_model, lambda: {"kind": "tasn", "recipe": SMOKE, "classes": 3},
             {"kind": choice("tans"), "recipe": other("laptop"), "classes": whole(0, -1)}),
    Function("attention_trunk", partial(backbones.attention_trunk, weights=None),
             lambda: {"name": "squeezenet1_1", "halvings": 3, "leave_out": 0},
             {"name": choice("resnet81"), "halvings": whole(-1, 9), "leave_out": whole(-1, 100)}),
    Function("classifier_backbone", backbones.classifier_backbone, lambda: {"name": "small", "weights": None},
             {"name": choice("resnet81"), "weights": without_none(other("DEFAULT"))}, touches_files=True),
    Function("make_accelerator", make_accelerator, lambda: {"precision": "float32"}, {"precision": choice("float16")}),
]  # fmt: skip

ANSWERS = torch.tensor([[1, 0], [2, 0], [3, 1]])
BAD_ANSWERS = but(whole_tensor(ANSWERS, low=None), "too few", "too many")


def saved(**given) -> None:
    checkpoints.save_weights(on_disk() / "kept.safetensors", **given)


def resumed(path) -> None:
    plain = build_model("downsampled", SMOKE, 3)
    checkpoints.load_training_state(path, plain, build_optimizer(plain, SMOKE))


RUN_FUNCTIONS = [
    Function(
        "evaluate",
        evaluation.evaluate,
        lambda: {"model": tiny_tasn(), "data": tiny_birds(), "batch_size": 4, "num_workers": 0},
        {"model": module(),
         "data": other([], ["a"]), "batch_size": whole(0, -1), "num_workers": whole(-1, huge=False)},
    ),
    Function("draw_channels", evaluation.draw_channels,
             lambda: {"indices": torch.arange(3), "channels": 4, "seed": 0, "epoch": 0},
             {"indices": but(whole_tensor(torch.arange(3), low=None), "too few", "too many", "empty", "one axis more"),
              "channels": whole(0, -1, huge=False),
              "seed": whole(-1, 2**70, huge=False), "epoch": whole(-1, 2**70, huge=False)}),
    Function(
        "accuracies",
        evaluation.accuracies,
        lambda: {"answers": {"master": ANSWERS}, "labels": torch.tensor([1, 0, 3]), "top": 1},
        {"answers": other({}, ANSWERS) | {f"of {label}": {"master": value} for label, value in BAD_ANSWERS.items()},
         "labels": whole_tensor(torch.tensor([1, 0, 3])), "top": whole(0, -1, 3)},
    ),
    Function(
        "accuracies_by_class",
        evaluation.accuracies_by_class,
        lambda: {"answers": ANSWERS, "labels": torch.tensor([1, 0, 3]), "class_names": ["a", "b", "c", "d"]},
        {"answers": BAD_ANSWERS, "labels": whole_tensor(torch.tensor([1, 0, 3]), 0, 3),
         "class_names": other([], ["a"], ["a", "a", "b", "c"])},
    ),
    Function(
        "save_weights",
        saved,
        lambda: {"model": tiny_tasn(), "kind": "tasn", "recipe": SMOKE, "class_names": [str(i) for i in range(16)]},
        {"model": module(), "kind": choice("tans"), "recipe": other("smoke"),
         "class_names": other([], ["too", "few"], [[]] * 16)},
        touches_files=True,
    ),
    *(
        Function(
            name,
            load,
            lambda good=good: {"path": on_disk() / good},
            {"path": path()},
            touches_files=True,
        )
        for name, load, good in (
            ("load_model", checkpoints.load_model, "tasn.safetensors"),
            ("load_recipe", checkpoints.load_recipe, "tasn.safetensors"),
            ("epochs_done", checkpoints.epochs_done, "state"),
            ("load_training_state", resumed, "state"),
        )
    ),
    Function(
        "load",
        prediction.load,
        lambda: {"run": on_disk(), "device": "cpu"},
        {"run": path(), "device": without_none(choice("cpuu"))},
        touches_files=True,
    ),
    Function(
        "Predictor.predict",
        lambda image: prediction.load(on_disk(), "cpu").predict(image),
        lambda: {"image": on_disk() / "images/wren/0.png"},
        {"image": path() | {"pixels": np.zeros((4, 4, 3), np.uint8), "tensor": drawn(3, 4, 4)}},
        touches_files=True,
    ),
]  # fmt: skip

# Beside those of test_settings, which says what each message must hold.
COUNTS = ("epochs", "batch_size", "train_images", "test_images", "num_workers")
OF_SETTINGS = {
    **{"dataset": choice("brids"), "recipe": choice("labtop"), "precision": choice("float23")},
    **{name: without_none(whole(-1, huge=False)) | {"huge": HUGE} for name in COUNTS},
    **{name: whole(-1) for name in ("seed", "num_processes", "accumulate")},
    **{name: flag() | {"zero": 0, "yes": "yes"} for name in ("resume", "baselines", "cache")},
    "learning_rate": without_none(number(0, -0.1, 11)),
    **{name: but(path(""), "None", "nowhere", "too long") for name in ("data_folder", "output_folder")},
    "weights": but(path("", "default"), "None"),
    **{name: without_none(choice("resnet81")) for name in ("backbone", "attention_trunk")},
}
SETTINGS_FUNCTIONS = [
    Function("Settings", Settings, lambda: asdict(Settings()), OF_SETTINGS, touches_files=True),
    *(
        Function(
            f"Settings of {name}",
            lambda **given: Settings.from_cells([f"{name} = {value!r}" for name, value in given.items()]),
            dict,
            {name: {"cell": 3}},
        )
        for name in ("seeed", "Seed", "lr", "output_dir", "gpu", "temperature", "зерно")
    ),
]

FUNCTIONS = {
    function.name: function
    for function in (
        *ATTENTION_FUNCTIONS, *SAMPLER_FUNCTIONS, *DISTILLATION_FUNCTIONS, *MODEL_FUNCTIONS, *LOCALIZATION_FUNCTIONS,
        *BIRD_FUNCTIONS, *PHOTOGRAPH_FUNCTIONS, *RECIPE_FUNCTIONS, *RUN_FUNCTIONS, *SETTINGS_FUNCTIONS,
    )
}  # fmt: skip


def cases():
    for function in FUNCTIONS.values():
        for argument, bad in function.bad.items():
            for label, value in bad.items():
                yield pytest.param(function, argument, value, id=f"{function.name}({argument}: {label})")


CASES = list(cases())


@pytest.mark.parametrize(("function", "argument", "value"), CASES)
def test_a_bad_value_is_refused_by_name(function, argument, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raised = refusal_of(function, {argument: value})
    assert raised is not None, "it was accepted"
    assert_refused_by_name(function, {argument: value}, raised)
    assert list(tmp_path.iterdir()) == []


def test_more_than_300_distinct_bad_inputs_are_tried(capsys):
    distinct = {case.id for case in CASES}
    with capsys.disabled():
        print(f"\n{len(distinct)} distinct bad inputs to {len(FUNCTIONS)} functions")
    assert len(distinct) == len(CASES) > 300


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_good_arguments_are_good(function):
    if not function.name.startswith("Settings of"):
        assert refusal_of(function, {}) is None


# -- Several at once ---------------------------------------------------------------------------------------------------


SEVERAL = {name: function for name, function in FUNCTIONS.items() if len(function.bad) > 1}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_bad_values_together_are_refused_by_the_name_of_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function = SEVERAL[name]
    bad = {argument: st.sampled_from(list(values.values())) for argument, values in function.bad.items()}
    several = st.fixed_dictionaries({}, optional=bad)

    @settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(several.filter(lambda changed: len(changed) > 1))
    def fuzz(changed):
        raised = refusal_of(function, changed)
        assert raised is not None, f"{changed} was accepted"
        assert_refused_by_name(function, changed, raised)

    fuzz()
