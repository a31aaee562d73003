"""A trained model in three lines: load a run's folder, predict the class of an image file, show where it looked."""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import five_crop, resize

from tasnlib.data.files import expanded, is_file, is_folder
from tasnlib.data.image_file import open_image, upright_rgb
from tasnlib.data.transforms import augment, resize_short_side
from tasnlib.model import TASN
from tasnlib.training.checkpoints import load_model, load_recipe
from tasnlib.training.evaluation import evaluation_mode, look

BLUE = "#0072B2"  # the structure image's and the master net's, in all figures
VIEWS = ("whole", "flip", "flip and crops")  # of an image, whose predicted shares are averaged


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


class Predictor:
    """A trained TASN, its class names, and the side of its input images in pixels."""

    def __init__(self, model: TASN, class_names: list[str], image_size: int):
        self.model, self.class_names, self.image_size = model, class_names, image_size

    def predict(self, image: str | Path | Image.Image) -> Prediction:
        """The master net's prediction for an image file or an opened image, `prepared` as in testing."""
        pixels = self._pixels(prepared(image, self.image_size)[None])
        structure, structure_image = look(self.model, pixels)
        with evaluation_mode(self.model):
            shares = self.model.classifier(self.model.backbone(structure_image)).float().softmax(dim=1)[0]
        order = shares.argsort(descending=True)
        names = [self.class_names[index] for index in order.tolist()]
        seen = (one[0].cpu() for one in (pixels, structure, structure_image))
        return Prediction(names, shares[order].tolist(), *seen)

    def shares(self, images: UInt8[Tensor, "b 3 size size"], views: str = "whole") -> Float[Tensor, "b k"]:
        """The probability of each class, for `prepared` images: the mean over the views.

        "flip": the image and its mirror image. "flip and crops": also its corners and its centre, 7/8 as wide and high,
        and their mirror images, which costs 12 times as much. Raises ValueError for any other but "whole"."""
        if views not in VIEWS:
            raise ValueError(f"views is {views!r}; it must be one of {', '.join(VIEWS)}")
        seen = [self._pixels(images)]
        if views == "flip and crops":
            size = list(images.shape[2:])
            seen += [resize(crop, size) for crop in five_crop(seen[0], [side * 7 // 8 for side in size])]
        if views != "whole":
            seen += [view.flip(3) for view in seen]
        with torch.no_grad():
            return torch.stack([self.model.predict(view).float().softmax(dim=1) for view in seen]).mean(dim=0).cpu()

    def _pixels(self, images: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        return images.to(next(self.model.parameters()).device).float() / 255


def prepared(image: str | Path | Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """An image as evaluation sees it: short side resized to `size`, centre cropped. Raises ValueError, naming the file,
    if it cannot be read."""
    if not isinstance(image, Image.Image):
        return augment("none", resize_short_side(open_image(image), size), size)
    try:
        opened = upright_rgb(image)
    except MemoryError:
        raise  # about the machine, not the image
    except Exception as reason:  # Pillow reads its pixels only now, and its decoders raise all kinds of errors
        raise ValueError(f"image {getattr(image, 'filename', '') or '(opened)'} cannot be read: {reason}") from reason
    return augment("none", resize_short_side(opened, size), size)


def load(run: str | Path, device: str | torch.device | None = None) -> Predictor:
    """The TASN in a run's output folder, or in a tasn.safetensors, on a device (None: the fastest).

    Raises FileNotFoundError if there is no trained model, ValueError if it is damaged or not a TASN.

    >>> predictor = load("notebooks/saved_run")
    >>> prediction = predictor.predict(Image.new("RGB", (200, 150), "green"))
    >>> len(prediction.class_names), prediction.attention.shape
    (16, torch.Size([12, 12]))
    """
    path = expanded(run, "run")
    path = path / "tasn.safetensors" if is_folder(path) else path
    if not is_file(path):
        where = "name the output folder of a finished run of notebook 05, which holds tasn.safetensors"
        raise FileNotFoundError(f"there is no trained model at {path}; {where}")
    model, class_names = load_model(path)
    if not isinstance(model, TASN):
        raise ValueError(f"{path} is a baseline, which has no attention; name a run's tasn.safetensors")
    if device is None:
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    return Predictor(model.to(device), class_names, load_recipe(path).image_size)
