"""`pip install .` without extras, where there is nothing but torch, numpy, jaxtyping and what they need."""

import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent.parent
EXPECTED = {"torch", "numpy", "jaxtyping"}
USE = """
import sys
import torch
from tasnlib import AttentionSampler, TASN, attention_sample, tasn_loss, trilinear_attention
images, attention = torch.rand(2, 3, 40, 60), torch.rand(2, 7, 7)
small, grid = AttentionSampler(16)(images, attention)
assert small.shape == (2, 3, 16, 16)
assert torch.allclose(small, attention_sample(images, attention, 16))
boxes = torch.tensor([[[8.0, 8.0, 30.0, 20.0]]] * 2)
assert torch.allclose(grid.boxes_to_image(grid.boxes_to_sampled(boxes).boxes).boxes, boxes, atol=1e-3)
try:
    AttentionSampler(16)(images, -attention)
except ValueError as reason:
    print(reason)
print(*(name for name in sys.modules if "." not in name))
"""


def needed_by(names: set[str]) -> dict[str, Distribution]:
    """The distributions of these names, and all that they require here."""
    found: dict[str, Distribution] = {}
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found[name] = distribution(name)
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting |= {re.sub(r"[-_.]+", "-", requirement.name).lower()} - found.keys()
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "env", with_pip=False)
    (site,) = folder.glob("env/**/site-packages")
    for one in needed_by(EXPECTED).values():
        for top in {file.parts[0] for file in one.files or () if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(str(one.locate_file(top)))
            if target.exists() and not (site / top).exists():
                (site / top).symlink_to(target)
    source = folder / "source"  # a copy, because building leaves folders behind
    shutil.copytree(PROJECT / "tasnlib", source / "tasnlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", str(folder / "own"), str(source)], check=True)
    for part in (folder / "own").iterdir():
        part.rename(site / part.name)
    assert (site / "tasnlib" / "py.typed").is_file()
    return next(folder.glob("env/bin/python"), folder / "env/Scripts/python.exe")


def test_torch_numpy_and_jaxtyping_are_enough(python, tmp_path):
    run = subprocess.run([python, "-c", USE], cwd=tmp_path, check=True, capture_output=True, text=True)
    complaint, loaded = run.stdout.splitlines()
    assert "attention must be finite and not negative" in complaint
    assert not {"torchvision", "timm", "PIL", "IPython", "pydantic", "beartype", "matplotlib"} & set(loaded.split())


def test_the_environment_really_lacks_the_rest(python, tmp_path):
    for name in ("torchvision", "PIL", "beartype", "timm"):
        run = subprocess.run([python, "-c", f"import {name}"], cwd=tmp_path, capture_output=True, text=True)
        assert "ModuleNotFoundError" in run.stderr


def test_the_package_requires_no_more():
    required = {Requirement(line) for line in distribution("tasnlib").requires or ()}
    assert {one.name for one in required if "extra" not in str(one.marker)} == EXPECTED
