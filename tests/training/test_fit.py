"""Training: resumed is uninterrupted, the same seed is the same run, and nothing else is changed."""

import contextlib
from dataclasses import replace

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tasnlib.training import fit as training
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import accuracies, draw_channels, evaluate
from tasnlib.training.fit import fit
from tasnlib.training.schedule import EpochOrder, build_optimizer
from tests.training.tiny import (
    STEPS,
    TINY,
    Interrupted,
    interrupt_after,
    new_model,
    run,
    same_weights,
    with_dropout,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SGD = replace(TINY, optimizer="sgd", momentum=0.9, learning_rate=0.02, milestones=(0.5,))


# -- Resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "recipe"),
    [
        (lambda seed: new_model("tasn", seed), replace(TINY, warmup=0.3)),
        (lambda seed: new_model("downsampled", seed), SGD),
        (lambda seed: new_model("tasn", seed), replace(SGD, nesterov=True, weight_decay=0.1, label_smoothing=0.1)),
        (with_dropout, TINY),
    ],
    ids=["tasn", "sgd", "nesterov", "dropout"],
)
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, birds, make, recipe):
    undisturbed, stopped, resumed = make(seed=0), make(seed=0), make(seed=9)
    expected = run(tmp_path / "undisturbed", birds, undisturbed, recipe)
    with pytest.raises(Interrupted):
        run(tmp_path, birds, stopped, recipe, report=interrupt_after(2))
    assert run(tmp_path, birds, resumed, recipe, resume=True) == expected
    assert same_weights(resumed, undisturbed)
    assert not same_weights(resumed, stopped)


def test_worker_processes_do_not_change_dropout(tmp_path, birds):
    alone, with_workers = with_dropout(), with_dropout()
    expected = run(tmp_path / "alone", birds, alone)
    assert run(tmp_path, birds, with_workers, num_workers=2) == expected
    assert same_weights(with_workers, alone)


def test_dropout_differs_between_epochs_steps_parts_and_seeds(tmp_path, birds):
    masks = []

    def note(module: nn.Module, images: tuple, output: torch.Tensor) -> None:
        if module.training:
            masks.append((output == 0).tolist())

    model = new_model()
    model.backbone = nn.Sequential(nn.Dropout(0.5), model.backbone)
    model.backbone[0].register_forward_hook(note)
    for seed in (0, 1):
        run(tmp_path, birds, model, replace(TINY, epochs=2), seed=seed, accumulate=2)
    assert len(masks) == 2 * 2 * STEPS * 2
    assert all(one != other for number, one in enumerate(masks) for other in masks[:number])


def test_resuming_a_finished_run_only_reads_it(tmp_path, birds):
    finished, again = new_model(), new_model(seed=9)
    history = run(tmp_path, birds, finished)
    before = (tmp_path / "state.safetensors").read_bytes()
    assert run(tmp_path, birds, again, resume=True, report=interrupt_after(1)) == history
    assert same_weights(again, finished)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_without_resume_a_run_starts_anew_and_resume_without_a_checkpoint_starts(tmp_path, birds):
    expected = run(tmp_path, birds, new_model(), resume=True)
    assert [entry["epoch"] for entry in expected] == [1, 2, 3]
    assert run(tmp_path, birds, new_model()) == expected


@pytest.mark.parametrize(
    ("field", "value"), [("learning_rate", 0.5), ("milestones", (0.5,)), ("backbone", "resnet18"), ("seed", 1)]
)
def test_a_checkpoint_of_another_run_is_rejected_and_left_alone(tmp_path, birds, field, value):
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model(), report=interrupt_after(1))
    before = (tmp_path / "state.safetensors").read_bytes()
    other = {"seed": value} if field == "seed" else {"recipe": replace(TINY, **{field: value})}
    with pytest.raises(ValueError, match=rf"\b{field} "):
        run(tmp_path, birds, new_model(), resume=True, **other)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_checkpoint_of_another_model_is_rejected(tmp_path, birds):
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model("tasn"), report=interrupt_after(1))
    with pytest.raises(ValueError, match=r"state\.safetensors"):
        run(tmp_path, birds, new_model("downsampled"), resume=True)


# -- Seeds, order and channels -----------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_run_and_another_seed_is_another(tmp_path, birds):
    first, second, other = (new_model("tasn") for _ in range(3))
    expected = run(tmp_path / "1", birds, first)
    assert run(tmp_path / "2", birds, second) == expected
    assert same_weights(first, second)
    assert run(tmp_path / "3", birds, other, seed=1) != expected
    assert not same_weights(first, other)


