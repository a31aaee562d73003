"""Curves and attention pictures of a run in TensorBoard, or in another tracker that Accelerate knows."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from tasnlib.model import TASN
from tasnlib.runs.load_data import Data
from tasnlib.training.evaluation import look
from tasnlib.training.fit import Entry, Report
from tasnlib.training.recipes import Recipe

PICTURED = ("tensorboard", "wandb", "swanlab")  # take pictures from Accelerate as we have them
EVERY = 5  # epochs from picture to picture, beside the first and the last


@contextlib.contextmanager
def tracked(accelerator: Accelerator, title: str, recipe: Recipe, model: Any, test: Data) -> Iterator[Report]:
    """A function to call after every epoch with its entry of the history, see `training.fit`. A tracker that fails then
    is given up with a line that says so; the training goes on. Raises ValueError for one that cannot be started."""
    values = {name: one if isinstance(one, int | float) else str(one) for name, one in vars(recipe).items()}
    try:
        accelerator.init_trackers("tasnlib", values, {one: {"name": title} for one in ("wandb", "trackio")})
    except Exception as reason:  # each tracker has its own errors
        raise ValueError(f"the tracker cannot be started: {reason}; set it up, or leave track out") from reason

    def log(entry: Entry) -> None:
        epoch = entry["epoch"]
        curves = {f"accuracy/{net}": share for net, share in entry["accuracy"].items()}
        curves |= {name: entry[name] for name in ("loss", "seconds", "images_per_second")}
        try:
            accelerator.log(curves, step=epoch)
            due = isinstance(model, TASN) and (epoch % EVERY == 0 or epoch in (1, recipe.epochs))
            for tracker in (one for one in accelerator.trackers if due and one.name in PICTURED):
                pictures = attention_pictures(model, test.take([i * len(test) // 8 for i in range(8)]).images)
                options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
                tracker.log_images({"attention": pictures}, step=epoch, **options)
        except Exception as reason:
            accelerator.trackers.clear()
            print(f"nothing more is tracked from epoch {epoch} on; the training goes on ({reason!r})", flush=True)

    try:
        yield log
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


def attention_pictures(model: TASN, images: UInt8[Tensor, "b 3 h w"]) -> UInt8[np.ndarray, "b size three_sizes 3"]:
    """Side by side: each image, its attention (the brighter, the higher), and its structure image."""
    pixels = images.to(next(model.parameters()).device).float() / 255
    structure, sampled = look(model, pixels)
    attention = structure[:, None] / structure.amax(dim=(1, 2))[:, None, None, None].clamp_min(1e-12)
    size = [min(224, images.shape[2])] * 2  # photographs are larger than a picture need be
    pixels, attention, sampled = (resize(one, size) for one in (pixels, attention, sampled))
    row = torch.cat([pixels, pixels * attention, sampled], dim=3)  # (b, 3, size, 3 * size)
    return (row.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
