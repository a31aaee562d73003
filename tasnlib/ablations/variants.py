"""What is compared with what: every row of every ablation, as data."""

from dataclasses import dataclass, field, replace
from typing import Any

from tasnlib.recipes import Recipe


@dataclass(frozen=True)
class Variant:
    """One row of a table: what is changed about TASN.

    Args:
        title: as the table shows it.
        attention: a kind of `maps.KINDS`.
        sampler: "attention", "crop", "saliency"; or what sees no attention: "plain", "boxes" (attention sampling with
            the true part boxes in the place of attention: an upper bound), "full" (the whole image, not downsampled).
        part: the part net: "none" (structure only), "shared" with the master, or "own", with weights of its own.
        changes: of the recipe's values.
        equal_compute: the training is longer, so that it costs as many multiply-adds as the whole TASN's.
    """

    title: str
    attention: str = "trilinear"
    sampler: str = "attention"
    part: str = "none"
    changes: dict[str, Any] = field(default_factory=dict)
    equal_compute: bool = False

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with this variant's changes."""
        return replace(recipe, **self.changes)


# TASN without its part net: what the attention and sampler tables vary.
STRUCTURE_ONLY = Variant("trilinear, squared")
TASN = Variant("part net and distillation", part="shared")

ATTENTION = (
    Variant("uniform", attention="uniform"),
    Variant("mean of the features", attention="features"),
    Variant("X Xᵀ X, not normalised", attention="products"),
    Variant("inner softmax only", attention="inner"),
    Variant("outer softmax only", attention="outer"),
    Variant("trilinear, not squared", changes={"structure_power": 1.0}),
    STRUCTURE_ONLY,
)

SAMPLER = (
    Variant("plain, antialiased", sampler="plain", changes={"antialias": True}),
    Variant("plain, not antialiased", sampler="plain", changes={"antialias": False}),
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
    Variant("part net, no distillation", part="shared", changes={"distillation_weight": 0.0}),
    TASN,
    Variant("part net with weights of its own", part="own"),
    *(Variant(f"T = {t:g}", part="shared", changes={"temperature": t}) for t in (1.0, 3.0, 20.0)),
    *(Variant(f"λ = {w:g}", part="shared", changes={"distillation_weight": w}) for w in (0.5, 1.0, 4.0)),
)

# Where everything that reads the stripes is near the ceiling, temperatures and weights have nothing to show.
DISTILLATION_IN_SHORT = DISTILLATION[:4]

# Each table, and the birds it is made on.
TABLES = {
    ("attention", "easy"): ATTENTION,
    ("attention", "hard"): ATTENTION,
    ("sampler", "easy"): SAMPLER,
    ("sampler", "hard"): SAMPLER,
    ("distillation", "easy"): DISTILLATION_IN_SHORT,
    ("distillation", "hard"): DISTILLATION,
}
