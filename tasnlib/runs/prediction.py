"""A trained model in three lines: load a result folder, predict on an image file, look at where it looked."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from tasnlib.arguments import check_device, checked, within
from tasnlib.course.plots.notebook_display import in_notebook, show
from tasnlib.course.plots.prediction import prediction_figure
from tasnlib.data.files import expanded, is_file, is_folder
from tasnlib.data.image_file import open_image, upright_rgb
from tasnlib.data.transforms import evaluation, resize_short_side
from tasnlib.model import TASN, downsample
from tasnlib.training.checkpoints import load_model, load_recipe


@dataclass(frozen=True, repr=False)
class Prediction:
    """What the model makes of one image. Classes stand in the order of their probability."""

    class_names: list[str]  # all of them, the most probable first
    probabilities: list[float]  # theirs
    image: Float[Tensor, "3 size size"]  # as it was looked at: short side resized, centre cropped
    attention: Float[Tensor, "h w"]  # the structure map
    structure_image: Float[Tensor, "3 n n"]  # what the master net saw

    def __str__(self) -> str:
        best = zip(self.class_names[:3], self.probabilities, strict=False)
        return ", ".join(f"{name} {share:.1%}".replace("%", " %") for name, share in best)

    def __repr__(self) -> str:  # not a page of pixels
        return f"<Prediction: {self}>"

    @checked
    def figure(self, classes: int = 5) -> Figure:
        """The image, where the network looked, what that made of it, and the most probable classes.

        Args:
            classes: how many of them, from 1 up; all, where there are fewer.

        Raises:
            ValueError: for less than one class.
        """
        within(classes, "classes", 1)
        names, shares = self.class_names[:classes], self.probabilities[:classes]
        return prediction_figure(self.image, self.attention, self.structure_image, names, shares)

    def show(self) -> None:
        """The figure, in a notebook; elsewhere, the three most probable classes as text."""
        if not in_notebook():
            print(f"{self}\nThe picture: prediction.figure().savefig('prediction.png')")
            return
        show(self.figure(), f"an image, its attention, its structure image, and the most probable classes: {self}")


class Predictor:
    """A trained TASN and the names of its classes.

    Args:
        model: in evaluation mode, on the device that it is to run on.
        image_size: side of the image that it looks at, as in its recipe.
    """

    @checked
    def __init__(self, model: TASN, class_names: list[str], image_size: int):
        within(image_size, "image_size", 1, 2**16)
        self.model, self.class_names, self.image_size = model, class_names, image_size

    @torch.no_grad()
    @checked
    def predict(self, image: str | Path | Image.Image) -> Prediction:
        """What the master net says of an image file, or of an opened image.

        The image is prepared as in a test: its short side resized to `image_size`, the centre cropped.

        Raises:
            ValueError: where it cannot be read as an image; the message names the file.
        """
        opened = _read(image) if isinstance(image, Image.Image) else open_image(image)
        device = next(self.model.parameters()).device
        seen = evaluation(resize_short_side(opened, self.image_size), self.image_size)  # (3, size, size)
        pixels = seen.to(device)[None].float() / 255
        _, features = self.model.attention_net(downsample(pixels, self.model.attention_size))
        structure = self.model.attend(features, channel=torch.zeros(1, dtype=torch.int64)).structure
        structure_image = self.model.sample(pixels, structure)
        shares = self.model.classifier(self.model.backbone(structure_image)).float().softmax(dim=1)[0]
        order = shares.argsort(descending=True).tolist()
        return Prediction(
            class_names=[self.class_names[place] for place in order],
            probabilities=[shares[place].item() for place in order],
            image=pixels[0].cpu(),
            attention=structure[0].cpu(),
            structure_image=structure_image[0].cpu(),
        )


def _read(image: Image.Image) -> Image.Image:
    """An opened image, upright. Pillow reads its pixels only now."""
    try:
        return upright_rgb(image)
    except MemoryError:
        raise  # says something of the machine, not of the image
    except Exception as reason:  # Pillow's readers raise all kinds
        name = getattr(image, "filename", "")
        raise ValueError(f"image {name or '(opened)'} cannot be read: {reason}") from reason


@checked
def load(run: str | Path, device: str | torch.device | None = None) -> Predictor:
    """The TASN that a run left behind.

    Args:
        run: the run's output folder, or its tasn.safetensors.
        device: the fastest there is, where None.

    Raises:
        FileNotFoundError: where there is no trained model; the message says what the folder should hold.
        ValueError: where the file is damaged or is not TASN.

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
    if device is not None:
        check_device(device)
    model, class_names = load_model(path)
    if not isinstance(model, TASN):
        raise ValueError(f"{path} is a plain classifier, which has no attention; name a run's tasn.safetensors")
    if device is None:
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    return Predictor(model.to(device), class_names, load_recipe(path).image_size)
