"""What a model answers to a test set, and how often it is right: every image exactly once."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tasnlib.arguments import checked, within
from tasnlib.data.batch import Batch
from tasnlib.data.randomness import hash32
from tasnlib.model import TASN, downsample
from tasnlib.training.devices import make_accelerator
from tasnlib.training.signals import leave_ctrl_c_to_parent, reading_with

T = TypeVar("T")
KEPT = 5  # the best answers to every image: enough for top-5, and small where there are thousands of classes
AVERAGES = (("master", "part"), ("master", "part", "attention"))


@checked
def draw_channels(indices: Int[Tensor, " b"], channels: int, seed: int, epoch: int) -> Int[Tensor, " b"]:
    """One channel an image, uniform over the channels: a hash of (seed, epoch, image).

    >>> draw_channels(torch.arange(5), channels=1, seed=0, epoch=0).tolist()
    [0, 0, 0, 0, 0]
    """
    within(channels, "channels", 1)
    within(seed, "seed", 0, 2**31 - 1)
    within(epoch, "epoch", 0, 2**31 - 1)
    return hash32(hash32(indices) + seed * 0x9E3779B1 + epoch * 0x3C6EF372) % channels


def answer_batch(
    model: nn.Module, batch: Batch, seed: int, epoch: int, device: torch.device
) -> dict[str, Float[Tensor, "b k"]]:
    """The logits of a model's nets for a batch as a data set hands it out: pixels from 0 to 255."""
    images = batch.images.to(device, non_blocking=True).float() / 255
    inner: Any = getattr(model, "module", model)  # several processes wrap the model
    if hasattr(inner, "attention_net"):
        channels = inner.attention_net.classifier.in_features
        return model(images, channel=draw_channels(batch.indices, channels, seed, epoch)).logits
    return model(images).logits


@torch.no_grad()
def silent_images(model: TASN, data: Any, at_most: int = 50) -> tuple[int, int]:
    """On how many of a data set's first images the structure map is 0 everywhere; and how many were looked at."""
    readable = [index for index in range(len(data)) if index not in getattr(data, "unreadable", ())]
    images = data.take(readable[:at_most]).images
    was_training, device = model.training, next(model.parameters()).device
    _, features = model.eval().attention_net(downsample(images.to(device).float() / 255, model.attention_size))
    structure = model.attend(features).structure
    model.train(was_training)
    return int((structure.amax(dim=(1, 2)) == 0).sum()), len(images)


def as_it_is(batch: T) -> T:
    """Data sets here hand out whole batches: there is nothing to collate."""
    return batch


@torch.no_grad()
@checked
def evaluate(
    model: nn.Module, data: Dataset, batch_size: int, accelerator: Accelerator | None = None, num_workers: int = 0
) -> dict[str, Int[Tensor, "images kept"]]:
    """What the model answers to every image of a data set: each net's best classes, best first.

    Every image counts once, whatever the batch size or the number of processes: answers are put in their image's place,
    so that an image that was seen twice to fill up a batch changes nothing. The detail map's channel is a function of
    the image alone.

    Args:
        model: `TASN` or `PlainClassifier`.
        data: hands out `Batch`es, as `data.birds.Birds` and `data.photographs.ImageFiles` do.
        accelerator: the one the model was prepared with; one is made where there is none.
        num_workers: processes that read images, for each process that computes.

    Returns:
        In the data set's order, the best five classes (all, where there are fewer), by net, and of the averages of
        their softmaxes, named "master+part" and so on. An image that could not be read is -1 throughout: wrong.

    Raises:
        ValueError: for an empty data set.
        RuntimeError: where a process that reads images died.
    """
    if not isinstance(data, Sized):
        raise ValueError(f"data is {type(data).__name__}, which does not know its length")
    count = len(data)
    within(batch_size, "batch_size", 1, 2**31 - 1)
    within(num_workers, "num_workers", 0, 1024)
    if count == 0:
        raise ValueError("the data set to evaluate on is empty")
    accelerator = accelerator or make_accelerator()
    loader = DataLoader(
        data, batch_size, collate_fn=as_it_is, num_workers=num_workers, worker_init_fn=leave_ctrl_c_to_parent
    )
    loader = accelerator.prepare_data_loader(loader)
    was_training = model.training
    model.eval().to(accelerator.device)
    answers: dict[str, Tensor] = {}
    with reading_with(num_workers):
        for batch in loader:
            with accelerator.autocast():
                logits = answer_batch(model, batch, seed=0, epoch=0, device=accelerator.device)
            indices = accelerator.gather(batch.indices)
            for name, share in _with_averages(logits).items():
                best = share.topk(min(KEPT, share.shape[1])).indices  # (b, kept)
                places = answers.setdefault(name, best.new_full((count, best.shape[1]), -1))
                places[indices] = accelerator.gather(best)
    model.train(was_training)
    unreadable = sorted(getattr(data, "unreadable", ()))
    for places in answers.values():
        places[unreadable] = -1
    return {name: places.cpu() for name, places in answers.items()}


def _with_averages(logits: Mapping[str, Float[Tensor, "b k"]]) -> dict[str, Float[Tensor, "b k"]]:
    """The nets' answers, and the averages of their softmaxes where all nets of one are there."""
    shares = {name: answer.float().softmax(dim=1) for name, answer in logits.items()}
    averages = {
        "+".join(names): torch.stack([shares[name] for name in names]).mean(dim=0)
        for names in AVERAGES
        if all(name in shares for name in names)
    }
    return dict(logits) | averages


@checked
def accuracies(
    answers: Mapping[str, Int[Tensor, "n kept"]], labels: Int[Tensor, " n"], top: int = 1
) -> dict[str, float]:
    """The share of images, from 0 to 1, whose class is among each net's `top` best answers.

    Raises:
        ValueError: for more best answers than were kept; for a label below 0; for no net.

    >>> accuracies({"master": torch.tensor([[1, 0], [2, 0], [3, 0]])}, torch.tensor([1, 0, 3]))
    {'master': 0.6666666666666666}
    """
    labels = labels.cpu()
    if labels.min() < 0:
        raise ValueError(f"labels must be from 0 up, got {labels.min()}; an answer of -1 is always wrong")
    if not answers:
        raise ValueError("answers hold those of no net; give at least one")
    for answer in answers.values():
        if not 1 <= top <= answer.shape[1]:
            raise ValueError(
                f"top is {top}; {answer.shape[1]} answers an image were kept, so it must be from 1 to that"
            )
    return {
        name: (answer[:, :top] == labels[:, None]).any(dim=1).double().mean().item() for name, answer in answers.items()
    }


@checked
def accuracies_by_class(
    answers: Int[Tensor, "n kept"], labels: Int[Tensor, " n"], class_names: Sequence[str]
) -> dict[str, float | None]:
    """The share of right best answers among the images of each class; None for a class without images.

    >>> accuracies_by_class(torch.tensor([[1], [0], [0]]), torch.tensor([1, 1, 0]), ["a", "b", "c"])
    {'a': 1.0, 'b': 0.5, 'c': None}
    """
    labels = labels.cpu()
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise ValueError(f"labels are {labels.min()} to {labels.max()}, but class_names are {len(class_names)}")
    if len(set(class_names)) < len(class_names):
        raise ValueError(f"class_names must differ from each other, got {list(class_names)}")
    images = torch.bincount(labels, minlength=len(class_names)).tolist()
    right = torch.bincount(labels[answers[:, 0] == labels], minlength=len(class_names)).tolist()
    return {name: hits / count if count else None for name, hits, count in zip(class_names, right, images, strict=True)}
