"""From a recipe to the networks it names: TASN, and the plain classifiers it is compared with."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from tasnlib.arguments import LARGEST, checked, one_of, within
from tasnlib.attention import AttentionNet
from tasnlib.model import TASN
from tasnlib.networks.backbones import attention_trunk, classifier_backbone, small_trunk, weights_in_folder
from tasnlib.networks.official import OfficialTASN
from tasnlib.networks.plain import PlainClassifier
from tasnlib.training.recipes import Recipe

NAMES = ("tasn", "downsampled", "downsampled_aliased")


@checked
def build_tasn(recipe: Recipe, classes: int) -> TASN:
    """TASN as the recipe says, from the recipe's weights.

    Raises:
        ValueError: for a network or weights that there are none of.
        OSError: where weights cannot be fetched.

    >>> from tasnlib.training.recipes import RECIPES
    >>> model = build_tasn(RECIPES["laptop"], classes=16)
    >>> sum(weight.numel() for weight in model.parameters())
    103880
    """
    attention_net = build_attention_net(recipe, classes)
    backbone, dimension = classifier_backbone(recipe.backbone, _weights_of(recipe.backbone, recipe.weights))
    classifier = nn.Linear(dimension, classes)
    make: Callable[..., TASN] = TASN
    if recipe.own_classifiers:
        make = partial(OfficialTASN, own_classifiers=(nn.Linear(dimension, classes), nn.Linear(dimension, classes)))
    return make(
        attention_net,
        backbone,
        classifier,
        attention_size=recipe.attention_size,
        out_size=recipe.out_size,
        scale=recipe.scale,
        structure_power=recipe.structure_power,
        max_zoom=recipe.max_zoom,
        antialias=recipe.antialias,
    )


@checked
def build_attention_net(recipe: Recipe, classes: int) -> AttentionNet:
    """The attention network as the recipe says: the paper's, a light one, or the small one for 48×48 images.

    The light one ends with ResNet-18's second stage, at its own stride (28×28×128): no cell sees far, and nothing is
    dilated. Its features start out sparse, as the small network's do. A twentieth of the paper's multiply-adds; on the
    drawn birds its attention is no worse, see notebook 06.

    Raises:
        ValueError: for a light small one.

    >>> import torch
    >>> from dataclasses import replace
    >>> from tasnlib.training.recipes import RECIPES
    >>> from tasnlib.research.cost import multiply_adds
    >>> image = torch.rand(1, 3, 224, 224)
    >>> for name in ("paper", "modern"):
    ...     net = build_attention_net(replace(RECIPES[name], weights=None), classes=200).eval()
    ...     print(name, round(multiply_adds(lambda: net(image)) / 1e9, 1), tuple(net(image)[1].shape))
    paper 19.7 (1, 512, 28, 28)
    modern 1.0 (1, 128, 28, 28)
    """
    within(classes, "classes", 1, LARGEST)
    if recipe.attention_trunk == "small" and recipe.light_attention:
        raise ValueError("light_attention is True, but 'small' has no stages to leave out; choose 'resnet18'")
    if recipe.attention_trunk == "small":
        # Without dilations and with sparse features: on so small an image a wide receptive field smears the attention.
        return AttentionNet(*small_trunk(), classes, dilations=(), norm_bias=-1.0)
    weights = _weights_of(recipe.attention_trunk, recipe.weights)
    trunk, channels = attention_trunk(recipe.attention_trunk, weights, leave_out=2 if recipe.light_attention else 0)
    if recipe.light_attention:
        return AttentionNet(trunk, channels, classes, dilations=(), norm_bias=-1.0)
    return AttentionNet(trunk, channels, classes)


@checked
def check_networks(recipe: Recipe) -> None:
    """Refuse a recipe whose networks or files of weights do not exist, in seconds and without fetching anything.

    Raises:
        ValueError: naming what there is none of.

    >>> from dataclasses import replace
    >>> from tasnlib.training.recipes import RECIPES
    >>> check_networks(replace(RECIPES["laptop"], attention_trunk="vit_b_16"))
    Traceback (most recent call last):
        ...
    ValueError: name is 'vit_b_16', which gives no trunk with 3 halvings: ...
    """
    for network, make in ((recipe.attention_trunk, attention_trunk), (recipe.backbone, classifier_backbone)):
        if network != "small":
            _weights_of(network, recipe.weights)
            make(network, None)


@checked
def build_plain(recipe: Recipe, classes: int, antialias: bool) -> PlainClassifier:
    """The control: the recipe's backbone on the plainly downsampled image.

    >>> from tasnlib.training.recipes import RECIPES
    >>> build_plain(RECIPES["laptop"], classes=16, antialias=True).size
    48
    """
    within(classes, "classes", 1, LARGEST)
    backbone, dimension = classifier_backbone(recipe.backbone, _weights_of(recipe.backbone, recipe.weights))
    return PlainClassifier(backbone, nn.Linear(dimension, classes), recipe.out_size, antialias)


@checked
def build_model(kind: str, recipe: Recipe, classes: int) -> TASN | PlainClassifier:
    """TASN or one of its controls by name: "tasn", "downsampled" or "downsampled_aliased".

    >>> from tasnlib.training.recipes import RECIPES
    >>> build_model("downsampled_aliased", RECIPES["laptop"], classes=16).antialias
    False
    """
    one_of(kind, "kind", NAMES)
    if kind == "tasn":
        return build_tasn(recipe, classes)
    return build_plain(recipe, classes, antialias={"downsampled": True, "downsampled_aliased": False}[kind])


def _weights_of(network: str, weights: str | None) -> str | None:
    """A network's own file where the recipe names a folder; none for the small networks, which have none."""
    if network == "small" or weights is None:
        return None
    return str(weights_in_folder(weights, network)) if Path(weights).is_dir() else weights
