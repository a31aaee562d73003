import copy

import pytest
import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from tasnlib.networks.backbones import attention_trunk, classifier_backbone, weights_in_folder

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
RESNET_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def scrambled(network):
    """Every tensor random: fresh normalisations are all 0 and 1 and would hide a mix-up."""
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
def files(resnet18, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.save(resnet18.state_dict(), folder / "resnet18.pth")
    safetensors.torch.save_file(resnet18.state_dict(), folder / "resnet18.safetensors")
    return {path.suffix: path for path in folder.iterdir()}


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


def without_head(state, head):
    return {name: tensor for name, tensor in state.items() if not name.startswith(head)}


# Backbones


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_torchvisions_features(resnet18, files, images, suffix):
    backbone, dimension = classifier_backbone("resnet18", files[suffix])
    assert_holds(backbone[1], without_head(resnet18.state_dict(), "fc."))
    reference = copy.deepcopy(resnet18)
    reference.fc = nn.Identity()
    with torch.no_grad():
        features = backbone.eval()(images)
        torch.testing.assert_close(features, reference(normalised(images)))
    assert features.shape == (2, dimension) == (2, 512)


# name, its head in the state dict, and what torchvision and timm themselves say goes into it
HEADS = [
    ("alexnet", "classifier.6.", lambda network: network.classifier[6].in_features),
    ("squeezenet1_1", "classifier.1.", lambda network: network.classifier[1].in_channels),
    ("mobilenet_v3_small", "classifier.3.", lambda network: network.classifier[3].in_features),
    ("convnext_tiny", "classifier.2.", lambda network: network.classifier[2].in_features),
    ("googlenet", ("fc.", "aux"), lambda network: network.fc.in_features),
    ("vit_b_16", "heads.head.", lambda network: network.heads.head.in_features),
    ("timm/convnext_atto", "head.fc.", lambda network: network.num_features),
    ("timm/mobilenetv3_small_050", "classifier.", lambda network: network.classifier.in_features),
    ("timm/resnet10t", "fc.", lambda network: network.fc.in_features),
    ("timm/vit_tiny_patch16_224", "head.", lambda network: network.num_features),
    # Two heads, one for each of its class tokens.
    ("timm/deit_tiny_distilled_patch16_224", ("head.", "head_dist."), lambda network: network.num_features),
]


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize(("name", "head", "features_of"), HEADS, ids=[name for name, *_ in HEADS])
def test_only_the_classifier_goes_whatever_it_is_and_however_many_classes_it_has(tmp_path, name, head, features_of):
    """Through a file of 7 classes: every other tensor arrives."""
    if name.startswith("timm/"):
        network = timm.create_model(name.removeprefix("timm/"), num_classes=7)
    else:
        network = models.get_model(name, num_classes=7)
    scrambled(network)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "seven.safetensors")
    backbone, dimension = classifier_backbone(name, tmp_path / "seven.safetensors")
    assert_holds(backbone[1], without_head(network.state_dict(), head))
    assert dimension == features_of(network)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet18", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("timm/resnet10t", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("timm/vit_tiny_patch16_224", (0.5,) * 3, (0.5,) * 3),
    ],
)
def test_colours_are_normalised_as_the_weights_want_it(name, mean, std):
    normalize = classifier_backbone(name, weights=None)[0][0]
    torch.testing.assert_close(normalize.mean.flatten(), torch.tensor(mean))
    torch.testing.assert_close(normalize.std.flatten(), torch.tensor(std))


@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_googlenet_shifts_its_colours_once(tmp_path, images):
    reference = scrambled(models.googlenet(transform_input=True))  # as torchvision sets it for its weights
    torch.save(reference.state_dict(), tmp_path / "googlenet.pth")
    backbone, _ = classifier_backbone("googlenet", tmp_path / "googlenet.pth")
    reference.fc = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(backbone.eval()(images), reference(normalised(images)), rtol=1e-4, atol=1e-4)
    assert backbone.train()(images).shape == (2, 1024)  # and no outputs of auxiliary classifiers


