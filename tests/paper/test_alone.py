"""The paper's files need torch, numpy and jaxtyping, and nothing else that this project uses."""

import subprocess
import sys

import pytest

OTHERS = [
    "torchvision",
    "timm",
    "accelerate",
    "safetensors",
    "PIL",
    "scipy",
    "pydantic",
    "filelock",
    "matplotlib",
    "IPython",
    "papermill",
]
USE = """
import torch
from tasnlib.attention import trilinear_attention
from tasnlib.attention_sampler import AttentionSampler
from tasnlib.distillation import tasn_loss
from tasnlib.model import TASN
from tasnlib.sampler import attention_sample
assert attention_sample(torch.ones(2, 3, 8, 8), torch.ones(2, 4, 4), 4).shape == (2, 3, 4, 4)
assert AttentionSampler(4)(torch.ones(2, 3, 8, 8), torch.ones(2, 4, 4)).grid.x.shape == (2, 4)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("missing", [[], ["beartype"]], ids=["with beartype", "without beartype"])
def test_the_paper_needs_torch_alone(missing):
    run(f"import sys\nsys.modules.update(dict.fromkeys({[*OTHERS, *missing]}))\n{USE}")


def test_the_paper_loads_nothing_of_the_other_rooms():
    loaded = run(f"{USE}\nimport sys; print(*sys.modules)").split()
    assert not {"torchvision", "timm", "PIL", "pydantic", "IPython"} & set(loaded)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("tasnlib.")}
    assert rooms == {"attention", "sampler", "attention_sampler", "distillation", "model"}


def test_without_beartype_bad_values_are_still_rejected():
    code = f"""import sys
sys.modules["beartype"] = None
{USE}
for bad in (torch.full((2, 4, 4), -1.0), torch.ones(1, 4, 4)):
    try:
        attention_sample(torch.ones(2, 3, 8, 8), bad, 4)
    except ValueError:
        continue
    raise AssertionError("accepted")
"""
    run(code)
