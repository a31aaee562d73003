"""Maps of networks that one already has: against class activation maps and a rollout by hand."""

import functools
import inspect
import threading
from pathlib import Path

import pytest
import timm
import torch
from captum.attr import LayerGradCam
from torch import nn
from torchvision import models

from tasnlib.attention_sampler import (
    AttentionSampler,
    attend_and_sample,
    attention_rollout,
    class_activation,
    feature_magnitude,
)
from tasnlib.model import downsample

WEIGHTS = Path(__file__).parent.parent.parent.parent / "shared" / "weights"
# Where a mean over the last features and one linear layer give the logits: the linear layer, by its path.
LINEAR_HEADS = {
    "resnet18": "fc",
    "densenet121": "classifier",
    "efficientnet_b0": "classifier.1",
    "shufflenet_v2_x0_5": "fc",
    "regnet_y_400mf": "fc",
    "timm/tf_efficientnet_lite0": "classifier",
    "timm/regnety_002": "head.fc",
    "timm/resnet10t": "fc",
}
OTHER_HEADS = ["vgg11_bn", "mobilenet_v3_small", "convnext_tiny", "squeezenet1_1", "timm/convnext_atto"]


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name.startswith("timm/"):
        return timm.create_model(name.removeprefix("timm/"), num_classes=7).eval()
    return models.get_model(name, num_classes=7).eval()


