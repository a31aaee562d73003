"""Functions that compute with tensors, good arguments of each, and bad ones: see `test_bad_input`."""

from dataclasses import replace
from functools import cache, partial

import torch
from torch import nn

from tasnlib import attention, distillation, model
from tasnlib import sampler as sampling
from tasnlib.networks.build import build_model, build_tasn
from tasnlib.research import authors_sampler, localization
from tasnlib.training.recipes import RECIPES
from tests.bad_inputs import (
    HUGE,
    INFINITY,
    NAN,
    Function,
    but,
    choice,
    drawn,
    flag,
    float_tensor,
    module,
    number,
    other,
    sides,
    whole,
    whole_tensor,
    without_none,
)

SMOKE = replace(RECIPES["smoke"], image_size=32, attention_size=16, out_size=16)


@cache
def tiny_tasn() -> model.TASN:
    return build_tasn(SMOKE, 16).eval()


FEATURES = float_tensor(drawn(2, 4, 3, 3))
SCALE = number(0, -1, 1e39, HUGE * 10**30)
OF_ATTENTION = {"features": FEATURES, "scale": SCALE}
CHANNEL = without_none(whole_tensor(torch.tensor([1, 2]), 0, 3))
RELATION = drawn(2, 4, 4)
OF_RELATION = float_tensor(RELATION) | {"not square": drawn(2, 3, 4), "other channels": drawn(2, 5, 5)}
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
        "pool_maps",
        attention.pool_maps,
        # Channel 3 has the last row, which is where NaN is put.
        lambda: {"relation": RELATION, "features": drawn(2, 4, 3, 3), "channel": torch.tensor([1, 3]),
                 "mean_row": RELATION.mean(1)},
        {"relation": OF_RELATION, "features": FEATURES, "channel": whole_tensor(torch.tensor([1, 2]), 0, 3),
         "mean_row": float_tensor(drawn(2, 4)) | {"other channels": drawn(2, 5)}},
    ),
    Function(
        "distinct_channels",
        attention.distinct_channels,
        lambda: {"relation": RELATION, "features": drawn(2, 4, 3, 3)},
        {"relation": OF_RELATION, "features": FEATURES},
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

DEVIATIONS = other(("corner",), "corners", (1,))

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
        authors_sampler.authors_sample,
        lambda: {"images": BATCH, "attention": MAPS, "out_size": 6, "max_zoom": 4.0, "deviations": ("corners",)},
        {"images": OF_BATCH, "attention": OF_MAPS["attention"] | {"zero": 0 * MAPS}, "out_size": sides(),
         "max_zoom": MAX_ZOOM, "deviations": DEVIATIONS},
    ),
    *(
        Function(
            function.__name__,
            function,
            lambda: {"attention": MAPS, "image_size": (8, 9), "out_size": (6, 6), "max_zoom": 4.0,
                     "deviations": ("rounds",)},
            {"attention": OF_MAPS["attention"] | {"zero": 0 * MAPS}, "image_size": sides(), "out_size": sides(),
             "max_zoom": MAX_ZOOM, "deviations": DEVIATIONS},
        )
        for function in (authors_sampler.authors_profiles, authors_sampler.authors_positions)
    ),
    Function(
        "limit_in_rounds",
        authors_sampler.limit_in_rounds,
        lambda: {"zoom_x": drawn(2, 5), "zoom_y": drawn(2, 6), "max_zoom": 4.0, "rounds": 3},
        {"zoom_x": float_tensor(drawn(2, 5)), "zoom_y": float_tensor(drawn(2, 6)), "max_zoom": MAX_ZOOM,
         "rounds": whole(-1)},
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
            | {f"{name} alone": {"master": LOGITS, "part": LOGITS, name: LOGITS} for name in ("master_own", "part_own")}
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
        "TASN.attend",
        lambda **given: tiny_tasn().attend(**given),
        lambda: {"features": drawn(2, 32, 3, 3), "channel": torch.tensor([1, 2])},
        {"features": float_tensor(drawn(2, 32, 3, 3)), "channel": TINY_CHANNEL},
    ),
    Function(
        "TASN.sample",
        lambda **given: tiny_tasn().sample(**given),
        lambda: {"images": IMAGES, "attention": MAPS},
        {"images": but(BAD_IMAGES, "grey"), "attention": OF_MAPS["attention"]},
    ),
    Function(
        "AttentionNet.forward",
        lambda images: tiny_tasn().attention_net(images),
        lambda: {"images": IMAGES},
        {"images": float_tensor(IMAGES, finite=False) | {"grey": IMAGES[:, :1]}},
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

BOXES = torch.tensor([[[0.0, 0.0, 4.0, 4.0], [2.0, 2.0, 8.0, 8.0]], [[1.0, 1.0, 3.0, 5.0], [0.0, 4.0, 8.0, 8.0]]])
WRONG_BOXES = {"three numbers": BOXES[..., :3], "other images": BOXES[:1], "turned round": BOXES[..., [2, 3, 0, 1]]}
OF_BOXES = float_tensor(BOXES, finite=False) | WRONG_BOXES
OF_HEAT = float_tensor(MAPS, negative=False)
PLACES = float_tensor(drawn(2, 6)) | {"other images": drawn(1, 6)}

LOCALIZATION_FUNCTIONS = [
    Function(
        "boxes_around",
        localization.boxes_around,
        lambda: {"points": drawn(2, 3, 2), "side": 4},
        {"points": float_tensor(drawn(2, 3, 2), finite=False) | {"of 3": drawn(2, 3, 3)}, "side": number(0, -4, 1e38)},
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
        {"magnifications": float_tensor(drawn(3, 2, 2), finite=False, negative=False)
         | {"all unseen": drawn(3, 2, 2) * NAN, "-infinite": -INFINITY * drawn(3, 2, 2)},
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

NETWORK_FUNCTIONS = (
    *(*ATTENTION_FUNCTIONS, *SAMPLER_FUNCTIONS, *DISTILLATION_FUNCTIONS, *MODEL_FUNCTIONS, *LOCALIZATION_FUNCTIONS),
)