@pytest.mark.parametrize("report", [None, interrupt_after(1)], ids=["to its end", "interrupted"])
def test_training_leaves_the_global_random_state(tmp_path, birds, report):
    model = with_dropout()
    before = torch.get_rng_state()
    with contextlib.suppress(Interrupted):
        fit(*(model, *birds, TINY, 0, tmp_path / "state", make_accelerator()), report=report, num_workers=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_epoch_goes_through_a_new_shuffle(tmp_path, birds, watched):
    run(tmp_path, (watched, birds[1]), new_model(), seed=5)
    order = EpochOrder(26, 5)
    for epoch in range(TINY.epochs):
        order.epoch = epoch
        shuffle = list(order)
        assert watched.asked[STEPS * epoch : STEPS * (epoch + 1)] == [shuffle[n : n + 8] for n in (0, 8, 16)]
    assert len(watched.asked) == TINY.epochs * STEPS


def test_channels_belong_to_image_epoch_and_seed(tmp_path, birds, watched):
    model, taken = new_model("tasn"), []

    def note(module, args, options):
        if module.training:
            taken.append(options["channel"].tolist())

    model.register_forward_pre_hook(note, with_kwargs=True)
    run(tmp_path, (watched, birds[1]), model, seed=5)
    assert taken == [
        draw_channels(torch.tensor(indices) % 26, channels=32, seed=5, epoch=step // STEPS).tolist()
        for step, indices in enumerate(watched.asked)
    ]


# -- Steps and losses --------------------------------------------------------------------------------------------------


def test_every_step_is_taken_at_its_own_learning_rate(tmp_path, birds, monkeypatch):
    asked, used = [], []

    def rate(recipe, done):
        asked.append(done)
        return 1e-4 * (1 + done)

    def watched_optimizer(model, recipe):
        built = build_optimizer(model, recipe)
        built.register_step_pre_hook(lambda o, *_: used.append([group["lr"] for group in o.param_groups]))
        return built

    monkeypatch.setattr(training, "learning_rate_at", rate)
    monkeypatch.setattr(training, "build_optimizer", watched_optimizer)
    run(tmp_path, birds, new_model())
    assert asked == pytest.approx([(step + 0.5) / (3 * STEPS) for step in range(3 * STEPS)])
    assert used == [[1e-4 * (1 + done)] * 2 for done in asked]  # decayed and not decayed weights


def test_the_first_step_of_a_warm_up_moves_the_weights(tmp_path, birds):
    model, start = new_model(), new_model()
    run(tmp_path, birds, model, replace(TINY, warmup=0.9, batch_size=26, epochs=1))  # a single step
    assert not torch.equal(model.classifier.weight, start.classifier.weight)


def test_the_test_images_are_evaluated_once_per_epoch_and_the_last_predictions_returned(tmp_path, birds, monkeypatch):
    found = []
    monkeypatch.setattr(training, "evaluate", lambda *args: found.append(evaluate(*args)) or found[-1])
    model, options = new_model(), (TINY, 0, tmp_path / "state", make_accelerator())
    history, predictions = fit(model, *birds, *options)
    assert len(found) == len(history) == 3
    assert predictions is found[-1]
    _, again = fit(new_model(seed=9), *birds, *options, resume=True)  # nothing is left to train
    assert len(found) == 4
    assert torch.equal(again["downsampled"], predictions["downsampled"])


class Penalty(torch.autograd.Function):
    """Values pass unchanged, and a penalty gets the gradient that it would have as a further term of the loss."""

    @staticmethod
    def forward(context, values: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return gradient, torch.ones(())


class WithGradientOfItsOwn(nn.Module):
    """A model that adds a gradient outside of the loss."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor):
        output = self.model(images)
        weight = self.model.classifier.weight
        penalty = 0.1 * weight.square().sum()  # the same for every part of a batch
        logits = {name: Penalty.apply(values, penalty) for name, values in output.logits.items()}
        return output._replace(logits=logits)


def test_a_gradient_outside_of_the_loss_does_not_grow_with_accumulate(tmp_path, birds, monkeypatch):
    gradients = []

    def watched_optimizer(model, recipe):
        built = build_optimizer(model, recipe)
        built.register_step_pre_hook(lambda *_: gradients.append(model.model.classifier.weight.grad.clone()))
        return built

    monkeypatch.setattr(training, "build_optimizer", watched_optimizer)
    recipe = replace(TINY, epochs=1, batch_size=24)  # a single step
    for accumulate in (1, 4):
        model = WithGradientOfItsOwn(new_model()).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train = lambda mode=True, module=module: module  # normalises with its running statistics
        run(tmp_path / str(accumulate), birds, model, recipe, accumulate=accumulate)
    torch.testing.assert_close(*gradients)


def test_the_history_holds_the_mean_loss_and_the_accuracy_on_the_test_images(tmp_path, birds, monkeypatch):
    losses, real, model = [], training.tasn_loss, new_model("tasn")

    def noted(*args):
        losses.append(real(*args))
        return losses[-1]

    monkeypatch.setattr(training, "tasn_loss", noted)
    history, _ = fit(model, *birds, TINY, 0, tmp_path / "state", make_accelerator())
    means = torch.stack(losses).detach().view(TINY.epochs, STEPS).mean(1).tolist()
    assert [entry["loss"] for entry in history] == pytest.approx(means, rel=1e-5)
    assert history[-1]["accuracy"] == accuracies(evaluate(model, birds[1], 4), birds[1].labels)
    assert list(history[-1]) == ["epoch", "loss", "accuracy", "seconds", "images_per_second"]
    for entry in history:
        assert entry["images_per_second"] == pytest.approx(STEPS * 8 / entry["seconds"])


def test_the_recipe_s_weights_and_temperature_reach_the_loss(tmp_path, birds, monkeypatch):
    noted, real = [], training.tasn_loss
    monkeypatch.setattr(training, "tasn_loss", lambda *args: noted.append(args[2:]) or real(*args))
    weights = {"attention": 0.5, "master": 0.25, "part": 0.75}
    fields = {f"{name}_weight": weight for name, weight in weights.items()}
    run(
        *(tmp_path, birds, new_model("tasn")),
        replace(TINY, epochs=1, distillation_weight=3.0, temperature=5.0, label_smoothing=0.1, **fields),
    )
    assert noted == [(weights, 3.0, 5.0, 0.1)] * STEPS


def test_a_model_learns_its_images(tmp_path, birds):
    history = run(tmp_path, (birds[0], birds[0]), new_model("tasn"), replace(TINY, epochs=15))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert min(history[-1]["accuracy"][name] for name in history[0]["accuracy"] if name != "attention") > 0.55


# -- Sizes -------------------------------------------------------------------------------------------------------------


def test_a_batch_as_large_as_the_training_set_is_one_step_and_a_larger_one_is_rejected(tmp_path, birds, watched):
    run(tmp_path, (watched, birds[1]), new_model(), replace(TINY, batch_size=26, epochs=1))
    assert [sorted(batch) for batch in watched.asked] == [list(range(26))]
    with pytest.raises(ValueError, match=r"batch_size is 27\b.*\b26\b"):
        run(tmp_path, birds, new_model(), replace(TINY, batch_size=27))


@pytest.mark.parametrize("kind", ["tasn", "downsampled"])
def test_batch_norm_over_one_value_is_noticed_before_training(tmp_path, birds, watched, kind):
    model = new_model(kind)
    width = model.classifier.in_features
    one_cell = nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, width, 1), nn.BatchNorm2d(width), nn.Flatten()
    model.backbone = nn.Sequential(*one_cell)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(
        ValueError, match=r"accumulate 8, is one image at a time.*BatchNorm2d.*take a larger batch_size"
    ):
        run(tmp_path, (watched, birds[1]), model, accumulate=8)
    assert len(watched.asked) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    run(tmp_path, birds, model, replace(TINY, epochs=1), accumulate=4)


def test_one_image_at_a_time_is_enough_for_larger_maps(tmp_path, birds):
    run(tmp_path, birds, new_model("tasn"), replace(TINY, epochs=1), accumulate=8)


# -- Precision ---------------------------------------------------------------------------------------------------------


class NoFloat64(TorchDispatchMode):
    """A device like Apple's GPUs, which have no float64."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            assert not (isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64), function
        return result


def test_training_and_evaluation_need_no_float64(tmp_path, birds):
    model = new_model("downsampled")  # the sampler of TASN asks the device for its best precision
    with NoFloat64():
        history = run(tmp_path, birds, model, replace(SGD, epochs=1))
        assert accuracies(evaluate(model, birds[1], 5), birds[1].labels) == history[0]["accuracy"]


@pytest.fixture
def in_bfloat16(tmp_path, birds):
    """A trained model, its history and, for every later batch, the precision that its backbone computes in."""
    AcceleratorState._reset_state(True)
    model, precisions = new_model("tasn"), []
    model.backbone.register_forward_hook(lambda module, args, output: precisions.append(output.dtype))
    history, _ = fit(model, *birds, replace(TINY, epochs=2), 0, tmp_path / "state", make_accelerator("bfloat16"))
    yield model, history, precisions
    AcceleratorState._reset_state(True)


def test_bfloat16_is_for_computing_weights_stay_float32_and_float32_may_follow(in_bfloat16, birds):
    model, history, precisions = in_bfloat16
    assert set(precisions) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(0 < entry["loss"] < 100 for entry in history)
    precisions.clear()
    model(birds[1].images.float() / 255)
    evaluate(model, birds[1], 4)
    assert set(precisions) == {torch.float32}


def test_another_precision_is_rejected():
    with pytest.raises(ValueError, match=r"float16.*float32, bfloat16"):
        make_accelerator("float16")
