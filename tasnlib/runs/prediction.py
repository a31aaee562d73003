"""A trained model in two lines: load a run's folder, predict the class of an image file."""

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import five_crop, resize

from tasnlib.data.files import expanded, is_file, is_folder
from tasnlib.data.image_file import open_image, upright_rgb
from tasnlib.data.transforms import augment, resize_short_side
from tasnlib.model import TASN
from tasnlib.runs.prediction_result import Prediction
from tasnlib.training.checkpoints import load_model, load_recipe
from tasnlib.training.evaluation import evaluation_mode, look

VIEWS = ("whole", "flip", "flip and crops")  # of an image, whose predicted shares are averaged


class Predictor:
    """A trained TASN, its class names, and the side of its input images in pixels."""

    def __init__(self, model: TASN, class_names: list[str], image_size: int):
        self.model, self.class_names, self.image_size = model, class_names, image_size

    def predict(self, image: str | Path | Image.Image) -> Prediction:
        """The master net's prediction for an image file or an opened one, `prepared`; raises as that."""
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
    """An image as evaluation sees it: short side resized to `size`, centre cropped.

    Raises ValueError, naming the file, if it cannot be read.

    >>> prepared(Image.new("RGB", (200, 150), "green"), size=64).shape
    torch.Size([3, 64, 64])
    """
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
    fastest = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    return Predictor(model.to(device or fastest), class_names, load_recipe(path).image_size)
