"""What a model predicts for one image: as text, and as a figure of where it looked."""

import io
import sys
from dataclasses import dataclass

import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

BLUE = "#0072B2"  # the structure image's and the master net's, in all figures


@dataclass(frozen=True, repr=False)
class Prediction:
    """What the model predicts for one image. Classes are sorted by probability."""

    class_names: list[str]  # all of them, the most probable first
    probabilities: list[float]
    image: Float[Tensor, "3 size size"]  # as the model saw it: short side resized, centre cropped
    attention: Float[Tensor, "h w"]  # the structure map
    structure_image: Float[Tensor, "3 n n"]  # the master net's input

    def __str__(self) -> str:
        best = zip(self.class_names[:3], self.probabilities, strict=False)
        return ", ".join(f"{name} {share:.1%}".replace("%", " %") for name, share in best)

    def __repr__(self) -> str:  # not a page of pixels
        return f"<Prediction: {self}>"

    def figure(self, classes: int = 5) -> Figure:
        """The image, where the network looked, what the sampler made of it, and the most probable classes as bars."""
        if classes < 1:
            raise ValueError(f"classes is {classes}; it must be from 1 up")
        figure = plt.figure(figsize=(13, 3), layout="constrained")
        first, second, third, bars = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.3))
        extent = (0, self.image.shape[2], self.image.shape[1], 0)
        pixels = self.image.permute(1, 2, 0).numpy()
        first.imshow(pixels, extent=extent, interpolation="nearest")
        second.imshow(pixels.mean(axis=2), cmap="gray", vmin=0, vmax=1, extent=extent)
        smooth = F.interpolate(self.attention[None, None], pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
        second.imshow(smooth / smooth.max().clamp_min(1e-12), cmap="magma", vmin=0, vmax=1, alpha=0.65, extent=extent)
        third.imshow(self.structure_image.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
        for axes, title in ((first, "image"), (second, "attention"), (third, "structure image")):
            axes.set(xticks=[], yticks=[])
            axes.set_title(title, fontsize=10)
            axes.spines[:].set_visible(False)
        third.spines[:].set(visible=True, color=BLUE, linewidth=3)
        shares = [100 * share for share in self.probabilities[:classes]]
        labels = [f"{name}  {share:.1f} %" for name, share in zip(self.class_names, shares, strict=False)]
        drawn = bars.barh(range(len(shares)), shares, color=BLUE)
        bars.bar_label(drawn, labels, padding=3, fontsize=9, parse_math=False)  # a $ in a class name is no formula
        bars.set(xlim=(0, 290))  # room for the names
        bars.set_axis_off()
        bars.set_title(f"{self.class_names[0]}, {shares[0]:.1f} %", fontsize=10, parse_math=False)
        bars.invert_yaxis()
        return figure

    def show(self) -> None:
        """The figure, in a notebook; elsewhere, the three most probable classes as text."""
        if "IPython" not in sys.modules or not hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
            print(f"{self}\nThe picture: prediction.figure().savefig('prediction.png')")
            return
        figure = self.figure()
        figure.savefig(png := io.BytesIO(), format="png", dpi=80, bbox_inches="tight")
        plt.close(figure)
        alt = f"an image, its attention, its structure image, and the predicted classes: {self}"
        data = {"image/png": png.getvalue(), "text/plain": f"[picture: {alt}]"}
        sys.modules["IPython"].display.display(data, raw=True, metadata={"image/png": {"alt": alt}})
