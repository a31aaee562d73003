import io
import sys
from email.message import Message
from urllib.error import URLError

import pytest
import safetensors.torch
import timm
import torch
from torch import nn
from torchvision import models

from tasnlib.networks.backbones import attention_trunk, classifier_backbone
from tasnlib.networks.pretrained import Normalize, run_once

BUILDERS = {"backbone": classifier_backbone, "trunk": attention_trunk}
every_builder = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
NAMES = ["mobilenet_v3_small", "timm/mobilenetv3_small_050"]


@pytest.fixture(scope="module")
def states():
    """One of torchvision and one of timm, by name."""
    networks = [models.mobilenet_v3_small(), timm.create_model("mobilenetv3_small_050")]
    return {name: network.state_dict() for name, network in zip(NAMES, networks, strict=True)}


def save(state, path):
    (torch.save if path.suffix == ".pth" else safetensors.torch.save_file)(state, path)
    return path


def test_normalising_is_done_colour_by_colour():
    images = torch.rand(2, 3, 4, 5)
    normalise = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    for colour, (mean, std) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)]):
        torch.testing.assert_close(normalise(images)[:, colour], (images[:, colour] - mean) / std)


def test_normalising_adds_nothing_to_a_checkpoint_and_moves_with_the_network():
    normalise = Normalize((0.5,) * 3, (0.25,) * 3)
    assert not normalise.state_dict()
    assert normalise.double()(torch.ones(1, 3, 1, 1, dtype=torch.float64)).dtype == torch.float64


def test_a_trial_run_does_not_train_a_normalisation():
    norm = nn.BatchNorm2d(3)
    run_once(nn.Sequential(nn.Dropout(), norm), (2, 2))
    assert norm.num_batches_tracked == 0
    assert norm.training


# Names


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ResNet18", "resnet18"),
        ("mobilnet_v3_small", "mobilenet_v3_small"),
        ("convnext_atto", "'timm/NAME'"),
        ("timm/convnxt_atto", "timm/convnext_atto"),
        ("timm/resnet18.a9_in1k", "a1_in1k"),
        ("timm/", "timm does not have"),
        ("", "'timm/NAME'"),
    ],
)
@every_builder
def test_a_misspelt_name_is_answered_with_the_nearest(build, name, nearest):
    with pytest.raises(ValueError, match=rf"name is '{name}'.*{nearest}"):
        build(name, weights=None)


@every_builder
def test_without_timm_its_networks_say_so_and_others_work(monkeypatch, build):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"timm/resnet10t needs timm.*pip install timm"):
        build("timm/resnet10t", weights=None)
    build("shufflenet_v2_x0_5", weights=None)


