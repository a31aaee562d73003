import io
from email.message import Message
from pathlib import Path
from urllib.error import URLError

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from tasnlib.backbones import Normalize, resnet18_trunk, resnet_features, small_backbone, small_trunk

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture(scope="module")
def resnet18():
    """Torchvision's own, with every tensor random: fresh normalisations are all 0 and 1 and would hide a mix-up."""
    torch.manual_seed(0)
    network = models.resnet18(weights=None)
    for name, tensor in network.state_dict().items():
        if "running" in name or "bn" in name or "downsample.1" in name:
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def files(resnet18, tmp_path_factory):
    """The state dict as both kinds of file."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(resnet18.state_dict(), folder / "resnet18.pth")
    safetensors.torch.save_file(resnet18.state_dict(), folder / "resnet18.safetensors")
    return {path.suffix: path for path in folder.iterdir()}


def normalised(images):
    return (images - IMAGENET_MEAN) / IMAGENET_STD


def assert_holds(network, state):
    """Every tensor of the network, by its name from the first layer on, is the one of the state dict."""
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_normalising_is_done_colour_by_colour():
    images = torch.rand(2, 3, 4, 5)
    normalise = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    for colour, (mean, std) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)]):
        torch.testing.assert_close(normalise(images)[:, colour], (images[:, colour] - mean) / std)


def test_normalising_adds_nothing_to_a_checkpoint_and_moves_with_the_network():
    normalise = Normalize((0.5,) * 3, (0.25,) * 3)
    assert not normalise.state_dict()
    assert normalise.double()(torch.ones(1, 3, 1, 1, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(("suffix", "path_type"), [(".pth", Path), (".safetensors", str)])
def test_a_file_of_torchvisions_weights_gives_torchvisions_features(resnet18, files, suffix, path_type):
    backbone, dimension = resnet_features("resnet18", path_type(files[suffix]))
    network = backbone[1]
    assert set(network.state_dict()) == {name for name in resnet18.state_dict() if not name.startswith("fc.")}
    assert_holds(network, resnet18.state_dict())

    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone.eval()(images)
        classifier, resnet18.fc = resnet18.fc, nn.Identity()
        expected = resnet18(normalised(images))
        resnet18.fc = classifier
    assert dimension == features.shape[1] == 512
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize(("name", "dimension"), [("resnet34", 512), ("resnet50", 2048)])
def test_other_resnets_say_how_many_features_they_give(name, dimension):
    with torch.device("meta"):  # shapes only: nothing to initialise, nothing to compute
        backbone, given = resnet_features(name, weights=None)
        assert given == dimension
        assert backbone[1](torch.rand(1, 3, 64, 64)).shape == (1, dimension)


@pytest.fixture(scope="module")
def trunk(files):
    return resnet18_trunk(files[".pth"])[0].eval()


def test_the_trunk_holds_torchvisions_weights_and_only_two_stages_differ_in_stride(resnet18, trunk):
    names = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    layers = dict(zip(names, list(trunk)[1:], strict=True))
    for name, layer in layers.items():
        own = getattr(resnet18, name)
        assert set(layer.state_dict()) == set(own.state_dict())
        assert_holds(layer, own.state_dict())

    changed = set()
    for name, layer in layers.items():
        for (inside, module), own in zip(layer.named_modules(), getattr(resnet18, name).modules(), strict=True):
            if isinstance(module, nn.Conv2d) and module.stride != own.stride:
                changed.add((f"{name}.{inside}", module.stride, own.stride))
    assert changed == {
        (f"{stage}.0.{convolution}", (1, 1), (2, 2))
        for stage in ("layer2", "layer4")
        for convolution in ("conv1", "downsample.0")
    }


@pytest.mark.parametrize(("size", "cells"), [(64, 8), (224, 28)])
def test_the_trunk_leaves_an_eighth_of_the_size(trunk, size, cells):
    with torch.no_grad():
        assert trunk(torch.rand(1, 3, size, size)).shape == (1, 512, cells, cells)


def test_with_torchvisions_strides_the_trunk_would_be_torchvisions(resnet18, files):
    trunk, channels = resnet18_trunk(files[".safetensors"])
    for stage in (trunk[6], trunk[8]):
        stage[0].conv1.stride = stage[0].downsample[0].stride = (2, 2)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = trunk.eval()(images)
        expected = normalised(images)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            expected = getattr(resnet18, name)(expected)
    assert channels == features.shape[1] == 512
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize("channels", [8, 32])
def test_the_small_trunk_leaves_a_quarter_of_the_size(channels):
    trunk, given = small_trunk(channels)
    assert given == channels
    assert trunk(torch.rand(2, 3, 48, 64)).shape == (2, channels, 12, 16)


def test_a_cell_of_the_small_trunk_sees_only_7_pixels():
    trunk, _ = small_trunk()
    images = torch.rand(1, 3, 48, 48, requires_grad=True)
    trunk.eval()(images)[0, :, 6, 6].square().sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    # Two 3×3 convolutions of stride 2: 3 + 2·2 pixels a side, around pixel 4·6.
    assert (rows.min(), rows.max()) == (21, 27)


def test_the_small_backbone_gives_96_features_of_any_size_of_image():
    backbone, dimension = small_backbone()
    assert dimension == 96
    for size in (32, 48):
        assert backbone(torch.rand(2, 3, size, size)).shape == (2, 96)


# Where weights come from


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """An empty cache, and a machine without a network."""

    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)


BUILDERS = {"features": lambda weights: resnet_features("resnet18", weights), "trunk": resnet18_trunk}
every_builder = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


@every_builder
@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_a_fetch_that_fails_says_what_to_do(no_network, build, weights):
    with pytest.raises(OSError, match=r"(?s)" + weights + r".*resnet18.*no route to host.*weights=None.*\.pth"):
        build(weights)


@every_builder
def test_the_pretrained_weights_are_what_is_fetched_unless_told_otherwise(no_network, build):
    function = resnet_features if build is BUILDERS["features"] else resnet18_trunk
    with pytest.raises(OSError, match=r"\bDEFAULT\b"):
        function()


class Answer(io.BytesIO):
    """What urlopen returns, as far as torch.hub reads it."""

    def info(self):
        return Message()


def test_a_fetch_of_something_else_is_refused(no_network, monkeypatch):
    monkeypatch.setattr("torch.hub.urlopen", lambda *_, **__: Answer(b"Please log in to this hotel's network."))
    with pytest.raises(OSError, match=r"(?s)could not be fetched.*hash.*weights=None"):
        resnet_features("resnet18", "DEFAULT")


def test_fetched_weights_are_the_networks_weights(resnet18, monkeypatch):
    asked = []

    def fetch(url, **_):
        asked.append(url)
        return resnet18.state_dict()

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetch)
    backbone, _ = resnet_features("resnet18", "IMAGENET1K_V1")
    assert asked == [models.ResNet18_Weights.IMAGENET1K_V1.url]
    assert_holds(backbone[1], resnet18.state_dict())


@every_builder
def test_weights_of_none_are_random_and_ask_nobody(no_network, build):
    first, second = (build(None)[0].state_dict() for _ in range(2))
    name = next(name for name, tensor in first.items() if tensor.ndim == 4)
    assert not torch.equal(first[name], second[name])


@every_builder
@pytest.mark.parametrize("weights", ["imagenet", "IMAGENET1K_V2", "no/such/file.pth", ""])
def test_unknown_weights_are_answered_with_the_choices(as_a_user, no_network, build, weights):
    with pytest.raises(ValueError, match=r"(?s)\bweights\b.*" + weights + r".*\bDEFAULT\b.*\bIMAGENET1K_V1\b.*None"):
        build(weights)


def test_a_folder_is_no_file_of_weights(as_a_user, tmp_path):
    with pytest.raises(ValueError, match=r"\bweights\b"):
        resnet_features("resnet18", tmp_path)


@pytest.mark.parametrize(("build", "suffix"), [(BUILDERS["features"], ".pth"), (BUILDERS["trunk"], ".safetensors")])
def test_a_file_that_lacks_a_tensor_is_refused_by_the_tensors_name(resnet18, tmp_path, build, suffix):
    state = {name: tensor for name, tensor in resnet18.state_dict().items() if name != "layer3.0.conv2.weight"}
    path = tmp_path / f"short{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        safetensors.torch.save_file(state, path)
    with pytest.raises(RuntimeError, match=r"layer3\.0\.conv2\.weight"):
        build(path)
