"""Predictions for a test set: ranked, averaged, by class, every image once whatever the number of processes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Subset

from tasnlib.data.batch import Batch
from tasnlib.data.birds import Birds, BirdsConfig
from tasnlib.networks.build import build_model
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import (
    accuracies,
    accuracies_by_class,
    draw_channels,
    evaluate,
    predict_batch,
)
from tasnlib.training.recipes import RECIPES
from tests.training.tiny import like, new_model, same_weights

STYLE = BirdsConfig(image_size=48)


def some_birds(count: int) -> Birds:
    return Birds.load(STYLE, "test", count, progress=False)


def some_model() -> nn.Module:
    """TASN with random weights, but with predictions that differ from image to image."""
    torch.manual_seed(0)
    model = build_model("tasn", RECIPES["smoke"], STYLE.classes)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=3.0)
            nn.init.normal_(module.bias)
    return model.eval()


def probabilities(model, birds) -> dict[str, list[list[float]]]:
    """The softmax of each net for each image, alone in its batch."""
    found: dict[str, list[list[float]]] = {}
    for index in range(len(birds)):
        with torch.no_grad():
            logits = predict_batch(model, birds[index], 0, 0, torch.device("cpu"))
        for name, z in logits.items():
            found.setdefault(name, []).append(z[0].double().softmax(0).tolist())
    return found


def ranked(rows: list[list[float]]) -> list[list[int]]:
    return [sorted(range(len(row)), key=lambda place: -row[place])[:5] for row in rows]


@pytest.fixture(scope="module")
def seven():
    birds, model = some_birds(7), some_model()
    return birds, model, probabilities(model, birds)


# -- Every image once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10])
def test_classes_come_best_first_whatever_the_batch_size(seven, batch_size):
    birds, model, expected = seven
    found = evaluate(model, birds, batch_size)
    for name, rows in expected.items():
        assert found[name].tolist() == ranked(rows)
    assert len({tuple(row) for row in found["master"].tolist()}) > 2


@pytest.mark.parametrize("kind", ["downsampled", "downsampled_aliased"])
def test_baselines_are_evaluated_by_their_name_and_all_classes_where_they_are_few(birds, kind):
    found = evaluate(new_model(kind), birds[1], 4)
    assert {name: classes.shape for name, classes in found.items()} == {kind: (11, 4)}


class Backwards(Birds):
    """Gives each batch the other way round."""

    def __getitems__(self, indices: list[int]) -> Batch:
        return super().__getitems__(list(indices)[::-1])


def test_a_prediction_is_put_in_its_image_s_place(seven):
    birds, model, _ = seven
    expected, found = evaluate(model, birds, 4), evaluate(model, like(Backwards, birds), 4)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class WithUnreadable(Birds):
    unreadable = frozenset({2, 5})


def test_an_image_that_cannot_be_read_counts_as_wrong(seven):
    birds, model, _ = seven
    found, expected = evaluate(model, like(WithUnreadable, birds), 3), evaluate(model, birds, 3)
    for name, classes in found.items():
        assert classes[[2, 5]].unique().tolist() == [-1]
        assert torch.equal(classes[[0, 1, 3, 4, 6]], expected[name][[0, 1, 3, 4, 6]])
    share = accuracies({"master": found["master"]}, found["master"][:, 0].clamp_min(0))
    assert share == {"master": 5 / 7}


def test_workers_read_what_one_process_reads(seven):
    birds, model, _ = seven
    found, expected = evaluate(model, birds, 3, make_accelerator(), num_workers=2), evaluate(model, birds, 3)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_empty_data_set_is_rejected(birds):
    with pytest.raises(ValueError, match="empty"):
        evaluate(new_model(), Subset(birds[1], []), 5)


# -- Nothing is changed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [0, 1])
def test_evaluation_leaves_weights_modes_and_the_global_random_state(birds, num_workers):
    model, copy = new_model("tasn").train(), new_model("tasn")
    frozen = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    before = torch.get_rng_state()
    evaluate(model, birds[1], 5, num_workers=num_workers)
    assert torch.equal(torch.get_rng_state(), before)
    assert [module for module in model.modules() if not module.training] == [frozen]
    assert same_weights(model, copy)  # the running means among them
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())


def test_evaluation_that_fails_leaves_the_modes(birds):
    class Broken(Birds):
        def __getitems__(self, indices):
            raise OSError("unplugged")

    model = new_model().train()
    with pytest.raises(OSError, match="unplugged"):
        evaluate(model, like(Broken, birds[1]), 5)
    assert all(module.training for module in model.modules())


def test_evaluation_computes_each_batch_once(birds):
    model, seen = new_model("tasn"), []
    model.attention_net.register_forward_pre_hook(lambda _, images: seen.append(len(images[0])))
    model.backbone.register_forward_pre_hook(lambda _, images: seen.append(len(images[0])))
    evaluate(model, birds[1], 6)
    assert seen == [6, 12, 5, 10]


# -- Accuracy ----------------------------------------------------------------------------------------------------------


def test_top_5_asks_whether_the_label_is_among_the_first_five():
    predictions = {"net": torch.tensor([[1, 2, 3], [3, 1, 0], [0, 2, 1], [-1, -1, -1]])}
    labels = torch.tensor([1, 0, 2, 0])
    assert [accuracies(predictions, labels, top)["net"] for top in (1, 2, 3)] == [1 / 4, 2 / 4, 3 / 4]


@pytest.mark.parametrize("top", [0, 4])
def test_more_classes_than_were_kept_are_rejected(top):
    with pytest.raises(ValueError, match=f"top is {top}; it must be from 1 to the 3"):
        accuracies({"net": torch.zeros(4, 3, dtype=torch.int64)}, torch.zeros(4, dtype=torch.int64), top)


def test_a_label_of_minus_1_does_not_make_an_unreadable_image_right():
    with pytest.raises(ValueError, match="-1"):
        accuracies({"net": torch.tensor([[-1]])}, torch.tensor([-1]))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_by_class_is_the_accuracy_among_the_images_of_the_class(pairs):
    labels, classes = torch.tensor(pairs).T
    found = accuracies_by_class(classes[:, None], labels, ["a", "b", "c", "d", "none"])
    for number, name in enumerate("abcd"):
        own = [predicted == number for label, predicted in pairs if label == number]
        assert found[name] == (pytest.approx(sum(own) / len(own)) if own else None)
    assert found["none"] is None


# -- Channels ----------------------------------------------------------------------------------------------------------


def test_a_channel_is_a_function_of_image_seed_and_epoch():
    indices = torch.tensor([5, 0, 5, 10**9, 3])
    drawn = draw_channels(indices, channels=32, seed=1, epoch=2)
    assert drawn.tolist() == [draw_channels(indices[i : i + 1], 32, 1, 2).item() for i in range(5)]


@pytest.mark.parametrize("channels", [2, 32, 512])
def test_channels_are_uniform(channels):
    drawn = draw_channels(torch.arange(400 * channels), channels, seed=3, epoch=7)
    counts = torch.bincount(drawn, minlength=channels).double()
    freedom = channels - 1
    assert len(counts) == channels
    assert ((counts - 400) ** 2 / 400).sum() < freedom + 4 * (2 * freedom) ** 0.5 + 10


def test_channels_of_different_epochs_and_seeds_are_independent():
    runs = [draw_channels(torch.arange(20000), 32, seed, epoch) for seed in range(3) for epoch in range(3)]
    for number, one in enumerate(runs):
        for other in runs[:number]:
            for shift in range(3):  # nor do neighbouring images take each other's channels
                agree = (one == other.roll(shift)).double().mean()
                assert abs(agree - 1 / 32) < 5 * (1 / 32 / 20000) ** 0.5


def test_the_largest_seeds_and_epochs_do_not_overflow():
    largest = draw_channels(torch.tensor([0, 2**31]), channels=32, seed=2**31 - 1, epoch=10**6)
    assert bool(((largest >= 0) & (largest < 32)).all())