def pooled_input(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The last features (b, c, h, w) that are larger than one cell."""
    found: list[torch.Tensor] = []

    def keep(module, inputs, output):
        if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
            found.append(output)

    hooks = [module.register_forward_hook(keep) for module in network.modules()]
    network(images)
    for hook in hooks:
        hook.remove()
    return found[-1]


@pytest.mark.parametrize("name", LINEAR_HEADS)
def test_of_a_mean_and_a_linear_layer_it_is_the_class_activation_map(name):
    network, images = build(name), torch.rand(2, 3, 96, 64)
    weights = network.get_submodule(LINEAR_HEADS[name]).weight
    classes = torch.tensor([3, 5])
    with torch.no_grad():
        features = pooled_input(network, images)
        by_hand = [
            (weights[k][:, None, None] * one).sum(0).clamp_min(0) for k, one in zip(classes, features, strict=True)
        ]
        expected = torch.stack(by_hand) / features[0, 0].numel()
    torch.testing.assert_close(class_activation(network, images, classes), expected, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("name", [*LINEAR_HEADS, *OTHER_HEADS])
def test_any_cnn_gives_a_map_and_stays_as_it_was(name):
    network, images = build(name).requires_grad_(False), torch.rand(2, 3, 96, 96)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        found = class_activation(network, images)
        assert torch.equal(found, class_activation(network, images, network(images).argmax(dim=1)))
    assert found.shape[0] == 2
    assert found.ndim == 3
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert not found.requires_grad
    assert not images.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("timm/tf_efficientnet_lite0", "bn2"),
        ("vgg11_bn", "avgpool"),
        ("squeezenet1_1", "classifier.2"),
    ],
)
def test_captum_gives_the_same_map(name, layer):
    network, images, classes = build(name), torch.rand(2, 3, 96, 96), torch.tensor([3, 5])
    theirs = LayerGradCam(network, network.get_submodule(layer)).attribute(images, classes, relu_attributions=True)
    ours = class_activation(network, images, classes)
    assert ours.max() > 0
    torch.testing.assert_close(ours, theirs[:, 0].detach(), atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "cells"),
    [
        ("vgg11", (224, 448), (7, 14)),  # which are pooled to 7 × 7
        ("alexnet", (300, 100), (8, 2)),
        ("timm/test_convnext", (32, 32), (2, 2)),  # whose last stage has a single cell, channels last in its norms
        ("timm/pvt_v2_b0", (32, 32), (2, 2)),
    ],
)
def test_long_and_small_images_have_maps_of_their_proportions(name, size, cells):
    network, images = build(name), torch.rand(1, 3, *size)
    assert class_activation(network, images).shape == (1, *cells)


class Blob(nn.Module):
    """Class 0 speaks of red, class 1 of blue."""

    def __init__(self):
        super().__init__()
        self.features = nn.Identity()
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]])

    def forward(self, images):
        return self.head(self.features(images).mean(dim=(2, 3)))


def test_each_class_has_its_own_place():
    images = torch.zeros(1, 3, 4, 4)
    images[0, 0, 1, 1], images[0, 2, 3, 2] = 1.0, 0.8
    network = Blob().eval()
    for classes, place in ((None, (1, 1)), (torch.tensor([0]), (1, 1)), (torch.tensor([1]), (3, 2))):
        found = class_activation(network, images, classes)[0]
        assert (found > 0).nonzero().tolist() == [list(place)]


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "vit_tiny_patch16_224"])
def test_rollout_multiplies_through_all_layers(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3).eval()
    images = torch.rand(2, 3, *network.default_cfg["input_size"][1:])
    fused = [block.attn.fused_attn for block in network.blocks]
    weights = []

    def by_hand(attn, inputs, output):
        x = inputs[0]
        b, n, _ = x.shape
        qkv = attn.qkv(x).reshape(b, n, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = attn.q_norm(qkv[0]), attn.k_norm(qkv[1])
        weights.append((q * attn.scale @ k.transpose(-2, -1)).softmax(dim=-1).mean(dim=1))

    hooks = [block.attn.register_forward_hook(by_hand) for block in network.blocks]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    tokens = weights[0].shape[-1]
    product = torch.eye(tokens).expand(2, -1, -1)
    for one in weights:
        product = (0.5 * one + 0.5 * torch.eye(tokens)) @ product
    prefix = network.num_prefix_tokens
    expected = product[:, 0, prefix:] if network.cls_token is not None else product[:, prefix:, prefix:].mean(dim=1)
    found = attention_rollout(network, images)
    torch.testing.assert_close(found.flatten(1), expected, atol=1e-5, rtol=1e-3)
    assert found.shape[1:] == network.patch_embed.grid_size
    assert [block.attn.fused_attn for block in network.blocks] == fused


@pytest.mark.parametrize("name", ["vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3", "vit_small_patch16_224"])
def test_rollout_of_transformers_without_a_classifier_such_as_dino(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0, depth=2, img_size=112).eval()
    found = attention_rollout(network, torch.rand(1, 3, 112, 112))
    assert found.shape[1:] == network.patch_embed.grid_size
    assert (found > 0).all()
    assert found.sum() < 1  # the rest is the class token's own, and that of registers


@pytest.mark.parametrize("adapter", [class_activation, attention_rollout, feature_magnitude, attend_and_sample])
def test_an_adapter_is_short(adapter):
    assert len(inspect.getsourcelines(adapter)[0]) < 40


def test_images_of_integers_and_a_network_without_logits_are_rejected():
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    for use in (class_activation, functools.partial(feature_magnitude, layer="layer1")):
        with pytest.raises((ValueError, TypeError), match="images"):
            use(build("resnet18"), images)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval()
    with pytest.raises(ValueError, match="does not give logits"):
        attend_and_sample(network, torch.rand(2, 3, 64, 64), 32, functools.partial(feature_magnitude, layer="0"))


@pytest.mark.parametrize("size", [(48, 112), (80, 80)])
def test_rollout_of_images_of_any_size(size):
    """The tokens of a network that takes any size lie as the image does: seen by what each token is made of."""
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", depth=1, num_classes=3, dynamic_img_size=True).eval()
    block = network.blocks[0].attn
    block.qkv.weight.data[:384] = 0  # queries and keys are the bias alone, so all attend to all alike ...
    block.qkv.bias.data[:384] = 0
    images = torch.rand(1, 3, *size)
    found = attention_rollout(network, images)
    assert found.shape == (1, size[0] // 16, size[1] // 16)
    assert torch.allclose(found, torch.full_like(found, 0.5 / (1 + found[0].numel())))  # ... and half is itself


def test_magnitude_is_the_length_of_the_features():
    network, images = build("resnet18"), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        features = network.layer2(network.layer1(network.maxpool(network.relu(network.bn1(network.conv1(images))))))
    found = feature_magnitude(network, images, "layer2")
    torch.testing.assert_close(found, features.square().sum(dim=1).sqrt(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layer", ["bn1", "layer4.1.bn2", "layer4"])
def test_magnitude_is_that_of_this_layer_though_the_next_one_works_in_place(layer):
    network, images = build("resnet18"), torch.rand(2, 3, 64, 96)
    found = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _, __, output: found.append(output.clone()))
    with torch.no_grad():
        network(images)
    hook.remove()
    expected = found[0].square().sum(dim=1).sqrt()
    torch.testing.assert_close(feature_magnitude(network, images, layer), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "layer", "cells"),
    [("swin", "layers.0", (56, 56)), ("swin", "patch_embed.proj", (56, 56)), ("vit", "blocks.0", (14, 14)),
     ("vit", "patch_embed.proj", (14, 14))],
)  # fmt: skip
def test_magnitude_of_transformers(name, layer, cells):
    torch.manual_seed(0)
    if name == "vit":
        network = timm.create_model("deit_tiny_distilled_patch16_224", depth=1, num_classes=3).eval()
    else:
        network = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=3).eval()
    images = torch.rand(1, 3, 224, 224)
    found, kept = feature_magnitude(network, images, layer), []
    hook = network.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        network(images)
    hook.remove()
    features = kept[0]
    if features.ndim == 3:
        features = features[:, 2:].unflatten(1, cells)  # a class token and a distillation token come first
    if layer != "patch_embed.proj":
        features = features.permute(0, 3, 1, 2)  # channels were last
    assert found.shape == (1, *cells)
    torch.testing.assert_close(found, features.square().sum(dim=1).sqrt(), atol=1e-5, rtol=1e-4)
    if name == "vit":
        with pytest.raises(ValueError, match="gives no feature map"):
            feature_magnitude(network, images, "blocks.0.attn.q_norm")  # heads, tokens, channels


def test_two_looks_are_averaged():
    network, images = build("resnet18"), torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        found = attend_and_sample(network, images, 64, max_zoom=3, power=2)
        small = downsample(images, 64)
        sampled = AttentionSampler(64, max_zoom=3, power=2)(images, class_activation(network, small)).images
        expected = (network(small).softmax(1) + network(sampled).softmax(1)) / 2
    torch.testing.assert_close(found, expected)
    assert not torch.equal(sampled, small)


@pytest.mark.parametrize(
    ("adapter", "network", "match"),
    [
        (class_activation, "test_vit", "attention_rollout"),
        (class_activation, "swin_tiny_patch4_window7_224", "attention_rollout"),
        (attention_rollout, "resnet10t", "class_activation"),
        (attention_rollout, "swin_tiny_patch4_window7_224", "class_activation"),
        (attention_rollout, "cait_xxs24_224", "another kind of attention"),  # heads that talk
        (attention_rollout, "xcit_nano_12_p16_224", "whose tokens all attend to each other"),  # between channels
        (attention_rollout, "vit_dlittle_patch16_reg1_gap_256", "another kind of attention"),  # differences of two
    ],
)
def test_a_network_of_another_kind_is_rejected(adapter, network, match):
    few = {} if network in ("resnet10t", "test_vit") or "swin" in network else {"depth": 1}
    network = timm.create_model(network, num_classes=3, **few).eval()
    with pytest.raises(ValueError, match=match):
        adapter(network, torch.rand(1, 3, *network.default_cfg["input_size"][1:]))


def test_a_layer_that_is_not_there_or_has_no_map_is_rejected():
    network = build("resnet18")
    with pytest.raises(ValueError, match="layer is 'layer9'; ResNet has conv1"):
        feature_magnitude(network, torch.rand(1, 3, 64, 64), "layer9")
    with pytest.raises(ValueError, match="'fc' gives no feature map"):
        feature_magnitude(network, torch.rand(1, 3, 64, 64), "fc")


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs ImageNet weights in ../shared/weights")
def test_a_trained_network_sees_where_a_disc_is():
    """A bright disc on grey: no class of ImageNet, but the only thing there."""
    (file,) = WEIGHTS.glob("tf_efficientnet_lite0*.safetensors")
    overlay = {"file": str(file)}
    network = timm.create_model("tf_efficientnet_lite0", pretrained=True, pretrained_cfg_overlay=overlay).eval()
    x = torch.arange(224.0) - 160
    images = torch.zeros(1, 3, 224, 224)
    images[0, 0][(x**2 + (x[:, None] + 90) ** 2) < 40**2] = 1.0  # red, its centre at (160, 70)
    found = class_activation(network, images)[0]
    row, column = divmod(int(found.argmax()), found.shape[1])
    assert abs((column + 0.5) * 32 - 160) <= 48
    assert abs((row + 0.5) * 32 - 70) <= 48


@pytest.mark.parametrize(
    "use",
    [
        class_activation,
        attend_and_sample,
        attention_rollout,
        lambda network, images, *_: feature_magnitude(network, images, "layer1"),
    ],
)
def test_a_network_in_training_mode_is_rejected_unchanged(use):
    network = build("resnet18").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ValueError, match="ResNet is in training mode"):
        use(network, torch.rand(2, 3, 64, 64), *([32] if use is attend_and_sample else []))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("StochasticDepth", lambda: models.convnext_tiny(stochastic_depth_prob=0.5)),  # no dropout, no batch norm
        ("DropPath", lambda: timm.create_model("test_convnext", drop_path_rate=0.5)),
        ("MultiheadAttention", lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.TransformerEncoderLayer(8, 2, 8))),
        ("RReLU", lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.RReLU())),
    ],
)
def test_whatever_is_random_in_training_counts(kind, network):
    network = network().eval()
    for layer in network.modules():
        if type(layer).__name__ == kind:
            layer.train()
    with pytest.raises(ValueError, match="is in training mode"):
        class_activation(network, torch.rand(1, 3, 32, 32))


@pytest.mark.parametrize("name", ["nest_tiny", "swin_tiny_patch4_window7_224"])
def test_channels_are_not_taken_for_columns(name):
    network, images = timm.create_model(name, num_classes=3), torch.rand(1, 3, 224, 224)
    if name != "nest_tiny":
        network = nn.Sequential(nn.Identity(), network)  # as behind a normalisation: it does not say what comes last
    with pytest.raises(ValueError, match="is not a CNN"):
        class_activation(network.eval(), images)


@pytest.mark.parametrize(
    ("network", "layer", "cells"),
    [
        (lambda: models.swin_t(), "features.1", 56),
        (lambda: nn.Sequential(nn.Identity(), timm.create_model("swin_tiny_patch4_window7_224")), "1.layers.1", 28),
        (lambda: models.convnext_tiny(), "features.1.0.block.2", 56),  # a norm of channels that are last
    ],
)
def test_magnitude_where_channels_are_last(network, layer, cells):
    network, kept, images = network().eval(), [], torch.rand(1, 3, 224, 224)
    found = feature_magnitude(network, images, layer)
    network.get_submodule(layer).register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        network(images)
    assert found.shape == (1, cells, cells)
    torch.testing.assert_close(found, kept[0].square().sum(dim=3).sqrt())


def test_a_layer_of_windows_or_one_that_is_not_run_gives_no_map():
    swin = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=3).eval()
    swin.layers[0].blocks[0].attn.fused_attn = False
    with pytest.raises(ValueError, match="gives no feature map"):
        feature_magnitude(swin, torch.rand(1, 3, 224, 224), "layers.0.blocks.0.attn.softmax")  # 64 windows
    network = build("resnet18")
    network.spare = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="'spare' was not run"):
        feature_magnitude(network, torch.rand(1, 3, 64, 64), "spare")


def test_a_network_without_plain_logits_is_rejected():
    networks = [models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None)]
    networks += [timm.create_model("resnet10t", features_only=True)]
    for network in networks:
        with pytest.raises(ValueError, match="is not a CNN that gives logits"):
            class_activation(network.eval(), torch.rand(1, 3, 64, 64))


class TwoHeads(nn.Module):
    """Its last feature map has no part in the logits."""

    def __init__(self):
        super().__init__()
        self.linear, self.convolution = nn.Linear(3, 5), nn.Conv2d(3, 8, 3)

    def forward(self, images):
        logits = self.linear(images.mean(dim=(2, 3)))
        self.convolution(images)
        return logits


def test_a_map_that_the_logits_do_not_depend_on_is_rejected():
    with pytest.raises(ValueError, match="is not a CNN that gives logits"):
        class_activation(TwoHeads().eval(), torch.rand(1, 3, 16, 16))


@pytest.mark.parametrize(
    "classes", [torch.tensor([1]), torch.tensor([1, 2, 3]), torch.tensor([0, 7]), torch.tensor([-1, 0])]
)
def test_there_must_be_a_class_for_each_image(classes):
    with pytest.raises((ValueError, TypeError), match=r"one class from 0 to 6 for each of 2 images|classes"):
        class_activation(build("resnet18"), torch.rand(2, 3, 64, 64), classes)


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = build("resnet18")

    def forward(self, images):
        images -= 0.5
        return self.network(images)


def test_maps_under_inference_mode_and_of_networks_that_change_their_input():
    network, images = build("resnet18"), torch.rand(2, 3, 96, 96)
    expected = class_activation(network, images)
    with torch.inference_mode():
        torch.testing.assert_close(class_activation(network, images), expected)
        made_there = images * 1
        probabilities = attend_and_sample(network, images, 64)
    torch.testing.assert_close(class_activation(network, made_there), expected)
    torch.testing.assert_close(attend_and_sample(network, images, 64), probabilities)
    before = images.clone()
    torch.testing.assert_close(class_activation(InPlace().eval(), images), class_activation(network, before - 0.5))
    assert torch.equal(images, before)
    of_layer = functools.partial(feature_magnitude, layer="network.layer3")
    torch.testing.assert_close(of_layer(InPlace().eval(), images), feature_magnitude(network, images - 0.5, "layer3"))
    found = attend_and_sample(InPlace().eval(), images, 64, attention=of_layer)
    assert torch.equal(images, before)
    with torch.no_grad():
        small = downsample(images, 64)
        sampled = AttentionSampler(64, 2.0)(images, of_layer(InPlace().eval(), small)).images
        expected = (network(small - 0.5).softmax(1) + network(sampled - 0.5).softmax(1)) / 2
    torch.testing.assert_close(found, expected)


class InPlaceTransformer(nn.Module):
    """A transformer of timm that changes its input."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def __getattr__(self, name):
        return super().__getattr__(name) if name == "network" else getattr(super().__getattr__("network"), name)

    def forward(self, images):
        images -= 0.5
        return self.network(images)


def test_a_rollout_leaves_the_images_as_they_are():
    network, images = timm.create_model("test_vit", num_classes=3).eval(), torch.rand(1, 3, 160, 160)
    before = images.clone()
    attention_rollout(InPlaceTransformer(network).eval(), images)
    assert torch.equal(images, before)


def test_a_wide_map_of_one_row_is_the_last_one():
    assert class_activation(build("resnet18"), torch.rand(1, 3, 32, 256)).shape == (1, 1, 8)


def test_threads_that_share_a_network_do_not_disturb_each_other():
    network, cnn = timm.create_model("test_vit", num_classes=3).eval(), build("resnet18")
    given = [torch.rand(1, 3, 160, 160) for _ in range(3)]
    uses = [attention_rollout, lambda _, x: class_activation(cnn, x), lambda _, x: feature_magnitude(cnn, x, "layer1")]
    expected = [[use(network, images) for use in uses] for images in given]
    wrong = []

    def work(number):
        for _ in range(6):
            found = [use(network, given[number]) for use in uses]
            same = [torch.allclose(*both, atol=1e-5) for both in zip(found, expected[number], strict=True)]
            wrong.extend([number] * (not all(same)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(block.attn.fused_attn for block in network.blocks)
    assert not any(module._forward_hooks for module in [*network.modules(), *cnn.modules()])
