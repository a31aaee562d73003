"""TASN, the Trilinear Attention Sampling Network (Zheng, Fu, Zha, Luo, CVPR 2019), in PyTorch.

>>> import tasnlib
>>> from PIL import Image
>>> model = tasnlib.load("notebooks/saved_run")
>>> prediction = model.predict(Image.new("RGB", (200, 150), "green"))  # or the path of a file
"""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`tasnlib.load` is looked up when it is used: importing one part of the library does not import all of it."""
    if name == "load":
        from tasnlib.prediction import load

        return load
    raise AttributeError(f"module 'tasnlib' has no attribute {name!r}")
