"""TASN, the Trilinear Attention Sampling Network (Zheng, Fu, Zha, Luo, CVPR 2019), in PyTorch.

Eleven names are enough to use it and to build on it; all else stands in its module.

| name | what it is |
| --- | --- |
| `load` | a trained model, ready for any image file |
| `trilinear_attention`, `pooled_attention` | features to attention maps: all of them, or the two that training needs |
| `AttentionNet` | the network whose features those are |
| `AttentionSampler`, `attention_sample` | images resampled so that attended places get more pixels, and the way back |
| `tasn_loss` | classification and distillation |
| `TASN`, `build_tasn` | the three joined; the same, as a recipe says |
| `Recipe`, `RECIPES` | all that decides a result except data and seed; those that have a name |

>>> import tasnlib
>>> from PIL import Image
>>> model = tasnlib.load("notebooks/saved_run")
>>> prediction = model.predict(Image.new("RGB", (200, 150), "green"))  # or the path of a file
"""

import functools
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from jaxtyping import install_import_hook

_MODULES = {
    "load": "runs.prediction",
    "trilinear_attention": "attention",
    "pooled_attention": "attention",
    "AttentionNet": "attention",
    "AttentionSampler": "attention_sampler",
    "attention_sample": "sampler",
    "tasn_loss": "distillation",
    "TASN": "model",
    "build_tasn": "networks.build",
    "Recipe": "training.recipes",
    "RECIPES": "training.recipes",
}
PAPER = ("attention", "sampler", "distillation", "model")
__all__ = list(_MODULES)


def typechecker(function: Callable) -> Callable:
    """Checks a function's annotations at run time by beartype; not while torch compiles, exports or traces it.

    jaxtyping's import hook, below, applies it to the files of the paper.
    """
    checked = beartype(conf=BeartypeConf(is_pep484_tower=True))(function)  # an int will do where a float is asked for

    @functools.wraps(function)
    def check_unless_compiling(*args: Any, **kwargs: Any) -> Any:
        unchecked = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
        return (function if unchecked else checked)(*args, **kwargs)

    return check_unless_compiling


# Without beartype, which comes with the extra `train`, only what the functions themselves look for is checked.
if find_spec("beartype"):
    # Before the hook: it compiles anew whatever a hooked module is the first to import.
    import torch
    from beartype import BeartypeConf, beartype

    install_import_hook([f"tasnlib.{name}" for name in PAPER], "tasnlib.typechecker")


def __getattr__(name: str) -> Any:
    """A name is looked up when it is used: importing one part of the library does not import all of it."""
    if name in _MODULES:
        return getattr(import_module(f"tasnlib.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'tasnlib' has no attribute {name!r}; it has {', '.join(_MODULES)}, and its modules")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