@pytest.mark.parametrize("weights", ["DEFAULT", "some.pth"])
def test_the_small_backbone_takes_no_weights(weights):
    assert classifier_backbone("small", weights=None)[1] == 96
    with pytest.raises(ValueError, match=rf"{weights}.*'small'.*None"):
        classifier_backbone("small", weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimension"),
    [("resnet50", 2048), ("vgg16", 4096), ("swin_t", 768), ("inception_v3", 2048), ("efficientnet_v2_l", 1280)],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_larger_backbones(name, dimension):
    backbone, given = classifier_backbone(name, weights=None)
    assert given == dimension
    assert backbone(torch.rand(2, 3, 224, 224)).shape == (2, dimension)  # in training mode, as they are used
    if name == "efficientnet_v2_l":
        assert backbone[0].mean.flatten().tolist() == [0.5, 0.5, 0.5]


# Trunks


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_with_all_its_halvings_the_trunk_is_torchvisions_up_to_the_last_stage(resnet18, files, images, suffix):
    trunk, channels = attention_trunk("resnet18", files[suffix], halvings=5)
    with torch.no_grad():
        expected = normalised(images)
        for name in RESNET_LAYERS:
            expected = getattr(resnet18, name)(expected)
        features = trunk.eval()(images)
    torch.testing.assert_close(features, expected)
    assert features.shape == (2, channels, 2, 2)


def test_with_three_halvings_two_stages_of_resnet18_differ_in_stride_and_nothing_else(resnet18, files):
    trunk, channels = attention_trunk("resnet18", files[".pth"])
    assert channels == 512
    differ = {}
    for name, layer in zip(RESNET_LAYERS, list(trunk)[1:], strict=True):
        own = getattr(resnet18, name)
        assert_holds(layer, own.state_dict())
        for (inside, module), (_, reference) in zip(layer.named_modules(), own.named_modules(), strict=True):
            if not list(module.children()):
                change = [field for field in vars(reference) if field in ("stride", "padding", "dilation", "eps")]
                if any(getattr(module, field) != getattr(reference, field) for field in change):
                    differ[f"{name}.{inside}"] = module.stride, module.padding == reference.padding
    assert differ == {
        f"{stage}.0.{layer}": ((1, 1), True) for stage in ("layer2", "layer4") for layer in ("conv1", "downsample.0")
    }
    with torch.no_grad():
        assert trunk.eval()(torch.rand(1, 3, 224, 224)).shape == (1, 512, 28, 28)


TRUNKS = {
    "resnet18": 512,
    "vgg11": 512,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 576,
    "efficientnet_b0": 1280,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "shufflenet_v2_x0_5": 1024,
    "mnasnet0_5": 1280,
    "regnet_x_400mf": 400,
    "timm/convnext_atto": 320,
    "timm/mobilenetv3_small_050": 288,
    "timm/resnet10t": 512,
    "timm/regnetx_002": 368,
    "timm/resnetblur18": 512,
    "timm/tf_efficientnet_b0": 1280,  # pads by itself, to the stride
}


@pytest.mark.parametrize(("name", "channels"), TRUNKS.items())
def test_three_halvings_leave_an_eighth_of_the_size(name, channels):
    trunk, given = attention_trunk(name, weights=None)
    assert given == channels
    assert all(module.training for module in trunk.modules())
    features = copy.deepcopy(trunk)(torch.rand(1, 3, 64, 96))
    assert features.shape == (1, channels, 8, 12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "vgg16_bn", "timm/vgg11", "timm/dla34", "timm/resnetv2_50d_gn"])
@pytest.mark.parametrize("halvings", [1, 2, 4, 5])
def test_other_halvings_of_larger_networks(name, halvings):
    trunk, channels = attention_trunk(name, weights=None, halvings=halvings)
    assert trunk(torch.rand(2, 3, 64, 64)).shape == (2, channels, 64 >> halvings, 64 >> halvings)


def test_every_weight_of_a_trunk_is_trained():
    trunk, _ = attention_trunk("timm/resnet10t", weights=None)
    trunk(torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in trunk.parameters())


