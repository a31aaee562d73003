"""Every row of every table of the ablations."""

from dataclasses import dataclass, field, replace
from typing import Any

from tasnlib.training.recipes import Recipe


@dataclass(frozen=True)
class Variant:
    """One row of a table: what differs from TASN.

    Args:
        title: as shown in the table.
        attention: a kind of `maps.pooled_maps`; for "class activation" the classifier looks first, without a second.
        map_change: of the structure map, see `maps.changed`.
        sampler: "attention", "crop", "saliency"; or without attention: "plain", "centre" (the middle of the image,
            1 / max_zoom of its side), "anywhere" (such a crop, around a random cell), "trunk" (plain, with the
            attention network's trunk as backbone: no last strides), "boxes" (attention sampling with the true part
            boxes as attention, an upper bound), "full" (the whole image, not downsampled).
        part: the part net: "none" (structure only), "shared" weights with the master, or its "own"; or the plainly
            downsampled image in its place, "view"; or none, and the mean prediction with the first look, "looks".
        predicts: the net whose accuracy the row shows; "": the first of `tables.NETS`. The training is the same.
        changes: of the recipe's fields.
        equal_compute: train for as many epochs as cost the multiply-adds of the complete TASN.
        one_channel: the structure map is the map of one channel instead of the mean of all.
        attention_stages: of ResNet-18, instead of the recipe's attention network: 4, the paper's, or fewer. On a laptop
            at an eighth of the width, see `attention_nets`; 0 keeps the recipe's.
        normalized: features after norm and ReLU, not before.
    """

    title: str
    attention: str = "trilinear"
    sampler: str = "attention"
    part: str = "none"
    changes: dict[str, Any] = field(default_factory=dict, hash=False)
    equal_compute: bool = False
    one_channel: bool = False
    attention_stages: int = 0
    normalized: bool = False
    map_change: str = ""
    predicts: str = ""

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with the variant's changes."""
        return replace(recipe, **self.changes)

    def predicting(self) -> "Variant":
        """The variant without what is only trained with: a part net, or a look that it does not predict from."""
        unused = self.predicts and (self.part == "view" or self.sampler == "centre")
        return replace(self, part="none") if unused or self.part in ("shared", "own") else self


# TASN without its part net: the reference of the attention and sampler tables.
STRUCTURE_ONLY = Variant("trilinear, squared")
TASN = Variant("part net and distillation", part="shared")
NO_DISTILLATION = Variant("part net, no distillation", part="shared", changes={"distillation_weight": 0.0})

ATTENTION = (
    Variant("uniform", attention="uniform"),
    Variant("mean of the features", attention="features"),
    Variant("X Xᵀ X, not normalised", attention="products"),
    Variant("inner softmax only", attention="inner"),
    Variant("outer softmax only", attention="outer"),
    Variant("trilinear, not squared", changes={"structure_power": 1.0}),
    STRUCTURE_ONLY,
    Variant("one channel of the features", attention="features", one_channel=True),
    Variant("one channel, trilinear", one_channel=True),
)

SAMPLER = (
    Variant("antialiased downsampling", sampler="plain", changes={"antialias": True}),
    Variant("aliased downsampling", sampler="plain", changes={"antialias": False}),
    Variant("crop at the maximum", sampler="crop"),
    Variant("Gaussian saliency sampler", sampler="saliency"),
    *(Variant(f"attention, zoom up to {zoom:g}", changes={"max_zoom": zoom}) for zoom in (2.0, 3.0)),
    replace(STRUCTURE_ONLY, title="attention, zoom up to 4"),
    Variant("attention, zoom up to 8", changes={"max_zoom": 8.0}),
    Variant("attention, zoom up to 4, antialiased", changes={"antialias": True}),
    Variant("true part boxes (upper bound)", sampler="boxes"),
    Variant("full resolution (upper bound)", sampler="full"),
)

DISTILLATION = (
    replace(STRUCTURE_ONLY, title="structure only"),
    Variant("structure only, equal compute", equal_compute=True),
    NO_DISTILLATION,
    TASN,
    Variant("part net with weights of its own", part="own"),
    Variant("T = 1", part="shared", changes={"temperature": 1.0}),
    Variant("T = 4, λ = 8", part="shared", changes={"temperature": 4.0, "distillation_weight": 8.0}),
)

# Where the paper's network takes the features of its maps: before the norm, as the authors do, or after norm and ReLU.
FEATURES = {
    dataset: tuple(
        Variant(
            f"{'after' if after else 'before'} the norm, s = {scale:g}{', squared' if power == 2 else ''}",
            changes={"scale": scale, "structure_power": power, "epochs": epochs},
            attention_stages=4,
            normalized=after,
        )
        for after, scales in ((False, (7.0, 1.0, 2.0)), (True, (7.0, 1.0)))
        for scale in scales
        for power in (2.0, 1.0)
    )
    for dataset, epochs in {"easy": 12, "hard": 24}.items()  # that network learns slowly
}

