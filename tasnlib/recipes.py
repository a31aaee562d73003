"""Recipes: everything that decides a result except the data set and the seed, under a name."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from tasnlib.attention import AttentionNet
from tasnlib.backbones import resnet18_trunk, resnet_features, small_backbone, small_trunk
from tasnlib.model import TASN, PlainClassifier


@dataclass(frozen=True)
class Recipe:
    """One way to build and train TASN. Change a value with `dataclasses.replace(recipe, temperature=3)`.

    >>> RECIPES["laptop"].temperature, RECIPES["paper"].epochs
    (10.0, 300)
    """

    name: str

    # Sizes, in pixels: of the images, of what the attention network sees, of what master and part net see.
    image_size: int
    attention_size: int
    out_size: int

    # The drawn birds' share: how many, and how fine their stripes are.
    train_images: int
    test_images: int
    stripe_period: float

    # Networks.
    networks: str  # "resnet" (ResNet-18 for attention, ResNet-50 for recognition) or "small"
    weights: str | None = None  # "DEFAULT" for torchvision's ImageNet weights, a folder of them, None for random ones
    scale: float = 7.0
    structure_power: float = 2.0
    max_zoom: float = 4.0
    antialias: bool = False

    # Loss.
    attention_weight: float = 1.0
    master_weight: float = 1.0
    part_weight: float = 1.0
    distillation_weight: float = 2.0
    temperature: float = 10.0

    # Optimisation.
    optimizer: str = "adamw"  # or "sgd"
    learning_rate: float = 2e-3
    momentum: float = 0.9  # of sgd
    weight_decay: float = 0.01
    warmup: float = 0.0  # share of all steps over which the learning rate rises from 0
    milestones: tuple[float, ...] = ()  # shares of all steps after which it falls to a tenth; none: half a cosine to 0
    epochs: int = 8
    batch_size: int = 32


_LAPTOP = Recipe(
    name="laptop",
    image_size=144,
    attention_size=48,
    out_size=48,
    train_images=3000,
    test_images=1000,
    stripe_period=3.5,
    networks="small",
    warmup=0.2,
)

RECIPES = {
    # The drawn birds on two CPU cores, in minutes.
    "laptop": _LAPTOP,
    # The same path in seconds, for tests. It learns next to nothing.
    "smoke": replace(_LAPTOP, name="smoke", train_images=128, test_images=50, epochs=2),
    # The paper: inner scale 1, plain mean of the maps, T = 10, λ = 2. It does not give its optimiser where we could
    # read it, so that part is the authors' code's: SGD at 0.1 without momentum, a tenth after epochs 100 and 200.
    "paper": Recipe(
        name="paper",
        image_size=512,
        attention_size=224,
        out_size=224,
        train_images=20000,
        test_images=4000,
        stripe_period=3.0,
        networks="resnet",
        weights="DEFAULT",
        scale=1.0,
        structure_power=1.0,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.0,
        weight_decay=0.0,
        milestones=(1 / 3, 2 / 3),
        epochs=300,
        batch_size=96,
    ),
}


def build_tasn(recipe: Recipe, classes: int) -> TASN:
    """TASN as the recipe says, from the recipe's weights.

    >>> model = build_tasn(RECIPES["laptop"], classes=16)
    >>> sum(weight.numel() for weight in model.parameters())
    103880
    """
    if recipe.networks == "resnet":
        trunk, channels = resnet18_trunk(_weights_of("resnet18", recipe.weights))
        attention_net = AttentionNet(trunk, channels, classes)
    else:
        # Without dilations and with sparse features: on so small an image a wide receptive field smears the attention.
        attention_net = AttentionNet(*small_trunk(), classes, dilations=(), norm_bias=-1.0)
    backbone, dimension = _backbone(recipe)
    return TASN(
        attention_net,
        backbone,
        nn.Linear(dimension, classes),
        attention_size=recipe.attention_size,
        out_size=recipe.out_size,
        scale=recipe.scale,
        structure_power=recipe.structure_power,
        max_zoom=recipe.max_zoom,
        antialias=recipe.antialias,
    )


def build_plain(recipe: Recipe, classes: int, antialias: bool) -> PlainClassifier:
    """The control: the recipe's backbone on the plainly downsampled image.

    >>> build_plain(RECIPES["laptop"], classes=16, antialias=True).size
    48
    """
    backbone, dimension = _backbone(recipe)
    return PlainClassifier(backbone, nn.Linear(dimension, classes), recipe.out_size, antialias)


def _backbone(recipe: Recipe) -> tuple[nn.Module, int]:
    if recipe.networks == "resnet":
        return resnet_features("resnet50", _weights_of("resnet50", recipe.weights))
    return small_backbone()


def _weights_of(network: str, weights: str | None) -> str | None:
    """A network's own file where the recipe names a folder."""
    if weights is None or not Path(weights).is_dir():
        return weights
    files = [path for path in Path(weights).glob(f"{network}*") if path.suffix in (".pth", ".safetensors")]
    if len(files) != 1:
        found = ", ".join(sorted(path.name for path in files)) or "none"
        raise ValueError(f"weights is the folder {weights!r}; it must hold one file {network}*.pth, found: {found}")
    return str(files[0])