def test_the_trunk_of_a_densenet_ends_with_its_relu_and_takes_the_old_names_of_its_file(tmp_path, images):
    densenet = scrambled(models.densenet121())
    state = densenet.state_dict()
    for name in list(state):
        if "denselayer" in name:  # "norm1" was "norm.1" when the weights were published
            state[
                name.replace("norm1", "norm.1")
                .replace("norm2", "norm.2")
                .replace("conv1", "conv.1")
                .replace("conv2", "conv.2")
            ] = state.pop(name)
    torch.save(dict(state), tmp_path / "densenet121-a639ec97.pth")
    trunk, _ = attention_trunk("densenet121", tmp_path / "densenet121-a639ec97.pth", halvings=5)
    with torch.no_grad():
        torch.testing.assert_close(trunk.eval()(images), F.relu(densenet.features(normalised(images))))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_trunk_of_timm_is_timms_own_features_where_no_stride_changes(tmp_path, images, suffix):
    reference = scrambled(timm.create_model("convnext_atto", num_classes=3))
    path = tmp_path / f"convnext_atto{suffix}"
    save = torch.save if suffix == ".pth" else safetensors.torch.save_file
    save(reference.state_dict(), path)
    trunk, _ = attention_trunk("timm/convnext_atto", path, halvings=5)
    with torch.no_grad():
        expected = reference.forward_features(normalised(images))
        torch.testing.assert_close(trunk.eval()(images), expected)
        fewer = attention_trunk("timm/convnext_atto", path)[0]
    assert_holds(fewer, trunk.state_dict())
    in_trunk = [tensor for name, tensor in reference.state_dict().items() if not name.startswith("head.")]
    for tensor, own in zip(trunk.state_dict().values(), in_trunk, strict=True):
        assert torch.equal(tensor, own)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("swin_t", "not convolutional"),
        ("timm/vit_tiny_patch16_224", "does not take images of 128"),
        ("timm/hrnet_w18_small", "no plain chain"),  # its stem alone would be a chain
        ("timm/fastvit_t8", "no plain chain"),
    ],
)
def test_networks_that_give_no_trunk_say_so_and_name_others(name, reason):
    with pytest.raises(ValueError, match=rf"(?s){name}.*{reason}.*'resnet18'.*'convnext_tiny'"):
        attention_trunk(name, weights=None, halvings=2)


@pytest.mark.parametrize("halvings", [-1, 6])
def test_more_halvings_than_a_network_has_are_refused(halvings):
    with pytest.raises(ValueError, match=rf"halvings is {halvings}; it must be 0 to 5"):
        attention_trunk("mobilenet_v3_small", weights=None, halvings=halvings)


def test_the_small_trunk_is_pointed_at():
    with pytest.raises(ValueError, match=r"small_trunk\(\)"):
        attention_trunk("small", weights=None)


# Weights in a folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg16", "vgg16-397923af.pth"),
        ("vgg16_bn", "vgg16_bn-6c64b313.pth"),
        ("resnet50", "resnet50_mine.safetensors"),
        ("timm/convnext_tiny", "convnext_tiny.in12k.safetensors"),
        ("timm/convnext_tiny.in12k", "convnext_tiny.in12k.safetensors"),
    ],
)
def test_a_folder_gives_the_networks_own_file(tmp_path, name, expected):
    names = ("vgg16-397923af.pth", "vgg16_bn-6c64b313.pth", "convnext_tiny.in12k.safetensors")
    for file in (*names, "resnet50_mine.safetensors", "resnet50.txt"):
        (tmp_path / file).touch()
    assert weights_in_folder(tmp_path, name) == tmp_path / expected


@pytest.mark.parametrize("files", [(), ("resnet18.pth", "resnet18-1.pth"), ("resnet18.txt",)])
def test_a_folder_with_no_file_or_with_two_is_refused(tmp_path, files):
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(ValueError, match=r"must hold one file resnet18\*\.pth.*found: (none|resnet18-1\.pth, .*)$"):
        weights_in_folder(tmp_path, "resnet18")


def test_a_trunk_without_its_last_stages_is_the_network_up_to_there(tmp_path):
    torch.manual_seed(0)
    network = models.resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    trunk, channels = attention_trunk("resnet18", tmp_path / "resnet18.pth", leave_out=2)
    images = torch.rand(2, 3, 64, 64)
    features = trunk[0](images)  # normalised
    for layer in (network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2):
        features = layer(features)
    assert channels == 128
    torch.testing.assert_close(trunk.eval()(images), features)
