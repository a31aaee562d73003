"""The sampler for everyone: as a module for any network's attention, with its inverse, and with torch alone.

a network you have -> adapters -> its attention
image + attention -> AttentionSampler -> sampled image + SamplingGrid -> points, boxes and maps, there and back
"""

from tasnlib.attention_sampler.adapters import (
    attend_and_sample,
    attention_rollout,
    class_activation,
    feature_magnitude,
)
from tasnlib.attention_sampler.module import AttentionSampler, Sampled
from tasnlib.attention_sampler.sampling_grid import Boxes, SamplingGrid

__all__ = [
    "AttentionSampler",
    "Boxes",
    "Sampled",
    "SamplingGrid",
    "attend_and_sample",
    "attention_rollout",
    "class_activation",
    "feature_magnitude",
]
