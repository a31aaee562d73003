"""Training and evaluation: resumed is uninterrupted, every image counts once, and the same seed is the same run."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn
from torch.utils.data import Subset

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.networks.build import build_model
from tasnlib.runs import run as experiment
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings
from tasnlib.training import fit as training
from tasnlib.training.checkpoints import load_model, load_training_state
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import accuracies, draw_channels, evaluate
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import EpochOrder, build_optimizer, learning_rate_at
from tests.watched import Watched

STYLE = BirdsConfig(image_size=48, head_colours=1, wing_colours=2, striped_parts=("head",))
TINY = replace(RECIPES["smoke"], image_size=48, batch_size=8, epochs=4, train_images=26, test_images=11)
STEPS = 3  # 26 images in batches of 8; the last two are left out
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def birds() -> tuple[Birds, Birds]:
    return tuple(Birds.load(STYLE, split, count, progress=False) for split, count in (("train", 26), ("test", 11)))


@pytest.fixture(scope="module")
def fifty() -> Birds:
    return Birds.load(STYLE, "test", 50, progress=False)


def new_model(kind: str = "downsampled", seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(kind, TINY, STYLE.classes)


def run(folder: Path, birds, model: nn.Module, recipe=TINY, seed: int = 0, **options) -> list[dict]:
    torch.manual_seed(np.random.default_rng().integers(2**31))  # no run may depend on the global state
    return fit(model, *birds, recipe, seed, folder / "state.safetensors", make_accelerator(), **options)


def without_times(history: list[dict]) -> list[dict]:
    return [{name: value for name, value in entry.items() if "second" not in name} for entry in history]


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(one, other) for one, other in zip(*(m.state_dict().values() for m in (first, second)), strict=True)
    )


class Interrupted(Exception):
    pass


def interrupt_after(epoch: int):
    def report(entry):
        if entry["epoch"] == epoch:
            raise Interrupted

    return report


# -- Resuming ----------------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adamw": replace(TINY, optimizer="adamw", warmup=0.3),
    "sgd": replace(TINY, optimizer="sgd", momentum=0.9, learning_rate=0.02, milestones=(0.5,)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["tasn", "downsampled"])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_last_digit(tmp_path, birds, kind, optimizer):
    recipe, undisturbed, stopped, resumed = (
        OPTIMIZERS[optimizer],
        new_model(kind),
        new_model(kind),
        new_model(kind, seed=9),
    )
    expected = run(tmp_path / "undisturbed", birds, undisturbed, recipe)
    with pytest.raises(Interrupted):
        run(tmp_path, birds, stopped, recipe, report=interrupt_after(2))
    history = run(tmp_path, birds, resumed, recipe, resume=True)
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    assert without_times(history) == without_times(expected)
    assert same_weights(resumed, undisturbed)
    assert not same_weights(resumed, stopped)


def test_resuming_a_finished_run_only_reads_it(tmp_path, birds):
    finished, again = new_model(), new_model(seed=9)
    history = run(tmp_path, birds, finished)
    before = (tmp_path / "state.safetensors").read_bytes()
    assert run(tmp_path, birds, again, resume=True, report=interrupt_after(1)) == history
    assert same_weights(again, finished)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_without_resume_a_run_starts_anew_and_resume_without_a_checkpoint_starts(tmp_path, birds):
    first, second, third = new_model(), new_model(), new_model()
    expected = without_times(run(tmp_path, birds, first, resume=True))  # there is nothing yet
    assert [entry["epoch"] for entry in expected] == [1, 2, 3, 4]
    assert without_times(run(tmp_path, birds, second)) == expected
    with pytest.raises(Interrupted):
        run(tmp_path, birds, third, report=interrupt_after(1))


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.5), ("batch_size", 4), ("optimizer", "sgd"), ("epochs", 5), ("temperature", 1.0),
     ("warmup", 0.0), ("milestones", (0.5,)), ("distillation_weight", 0.0), ("scale", 1.0), ("stripe_period", 3.0),
     ("backbone", "resnet18"), ("train_images", 27), ("antialias", True), ("max_zoom", 2.0), ("seed", 1)],
)  # fmt: skip
def test_a_checkpoint_of_another_run_is_refused_and_left_alone(tmp_path, birds, field, value):
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model(), report=interrupt_after(1))
    before = (tmp_path / "state.safetensors").read_bytes()
    other = {"seed": value} if field == "seed" else {"recipe": replace(TINY, **{field: value})}
    with pytest.raises(ValueError, match=rf"\b{field} "):
        run(tmp_path, birds, new_model(), resume=True, **other)
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_recipe_with_milestones_resumes_although_json_has_no_tuples(tmp_path, birds):
    recipe = replace(TINY, milestones=(1 / 3, 2 / 3))
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model(), recipe, report=interrupt_after(1))
    assert len(run(tmp_path, birds, new_model(), recipe, resume=True)) == 4


def test_a_checkpoint_of_another_kind_of_model_is_refused(tmp_path, birds):
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model("tasn"), report=interrupt_after(1))
    with pytest.raises(ValueError, match=r"state\.safetensors"):
        run(tmp_path, birds, new_model("downsampled"), resume=True)


def test_a_checkpoint_for_another_number_of_classes_is_refused(tmp_path, birds):
    with pytest.raises(Interrupted):
        run(tmp_path, birds, new_model(), report=interrupt_after(1))
    with pytest.raises(ValueError, match=r"state\.safetensors"):
        run(tmp_path, birds, build_model("downsampled", TINY, STYLE.classes + 1), resume=True)


# -- Seeds, order and channels -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tasn", "downsampled"])
def test_the_same_seed_is_the_same_run_and_another_seed_is_another(tmp_path, birds, kind):
    recipe = replace(TINY, epochs=2)
    first, second, other = new_model(kind), new_model(kind), new_model(kind)
    expected = without_times(run(tmp_path / "1", birds, first, recipe))
    assert without_times(run(tmp_path / "2", birds, second, recipe)) == expected
    assert same_weights(first, second)
    assert without_times(run(tmp_path / "3", birds, other, recipe, seed=1)) != expected
    assert not same_weights(first, other)


def test_every_epoch_has_a_shuffle_of_its_own_decided_by_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        shuffled = EpochOrder(200, seed)
        shuffled.epoch = epoch
        return list(shuffled)

    torch.manual_seed(1)
    shuffles = [order(seed, epoch) for seed in range(4) for epoch in range(4)]
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert [order(seed, epoch) for seed in range(4) for epoch in range(4)] == shuffles
    assert not torch.equal(torch.get_rng_state(), state)
    assert len({tuple(shuffle) for shuffle in shuffles}) == 16
    for shuffle in shuffles:
        epoch = shuffle[0] // 200
        assert sorted(shuffle) == list(range(200 * epoch, 200 * (epoch + 1)))
        assert sum(place == index % 200 for place, index in enumerate(shuffle)) < 10
    assert len(EpochOrder(200, 0)) == 200


def test_images_that_cannot_be_read_are_never_asked_for():
    order = EpochOrder(10, 0, left_out={3, 7})
    order.epoch = 2
    assert sorted(order) == [20, 21, 22, 24, 25, 26, 28, 29]
    assert len(order) == 8


@pytest.fixture
def watched(birds) -> Watched:
    return Watched(birds[0])


def test_training_goes_through_a_new_shuffle_every_epoch(tmp_path, birds, watched):
    run(tmp_path, (watched, birds[1]), new_model(), seed=5)
    order = EpochOrder(26, 5)
    for epoch in range(4):
        order.epoch = epoch
        shuffle = list(order)
        assert watched.asked[STEPS * epoch : STEPS * (epoch + 1)] == [
            shuffle[start : start + 8] for start in (0, 8, 16)
        ]
    assert len(watched.asked) == 4 * STEPS


def test_training_takes_the_channel_that_belongs_to_the_image_the_epoch_and_the_seed(tmp_path, birds, watched):
    model, taken = new_model("tasn"), []

    def note(module, args, options):
        if module.training:
            taken.append(options["channel"])

    model.register_forward_pre_hook(note, with_kwargs=True)
    run(tmp_path, (watched, birds[1]), model, replace(TINY, epochs=2), seed=5)
    for step, (indices, channel) in enumerate(zip(watched.asked, taken, strict=True)):
        expected = draw_channels(torch.tensor(indices) % 26, channels=32, seed=5, epoch=step // STEPS)
        assert channel.tolist() == expected.tolist()


def test_a_channel_is_a_function_of_image_seed_and_epoch():
    indices = torch.tensor([5, 0, 5, 10**9, 3])
    drawn = draw_channels(indices, channels=32, seed=1, epoch=2)
    alone = [draw_channels(indices[i : i + 1], 32, 1, 2).item() for i in range(5)]
    assert drawn.tolist() == alone
    torch.manual_seed(77)
    assert torch.equal(draw_channels(indices, 32, 1, 2), drawn)


@pytest.mark.parametrize("channels", [2, 32, 100, 512])
def test_channels_are_uniform(channels):
    count = 400 * channels
    drawn = draw_channels(torch.arange(count), channels, seed=3, epoch=7)
    counts = torch.bincount(drawn, minlength=channels).double()
    assert len(counts) == channels
    freedom = channels - 1
    assert ((counts - 400) ** 2 / 400).sum() < freedom + 4 * (2 * freedom) ** 0.5 + 10


def test_channels_of_different_epochs_and_seeds_are_independent():
    runs = [draw_channels(torch.arange(20000), 32, seed, epoch) for seed in range(4) for epoch in range(4)]
    for number, one in enumerate(runs):
        for other in runs[:number]:
            for shift in range(3):  # nor do neighbouring images take each other's channels
                agree = (one == other.roll(shift)).double().mean()
                assert abs(agree - 1 / 32) < 5 * (1 / 32 / 20000) ** 0.5


def test_the_largest_seeds_and_epochs_do_not_overflow():
    largest = draw_channels(torch.tensor([0, 2**31]), channels=32, seed=2**31 - 1, epoch=10**6)
    assert bool(((largest >= 0) & (largest < 32)).all())
    assert sorted(EpochOrder(5, 2**31 - 1)) == [0, 1, 2, 3, 4]


# -- Learning rate -----------------------------------------------------------------------------------------------------


def rates(recipe, count: int = 101) -> np.ndarray:
    return np.array([learning_rate_at(recipe, done) for done in np.linspace(0, 1, count)]) / recipe.learning_rate


def test_warmup_rises_linearly_from_zero():
    found = rates(replace(TINY, warmup=0.2))
    assert found[:21] == pytest.approx(np.arange(21) / 20, abs=1e-9)
    assert found.argmax() == 20


@pytest.mark.parametrize("warmup", [0.0, 0.2])
def test_without_milestones_it_falls_by_half_a_cosine_to_zero(warmup):
    found = rates(replace(TINY, warmup=warmup, milestones=()))
    left = np.linspace(warmup, 1, 5)
    expected = [1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0]
    assert [
        learning_rate_at(replace(TINY, warmup=warmup), done) / TINY.learning_rate for done in left
    ] == pytest.approx(expected)
    assert (np.diff(found[found.argmax() :]) < 0).all()


def test_at_every_milestone_it_falls_to_a_tenth():
    found = rates(replace(TINY, warmup=0.0, milestones=(0.5, 0.75)), 9)
    assert found == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])
    found = rates(replace(TINY, warmup=0.25, milestones=(0.5, 0.75)), 9)
    assert found == pytest.approx([0, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_every_step_is_taken_at_its_own_learning_rate(tmp_path, birds, monkeypatch):
    asked, used = [], []

    def rate(recipe, done):
        asked.append(done)
        return 1e-4 * (1 + done)

    optimizer = build_optimizer

    def watched_optimizer(model, recipe):
        built = optimizer(model, recipe)
        built.register_step_pre_hook(lambda o, *_: used.append([group["lr"] for group in o.param_groups]))
        return built

    monkeypatch.setattr(training, "learning_rate_at", rate)
    monkeypatch.setattr(training, "build_optimizer", watched_optimizer)
    run(tmp_path, birds, new_model())
    assert asked == pytest.approx([step / (4 * STEPS) for step in range(4 * STEPS)])
    assert used == [[1e-4 * (1 + done)] for done in asked]


def test_the_recipe_decides_the_optimizer():
    adamw = build_optimizer(new_model(), replace(TINY, optimizer="adamw", weight_decay=0.3))
    sgd = build_optimizer(new_model(), replace(TINY, optimizer="sgd", momentum=0.7, weight_decay=0.2))
    assert (type(adamw), adamw.param_groups[0]["weight_decay"]) == (torch.optim.AdamW, 0.3)
    assert type(sgd) is torch.optim.SGD
    assert (sgd.param_groups[0]["momentum"], sgd.param_groups[0]["weight_decay"]) == (0.7, 0.2)
    assert len(adamw.param_groups[0]["params"]) == len(list(new_model().parameters()))


# -- Evaluation --------------------------------------------------------------------------------------------------------


def lively(kind: str) -> nn.Module:
    """Untrained, but not of one opinion: no class is the answer to everything."""
    model, images = new_model(kind, seed=4), Birds.load(STYLE, "val", 16, progress=False).images.float() / 255
    with torch.no_grad():
        for _ in range(12):  # let the running means settle
            model(images)
        model.eval()
        for name, logits in model(images).logits.items():
            classifier = model.attention_net.classifier if name == "attention" else model.classifier
            if name != "part":
                classifier.bias -= logits.mean(0)
    return model


@pytest.mark.parametrize("kind", ["tasn", "downsampled", "downsampled_aliased"])
def test_every_image_counts_once_whatever_the_batch_size(fifty, kind):
    model = lively(kind)
    one_by_one: dict[str, list[int]] = {}
    with torch.no_grad():
        for index in range(50):
            image = fifty.images[index : index + 1].float() / 255
            channel = {"channel": draw_channels(torch.tensor([index]), 32, 0, 0)} if kind == "tasn" else {}
            for name, logits in model(image, **channel).logits.items():
                one_by_one.setdefault(name, []).append(logits.argmax().item())
    assert all(len(set(answers)) > 1 for answers in one_by_one.values())
    for batch_size in (7, 1, 50, 64):
        answers = evaluate(model, fifty, batch_size)
        nets = {name: found for name, found in answers.items() if "+" not in name}
        assert {name: found[:, 0].tolist() for name, found in nets.items()} == one_by_one
        kept = min(5, STYLE.classes)
        assert all(not found.is_floating_point() and found.shape == (50, kept) for found in answers.values())


class Backwards(Birds):
    """Hands out each batch the other way round, and says so."""

    def __getitems__(self, indices: list[int]) -> Batch:
        return super().__getitems__(list(indices)[::-1])


def test_an_answer_is_put_in_its_images_place(fifty):
    model = lively("tasn")
    backwards = Backwards(BirdsBatch(fifty.images, fifty.labels, fifty.boxes), fifty.config)
    expected, found = evaluate(model, fifty, 7), evaluate(model, backwards, 7)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("training_mode", [True, False])
def test_evaluation_leaves_the_model_as_it_was(fifty, training_mode):
    model, copy = new_model("tasn").train(training_mode), new_model("tasn")
    evaluate(model, fifty, 20)
    assert {module.training for module in model.modules()} == {training_mode}
    assert same_weights(model, copy)  # the running means among them
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_an_empty_data_set_is_refused(fifty):
    with pytest.raises(ValueError, match="empty"):
        evaluate(new_model(), Subset(fifty, []), 5)


def test_accuracy_is_the_share_of_right_answers():
    answers = {"master": torch.tensor([[0], [1], [2], [2]]), "part": torch.tensor([[3], [3], [3], [3]])}
    assert accuracies(answers, torch.tensor([0, 1, 2, 0])) == {"master": 0.75, "part": 0.0}


def test_the_history_holds_the_accuracy_on_the_test_images(tmp_path, birds):
    model = new_model("tasn")
    history = run(tmp_path, birds, model, replace(TINY, epochs=2))
    assert history[-1]["accuracy"] == accuracies(evaluate(model, birds[1], 4), birds[1].labels)
    assert list(history[-1]) == ["epoch", "loss", "accuracy", "seconds", "images_per_second"]
    for entry in history:
        assert entry["images_per_second"] == pytest.approx(STEPS * 8 / entry["seconds"])


@pytest.fixture
def in_bfloat16(tmp_path, birds):
    """A trained model, its history and, for every later batch, the precision that its backbone computes in."""
    AcceleratorState._reset_state(True)
    model, precisions = new_model("tasn"), []
    model.backbone.register_forward_hook(lambda module, args, output: precisions.append(output.dtype))
    history = fit(model, *birds, replace(TINY, epochs=2), 0, tmp_path / "state", make_accelerator("bfloat16"))
    yield model, history, precisions
    AcceleratorState._reset_state(True)


def test_bfloat16_is_for_computing_and_weights_stay_float32(in_bfloat16):
    model, history, precisions = in_bfloat16
    assert set(precisions) == {torch.bfloat16}
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(np.isfinite(entry["loss"]) for entry in history)


def test_after_a_run_in_bfloat16_the_model_itself_is_as_it_was(in_bfloat16, birds):
    model, _, precisions = in_bfloat16
    precisions.clear()
    model(birds[1].images.float() / 255)
    assert precisions == [torch.float32]


def test_in_one_notebook_float32_may_follow_bfloat16(in_bfloat16, birds):
    model, _, _ = in_bfloat16
    assert {"master", "part", "attention"} <= evaluate(model, birds[1], 4).keys()


# -- Learning, and failing to ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tasn", "downsampled_aliased"])
def test_a_tiny_model_learns_its_images(tmp_path, birds, kind):
    model, recipe = new_model(kind), replace(TINY, epochs=15)
    history = run(tmp_path, (birds[0], birds[0]), model, recipe)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert min(history[-1]["accuracy"][name] for name in history[0]["accuracy"] if name != "attention") > 0.55


def test_the_loss_in_the_history_is_the_mean_over_the_epochs_steps(tmp_path, birds, monkeypatch):
    losses = []
    real = training.tasn_loss

    def noted(*args):
        losses.append(real(*args))
        return losses[-1]

    monkeypatch.setattr(training, "tasn_loss", noted)
    history = run(tmp_path, birds, new_model("tasn"))
    means = torch.stack(losses).detach().view(4, STEPS).mean(1).tolist()
    assert [entry["loss"] for entry in history] == pytest.approx(means, rel=1e-5)


def test_the_recipes_weights_and_temperature_reach_the_loss(tmp_path, birds, monkeypatch):
    noted = []
    real = training.tasn_loss
    monkeypatch.setattr(training, "tasn_loss", lambda *args: noted.append(args[2:]) or real(*args))
    recipe = replace(
        TINY,
        epochs=1,
        attention_weight=0.5,
        master_weight=0.25,
        part_weight=0.75,
        distillation_weight=3.0,
        temperature=5.0,
        teacher_gradient=True,
    )
    run(tmp_path, birds, new_model("tasn"), recipe)
    assert noted == [({"attention": 0.5, "master": 0.25, "part": 0.75}, 3.0, 5.0, True)] * STEPS


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("kind", "broken"),
    [("downsampled", "classifier.weight"), ("tasn", "classifier.weight"), ("tasn", "attention_net.classifier.weight"),
     ("tasn", "attention_net.trunk.1.0.weight")],
)  # fmt: skip
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_the_last_checkpoint_is_from_before(
    tmp_path, birds, kind, broken, value
):
    model, after_one_epoch = new_model(kind), {}

    def break_it(entry):
        after_one_epoch.update({name: tensor.clone() for name, tensor in model.state_dict().items()})
        with torch.no_grad():
            dict(model.named_parameters())[broken].fill_(value)

    with pytest.raises(FloatingPointError, match=r"epoch 2.*step [123]\b"):
        run(tmp_path, birds, model, report=break_it)
    kept = new_model(kind, seed=3)
    progress = load_training_state(tmp_path / "state.safetensors", kept, build_optimizer(kept, TINY))
    assert [entry["epoch"] for entry in progress["history"]] == [1]
    assert all(torch.equal(tensor, after_one_epoch[name]) for name, tensor in kept.state_dict().items())


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("kind", ["tasn", "downsampled"])
def test_a_learning_rate_that_is_far_too_high_is_told_by_name(tmp_path, birds, kind):
    recipe = replace(TINY, optimizer="sgd", learning_rate=1e30, warmup=0.0)
    with pytest.raises(FloatingPointError, match="learning_rate"):
        run(tmp_path, birds, new_model(kind), recipe)


def test_a_batch_larger_than_the_training_set_is_refused(tmp_path, birds):
    with pytest.raises(ValueError, match=r"batch_size is 27\b.*\b26\b"):
        run(tmp_path, birds, new_model(), replace(TINY, batch_size=27))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_as_large_as_the_training_set_is_one_step(tmp_path, birds, watched):
    run(tmp_path, (watched, birds[1]), new_model(), replace(TINY, batch_size=26, epochs=1))
    assert [sorted(batch) for batch in watched.asked] == [list(range(26))]


# -- Several processes -------------------------------------------------------------------------------------------------


def test_two_processes_answer_as_one_does(tmp_path, capsys):
    settings = Settings(
        recipe="smoke",
        num_processes=2,
        epochs=2,
        batch_size=6,
        train_images=26,
        test_images=49,  # neither batches nor processes share them out evenly
        data_folder=str(tmp_path / "data"),
        output_folder=str(tmp_path / "run"),
    )
    folder, data = prepare_folder(settings), experiment.load_data(settings)
    capsys.readouterr()
    trained = experiment.train("tasn", settings, folder, data)
    # Each line once, though two processes trained. So short a run may end with silent attention, which is told last.
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert [re.match(r"epoch +(\d)/2", line).group(1) for line in (first, second)] == ["1", "2"]
    assert len(rest) <= 1
    assert all(line.startswith("attention is 0 everywhere on ") for line in rest)
    assert [entry["epoch"] for entry in trained.history] == [1, 2]
    assert trained.history[-1]["accuracy"] == trained.accuracy
    assert max(trained.accuracy.values()) > 0  # or the next lines would compare nothing with nothing
    model, _ = load_model(trained.weights_path)
    assert accuracies(evaluate(model, data[1], 5), data[1].labels) == trained.accuracy
