"""What only the recipe `official` uses: distinct channels, own classifiers, the teacher's gradient, a mean in tests."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tasnlib.attention import bilinear_attention, distinct_channels, pooled_attention, trilinear_attention
from tasnlib.distillation import soft_target_cross_entropy, tasn_loss
from tasnlib.networks.build import build_tasn, check_networks
from tasnlib.training.recipes import RECIPES, scaled_learning_rate
from tests.paper import reference

OFFICIAL = replace(
    RECIPES["official"], image_size=32, attention_size=16, out_size=16, attention_trunk="small", backbone="small"
)


def some_features(silent: tuple[int, ...], images: int = 3, channels: int = 6, seed: int = 0) -> torch.Tensor:
    """Random features, in which these channels are silent in all images but the first."""
    features = torch.rand(images, channels, 4, 5, generator=torch.Generator().manual_seed(seed))
    features[1:, list(silent)] = 0.0
    return features


def distinct_by_loop(features: torch.Tensor, scale: float) -> list[list[int]]:
    """Image by image and channel by channel: whose map no channel before it has."""
    kept = []
    for image in features.double().flatten(2).tolist():
        maps = reference.trilinear_attention(image, scale)
        seen: list[list[float]] = []
        kept.append([])
        for number, one in enumerate(maps):
            if not any(max(abs(a - b) for a, b in zip(one, other, strict=True)) < 1e-9 for other in seen):
                seen.append(one)
                kept[-1].append(number)
    return kept


@pytest.mark.parametrize("silent", [(), (0,), (5,), (1, 3, 4), (0, 2, 5), (0, 1, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_silent_channels_the_first_is_kept(silent, dtype):
    features = some_features(silent).to(dtype)
    found = distinct_channels(bilinear_attention(features, 7.0), features)
    assert [row.nonzero().flatten().tolist() for row in found] == distinct_by_loop(features, 7.0)


@pytest.mark.parametrize("silent", [(), (0, 1, 2), (0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_distinct_maps_are_averaged_and_drawn_from(silent):
    features = some_features(silent)
    maps, kept = trilinear_attention(features, 7.0), distinct_by_loop(features, 7.0)
    for number in range(features.shape[1]):
        channel = torch.full((len(features),), number)
        pooled = pooled_attention(features, 7.0, channel, distinct=True)
        for image, channels in enumerate(kept):
            torch.testing.assert_close(pooled.structure[image], maps[image, channels].mean(0))
            drawn = channels[number % len(channels)]
            assert pooled.channel[image] == drawn
            torch.testing.assert_close(pooled.detail[image], maps[image, drawn])


def test_where_no_channel_is_silent_distinct_changes_nothing():
    features, channel = some_features(()), torch.tensor([4, 0, 5])
    for one, other in zip(
        pooled_attention(features, 7.0, channel, distinct=True), pooled_attention(features, 7.0, channel), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_the_teacher_s_gradient_is_that_of_the_plain_formula():
    student = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    soft_target_cross_entropy(student, teacher, 3.0, teacher_gradient=True).backward()
    found = [student.grad.clone(), teacher.grad.clone()]
    student.grad = teacher.grad = None
    q_teacher, q_student = (torch.exp(z / 3) / torch.exp(z / 3).sum(1, keepdim=True) for z in (teacher, student))
    (-(q_teacher * q_student.log()).sum() / 4).backward()
    torch.testing.assert_close(found, [student.grad, teacher.grad])
    assert teacher.grad.abs().max() > 1e-3


def test_with_own_classifiers_the_distillation_is_between_them():
    names = ("attention", "master", "part", "master_own", "part_own")
    logits = {name: torch.randn(4, 5, requires_grad=True) for name in names}
    labels = torch.tensor([0, 1, 2, 4])
    silent = dict.fromkeys(names, 0.0)
    tasn_loss(logits, labels, silent, distillation_weight=1.0).backward()
    touched = {name for name, z in logits.items() if z.grad is not None and z.grad.abs().max() > 0}
    assert touched == {"master_own"}
    weights = {"attention": 1.0, "master": 0.5, "part": 0.5, "master_own": 0.5, "part_own": 0.5}
    by_hand = sum(weights[name] * F.cross_entropy(logits[name], labels) for name in names)
    by_hand = by_hand + soft_target_cross_entropy(logits["master_own"], logits["part_own"], 10.0)
    torch.testing.assert_close(tasn_loss(logits, labels, weights, 1.0, 10.0), by_hand)


def test_the_official_network_answers_with_five_heads_and_the_shared_one_predicts():
    torch.manual_seed(0)
    model = build_tasn(OFFICIAL, classes=4).eval()
    images = torch.rand(2, 3, 32, 32)
    output = model(images, torch.tensor([3, 7]))
    assert list(output.logits) == ["master", "part", "attention", "master_own", "part_own"]
    both = model.backbone(torch.cat([output.structure_images, output.detail_images]))
    torch.testing.assert_close(output.logits["master"], model.classifier(both[:2]))
    torch.testing.assert_close(output.logits["master_own"], model.own_classifiers[0](both[:2]))
    torch.testing.assert_close(output.logits["part_own"], model.own_classifiers[1](both[2:]))
    torch.testing.assert_close(model.predict(images), output.logits["master"])


def test_in_a_test_the_part_net_sees_the_mean_of_all_maps_and_in_training_one():
    torch.manual_seed(0)
    model = build_tasn(OFFICIAL, classes=4)
    features = some_features((1, 3, 4), images=2)
    maps = trilinear_attention(features, OFFICIAL.scale)
    channel = torch.tensor([2, 2])
    torch.testing.assert_close(model.eval().attend(features, channel).detail, maps.mean(1))
    torch.testing.assert_close(model.train().attend(features, channel).detail[0], maps[0, 2])
    squared = maps[1, [0, 1, 2, 5]].mean(0) ** 2
    torch.testing.assert_close(model.attend(features, channel).structure[1], squared)


def test_an_unknown_detail_map_is_refused():
    with pytest.raises(ValueError, match="test_detail is 'max'"):
        build_tasn(replace(OFFICIAL, test_detail="max"), classes=4)


@pytest.mark.parametrize(("name", "batch_size", "expected"), [("paper", 192, 0.2), ("official", 12, 0.0125)])
def test_the_learning_rate_of_sgd_grows_with_the_batch(name, batch_size, expected):
    assert scaled_learning_rate(RECIPES[name], batch_size) == pytest.approx(expected)


def test_the_recipes_say_what_their_table_says():
    paper, official, modern = (RECIPES[name] for name in ("paper", "official", "modern"))
    for recipe in (paper, official):
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.weight_decay) == ("sgd", 0.1, 0, 0)
        assert [round(share * recipe.epochs) for share in recipe.milestones] == [100, 200]
        assert (recipe.epochs, recipe.batch_size, recipe.temperature) == (300, 96, 10)
        assert (recipe.image_size, recipe.attention_size, recipe.out_size) == (512, 224, 224)
        assert (recipe.attention_trunk, recipe.backbone, recipe.weights) == ("resnet18", "resnet50", "IMAGENET1K_V1")
        assert recipe.augmentation == "official"
    assert (paper.scale, paper.structure_power, paper.distillation_weight) == (1, 1, 2)
    assert (official.scale, official.structure_power, official.distillation_weight) == (7, 2, 1)
    for name in ("own_classifiers", "distinct_channels", "teacher_gradient"):
        assert (getattr(paper, name), getattr(official, name)) == (False, True)
    assert (official.attention_weight, official.master_weight, official.part_weight) == (1, 0.5, 0.5)
    assert official.own_weight == 0.5
    assert (paper.test_detail, official.test_detail) == ("channel", "mean")
    assert modern.augmentation == "modern"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"attention_trunk": "vit_b_16"}, "vit_b_16.*gives no trunk"),
        ({"backbone": "timm/resnet10tt"}, "resnet10t"),
        ({"backbone": "resnet18", "weights": "."}, "must hold one file resnet18"),
    ],
)
def test_networks_and_files_that_do_not_exist_are_told_before_anything_is_read(tmp_path, monkeypatch, changes, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=told):
        check_networks(replace(OFFICIAL, **changes))
    check_networks(OFFICIAL)
