"""Networks of torchvision and timm by name, without their classifiers, with random or pretrained weights."""

import logging
import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision import models

from tasnlib.networks.small import Normalize

TIMM = "timm/"  # "timm/convnext_atto" is timm's convnext_atto
AUXILIARY = ("googlenet", "inception_v3")  # more than one classifier in training: not supported


def published_weights(name: str) -> list[str]:
    """The names of the weights that can be downloaded; raises ValueError for an unknown network.

    >>> published_weights("resnet18")
    ['DEFAULT', 'IMAGENET1K_V1']
    """
    names = [other for other in models.list_models(module=models) if other not in AUXILIARY]
    if name.startswith(TIMM):
        import timm  # here, because it takes seconds

        names = [TIMM + other for other in (*timm.list_models(), *timm.list_pretrained())]
    if name not in names:
        near = ", ".join(get_close_matches(name, names)) or "none"
        raise ValueError(f"there is no network {name!r}; nearest: {near}. Those of timm are called 'timm/NAME'")
    if name.startswith(TIMM):
        return ["DEFAULT"] if timm.is_model_pretrained(name.removeprefix(TIMM)) else []
    return ["DEFAULT", *(entry.name for entry in models.get_model_weights(name))]


def headless_network(name: str, weights: str | Path | None, **options: Any) -> tuple[Normalize, Any, int]:
    """A network without its classifier; the normalisation and the size of images that it was trained with.

    Arguments and errors are those of `backbones.classifier_backbone`; options are passed on to `timm.create_model`.
    """
    file = weights_file(weights, name, published_weights(name))
    state = read_weights(file) if file else None
    build = _from_timm if name.startswith(TIMM) else _from_torchvision
    try:
        return build(name, None if file else weights, state, **options)
    except Exception as reason:  # timm's downloads raise errors without a common type
        if weights is None:
            raise
        build(name, None, None, **options)  # raises if the weights are not to blame
        if file:
            raise ValueError(f"the weights in {file} do not fit {name}: {reason}") from reason
        advice = "Pass None for random ones (to notebook 05: none), a .pth or .safetensors file, or a folder with them"
        raise OSError(f"the {weights} weights of {name} could not be fetched ({reason}). {advice}") from reason


def _from_torchvision(name: str, weights: Any, state: dict | None) -> tuple[Normalize, nn.Module, int]:
    network = models.get_model(name, weights=weights)
    # The classifier is the last layer with weights, in each of torchvision's networks.
    head = [path for path, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    network.set_submodule(head, nn.Identity())
    if state:
        network.load_state_dict({key: tensor for key, tensor in state.items() if not key.startswith(f"{head}.")})
    preset = models.get_model_weights(name)[weights or "DEFAULT"].transforms()
    return Normalize(tuple(preset.mean), tuple(preset.std)), network, preset.crop_size[0]


def _from_timm(name: str, weights: Any, state: dict | None, **options: Any) -> tuple[Normalize, nn.Module, int]:
    import timm

    if options:  # a trunk: timm would warn about the layers left out, and skip what does not fit
        logging.getLogger("timm.models._builder").setLevel(logging.ERROR)
        if state:
            _from_timm(name, None, state)  # so check them against the whole network first
    name, overlay = name.removeprefix(TIMM), dict[str, Any]()
    if state:
        head = timm.get_pretrained_cfg_value(name, "classifier") or ()
        heads = [head] if isinstance(head, str) else list(head)
        heads += [f"{head.rpartition('.')[0]}.bn" for head in heads]  # the norm in LeViT's and others' classifiers
        state = {key: state[key] for key in state if not key.startswith(tuple(f"{head}." for head in heads))}
        # Weights "for 0 classes", or timm skips what does not fit.
        overlay = {"state_dict": state, "num_classes": 0, "label_offset": 0}
    pretrained = weights is not None or state is not None
    network: Any = timm.create_model(name, pretrained, pretrained_cfg_overlay=overlay, num_classes=0, **options)
    for module in network.modules():  # which keep a copy of the weights
        getattr(module, "pretrained_cfg", {}).pop("state_dict", None)
    settings = network.pretrained_cfg
    return Normalize(settings["mean"], settings["std"]), network, settings["input_size"][1]


def weights_file(weights: str | Path | None, name: str, published: Collection[str]) -> Path | None:
    """The file with a network's weights; None if `weights` is None or names published ones.

    A folder holds one file per network: NAME.pth, NAME-HASH.pth or the same with .safetensors, without "timm/" and
    any tag in NAME. Raises ValueError if there is no such file, or more than one."""
    if weights is None or str(weights) in published:
        return None
    path, name = Path(weights).expanduser(), name.removeprefix("timm/").partition(".")[0]
    if path.is_file():
        return path
    files = sorted(file for file in path.glob(f"{name}[-.]*") if file.suffix in (".pth", ".safetensors"))
    if len(files) != 1:
        allowed = f"a file, a folder with one file {name}-*.pth or {name}.safetensors, None, or one of"
        found = f"{', '.join(published)}; found: {', '.join(file.name for file in files) or 'none'}"
        raise ValueError(f"weights is {str(weights)!r}; for {name} it must be {allowed}: {found}")
    return files[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors in a .pth or .safetensors file; no code in it is executed. Raises ValueError for any other."""
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, UnpicklingError, RuntimeError, EOFError):
        state = None  # torch's own message is a page on how to execute what is in the file
    if not isinstance(state, dict) or not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        holds = f"holds {', '.join(map(str, list(state)[:5]))}" if isinstance(state, dict) else "is damaged or pickled"
        raise ValueError(f"{path} {holds}; it must hold the weights alone: torch.save(network.state_dict(), path)")
    # DistributedDataParallel and torch.compile put a prefix before each name.
    return {re.sub(r"^(module\.|_orig_mod\.)+", "", name): tensor for name, tensor in state.items()}
