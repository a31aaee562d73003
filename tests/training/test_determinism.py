"""The same seed is the same run: bit for bit on a CPU, in its order and its first weights everywhere.

Also: birds drawn in workers (data/test_birds.py), another seed (test_fit.py), a run that was
stopped (test_fit.py, slow/test_killed.py, test_saving.py), other surroundings (test_surroundings.py).
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tasnlib.data.birds import Birds, BirdsConfig
from tasnlib.data.photographs import ImageFiles
from tasnlib.networks.build import build_model
from tasnlib.training.devices import make_accelerator
from tasnlib.training.fit import fit
from tasnlib.training.random_state import isolated_random_state, seed_step
from tasnlib.training.recipes import RECIPES
from tests.training.processes import finish, parameters, start, words

STYLE = BirdsConfig(image_size=48, head_colours=1, wing_colours=2, striped_parts=("head",))
RECIPE = replace(RECIPES["smoke"], image_size=48, batch_size=8, epochs=2, train_images=26, test_images=11)
pytestmark = pytest.mark.usefixtures("one_thread")


def trained(folder: Path, train, test, seed: int = 0, num_workers: int = 0) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(seed)
    model = build_model("tasn", RECIPE, train.classes)
    torch.manual_seed(np.random.default_rng().integers(2**31))  # no run may depend on the global state
    history, _ = fit(model, train, test, RECIPE, seed, folder / "state", make_accelerator(), num_workers=num_workers)
    return model, [{name: value for name, value in entry.items() if "second" not in name} for entry in history]


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_command_twice_leaves_the_same_bytes(tmp_path):
    found = []
    for name in ("first", "second"):
        folder = tmp_path / name
        process = start([str(folder), "tasn", *parameters(data_folder=tmp_path / "data")])
        assert finish(process) == 0, words(folder)
        history = json.loads((folder / "tasn.history.json").read_text())
        found.append(((folder / "tasn.safetensors").read_bytes(), [(one["loss"], one["accuracy"]) for one in history]))
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> tuple[ImageFiles, ImageFiles]:
    folder, paths = tmp_path_factory.mktemp("photographs"), []
    for number in range(26):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 70, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    images = ImageFiles(paths, [number % 2 for number in range(26)], ["wren", "robin"], 48, "photographs")
    return images.augmented("modern", seed=0), images.subset(11)


def test_augmented_photographs_train_the_same_weights_whoever_reads_them(photographs, tmp_path):
    (expected, history), *others = (trained(tmp_path / str(n), *photographs, num_workers=n) for n in (0, 1, 2))
    for model, found in others:
        assert found == history
        assert same_weights(model, expected)


# -- On a GPU ----------------------------------------------------------------------------------------------------------


def switches() -> dict[str, object]:
    """All that torch has to choose between fast and reproducible."""
    return {
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "TF32 in convolutions": torch.backends.cudnn.allow_tf32,
        "TF32 in products": torch.backends.cuda.matmul.allow_tf32,
        "precision of products": torch.get_float32_matmul_precision(),
        "sums in bfloat16": torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
    }


def set_all(fast: bool) -> None:
    torch.use_deterministic_algorithms(not fast)
    torch.backends.cudnn.deterministic = not fast
    torch.backends.cudnn.benchmark = fast
    torch.backends.cudnn.allow_tf32 = fast
    torch.backends.cuda.matmul.allow_tf32 = fast


@pytest.mark.parametrize("fast", [True, False])
def test_training_leaves_torch_s_switches_as_it_finds_them(tmp_path, fast):
    birds = [Birds.load(STYLE, split, count, progress=False) for split, count in (("train", 26), ("test", 11))]
    before = switches()
    try:
        set_all(fast)
        chosen = switches()
        trained(tmp_path, *birds)
        assert switches() == chosen
    finally:
        torch.use_deterministic_algorithms(before["deterministic algorithms"])
        torch.backends.cudnn.deterministic = before["cudnn.deterministic"]
        torch.backends.cudnn.benchmark = before["cudnn.benchmark"]
        torch.backends.cudnn.allow_tf32 = before["TF32 in convolutions"]
        torch.backends.cuda.matmul.allow_tf32 = before["TF32 in products"]
    assert switches() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_dropout_is_seeded_and_the_global_random_state_left():
    device, masks = torch.device("cuda"), []
    before = torch.cuda.get_rng_state()
    with isolated_random_state(device):
        for step in (3, 4, 3):
            seed_step(device, seed=0, epoch=1, step=step, part=1)
            masks.append(nn.functional.dropout(torch.ones(100, device=device)).tolist())
    assert masks[0] == masks[2] != masks[1]
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_two_runs_of_a_seed_differ_by_rounding_and_two_seeds_by_more(tmp_path):
    birds = [Birds.load(STYLE, split, count, device="cuda", progress=False)
             for split, count in (("train", 26), ("test", 11))]  # fmt: skip
    (_, first), (_, again), (_, other) = (
        trained(tmp_path / str(number), *birds, seed=seed) for number, seed in enumerate((0, 0, 1))
    )
    losses = [np.array([entry["loss"] for entry in history]) for history in (first, again, other)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert np.abs(losses[1] - losses[0]).max() < np.abs(losses[2] - losses[0]).max()
