"""Peak memory of each part, and what a step of training keeps at its peak.

A part's peak is what it allocates on top of what was there before it. On a GPU torch's allocator tells it; on a CPU
torch's profiler does, which sees every tensor come and go: a process's resident memory would also show what the
system's allocator has not given back.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.alternatives import all_maps_then_pool, dense_grid, read_grid
from benchmarks.limits import bytes_of
from benchmarks.parts import run_in_parts
from benchmarks.report import Figure
from benchmarks.sampler import example
from benchmarks.setting import Setting
from benchmarks.steps import Step, attention_step, plain_step, tasn_step
from tasnlib.attention import bilinear_attention, pooled_attention
from tasnlib.sampler import attention_sample, sampling_positions
from tasnlib.training.recipes import Recipe

MB = 1e6


def peak_bytes(work: Callable[[], object], setting: Setting) -> int:
    """The most that a piece of work holds at once, without what was there before.

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


def saved_by_part(step: Step, recipe: Recipe) -> dict[str, int]:
    """The bytes that each part of a step keeps for the backward pass, weights and images left out."""
    there = {tensor.untyped_storage().data_ptr() for tensor in (*step.model.parameters(), *step.inputs)}
    saved: dict[str, int] = {}
    found: dict[int, int] = {}  # nothing is freed before the backward pass, so an address is a tensor

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in there:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    def lap(part: str) -> None:
        saved[part] = sum(found.values())
        there.update(found)
        found.clear()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run_in_parts(step, recipe, lap)
    return {part: count for part, count in saved.items() if count}


def measure(setting: Setting) -> list[Figure]:
    """Attention, sampler, and each recipe's step. Memory is counted, not timed: one run gives it."""
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
    """The peak of a step, not compiled, whose optimiser has its state already; and what is kept at that peak."""
    batch, eager = setting.batch(recipe), replace(setting, compile=None)

    def peak(step: Step) -> int:
        step()
        step.optimizer.zero_grad()
        return peak_bytes(step, eager)

    step = tasn_step(recipe, eager, batch)
    whole = peak(step)
    saved = saved_by_part(step, recipe)
    weights = list(step.model.parameters())
    states = [value for state in step.optimizer.state.values() for value in state.values()]
    large = peak(plain_step(recipe, eager, batch, 2 * recipe.out_size))
    alone = peak(attention_step(recipe, eager, batch))
    name = f"{recipe.name}, batch {batch}, {setting.precision}"
    kept = sum(saved.values())
    least = ("kept for the backward pass", kept)
    figures = [
        _figure(f"step, {name}", whole, f"{recipe.backbone} at {2 * recipe.out_size} px", large, *least),
        _figure(f"step, {name}", whole, "attention network's step alone", alone, *least),
    ]
    contributors = {f"kept by {part}": count for part, count in saved.items()}
    contributors["the rest: gradients, what passes through"] = max(0, whole - kept)
    before = {"weights": bytes_of(weights), "optimiser's state": bytes_of(states), "images": bytes_of(step.inputs)}
    for contributor, count in sorted(contributors.items(), key=lambda item: -item[1]):
        part = _figure(f"{recipe.name}: {contributor}", count, "the step's peak", whole)
        figures.append(replace(part, note=f"{count / whole:.0%} of the peak"))
    for contributor, count in before.items():
        part = _figure(f"{recipe.name}: {contributor}", count, "the step's peak", whole)
        figures.append(replace(part, note="there before the step, on top of the peak"))
    return figures


def _figure(name: str, count: int, other: str, other_count: int, limit: str = "", least: int | None = None) -> Figure:
    return Figure(
        *("memory", name, count / MB, "MB", other, other_count / MB),
        *(limit, None if least is None else least / MB),
    )
