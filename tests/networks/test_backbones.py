import copy

import pytest
import safetensors.torch
import timm
import torch
from torch import nn
from torchvision import models

from tasnlib.networks.backbones import attention_trunk, classifier_backbone

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
RESNET_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def scrambled(network):
    """Every tensor random: fresh norms are all 0 and 1 and would hide a mix-up."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "running_var" in name or "weight" in name else noise / 5)
    return network.eval()


@pytest.fixture(scope="module")
def resnet18():
    return scrambled(models.resnet18(weights=None))


@pytest.fixture(scope="module")
def resnet18_file(resnet18, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    return path


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def normalised(images):
    return (images - IMAGENET_MEAN) / IMAGENET_STD


def assert_holds(network, state):
    """The network has these tensors, by the same names, with the same values, and no other."""
    assert set(network.state_dict()) == set(state)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


# Backbones


def test_features_are_torchvisions(resnet18, resnet18_file, images):
    backbone, dimension = classifier_backbone("resnet18", resnet18_file)
    reference = copy.deepcopy(resnet18)
    reference.fc = nn.Identity()
    with torch.no_grad():
        features = backbone.eval()(images)
        torch.testing.assert_close(features, reference(normalised(images)))
    assert features.shape == (2, dimension) == (2, 512)


# name, and the classifier in its state dict
HEADS = {
    "mobilenet_v3_small": "classifier.3.",
    "squeezenet1_1": "classifier.1.",
    "timm/convnext_atto": "head.fc.",
    "timm/deit_tiny_distilled_patch16_224": ("head.", "head_dist."),  # one for each of its class tokens
    "timm/levit_128s": ("head.", "head_dist."),  # each begins with a norm
}


@pytest.mark.parametrize(("name", "head"), HEADS.items(), ids=HEADS)
def test_only_the_classifier_is_dropped(tmp_path, name, head):
    """Through a file of 7 classes: every other tensor arrives."""
    if name.startswith("timm/"):
        network = timm.create_model(name.removeprefix("timm/"), num_classes=7)
    else:
        network = models.get_model(name, num_classes=7)
    scrambled(network)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "seven.safetensors")
    backbone, dimension = classifier_backbone(name, tmp_path / "seven.safetensors")
    assert_holds(backbone[1], {key: tensor for key, tensor in network.state_dict().items() if not key.startswith(head)})
    assert backbone(torch.rand(2, 3, 224, 224)).shape == (2, dimension)
    assert not any("state_dict" in getattr(layer, "pretrained_cfg", {}) for layer in backbone.modules())


def test_the_classifier_is_found_wherever_it_is():
    dimensions = {"vit_b_16": 768, "vgg11": 4096, "swin_t": 768}
    with torch.device("meta"):
        assert {name: classifier_backbone(name, weights=None)[1] for name in dimensions} == dimensions


def test_colours_are_normalised_as_in_pretraining():
    for name, mean in (("timm/resnet10t", 0.485), ("timm/tf_efficientnet_lite0", 0.5)):
        normalize = classifier_backbone(name, weights=None)[0][0]
        assert normalize.mean[0].item() == pytest.approx(mean)


def test_the_small_backbone_takes_no_weights():
    assert classifier_backbone("small", weights=None)[1] == 96
    with pytest.raises(ValueError, match=r"weights is 'DEFAULT'.*None"):
        classifier_backbone("small")


@pytest.mark.parametrize("name", ["vit_b_16", "timm/levit_128s"])
def test_another_size_than_a_network_takes_is_rejected(name):
    with pytest.raises(ValueError, match=rf"{name} gives no feature vector for an image of 48×48 px.*size is 224"):
        classifier_backbone(name, weights=None, size=48)


def test_position_embeddings_of_a_file_are_resized_with_the_network(tmp_path):
    network = timm.create_model("vit_tiny_patch16_224")
    torch.save(network.state_dict(), tmp_path / "vit.pth")
    backbone, _ = classifier_backbone("timm/vit_tiny_patch16_224", tmp_path / "vit.pth", size=32)
    assert backbone[1].pos_embed.shape == (1, 1 + 2 * 2, 192)
    torch.testing.assert_close(backbone[1].pos_embed[:, 0], network.pos_embed[:, 0])


# Trunks


def test_the_papers_trunk_is_resnet18_with_the_strides_of_two_stages_set_to_1(resnet18, resnet18_file):
    trunk, channels = attention_trunk("resnet18", resnet18_file)
    assert channels == 512
    differ = {}
    for name, layer in zip(RESNET_LAYERS, list(trunk)[1:], strict=True):
        own = getattr(resnet18, name)
        assert_holds(layer, own.state_dict())
        for (inside, module), (_, reference) in zip(layer.named_modules(), own.named_modules(), strict=True):
            fields = [field for field in ("stride", "padding", "dilation", "eps") if hasattr(reference, field)]
            if any(getattr(module, field) != getattr(reference, field) for field in fields):
                differ[f"{name}.{inside}"] = module.stride, module.padding == reference.padding
    assert differ == {
        f"{stage}.0.{layer}": ((1, 1), True) for stage in ("layer2", "layer4") for layer in ("conv1", "downsample.0")
    }
    with torch.no_grad():
        assert trunk.eval()(torch.rand(1, 3, 224, 224)).shape == (1, 512, 28, 28)


def test_strides_are_removed_so_that_those_left_lie_apart():
    for output_stride, strided in {32: [2, 3, 4], 16: [2, 3], 8: [3], 4: []}.items():
        trunk, _ = attention_trunk("resnet18", None, output_stride, size=64)
        assert [stage for stage in (2, 3, 4) if trunk[4 + stage][0].conv1.stride == (2, 2)] == strided
        assert trunk(torch.rand(2, 3, 64, 96)).shape == (2, 512, 64 // output_stride, 96 // output_stride)


def test_a_trunk_of_two_stages_is_the_network_up_to_there(resnet18, resnet18_file, images):
    trunk, channels = attention_trunk("resnet18", resnet18_file, stages=2)
    with torch.no_grad():
        expected = normalised(images)
        for name in RESNET_LAYERS[:-2]:
            expected = getattr(resnet18, name)(expected)
        torch.testing.assert_close(trunk.eval()(images), expected)
    assert channels == 128


TRUNKS = {
    "timm/resnet10t": 512,
    "timm/convnext_atto": 320,
    "timm/mobilenetv3_small_050": 288,
    "timm/tf_efficientnet_lite0": 320,
}


@pytest.mark.parametrize(("name", "channels"), TRUNKS.items(), ids=TRUNKS)
def test_trunks_keep_an_eighth_of_the_size(name, channels):
    trunk, given = attention_trunk(name, weights=None)
    assert given == channels
    assert all(module.training for module in trunk.modules())
    features = trunk(torch.rand(2, 3, 64, 96))
    assert features.shape == (2, channels, 8, 12)
    features.square().mean().backward()
    assert all(weight.grad is not None for weight in trunk.parameters())


def test_stages_that_are_not_asked_for_are_not_computed():
    """Lite0's third stage ends at the 112 channels of stride 16; what follows holds most of the weights."""
    weights = {}
    for stages, stride, channels in ((2, 8, 40), (3, 16, 112), (4, 16, 320)):
        trunk, given = attention_trunk("timm/tf_efficientnet_lite0", None, stride, stages, size=64)
        assert given == channels
        weights[stages] = sum(weight.numel() for weight in trunk.parameters())
    assert weights[2] < weights[3] / 10 < weights[4] / 30


