"""Predictions for a data set, each image exactly once, and their accuracy."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import Dataset

from tasnlib.data.batch import Batch
from tasnlib.data.randomness import hash32
from tasnlib.model import TASN
from tasnlib.training.devices import make_accelerator
from tasnlib.training.loaders import explained_worker_death, make_loader
from tasnlib.training.random_state import isolated_random_state

TOP_K = 5  # classes kept per prediction: enough for top-5 accuracy, few among thousands
Logits: TypeAlias = dict[str, Float[Tensor, "b k"]]  # by net
Predictions: TypeAlias = dict[str, Int[Tensor, "images top_k"]]  # by net: the most probable classes, best first


def draw_channels(indices: Int[Tensor, " b"], channels: int, seed: int, epoch: int) -> Int[Tensor, " b"]:
    """One channel per image, uniform over the channels: a hash of (seed, epoch, image)."""
    return hash32(hash32(indices) + seed * 0x9E3779B1 + epoch * 0x3C6EF372) % channels


def predict_batch(model: nn.Module, batch: Batch, seed: int, epoch: int, device: torch.device) -> Logits:
    """A model's logits, by net, for a batch with pixels from 0 to 255. Seed and epoch determine the channels."""
    images = batch.images.to(device, non_blocking=True).float() / 255
    inner: Any = getattr(model, "module", model)  # several processes wrap the model
    if hasattr(inner, "attention_net"):
        channels = inner.attention_net.classifier.in_features
        return model(images, channel=draw_channels(batch.indices, channels, seed, epoch)).logits
    return model(images).logits


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module is back in its mode, frozen ones too."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def look(model: TASN, pixels: Float[Tensor, "b 3 H W"]) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b 3 n n"]]:
    """Each image's structure map and structure image. The model's modes and the random state are left unchanged."""
    with evaluation_mode(model):
        _, features = model.look(pixels)
        # The detail map is not used; without a channel, one would be drawn at random.
        structure = model.attend(features, channel=torch.zeros(len(pixels), dtype=torch.int64)).structure
        return structure, model.sample(pixels, structure)


def evaluate(
    model: nn.Module, data: Dataset, batch_size: int, accelerator: Accelerator | None = None, num_workers: int = 0
) -> Predictions:
    """The five most probable classes of every image, best first, by net; -1 for an image that cannot be read.

    Every image counts once, whatever the batch size or the number of processes. The model's modes and torch's global
    random state are left unchanged. `accelerator` is the one the model was prepared with; by default a new one. Raises
    ValueError for an empty data set, RuntimeError if a worker process died."""
    if not (count := len(data)):  # type: ignore[arg-type]
        raise ValueError("the data set to evaluate on is empty; give at least one image")
    accelerator = accelerator or make_accelerator()
    device = accelerator.device
    loader = accelerator.prepare_data_loader(make_loader(data, batch_size, num_workers, device))
    model.to(device)
    predictions: dict[str, Tensor] = {}
    with explained_worker_death(num_workers), isolated_random_state(device), evaluation_mode(model):
        for batch in loader:
            with accelerator.autocast():
                logits = predict_batch(model, batch, seed=0, epoch=0, device=device)
            indices = accelerator.gather(batch.indices)
            for name, scores in logits.items():
                best = scores.topk(min(TOP_K, scores.shape[1])).indices  # (b, top_k)
                places = predictions.setdefault(name, best.new_full((count, best.shape[1]), -1))
                places[indices] = accelerator.gather(best)
    unreadable = sorted(getattr(data, "unreadable", ()))
    for places in predictions.values():
        places[unreadable] = -1
    return {name: places.cpu() for name, places in predictions.items()}


def accuracies(predictions: Predictions, labels: Int[Tensor, " images"], top: int = 1) -> dict[str, float]:
    """The share of images, from 0 to 1, whose label is among each net's `top` most probable classes.

    >>> accuracies({"master": torch.tensor([[1, 0], [2, 0], [3, 0]])}, torch.tensor([1, 0, 3]))
    {'master': 0.6666666666666666}
    """
    if labels.min() < 0:  # it would equal the -1 of an image that cannot be read
        raise ValueError(f"labels must be from 0 up, got {labels.min()}")
    shares = {}
    for name, classes in predictions.items():
        if not 1 <= top <= classes.shape[1]:
            raise ValueError(f"top is {top}; it must be from 1 to the {classes.shape[1]} classes kept of a prediction")
        right = (classes.cpu()[:, :top] == labels.cpu()[:, None]).any(dim=1)
        shares[name] = int(right.sum()) / len(labels)
    return shares


def accuracies_by_class(
    predictions: Int[Tensor, "n top_k"], labels: Int[Tensor, " n"], class_names: Sequence[str]
) -> dict[str, float | None]:
    """The share of right predictions among the images of each class; None for a class without images.

    >>> accuracies_by_class(torch.tensor([[1], [0], [0]]), torch.tensor([1, 1, 0]), ["a", "b", "c"])
    {'a': 1.0, 'b': 0.5, 'c': None}
    """
    labels = labels.cpu()
    images = torch.bincount(labels, minlength=len(class_names)).tolist()
    right = torch.bincount(labels[predictions.cpu()[:, 0] == labels], minlength=len(class_names)).tolist()
    return {name: hits / count if count else None for name, hits, count in zip(class_names, right, images, strict=True)}