# What is fetched


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a machine without a network."""

    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", unreachable)
    monkeypatch.setattr("timm.models._hub._get_safe_alternatives", lambda _: ["model.safetensors"])


@every_builder
@pytest.mark.parametrize(
    ("name", "weights"), [("resnet18", "DEFAULT"), ("resnet18", "IMAGENET1K_V1"), ("timm/resnet10t", "DEFAULT")]
)
def test_a_fetch_that_fails_says_what_to_do(no_network, build, name, weights):
    with pytest.raises(OSError, match=rf"(?s)the {weights} weights of {name}.*no route to host.*weights=None.*\.pth"):
        build(name, weights)


@every_builder
@pytest.mark.parametrize("name", ["resnet18", "timm/resnet10t"])
def test_the_pretrained_weights_are_what_is_fetched_unless_told_otherwise(no_network, build, name):
    with pytest.raises(OSError, match=r"\bDEFAULT\b"):
        build(name)


class Answer(io.BytesIO):
    """What urlopen returns, as far as torch.hub reads it."""

    def info(self):
        return Message()


def test_a_fetch_of_something_else_is_refused(no_network, monkeypatch):
    monkeypatch.setattr("torch.hub.urlopen", lambda *_, **__: Answer(b"Please log in to this hotel's network."))
    with pytest.raises(OSError, match=r"(?s)could not be fetched.*hash.*weights=None"):
        classifier_backbone("resnet18", "DEFAULT")


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1", models.MobileNet_V3_Small_Weights.IMAGENET1K_V1])
def test_fetched_weights_of_torchvision_are_the_networks_weights(states, monkeypatch, weights):
    asked = []

    def fetch(url, **_):
        asked.append(url)
        return states[NAMES[0]]

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    backbone, _ = classifier_backbone(NAMES[0], weights)
    assert asked == [models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.url]
    expected = {name: tensor for name, tensor in states[NAMES[0]].items() if not name.startswith("classifier.3.")}
    assert set(backbone[1].state_dict()) == set(expected)
    assert all(torch.equal(backbone[1].state_dict()[name], tensor) for name, tensor in expected.items())


def test_fetched_weights_of_timm_are_the_networks_weights(states, monkeypatch):
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(states[NAMES[1]]))
    backbone, _ = classifier_backbone(NAMES[1], "DEFAULT")
    expected = {name: tensor for name, tensor in states[NAMES[1]].items() if not name.startswith("classifier.")}
    assert set(backbone[1].state_dict()) == set(expected)
    assert all(torch.equal(backbone[1].state_dict()[name], tensor) for name, tensor in expected.items())


@every_builder
@pytest.mark.parametrize("name", NAMES)
def test_weights_of_none_are_random_and_ask_nobody(no_network, build, name):
    first, second = (build(name, None)[0].state_dict() for _ in range(2))
    weight = next(weight for weight, tensor in first.items() if tensor.ndim == 4)
    assert not torch.equal(first[weight], second[weight])


@every_builder
@pytest.mark.parametrize("weights", ["imagenet", "IMAGENET1K_V2", "no/such/file.pth", ""])
def test_unknown_weights_are_answered_with_the_choices(no_network, build, weights):
    with pytest.raises(ValueError, match=rf"weights is '{weights}'.*\bDEFAULT\b.*\bIMAGENET1K_V1\b.*None"):
        build("resnet18", weights)
    with pytest.raises(ValueError, match=rf"weights is '{weights}'.*\bDEFAULT\b.*None"):
        build("timm/resnet10t", weights)


def test_a_network_of_timm_without_published_weights_says_so(no_network, monkeypatch):
    monkeypatch.setattr("timm.is_model_pretrained", lambda _: False)
    with pytest.raises(ValueError, match=r"'DEFAULT'.*no weights are published for this network.*None"):
        classifier_backbone("timm/resnet10t", "DEFAULT")


# Files


@every_builder
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", ["missing", "extra", "misshapen"])
def test_a_file_that_does_not_fit_is_refused_by_the_tensors_name(states, tmp_path, build, suffix, name, fault):
    state = dict(states[name])
    tensor = next(key for key in list(state)[20:] if state[key].ndim == 4)
    if fault == "missing":
        del state[tensor]
    elif fault == "extra":
        tensor = "surplus.weight"
        state[tensor] = torch.zeros(3)
    else:
        state[tensor] = torch.zeros(3, 3, 1, 1)
    path = save(state, tmp_path / f"faulty{suffix}")
    with pytest.raises(ValueError, match=rf"(?s)faulty{suffix} do not fit {name}.*{tensor}"):
        build(name, path)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_need_not_have_a_classifier(states, tmp_path, name):
    state = {key: tensor for key, tensor in states[name].items() if not key.startswith("classifier.3")}
    if name.startswith("timm/"):
        state = {key: tensor for key, tensor in states[name].items() if not key.startswith("classifier")}
    backbone, _ = classifier_backbone(name, str(save(state, tmp_path / "headless.pth")))
    assert set(backbone[1].state_dict()) == set(state)


def test_a_whole_checkpoint_is_refused_with_what_it_holds(states, tmp_path):
    path = save({"epoch": 3, "state_dict": states[NAMES[0]]}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match=r"holds epoch, state_dict, not named tensors.*state_dict\(\)"):
        classifier_backbone(NAMES[0], path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_file_cut_short_is_refused(states, tmp_path, suffix, share):
    path = save(states[NAMES[0]], tmp_path / f"cut{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"cut{suffix} cannot be read as weights"):
        classifier_backbone(NAMES[0], path)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "pickled.pth")
    with pytest.raises(ValueError, match=r"pickled\.pth cannot be read as weights"):
        classifier_backbone("resnet18", tmp_path / "pickled.pth")


def test_a_folder_is_no_file_of_weights(tmp_path):
    with pytest.raises(ValueError, match=r"weights is .* is a folder.*weights_in_folder"):
        classifier_backbone("resnet18", tmp_path)