def test_a_trunk_of_timm_is_timms_own_stages(tmp_path, images):
    reference = scrambled(timm.create_model("convnext_atto", num_classes=3))
    torch.save(reference.state_dict(), tmp_path / "convnext_atto.pth")
    with torch.no_grad():
        *_, second, third, fourth = reference.forward_intermediates(normalised(images), intermediates_only=True)
        for stages, expected in ((2, second), (3, third), (4, fourth)):
            stride = 64 // expected.shape[-1]
            trunk, _ = attention_trunk("timm/convnext_atto", tmp_path / "convnext_atto.pth", stride, stages, size=64)
            torch.testing.assert_close(trunk.eval()(images), expected)


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [("squeezenet1_1", 8), ("timm/vit_tiny_patch16_224", 8), ("timm/vgg11", 8), ("resnet18", 2)],
)
def test_networks_without_such_features_are_rejected_and_others_named(name, output_stride):
    with pytest.raises(ValueError, match=rf"{name} gives no attention trunk.*'resnet18'.*'timm/convnext_tiny'"):
        attention_trunk(name, None, output_stride)


def test_the_v2_networks_named_in_docs_recipes_fit_in_place_of_v1():
    trunk, channels = attention_trunk("timm/resnetv2_18", weights=None)
    assert tuple(trunk(torch.rand(1, 3, 64, 64)).shape) == (1, channels, 8, 8) == (1, 512, 8, 8)
    dilated = [layer for layer in trunk.modules() if isinstance(layer, nn.Conv2d) and layer.dilation != (1, 1)]
    assert dilated  # which the authors' networks are not
    assert classifier_backbone("timm/resnetv2_50", weights=None, size=64)[1] == 2048
    for name in ("resnetv2_18.ra4_e3600_r224_in1k", "resnetv2_50.a1h_in1k"):
        assert name in timm.list_pretrained()