# Photographs at 336 px, of which every network sees 112 px where nothing else is said.
PLAIN = {"antialias": True}
MILD = {"max_zoom": 2.0}
LOOKS = Variant("class activation map", attention="class activation", part="looks", predicts="master")
CROP = replace(LOOKS, title="crop at its maximum", sampler="crop", changes=MILD)
VIEW = Variant("plain image as a second view", part="view")
MIDDLE = replace(CROP, title="the middle half, trained on both", sampler="centre")  # without attention
PHOTOGRAPHS = (
    Variant("plain", sampler="plain", changes=PLAIN),
    Variant("the middle half", sampler="centre", changes=MILD),
    *(Variant(f"plain, {px} px", sampler="plain", changes=PLAIN | {"out_size": px}) for px in (160, 224)),
    Variant("plain, 336 px", sampler="full"),
    Variant("plain, 52 px, strides removed", sampler="trunk", changes={"out_size": 52}),
    MIDDLE,
    replace(MIDDLE, title="the middle half, both looks", predicts=""),
    replace(MIDDLE, title="plain, trained on both", predicts="attention"),
    replace(MIDDLE, title="a random half, both looks", sampler="anywhere", predicts=""),
    replace(STRUCTURE_ONLY, title="TASN, structure only"),
    replace(TASN, title="TASN"),
    replace(VIEW, title="TASN, trained with the plain image", predicts="master"),
    replace(VIEW, title="TASN and the plain image"),
    LOOKS,
    replace(LOOKS, title="class activation map, both looks", predicts=""),
    CROP,
    replace(CROP, title="crop at its maximum, both looks", predicts=""),
)
ALL_CLASSES = tuple(row for row in PHOTOGRAPHS if not any(word in row.title for word in ("160", "random", "image")))
PHOTOGRAPHS_MORE = (
    Variant("plain, 19 epochs", sampler="plain", changes=PLAIN | {"epochs": 19}),
    Variant("plain, 128 px", sampler="plain", changes=PLAIN | {"out_size": 128}),
    Variant("plain, aliased", sampler="plain", changes={"antialias": False}),
    Variant("the middle two thirds", sampler="centre", changes={"max_zoom": 1.5}),
    Variant("Gaussian in the middle", attention="centre"),
    replace(NO_DISTILLATION, title="TASN, no distillation"),
    Variant("mean of the features", attention="features"),
    *(Variant(f"zoom up to {zoom:g}", changes={"max_zoom": zoom}) for zoom in (2.0, 3.0)),
    Variant("features after the norm", attention_stages=2, normalized=True),
)
PHOTOGRAPHS_CHOICES = (
    PHOTOGRAPHS[0],
    replace(STRUCTURE_ONLY, title="TASN, structure only"),
    Variant("its attention net sees 96 px", changes={"attention_size": 96}),
    Variant("deeper attention net", changes={"attention_stages": 3, "attention_stride": 16}),
    Variant("map with a floor", map_change="floor"),
    Variant("map with a prior at the centre", map_change="centre"),
    Variant("zoom up to 2, prior at the centre", map_change="centre", changes=MILD),
    Variant("TASN, label smoothing", part="shared", changes={"label_smoothing": 0.1}),
    VIEW,
    replace(MIDDLE, title="the middle half, both looks", predicts=""),
    replace(LOOKS, title="class activation map, both looks", predicts=""),
    replace(CROP, title="crop at its maximum, both looks", predicts=""),
    replace(LOOKS, title="both looks, zoom up to 2", predicts="", changes=MILD),
    replace(LOOKS, title="both looks, zoom up to 2, not squared", predicts="", changes=MILD | {"structure_power": 1.0}),
)
CHOSEN = ("plain", "structure", "floor", "smoothing", "half")  # two bases, and what looked best with one seed
PHOTOGRAPHS_PROMISING = tuple(row for row in PHOTOGRAPHS_CHOICES if any(word in row.title for word in CHOSEN))


@dataclass(frozen=True)
class Table:
    """Variants compared on one data set: on "test" to report, on "val" to choose.

    An `optional` table is trained only on request; saved results are always shown.
    """

    name: str
    dataset: str
    variants: tuple[Variant, ...]
    split: str = "test"
    seeds: int = 3
    optional: bool = False


TABLES = (
    Table("attention", "easy", ATTENTION),
    Table("attention", "hard", ATTENTION),
    Table("sampler", "easy", SAMPLER),
    Table("sampler", "hard", SAMPLER),
    # Near the ceiling, where all that resolves the stripes of easy birds is, temperatures and weights show no effect.
    Table("distillation", "easy", DISTILLATION[:4], seeds=5),
    Table("distillation", "hard", DISTILLATION, seeds=5),
    Table("photographs", "grocery_look_alikes", PHOTOGRAPHS),
    Table("photographs", "grocery", ALL_CLASSES, seeds=1),
    Table("photographs, more", "grocery_look_alikes", PHOTOGRAPHS_MORE),
    Table("photographs, choices", "grocery_look_alikes", PHOTOGRAPHS_CHOICES, split="val", seeds=1),
    Table("photographs, promising", "grocery_look_alikes", PHOTOGRAPHS_PROMISING, split="val"),
    Table("features", "easy", FEATURES["easy"], optional=True),
    Table("features", "hard", FEATURES["hard"], optional=True),
)
