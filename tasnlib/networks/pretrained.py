"""Networks of torchvision and timm by name, without their classifiers, with the weights of a download or of a file."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision import models

TIMM = "timm/"  # "timm/convnext_atto" is timm's convnext_atto


class Normalize(nn.Module):
    """(image - mean) / std, for each colour.

    >>> Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [2.0, 2.0, 2.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (images - self.mean) / self.std


def headless_network(
    name: str, weights: models.WeightsEnum | str | Path | None
) -> tuple[Normalize, nn.Module, tuple[int, int]]:
    """A classification network without its classifier, the normalisation it wants, and a (height, width) it takes.

    Args:
        name: of a classification network in torchvision, or "timm/NAME".
        weights: one of torchvision's weights, as enum or by name; "DEFAULT"; the path of a file (.pth or .safetensors:
            what `network.state_dict()` returns, with a classifier for any number of classes or with none); or None.
            Everything in a file but the classifier must fit. Colours are normalised as its default weights want it.

    Raises:
        ValueError: if there is no network or no weights of that name, or if a file does not fit.
        OSError: if the weights cannot be fetched.
        ImportError: if timm is asked for and not installed.

    >>> normalize, network, size = headless_network("squeezenet1_1", weights=None)
    >>> network(normalize(torch.rand(1, 3, 64, 64))).shape, size
    (torch.Size([1, 512]), (224, 224))
    """
    return _from_timm(name, weights) if name.startswith(TIMM) else _from_torchvision(name, weights)


def _from_torchvision(
    name: str, weights: models.WeightsEnum | str | Path | None
) -> tuple[Normalize, nn.Module, tuple[int, int]]:
    names = models.list_models(module=models)
    if name not in names:
        raise ValueError(
            f"name is {name!r}, which is no classification network of torchvision{_nearest(name, names)}. "
            "Those of timm are called 'timm/NAME'"
        )
    choices = models.get_model_weights(name)
    if isinstance(weights, models.WeightsEnum):
        weights = weights.name
    path = None if weights is None else _file_of(weights, ["DEFAULT", *(choice.name for choice in choices)])
    settings = choices[str(weights)] if weights is not None and path is None else choices.DEFAULT
    try:
        network = models.get_model(name, weights=None if weights is None or path else settings)
    except (OSError, RuntimeError) as reason:  # RuntimeError: a download whose hash is wrong
        raise _not_fetched(name, weights, reason) from reason

    normalize = Normalize(tuple(settings.transforms().mean), tuple(settings.transforms().std))
    heads = []
    if hasattr(network, "transform_input"):  # GoogLeNet and Inception shift the colours themselves: to -1 ... 1
        network.transform_input = False
        normalize = Normalize((0.5,) * 3, (0.5,) * 3)
    if hasattr(network, "aux_logits"):  # and have more classifiers, for training
        network.aux_logits = False
        heads = [child for child, _ in network.named_children() if child.lower().startswith("aux")]
        for head in heads:
            setattr(network, head, None)
    # The smallest that the weights were trained for suits most, but a vision transformer takes nothing else.
    size = tuple(settings.meta["min_size"]) if weights is not None and path is None else (0, 0)
    size = size if min(size) >= 224 else (224, 224)
    heads.append(_last_layer(network, size))
    network.set_submodule(heads[-1], nn.Identity())
    if path:
        state = {key: value for key, value in _read(path).items() if not key.startswith(tuple(f"{h}." for h in heads))}
        if isinstance(network, models.DenseNet):  # its published files have the names of an older torchvision
            state = {re.sub(r"\b(norm|conv)\.(\d)\.", r"\1\2.", key): value for key, value in state.items()}
        _fill(network, state, name, path)
    return normalize, network, size


def _from_timm(name: str, weights: str | Path | None) -> tuple[Normalize, nn.Module, tuple[int, int]]:
    try:
        import timm  # here, because it takes seconds
    except ImportError as reason:
        raise ImportError(f"{name} needs timm, which is not installed. Install it with: pip install timm") from reason

    architecture, _, tag = name.removeprefix(TIMM).partition(".")
    names = timm.list_models()
    if architecture not in names:
        raise ValueError(f"name is {name!r}, which timm does not have{_nearest(architecture, names, TIMM)}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ValueError(
            f"name is {name!r}, but what may follow timm/{architecture}. is: {', '.join(tags) or 'nothing'}"
        )
    path = None if weights is None else _file_of(weights, ["DEFAULT"] if timm.is_model_pretrained(architecture) else [])
    try:
        network: Any = timm.create_model(name.removeprefix(TIMM), pretrained=weights is not None and path is None)
    except Exception as reason:  # what fetches for timm has errors of its own, of no common type
        if weights is None or path:
            raise
        raise _not_fetched(name, weights, reason) from reason

    settings = network.pretrained_cfg
    if not settings.get("num_classes", 1000):  # trained without a classifier: a file may have one all the same
        network.reset_classifier(1000)
    with_head = set(network.state_dict())
    network.reset_classifier(0)
    if path:
        head = with_head - set(network.state_dict())
        _fill(network, {key: value for key, value in _read(path).items() if key not in head}, name, path)
    return Normalize(settings["mean"], settings["std"]), network, tuple(settings["input_size"][1:])


def _nearest(name: str, names: Collection[str], prefix: str = "") -> str:
    nearest = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(prefix + near for near in nearest)}" if nearest else ""


