import io
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import pytest
import safetensors.torch
import timm
import torch
from torch import nn
from torchvision import models

from tasnlib.networks.backbones import attention_trunk, classifier_backbone
from tasnlib.networks.pretrained import weights_file

BUILDERS = (classifier_backbone, attention_trunk)
NAMES = ["resnet18", "timm/mobilenetv3_small_050"]
LITE0 = Path(__file__).parents[2].parent / "shared" / "weights" / "tf_efficientnet_lite0.safetensors"


@pytest.fixture(scope="module")
def states():
    """One of torchvision and one of timm, by name."""
    networks = [models.resnet18(), timm.create_model("mobilenetv3_small_050")]
    return {name: network.state_dict() for name, network in zip(NAMES, networks, strict=True)}


def save(state, path):
    (torch.save if path.suffix == ".pth" else safetensors.torch.save_file)(state, path)
    return path


# Names


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet-18", "resnet18"),
        ("convnext_atto", "'timm/NAME'"),
        ("timm/convnxt_atto", "timm/convnext_atto"),
        ("timm/resnet18.a9_in1k", r"timm/resnet18\.a1_in1k"),
    ],
)
def test_an_unknown_network_is_rejected_with_the_nearest(name, nearest):
    for build in BUILDERS:
        with pytest.raises(ValueError, match=rf"no network '{name}'.*{nearest}"):
            build(name, weights=None)


# Downloads


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty cache, and a machine without a network."""

    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    monkeypatch.setattr("timm.models._hub._get_safe_alternatives", lambda _: ["model.safetensors"])


@pytest.mark.parametrize("name", NAMES)
def test_a_download_that_fails_says_what_to_do(offline, name):
    for build in BUILDERS:
        with pytest.raises(OSError, match=rf"(?s)the DEFAULT weights of {name}.*no route to host.*Pass None.*\.pth"):
            build(name)


class Response(io.BytesIO):
    """What urlopen returns, as far as torch.hub reads it."""

    def info(self):
        return Message()


def test_a_download_of_something_else_is_rejected(offline, monkeypatch):
    monkeypatch.setattr("torch.hub.urlopen", lambda *_, **__: Response(b"Please log in to this hotel's network."))
    with pytest.raises(OSError, match=r"(?s)could not be fetched.*hash"):
        classifier_backbone("resnet18", "DEFAULT")


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_downloaded_weights_are_those_of_the_network(states, monkeypatch, weights):
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: states[NAMES[0]])
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(states[NAMES[1]]))
    for name in NAMES if weights == "DEFAULT" else NAMES[:1]:
        backbone, _ = classifier_backbone(name, weights)
        assert all(torch.equal(tensor, states[name][key]) for key, tensor in backbone[1].state_dict().items())


@pytest.mark.parametrize("weights", ["imagenet", "no/such/file.pth"])
def test_unknown_weights_are_rejected_with_the_choices(offline, weights):
    for build in BUILDERS:
        with pytest.raises(ValueError, match=rf"weights is '{weights}'.*None.*DEFAULT, IMAGENET1K_V1"):
            build("resnet18", weights)
        with pytest.raises(ValueError, match=rf"weights is '{weights}'.*None.*DEFAULT"):
            build("timm/resnet10t", weights)


# Files


@pytest.mark.parametrize(("name", "fault"), [(NAMES[0], "extra"), (NAMES[1], "missing"), (NAMES[1], "misshapen")])
def test_a_file_that_does_not_fit_is_rejected(states, tmp_path, name, fault):
    state = dict(states[name])
    tensor = next(key for key in list(state)[20:] if state[key].ndim == 4)
    if fault == "missing":
        del state[tensor]
    elif fault == "extra":
        tensor = "surplus.weight"
        state[tensor] = torch.zeros(3)
    else:
        state[tensor] = torch.zeros(3, 3, 1, 1)
    path = save(state, tmp_path / "faulty.safetensors")
    for build in BUILDERS:
        with pytest.raises(ValueError, match=rf"(?s)faulty.safetensors do not fit {name}.*{tensor}"):
            build(name, path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_may_lack_the_classifier_and_have_prefixes(states, tmp_path, name):
    heads = ("fc.", "classifier.")
    state = {f"module.{key}": states[name][key] for key in states[name] if not key.startswith(heads)}
    for build in BUILDERS:
        network, _ = build(name, str(save(state, tmp_path / "distributed.pth")))
        whole, _ = build(name, save(states[name], tmp_path / "whole.safetensors"))
        for one, other in zip(network.state_dict().values(), whole.state_dict().values(), strict=True):
            assert torch.equal(one, other)


def test_a_checkpoint_of_more_than_weights_is_rejected_with_what_it_holds(states, tmp_path):
    path = save({"epoch": 3, "state_dict": states[NAMES[0]]}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match=r"holds epoch, state_dict; it must hold the weights alone.*state_dict\(\)"):
        classifier_backbone(NAMES[0], path)


@pytest.mark.parametrize("kind", ["pickled", "cut.pth", "cut.safetensors", "empty"])
def test_a_damaged_or_pickled_file_is_rejected_with_what_to_save(tmp_path, kind):
    path = tmp_path / (kind if "." in kind else f"{kind}.pth")
    if kind == "pickled":
        torch.save(nn.Linear(1, 1), path)
    else:
        save({"weight": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[: 0 if kind == "empty" else 900])
    with pytest.raises(
        ValueError, match=r"is damaged or pickled; it must hold .* torch.save\(network.state_dict"
    ) as error:
        classifier_backbone("resnet18", path)
    assert "weights_only" not in str(error.value)  # torch's page on how to execute the file


@pytest.mark.skipif(not LITE0.exists(), reason="needs the weights of EfficientNet-Lite0 beside the project")
def test_published_weights_come_with_their_normalisation_and_padding():
    network, _ = classifier_backbone("timm/tf_efficientnet_lite0", LITE0, size=64)
    stem, norm = network[1].conv_stem, network[1].bn1
    assert torch.equal(stem.weight, safetensors.torch.load_file(LITE0)["conv_stem.weight"])
    assert (network[0].mean.flatten().tolist(), network[0].std.flatten().tolist()) == ([0.5] * 3, [0.5] * 3)
    assert (type(stem).__name__, norm.eps) == ("Conv2dSame", 1e-3)


# Weights in a folder


def test_a_folder_gives_each_network_its_own_file(tmp_path):
    expected = {
        "vgg16": "vgg16-397923af.pth",
        "vgg16_bn": "vgg16_bn-6c64b313.pth",
        "timm/convnext_tiny": "convnext_tiny.in12k.safetensors",
        "timm/convnext_tiny.in12k": "convnext_tiny.in12k.safetensors",
    }
    for file in (*expected.values(), "vgg16.txt"):
        (tmp_path / file).touch()
    assert {name: weights_file(tmp_path, name, ["DEFAULT"]).name for name in expected} == expected


@pytest.mark.parametrize("files", [(), ("resnet18.pth", "resnet18-1.pth")])
def test_a_folder_without_the_file_or_with_two_is_rejected(tmp_path, files):
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(ValueError, match=r"one file resnet18-\*\.pth.*found: (none|resnet18-1\.pth, resnet18\.pth)"):
        classifier_backbone("resnet18", tmp_path)
