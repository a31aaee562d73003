"""A trained model in three lines: load a run's folder, predict the class of an image file, show where it looked."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from tasnlib.data.files import expanded, is_file, is_folder
from tasnlib.data.image_file import open_image, upright_rgb
from tasnlib.data.transforms import augment, resize_short_side
from tasnlib.model import TASN
from tasnlib.runs.prediction_figure import display_png, in_kernel, prediction_figure
from tasnlib.training.checkpoints import load_model, load_recipe
from tasnlib.training.evaluation import evaluation_mode


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
        """The image, where the network looked, what the sampler made of it, and the most probable classes."""
        if classes < 1:
            raise ValueError(f"classes is {classes}; it must be from 1 up")
        names, shares = self.class_names[:classes], self.probabilities[:classes]
        return prediction_figure(self.image, self.attention, self.structure_image, names, shares)

    def show(self) -> None:
        """The figure, in a notebook; elsewhere, the three most probable classes as text."""
        if not in_kernel():
            print(f"{self}\nThe picture: prediction.figure().savefig('prediction.png')")
            return
        display_png(self.figure(), f"an image, its attention, its structure image, and the predicted classes: {self}")


class Predictor:
    """A trained TASN, its class names, and the side of its input images in pixels."""

    def __init__(self, model: TASN, class_names: list[str], image_size: int):
        self.model, self.class_names, self.image_size = model, class_names, image_size

    def predict(self, image: str | Path | Image.Image) -> Prediction:
        """The master net's prediction for an image file or an opened image, prepared as in testing: short side
        resized to `image_size`, centre cropped. Raises ValueError, naming the file, if it cannot be read."""
        opened = _upright(image) if isinstance(image, Image.Image) else open_image(image)
        cropped = augment("none", resize_short_side(opened, self.image_size), self.image_size)  # (3, size, size)
        pixels = cropped.to(next(self.model.parameters()).device)[None].float() / 255
        with evaluation_mode(self.model):
            _, features = self.model.look(pixels)
            # The detail map is not used; without a channel, one would be drawn at random.
            structure = self.model.attend(features, channel=torch.zeros(1, dtype=torch.int64)).structure
            structure_image = self.model.sample(pixels, structure)
            shares = self.model.classifier(self.model.backbone(structure_image)).float().softmax(dim=1)[0]
        order = shares.argsort(descending=True)
        names = [self.class_names[index] for index in order.tolist()]
        return Prediction(
            names, shares[order].tolist(), *(one[0].cpu() for one in (pixels, structure, structure_image))
        )


def _upright(image: Image.Image) -> Image.Image:
    """Pillow reads an opened image's pixels lazily, and its decoders raise all kinds of errors."""
    try:
        return upright_rgb(image)
    except MemoryError:
        raise  # about the machine, not the image
    except Exception as reason:
        name = getattr(image, "filename", "") or "(opened)"
        raise ValueError(f"image {name} cannot be read: {reason}") from reason


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
        raise FileNotFoundError(
            f"there is no trained model at {path}; name the output folder of a finished run of notebook 05, "
            "which holds tasn.safetensors"
        )
    model, class_names = load_model(path)
    if not isinstance(model, TASN):
        raise ValueError(f"{path} is a baseline, which has no attention; name a run's tasn.safetensors")
    if device is None:
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    return Predictor(model.to(device), class_names, load_recipe(path).image_size)
