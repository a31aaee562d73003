"""Peak memory of attention, sampler and training steps.

The peak is what is allocated on top of what was there before: on a GPU by torch's allocator, on a CPU by torch's
profiler, because a process's resident memory also holds what the system's allocator has not returned.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.alternatives import all_maps_then_pool, dense_grid, read_grid
from benchmarks.limits import bytes_of
from benchmarks.report import Figure
from benchmarks.sampler import example
from benchmarks.setting import Setting
from benchmarks.steps import Step, attention_step, plain_step, tasn_step
from tasnlib.attention import bilinear_attention, pooled_attention
from tasnlib.sampler import attention_sample, sampling_positions
from tasnlib.training.recipes import Recipe

MB = 1e6


def peak_bytes(work: Callable[[], object], setting: Setting) -> int:
    """The most that a piece of work allocates at once.

    >>> peak_bytes(lambda: torch.zeros(1000).double().sum(), Setting(torch.device("cpu"), "small")) // 1000
    12
    """
    if setting.device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    changes = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for change in sorted(changes, key=lambda event: event.start_ns()):
        held += change.nbytes()
        peak = max(peak, held)
    return peak


def measure(setting: Setting) -> list[Figure]:
    """Of attention, sampler, and each recipe's step."""
    return [
        *(_attention(setting), _sampler(setting)),
        *(figure for name in setting.recipes for figure in _step(setting.recipe(name), setting)),
    ]


def _attention(setting: Setting) -> Figure:
    shape = (8, 512, 28, 28) if setting.full else (2, 32, 7, 7)
    features = torch.rand(shape, device=setting.device)
    channel = torch.arange(shape[0], device=setting.device)
    relation = bytes_of([bilinear_attention(features, 7.0)])
    return _figure(
        *("pooled attention", peak_bytes(lambda: pooled_attention(features, 7.0, channel), setting)),
        *("all maps", peak_bytes(lambda: all_maps_then_pool(features, 7.0, channel), setting)),
        *("the relation between channels", relation),
    )


def _sampler(setting: Setting) -> Figure:
    images, attention, out_size = example(setting)
    size = images.shape[-1]

    def by_grid() -> Tensor:
        return read_grid(images, dense_grid(*sampling_positions(attention, size, out_size), size))

    return _figure(
        *("sampler", peak_bytes(lambda: attention_sample(images, attention, out_size), setting)),
        *("grid_sample, its grid made", peak_bytes(by_grid, setting), "the sampled images", bytes_of([by_grid()])),
    )


def _step(recipe: Recipe, setting: Setting) -> list[Figure]:
    """The peak of a step, not compiled, whose optimiser has its state already."""
    batch, eager = setting.batch(recipe), replace(setting, compile=None)

    def peak(step: Step) -> int:
        step()
        step.optimizer.zero_grad()
        return peak_bytes(step, eager)

    step = tasn_step(recipe, eager, batch)
    whole = peak(step)
    weights = bytes_of(step.model.parameters())
    others = {
        f"{recipe.backbone} at {2 * recipe.out_size} px": plain_step(recipe, eager, batch, 2 * recipe.out_size),
        "attention network's step alone": attention_step(recipe, eager, batch),
    }
    name = f"step, {recipe.name}, batch {batch}, {setting.precision}"
    return [_figure(name, whole, other, peak(step), "weights", weights) for other, step in others.items()]


def _figure(name: str, count: int, other: str, other_count: int, limit: str, least: int) -> Figure:
    return Figure("memory", name, count / MB, "MB", other, other_count / MB, limit, least / MB)
