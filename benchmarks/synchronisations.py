"""How often a step makes the host wait for the device. None is the goal."""

import warnings

import torch

from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.steps import Step, tasn_step
from benchmarks.training import forget


def measure(setting: Setting) -> list[Figure]:
    """Of each recipe's step, beside the same step that looks at its loss."""
    figures = []
    for name in setting.recipes:
        recipe = setting.recipe(name)
        measured = f"waits of a step, {name}"
        if setting.device.type != "cuda":
            figures.append(Figure("waits", measured, None, "waits", note="counted on a GPU only: a CPU has none"))
            continue
        step = tasn_step(recipe, setting, setting.batch(recipe))
        step()  # what is done once may wait
        step()
        alone, looking = (count_waits(step, look=look) for look in (False, True))
        beside = ("the same, looking at its loss", looking)
        figures.append(Figure("waits", measured, alone, "waits", *beside, note=f"{looking} with a look; the goal is 0"))
        forget()
    return figures


def count_waits(step: Step, look: bool) -> int:
    """The calls in one step that make the host wait, as torch warns of them."""
    torch.cuda.synchronize()
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            loss = step()
            if look:
                loss.item()
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    return sum("synchroniz" in str(warning.message) for warning in caught)
