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

SMALL = Architecture(attention_size=48, out_size=48, attention_trunk="small", backbone="small")
PAPER = Architecture(attention_size=224, out_size=224, attention_trunk="resnet18", backbone="resnet50")


@pytest.mark.parametrize(
    "bad", [{"out_size": 0}, {"out_size": True}, {"scale": float("nan")}, {"weights": ""}], ids=str
)
def test_bad_values_are_rejected_by_name(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        replace(SMALL, **bad)


@pytest.mark.parametrize("bad", [{"own_classifiers": True}, {"light_attention": True}], ids=str)
def test_values_that_contradict_each_other_are_rejected(bad):
    with pytest.raises(ValidationError, match=next(iter(bad))):
        replace(SMALL, **bad)


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
        "downsampled": {"downsampled"},
        "downsampled_aliased": {"downsampled_aliased"},
    }
    images = torch.rand(2, 3, 96, 96)
    assert {kind: set(build_model(kind, SMALL, classes=5)(images).logits) for kind in expected} == expected


def test_unknown_kinds_and_no_classes_are_rejected():
    for kind, classes in (("plain", 5), ("tasn", 0)):
        with pytest.raises(ValueError, match="kind is"):
            build_model(kind, SMALL, classes)


def test_the_light_attention_network_is_cheap_and_starts_sparse():
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    nets = [build_attention_net(replace(PAPER, light_attention=light), 200) for light in (True, False)]
    features = [net(images)[1] for net in nets]
    assert [tuple(x.shape) for x in features] == [(4, 128, 8, 8), (4, 512, 8, 8)]
    dead = [(x == 0).float().mean() for x in features]
    assert dead[0] > 0.7 > dead[1]
    costs = [multiply_adds(lambda net=net: net(images)) for net in nets]
    assert 18 * costs[0] < costs[1]


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
    assert build_plain(vit, classes=3, antialias=True)(torch.rand(2, 3, 96, 96)).logits["downsampled"].shape == (2, 3)
