"""Pooled attention beside computing all attention maps."""

import torch

from benchmarks.alternatives import all_maps_then_pool
from benchmarks.limits import count_operations, limit_seconds
from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.timing import compare
from tasnlib.attention import pooled_attention


def measure(setting: Setting) -> list[Figure]:
    """Pooled attention at the paper's 512 × 28 × 28."""
    on_gpu = setting.device.type == "cuda"
    shape = (96 if on_gpu else 8, 512, 28, 28) if setting.full else (2, 32, 7, 7)
    features = torch.rand(shape, device=setting.device, dtype=setting.dtype)
    channel = torch.arange(shape[0], device=setting.device)
    works = {
        "pooled": lambda: pooled_attention(features, 7.0, channel),
        "all maps": lambda: all_maps_then_pool(features, 7.0, channel),
    }
    seconds, rates = compare(works, setting, "attention")
    return [
        Figure(
            *("attention", f"pooled attention, {' × '.join(map(str, shape))}, {setting.precision}"),
            *(1e3 * seconds["pooled"], "ms", "all maps, then the mean and one", 1e3 * seconds["all maps"]),
            *("its products", 1e3 * limit_seconds(count_operations(works["pooled"]), rates)),
            goal=setting.goal(cpu=("ratio", 1.5)),
        )
    ]
