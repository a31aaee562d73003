from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from pydantic import ValidationError
from torchvision import models

from tasnlib.networks.build import (
    Architecture,
    build_attention_net,
    build_model,
    build_plain,
    build_tasn,
    check_networks,
)
from tasnlib.research.cost import multiply_adds
from tasnlib.training.recipes import RECIPES

SMALL = Architecture(image_size=144, attention_size=48, out_size=48, attention_trunk="small", backbone="small")
PAPER = Architecture(image_size=512, attention_size=224, out_size=224, attention_trunk="resnet18", backbone="resnet50")


@pytest.mark.parametrize(
    "bad", [{"out_size": 0}, {"out_size": True}, {"scale": float("nan")}, {"weights": ""}], ids=str
)
def test_bad_values_are_rejected_by_name(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        replace(SMALL, **bad)


def test_values_that_contradict_each_other_are_rejected():
    with pytest.raises(ValidationError, match="attention_stages"):
        replace(SMALL, attention_stages=3)


def test_a_misspelt_field_is_rejected_with_the_nearest():
    with pytest.raises(ValueError, match="no 'max_zom'; nearest: max_zoom"):
        replace(SMALL, max_zom=2.0)


def test_an_architecture_is_frozen():
    with pytest.raises(FrozenInstanceError):
        SMALL.scale = 1.0


def test_numbers_and_networks_arrive_in_tasn():
    changed = {"attention_size": 40, "out_size": 32, "scale": 3.0, "structure_power": 1.5, "max_zoom": 2.0}
    model = build_tasn(replace(SMALL, antialias=True, **changed), classes=5)
    assert {name: getattr(model, name) for name in changed} == changed
    assert model.antialias
    output = model(torch.rand(2, 3, 64, 64))
    assert output.structure_images.shape == (2, 3, 32, 32)
    assert {name: tuple(logits.shape) for name, logits in output.logits.items()} == dict.fromkeys(output.logits, (2, 5))


def test_the_same_seed_gives_the_same_small_networks():
    """A sum over the weights of seed 0, as they were when the kept results were made."""
    torch.manual_seed(0)
    model = build_tasn(SMALL, classes=16)
    assert sum(weight.double().abs().sum().item() for weight in model.parameters()) == pytest.approx(3062.561, rel=1e-5)
    assert list(model.state_dict())[:2] == ["attention_net.trunk.1.0.weight", "attention_net.trunk.1.1.weight"]


def test_a_folder_gives_each_network_its_weights(tmp_path):
    for name in ("resnet18", "mobilenet_v3_small"):
        torch.save(models.get_model(name).state_dict(), tmp_path / f"{name}.pth")
    model = build_tasn(replace(PAPER, backbone="mobilenet_v3_small", weights=str(tmp_path)), classes=3)
    trunk = torch.load(tmp_path / "resnet18.pth")
    assert torch.equal(model.attention_net.trunk[1].weight, trunk["conv1.weight"])
    check_networks(replace(PAPER, backbone="mobilenet_v3_small", weights=str(tmp_path)))
    (tmp_path / "mobilenet_v3_small.pth").unlink()
    with pytest.raises(ValueError, match=r"mobilenet_v3_small.*found: none"):
        check_networks(replace(PAPER, backbone="mobilenet_v3_small", weights=str(tmp_path)))


def test_models_are_built_by_name():
    expected = {
        "tasn": {"master", "part", "attention"},
        **{view: {view} for view in ("downsampled", "downsampled_aliased", "crop", "full")},
    }
    images = torch.rand(2, 3, 96, 96)
    assert {kind: set(build_model(kind, SMALL, classes=5)(images).logits) for kind in expected} == expected


def test_unknown_kinds_and_no_classes_are_rejected():
    for kind, classes in (("plain", 5), ("tasn", 0)):
        with pytest.raises(ValueError, match="kind is"):
            build_model(kind, SMALL, classes)


def test_fewer_stages_make_a_cheap_attention_network_with_as_many_cells():
    images = torch.rand(1, 3, 224, 224)
    nets = [build_attention_net(replace(PAPER, attention_stages=stages, weights=None), 200) for stages in (2, 3, 4)]
    assert [tuple(net(images)[1].shape[1:]) for net in nets] == [(128, 28, 28), (256, 28, 28), (512, 28, 28)]
    billions = [multiply_adds(lambda net=net: net(images)) / 1e9 for net in nets]
    assert [round(cost, 1) for cost in billions] == [1.0, 2.6, 19.7]
    assert [len(net.multi_dilation) for net in nets] == [0, 0, 2]


@pytest.mark.parametrize("name", ["paper", "official", "modern"])
def test_recipes_for_photographs_take_features_before_the_norm(name):
    net = build_attention_net(replace(RECIPES[name], weights=None, attention_size=64), 3).eval()
    images = torch.rand(1, 3, 64, 64)
    before = net(images)[1]
    torch.nn.init.constant_(net.norm.bias, -9.0)
    assert torch.equal(net(images)[1], before)
    assert before.min() >= 0


def test_classifiers_start_as_the_authors_start_theirs():
    model = build_tasn(replace(RECIPES["official"], weights=None, attention_size=64, out_size=64), classes=200)
    for layer in (model.classifier, *model.own_classifiers, model.attention_net.classifier):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.02)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "vit_b_16"}, "vit_b_16 gives no feature vector for an image of 48×48 px"),
        ({"backbone": "timm/levit_128s"}, "levit_128s gives no feature vector for an image of 48×48 px.*size is 224"),
        ({"attention_trunk": "squeezenet1_1"}, "squeezenet1_1 gives no attention trunk"),
        ({"backbone": "timm/resnet10tt"}, "nearest: timm/resnet10t"),
        ({"backbone": "resnet18", "weights": "IMAGENET1K_V9"}, "IMAGENET1K_V1"),
    ],
)
def test_networks_are_tried_at_their_size_before_training(changes, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        check_networks(replace(SMALL, **changes))


def test_transformers_of_timm_are_adapted_to_the_size():
    vit = replace(SMALL, backbone="timm/vit_tiny_patch16_224")
    check_networks(vit)
    assert build_plain(vit, classes=3, view="downsampled")(torch.rand(2, 3, 96, 96)).logits["downsampled"].shape == (
        2,
        3,
    )