def _not_fetched(name: str, weights: object, reason: Exception) -> OSError:
    return OSError(
        f"the {weights} weights of {name} could not be fetched ({reason}). In Python pass weights=None to start from "
        "random ones, or the path of a file (.pth or .safetensors) that you fetched elsewhere; to notebook 05 pass "
        f"weights none, or a folder that holds such a file for each network ({name.removeprefix(TIMM)}*.pth)"
    )


def _file_of(weights: str | Path, names: list[str]) -> Path | None:
    """The file that weights is the path of; None if it is one of the names."""
    if str(weights) in names:
        return None
    path = Path(weights)
    if not path.is_file():
        what = "is a folder (see weights_in_folder)" if path.is_dir() and str(weights) else "is no file"
        also = f" nor one of {', '.join(names)}" if names else ", and no weights are published for this network"
        raise ValueError(f"weights is {str(weights)!r}, which {what}{also}; it may also be None")
    return path


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, UnpicklingError, RuntimeError, EOFError) as reason:
        raise ValueError(f"{path} cannot be read as weights: {reason}") from reason
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        holds = ", ".join(map(str, list(state)[:5])) if isinstance(state, dict) else type(state).__name__
        raise ValueError(f"{path} holds {holds}, not named tensors. Save what network.state_dict() returns")
    return state


def _fill(network: nn.Module, state: dict[str, Tensor], name: str, path: Path) -> None:
    try:
        network.load_state_dict(state)  # names every tensor that is missing, left over or of another shape
    except RuntimeError as reason:
        raise ValueError(f"the weights in {path} do not fit {name}: {reason}") from reason


def _last_layer(network: nn.Module, size: tuple[int, int]) -> str:
    """The layer with weights that an image passes last: the classifier."""
    called = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
        for name, module in network.named_modules()
        if next(module.children(), None) is None and next(module.parameters(), None) is not None
    ]
    run_once(network, size)
    for hook in hooks:
        hook.remove()
    return called[-1]


def run_once(network: nn.Module, size: tuple[int, int]) -> Any:
    """What comes out for one black image, with the network left as it was.

    >>> run_once(nn.Dropout(), (2, 2)).shape
    torch.Size([1, 3, 2, 2])
    """
    training = [module for module in network.modules() if module.training]
    weight = next(network.parameters(), torch.empty(0))
    with torch.no_grad():
        output = network.eval()(torch.zeros(1, 3, *size, device=weight.device, dtype=weight.dtype))
    for module in training:
        module.training = True
    return output
