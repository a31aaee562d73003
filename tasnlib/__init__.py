"""TASN, the Trilinear Attention Sampling Network (Zheng, Fu, Zha, Luo, CVPR 2019), in PyTorch.

Ten names are enough to use it and to build on it; all else stands in its module.

| name | what it is |
| --- | --- |
| `load` | a trained model, ready for any image file |
| `trilinear_attention`, `pooled_attention` | features to attention maps: all of them, or the two that training needs |
| `AttentionNet` | the network whose features those are |
| `attention_sample` | images resampled so that attended places get more pixels |
| `tasn_loss` | classification and distillation |
| `TASN`, `build_tasn` | the three joined; the same, as a recipe says |
| `Recipe`, `RECIPES` | all that decides a result except data and seed; those that have a name |

>>> import tasnlib
>>> from PIL import Image
>>> model = tasnlib.load("notebooks/saved_run")
>>> prediction = model.predict(Image.new("RGB", (200, 150), "green"))  # or the path of a file
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "load": "prediction",
    "trilinear_attention": "attention",
    "pooled_attention": "attention",
    "AttentionNet": "attention",
    "attention_sample": "sampler",
    "tasn_loss": "distillation",
    "TASN": "model",
    "build_tasn": "building",
    "Recipe": "recipes",
    "RECIPES": "recipes",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """A name is looked up when it is used: importing one part of the library does not import all of it."""
    if name in _MODULES:
        return getattr(import_module(f"tasnlib.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'tasnlib' has no attribute {name!r}; it has {', '.join(_MODULES)}, and its modules")


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
