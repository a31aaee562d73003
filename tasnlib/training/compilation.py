"""What makes a network faster and changes its results by rounding only: memory format and compilation."""

import torch
from torch import nn

from tasnlib.arguments import checked
from tasnlib.model import TASN


@checked
def speed_up(model: nn.Module, device: torch.device, compiled: bool = False) -> None:
    """Prepare a model for training on a device, in place. Its weights keep their names and values.

    On a GPU the weights of convolutions are laid out channels last, as its matrix units read them.

    Args:
        compiled: compile the networks, the attention and the sampler with torch.compile. The first steps then take
            minutes, all others are faster.

    Raises:
        RuntimeError: where torch cannot compile on this machine.

    >>> model = nn.Conv2d(3, 8, 3)
    >>> speed_up(model, torch.device("cpu"))
    >>> model.weight.is_contiguous()
    True
    """
    if device.type == "cuda":
        model.to(memory_format=torch.channels_last)
    if compiled:
        _try_compiler(device)
        compile_parts(model)


def compile_parts(model: nn.Module, mode: str = "default") -> None:
    """Compile a model part by part: another image size then compiles only the sampler anew.

    Args:
        mode: of torch.compile.
    """
    if not isinstance(model, TASN):
        model.compile(mode=mode, dynamic=False)
        return
    model.attention_net.compile(mode=mode, dynamic=False)
    model.backbone.compile(mode=mode, dynamic=False)
    model.attend = torch.compile(model.attend, mode=mode, dynamic=False)  # type: ignore[method-assign]
    model.sample = torch.compile(model.sample, mode=mode, dynamic=False)  # type: ignore[method-assign]


def _try_compiler(device: torch.device) -> None:
    try:
        torch.compile(torch.neg)(torch.ones(2, device=device))
    except Exception as reason:
        what = str(reason).strip().split("\n")[0]
        raise RuntimeError(
            f"compiled is True, but torch cannot compile here: {what}. On a CPU it needs a C++ compiler (g++), "
            "on a GPU Triton and a C compiler; install them, or set compiled to False"
        ) from reason
