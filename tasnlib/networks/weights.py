"""Files of pretrained weights."""

import re
from collections.abc import Collection
from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
from torch import Tensor


def weights_file(weights: str | Path | None, name: str, published: Collection[str]) -> Path | None:
    """The file with a network's weights; None if `weights` is None or names published ones.

    A folder holds one file per network: NAME.pth, NAME-HASH.pth or the same with .safetensors, without "timm/" and
    any tag in NAME.

    Raises:
        ValueError: if there is no such file, or more than one.

    >>> weights_file("DEFAULT", "resnet18", published=["DEFAULT", "IMAGENET1K_V1"])
    """
    if weights is None or str(weights) in published:
        return None
    path, name = Path(weights).expanduser(), name.removeprefix("timm/").partition(".")[0]
    if path.is_file():
        return path
    files = sorted(file for file in path.glob(f"{name}[-.]*") if file.suffix in (".pth", ".safetensors"))
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise ValueError(
            f"weights is {str(weights)!r}; for {name} it must be a file, a folder with one file {name}-*.pth or "
            f"{name}.safetensors (found: {found}), None, or one of: {', '.join(published)}"
        )
    return files[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors in a .pth or .safetensors file. No code in it is executed.

    Raises:
        ValueError: if the file is damaged, or holds anything else.
    """
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (safetensors.SafetensorError, UnpicklingError, RuntimeError, EOFError):
        state = None  # torch's own message is a page on how to execute what is in the file
    if not isinstance(state, dict) or not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        holds = f"holds {', '.join(map(str, list(state)[:5]))}" if isinstance(state, dict) else "is damaged or pickled"
        raise ValueError(
            f"{path} {holds}; it must hold the weights alone, as saved by torch.save(network.state_dict(), path)"
        )
    # DistributedDataParallel and torch.compile put a prefix before each name.
    return {re.sub(r"^(module\.|_orig_mod\.)+", "", name): tensor for name, tensor in state.items()}
