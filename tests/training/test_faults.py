"""Workers that die, numbers that are none, Ctrl-C: told with what to do, and nothing is lost."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import get_worker_info

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.networks.build import build_model
from tasnlib.training.checkpoints import load_training_state, progress_in
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import evaluate
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import build_optimizer
from tasnlib.training.signals import ctrl_c_waits, require_finite

STYLE = BirdsConfig(image_size=48, head_colours=1, wing_colours=2, striped_parts=("head",))
RECIPE = replace(RECIPES["smoke"], image_size=48, batch_size=8, epochs=3, train_images=26, test_images=11)
STEPS = 3
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def birds() -> tuple[Birds, Birds]:
    return tuple(Birds.load(STYLE, split, count, progress=False) for split, count in (("train", 26), ("test", 11)))


def new_model(kind: str = "downsampled", seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(kind, RECIPE, STYLE.classes)


def run(folder: Path, birds, model: nn.Module, **options) -> list[dict]:
    return fit(model, *birds, RECIPE, 0, folder / "state.safetensors", make_accelerator(), **options)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


# -- Workers that die --------------------------------------------------------------------------------------------------


class Deadly(Birds):
    """In a worker, ends the process that reads the images of one epoch."""

    def __init__(self, birds: Birds, epoch: int, how: str):
        super().__init__(BirdsBatch(birds.images, birds.labels, birds.boxes), birds.config)
        self.epoch, self.how = epoch, how

    def __getitems__(self, indices: list[int]) -> Batch:
        if get_worker_info() is not None and indices[0] // len(self) == self.epoch:
            if self.how == "killed":  # as the system does where memory is short
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(3)
        return super().__getitems__(indices)


ADVICE = r"2 processes that read images died.*num_workers is 2, 0 reads in the training.*--shm-size.*resume=True"


@pytest.mark.parametrize("how", ["exits", "killed"])
def test_a_worker_that_dies_is_told_with_what_to_do_and_the_run_goes_on_without_it(tmp_path, birds, how):
    expected, model = new_model(), new_model()
    run(tmp_path / "undisturbed", birds, expected)
    deadly = (Deadly(birds[0], 1, how), birds[1])
    with pytest.raises(RuntimeError, match=ADVICE) as told:
        run(tmp_path, deadly, model, num_workers=2)
    assert str(told.value).count("processes that read images died") == 1
    assert progress_in(tmp_path / "state.safetensors") == (1, 0)
    resumed = new_model(seed=9)
    run(tmp_path, deadly, resumed, resume=True)  # num_workers 0
    assert same_weights(resumed, expected)


def test_a_worker_that_dies_in_the_test_is_told_with_what_to_do(birds):
    with pytest.raises(RuntimeError, match=ADVICE):
        evaluate(new_model(), Deadly(birds[1], 0, "exits"), 4, num_workers=2)


def test_another_error_while_reading_stays_what_it_is(birds):
    class Broken(Birds):
        def __getitems__(self, indices):
            raise RuntimeError("DataLoader worker: no such picture")

    broken = Broken(BirdsBatch(birds[1].images, birds[1].labels, birds[1].boxes), birds[1].config)
    with pytest.raises(RuntimeError, match=r"^DataLoader worker: no such picture$"):
        evaluate(new_model(), broken, 4)


# -- Numbers that are none ---------------------------------------------------------------------------------------------


class Fragile:
    """Breaks a model in its so-manieth training step."""

    def __init__(self, model: nn.Module, step: int, break_it):
        self.model, self.left, self.break_it = model, step, break_it
        model.register_forward_pre_hook(self.forward)

    def forward(self, *_) -> None:
        if self.model.training:
            self.left -= 1
            if self.left == 0:
                self.break_it(self.model)


def spoil_a_weight(model: nn.Module) -> None:
    with torch.no_grad():
        model.classifier.weight[1, 2] = torch.nan


def spoil_a_gradient(model: nn.Module) -> None:
    model.classifier.bias.register_hook(lambda gradient: gradient * torch.inf)


def spoil_a_running_mean(model: nn.Module) -> None:
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))

    def spoil(*_) -> None:
        norm.running_mean.data.fill_(torch.nan)

    norm.register_forward_hook(spoil)


BROKEN = {
    # The first step of the second epoch; the loss tells at once, and only what was spoilt is named.
    "weight": (spoil_a_weight, STEPS + 2, r"no longer finite \(logits must be finite.*\), in epoch 2, at step 2\. "
                                          r"Not finite: 1 of \d+ weights \(classifier\.weight\)\. The last"),
    # The last step's loss is a number, but what the optimiser makes of its gradients is not.
    "gradient": (spoil_a_gradient, 2 * STEPS, r"weights are no longer finite, in epoch 2, at step 3\. Not finite: "
                                              r"1 of \d+ weights \(classifier\.bias\) and 1 of \d+ gradients \(cl"),
    "running mean": (spoil_a_running_mean, 2 * STEPS, r"weights are no longer finite, in epoch 2, at step 3\. "
                                                      r"Not finite: 1 of \d+ weights \(.*running_mean\)\. The last"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_number_is_named_with_its_step_and_never_saved(tmp_path, birds, what):
    break_it, step, told = BROKEN[what]
    model = new_model()
    Fragile(model, step, break_it)
    with pytest.raises(FloatingPointError, match=told):
        run(tmp_path, birds, model)
    kept = new_model(seed=3)
    progress = load_training_state(tmp_path / "state.safetensors", kept, build_optimizer(kept, RECIPE))
    assert [entry["epoch"] for entry in progress["history"]] == [1]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.state_dict().values())


def test_the_first_loss_that_is_no_number_is_named_where_a_gpu_shows_it_steps_later():
    model = new_model()
    require_finite(model, torch.tensor([3.0, 2.0]), epoch=4)
    model.classifier.weight.grad = torch.full_like(model.classifier.weight, torch.nan)
    told = r"loss became inf, in epoch 5, at step 2\. Not finite: 1 of 1 gradients \(classifier\.weight\)"
    with pytest.raises(FloatingPointError, match=told):
        require_finite(model, torch.tensor([3.0, torch.inf, torch.nan]), epoch=4)


def test_a_long_list_of_what_is_no_number_is_cut_short(tmp_path, birds):
    model = new_model()
    Fragile(model, 2, lambda model: [weight.data.fill_(torch.nan) for weight in model.parameters()])
    with pytest.raises(FloatingPointError, match=r"Not finite: (\d+) of \d+ weights \(\S+, \S+, \S+ and \d+ more\)"):
        run(tmp_path, birds, model)
    assert list(tmp_path.iterdir()) == []


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def press(times: int, done: list[bool]) -> None:
    with ctrl_c_waits() as pressed:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        done.append(pressed())


@pytest.mark.parametrize(("times", "expected"), [(1, [True]), (2, [])])
def test_ctrl_c_is_noted_once_and_obeyed_at_the_end_or_the_second_time(times, expected):
    done: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        press(times, done)
    assert done == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_ignores_ctrl_c_goes_on_to_ignore_it(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_waits() as pressed:
            signal.raise_signal(signal.SIGINT)
            assert not pressed()
    finally:
        signal.signal(signal.SIGINT, before)


def test_workers_do_not_die_of_the_ctrl_c_that_a_terminal_sends_to_all(tmp_path, birds):
    """The step is done, and saved, although each worker was interrupted too."""

    class Interrupted(Birds):
        def __getitems__(self, indices: list[int]) -> Batch:
            if get_worker_info() is not None and indices[0] // len(self) == 1:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
            return super().__getitems__(indices)

    interrupted = Interrupted(BirdsBatch(birds[0].images, birds[0].labels, birds[0].boxes), birds[0].config)
    expected, model = new_model(), new_model()
    run(tmp_path / "undisturbed", birds, expected)
    run(tmp_path, (interrupted, birds[1]), model, num_workers=2)
    assert same_weights(model, expected)
