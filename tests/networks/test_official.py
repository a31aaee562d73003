"""OfficialTASN, distinct channels, and distillation between own classifiers."""

from dataclasses import replace

import pytest
import torch
from torch.overrides import TorchFunctionMode

from tasnlib.attention import bilinear_attention, trilinear_attention
from tasnlib.networks.build import build_tasn
from tasnlib.networks.official import OfficialTASN, distinct_channels, own_distillation
from tasnlib.training.recipes import RECIPES
from tests.paper import reference

OFFICIAL = replace(
    RECIPES["official"], image_size=32, attention_size=16, out_size=16, attention_trunk="small", backbone="small"
)


def some_features(dead: tuple[int, ...], images: int = 3, channels: int = 6, seed: int = 0) -> torch.Tensor:
    """Random features, in which these channels are dead in all images but the first."""
    features = torch.rand(images, channels, 4, 5, generator=torch.Generator().manual_seed(seed))
    features[1:, list(dead)] = 0.0
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


@pytest.mark.parametrize("dead", [(), (0,), (1, 3, 4), (0, 1, 2, 3, 4, 5)])
def test_of_dead_channels_the_first_counts(dead):
    features = some_features(dead)
    found = distinct_channels(bilinear_attention(features, 7.0), features)
    assert [row.nonzero().flatten().tolist() for row in found] == distinct_by_loop(features, 7.0)


@pytest.mark.parametrize(
    ("totals", "first"),
    [
        ([3.0, 1.0, 2.0, 3.0], [True, True, True, False]),  # equal ones may be any, not only the smallest
        ([-3.0, -1.0, -3.0, -2.0], [True, True, False, True]),
        ([0.001, 1.0, 0.0010005, 0.5], [True, True, False, True]),  # equal within a millionth of the largest total,
        ([1e-3, 1.001e-3, 2e-3, 3e-3], [True, True, True, True]),  # however small that is
    ],
)
def test_equal_totals_are_found_wherever_they_stand_and_however_large_they_are(totals, first):
    # Channel i alone is channel i's map, so the totals are those of the features.
    features = torch.tensor(totals, dtype=torch.float64).view(1, 4, 1, 1)
    assert distinct_channels(torch.eye(4, dtype=torch.float64)[None], features).tolist() == [first]


class WithoutFloat64(TorchFunctionMode):
    """All tensors are on an Apple GPU, which has no float64, until they are copied to the CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        on_cpu = any(getattr(tensor, "copied", False) for tensor in args if isinstance(tensor, torch.Tensor))
        if function == torch.Tensor.device.__get__:
            return torch.device("cpu" if on_cpu else "mps")
        if function == torch.Tensor.to and args[1] == torch.device("mps"):
            return args[0]
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple) else (result,):
            if isinstance(tensor, torch.Tensor):
                tensor.copied = on_cpu or function == torch.Tensor.cpu
                if tensor.dtype == torch.float64 and not tensor.copied:
                    raise TypeError("the MPS framework doesn't support float64")
        return result


def test_devices_without_float64_find_the_same_channels():
    features = some_features((1, 3, 4))
    relation = bilinear_attention(features, 7.0)
    expected = distinct_channels(relation, features)
    with WithoutFloat64():
        with pytest.raises(TypeError, match="float64"):
            features.double()
        found = distinct_channels(relation, features)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dead", [(0, 2, 5), (0, 1, 2, 3, 4, 5)])
def test_distinct_maps_are_averaged_and_drawn_from(dead):
    model = build_tasn(replace(OFFICIAL, structure_power=1.0), classes=4)
    features = some_features(dead)
    maps, kept = trilinear_attention(features, 7.0), distinct_by_loop(features, 7.0)
    for number in range(features.shape[1]):
        attention = model.attend(features, torch.full((len(features),), number))
        for image, channels in enumerate(kept):
            mean = maps[image, channels].mean(0)
            torch.testing.assert_close(attention.structure[image], mean / mean.max().clamp_min(1e-9))
            drawn = channels[number % len(channels)]
            assert attention.channel[image] == drawn
            torch.testing.assert_close(attention.detail[image], maps[image, drawn])


def test_without_dead_channels_the_maps_are_those_of_tasn():
    features, channel = some_features(()), torch.tensor([4, 0, 5])
    official = build_tasn(OFFICIAL, classes=4)
    plain = build_tasn(RECIPES["laptop"], classes=4)
    assert isinstance(official, OfficialTASN)
    assert not isinstance(plain, OfficialTASN)
    for one, other in zip(official.attend(features, channel), plain.attend(features, channel), strict=True):
        torch.testing.assert_close(one, other)


def test_the_seed_decides_the_channels():
    model, features = build_tasn(OFFICIAL, classes=4), torch.rand(8, 32, 4, 4)
    first, second, third = (
        model.attend(features, generator=torch.Generator().manual_seed(seed)).channel.tolist() for seed in (0, 0, 1)
    )
    assert first == second != third


def test_maps_carry_no_gradient():
    features = torch.rand(2, 32, 4, 4, requires_grad=True)
    attention = build_tasn(OFFICIAL, classes=4).attend(features)
    assert not attention.structure.requires_grad
    assert not attention.detail.requires_grad


def test_five_heads_of_which_the_shared_one_predicts():
    torch.manual_seed(0)
    model = build_tasn(OFFICIAL, classes=4).eval()
    images = torch.rand(2, 3, 32, 32)
    output = model(images, torch.tensor([3, 7]))
    assert list(output.logits) == ["master", "part", "master_own", "part_own", "attention"]
    both = model.backbone(torch.cat([output.structure_images, output.detail_images]))
    torch.testing.assert_close(output.logits["master"], model.classifier(both[:2]))
    torch.testing.assert_close(output.logits["master_own"], model.own_classifiers[0](both[:2]))
    torch.testing.assert_close(output.logits["part_own"], model.own_classifiers[1](both[2:]))
    torch.testing.assert_close(model.predict(images), output.logits["master"])


def test_at_test_time_the_detail_map_is_the_mean_of_all_maps():
    torch.manual_seed(0)
    model = build_tasn(OFFICIAL, classes=4)
    features = some_features((1, 3, 4), images=2)
    maps = trilinear_attention(features, OFFICIAL.scale)
    channel = torch.tensor([2, 2])
    torch.testing.assert_close(model.eval().attend(features, channel).detail, maps.mean(1))
    torch.testing.assert_close(model.train().attend(features, channel).detail[0], maps[0, 2])
    squared = maps[1, [0, 1, 2, 5]].mean(0) ** 2
    torch.testing.assert_close(model.attend(features, channel).structure[1], squared / squared.max())


def test_own_distillation_has_the_gradient_of_the_plain_formula():
    student = torch.randn(4, 5, requires_grad=True)
    teacher = torch.randn(4, 5, requires_grad=True)
    own_distillation({"master_own": student, "part_own": teacher}, 3.0).backward()
    found = [student.grad.clone(), teacher.grad.clone()]
    student.grad = teacher.grad = None
    q_teacher, q_student = (torch.exp(z / 3) / torch.exp(z / 3).sum(1, keepdim=True) for z in (teacher, student))
    (-(q_teacher * q_student.log()).sum() / 4).backward()
    torch.testing.assert_close(found, [student.grad, teacher.grad])
    assert teacher.grad.abs().max() > 1e-3
