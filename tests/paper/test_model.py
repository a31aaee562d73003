import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tasnlib.attention import AttentionNet, pooled_attention, trilinear_attention
from tasnlib.distillation import tasn_loss
from tasnlib.model import TASN, PlainClassifier, downsample
from tasnlib.networks.build import build_attention_net
from tasnlib.research.cost import multiply_adds
from tasnlib.sampler import attention_sample
from tasnlib.training.recipes import RECIPES

CLASSES, CHANNELS = 5, 6
IMAGES = torch.rand(3, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


class Recorder(nn.Module):
    """Passes through to a network and keeps what went in."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, []

    def forward(self, images):
        self.seen.append(images)
        return self.network(images)


def small_tasn(**options):
    torch.manual_seed(0)
    attention_net = AttentionNet(nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1), CHANNELS, CLASSES, dilations=((1, 2),))
    # A batch normalisation in the backbone: in training the answers depend on which images share a batch.
    layers = [nn.Conv2d(3, 7, 3, bias=False), nn.BatchNorm2d(7), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    options = {"attention_size": 16, "out_size": 12, **options}
    return TASN(attention_net, Recorder(nn.Sequential(*layers)), nn.Linear(7, CLASSES), **options)


def has_gradient(network):
    return [weight.grad is not None and bool((weight.grad != 0).any()) for weight in network.parameters()]


CHOSEN = torch.tensor([4, 0, 5])
every_option = pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": 1.0, "structure_power": 1.0},
        {"structure_power": 3.0, "max_zoom": 1.5},
        {"antialias": True, "out_size": 9},
        {"attention_size": 20},
    ],
    ids=str,
)


@every_option
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_forward_is_its_pieces_composed_by_hand(options, training):
    model = small_tasn(**options).train(training)
    pieces = copy.deepcopy(model)
    output = model(IMAGES, CHOSEN)

    options = {"scale": 7.0, "structure_power": 2.0, "max_zoom": 4.0, "antialias": False, **options}
    small = (options.get("attention_size", 16),) * 2
    seen = F.interpolate(IMAGES, small, mode="bilinear", align_corners=False, antialias=True)
    attention_logits, features = pieces.attention_net(seen)
    maps = trilinear_attention(features.detach(), options["scale"])
    structure = maps.mean(1) ** options["structure_power"]
    detail = maps[torch.arange(3), CHOSEN]
    torch.testing.assert_close(output.structure, structure)
    torch.testing.assert_close(output.detail, detail)
    assert torch.equal(output.channel, CHOSEN)

    # From the model's own maps: in float32 a last bit of the map may move a sample by more than the usual tolerance.
    rest = (options.get("out_size", 12), options["max_zoom"], options["antialias"])
    assert torch.equal(output.structure_images, attention_sample(IMAGES, output.structure, *rest))
    assert torch.equal(output.detail_images, attention_sample(IMAGES, output.detail, *rest))

    both = pieces.classifier(pieces.backbone(torch.cat([output.structure_images, output.detail_images])))
    torch.testing.assert_close(output.logits["attention"], attention_logits)
    torch.testing.assert_close(output.logits["master"], both[:3])
    torch.testing.assert_close(output.logits["part"], both[3:])


def test_master_and_part_share_one_network_in_one_batch():
    model = small_tasn()
    output = model(IMAGES)
    (seen,) = model.backbone.seen
    assert torch.equal(seen, torch.cat([output.structure_images, output.detail_images]))
    model.eval()
    again = model(IMAGES, output.channel)
    by_itself = model.classifier(model.backbone(again.detail_images))
    torch.testing.assert_close(again.logits["part"], by_itself)
    by_itself = model.classifier(model.backbone(again.structure_images))
    torch.testing.assert_close(again.logits["master"], by_itself)


def test_the_answers_have_their_names_and_shapes():
    output = small_tasn()(IMAGES)
    assert set(output.logits) == {"attention", "master", "part"}
    assert all(answer.shape == (3, CLASSES) for answer in output.logits.values())
    assert output.structure_images.shape == output.detail_images.shape == (3, 3, 12, 12)
    assert output.structure.shape == output.detail.shape == (3, 8, 8)


@every_option
def test_predict_is_the_masters_answer(options):
    model = small_tasn(**options).eval()
    torch.testing.assert_close(model.predict(IMAGES), model(IMAGES).logits["master"].detach())


def test_predict_costs_no_part_net_and_no_graph():
    model = small_tasn().eval()
    logits = model.predict(IMAGES)
    assert not logits.requires_grad
    assert [len(seen) for seen in model.backbone.seen] == [3]


def test_predict_is_not_a_matter_of_chance():
    model = small_tasn().eval()
    assert torch.equal(model.predict(IMAGES), model.predict(IMAGES))


def test_prediction_of_one_image_does_not_depend_on_its_batch():
    model = small_tasn().eval()
    torch.testing.assert_close(model.predict(IMAGES)[1:2], model.predict(IMAGES[1:2]), rtol=1e-4, atol=1e-5)


def test_the_attention_answer_trains_the_attention_net_only():
    model = small_tasn()
    F.cross_entropy(model(IMAGES).logits["attention"], torch.tensor([0, 1, 2])).backward()
    assert all(has_gradient(model.attention_net))
    assert not any(has_gradient(model.backbone))
    assert not any(has_gradient(model.classifier))


@pytest.mark.parametrize("name", ["master", "part"])
def test_master_and_part_train_backbone_and_classifier_and_never_the_attention_net(name):
    model = small_tasn()
    F.cross_entropy(model(IMAGES).logits[name], torch.tensor([0, 1, 2])).backward()
    assert all(weight.grad is None for weight in model.attention_net.parameters())
    assert all(has_gradient(model.backbone))
    assert all(has_gradient(model.classifier))


def test_the_whole_loss_trains_everything():
    model = small_tasn()
    tasn_loss(model(IMAGES).logits, torch.tensor([0, 1, 2])).backward()
    assert all(has_gradient(model))


def test_a_given_channel_is_the_one_sampled():
    model = small_tasn().eval()
    first, second = model(IMAGES, torch.tensor([1, 1, 1])), model(IMAGES, torch.tensor([2, 1, 1]))
    assert second.channel.tolist() == [2, 1, 1]
    assert not torch.equal(first.detail[0], second.detail[0])
    assert not torch.equal(first.detail_images[0], second.detail_images[0])
    assert torch.equal(first.detail_images[1:], second.detail_images[1:])
    assert torch.equal(first.structure_images, second.structure_images)


def test_a_generator_decides_which_channels_are_drawn():
    model = small_tasn().eval()
    images = IMAGES.repeat(8, 1, 1, 1)
    first, again, other = (model(images, generator=seeded(seed)).channel for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_downsampling_can_be_antialiased_or_not():
    for antialias in (True, False):
        resized = F.interpolate(IMAGES, (9, 9), mode="bilinear", align_corners=False, antialias=antialias)
        assert torch.equal(downsample(IMAGES, 9, antialias), resized)
    assert torch.equal(downsample(IMAGES, 9), downsample(IMAGES, 9, True))
    assert not torch.allclose(downsample(IMAGES, 9, True), downsample(IMAGES, 9, False))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_networks_in_half_precision_answer_on_a_cpu(dtype):
    images = IMAGES.to(dtype)
    for antialias in (True, False):
        assert torch.equal(downsample(images, 9, antialias), downsample(images.float(), 9, antialias).to(dtype))
    model = small_tasn(antialias=True).eval()
    exact = model.predict(images.float())
    found = model.to(dtype).predict(images)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), exact, rtol=0, atol=0.05)


@pytest.mark.parametrize(("antialias", "name"), [(True, "downsampled"), (False, "downsampled_aliased")])
def test_the_plain_classifier_sees_the_plainly_resized_image(antialias, name):
    torch.manual_seed(0)
    backbone, classifier = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(7, 5)
    output = PlainClassifier(backbone, classifier, 12, antialias)(IMAGES)
    resized = F.interpolate(IMAGES, (12, 12), mode="bilinear", align_corners=False, antialias=antialias)
    assert torch.equal(output.images, resized)
    assert list(output.logits) == [name]
    torch.testing.assert_close(output.logits[name], classifier(backbone(resized)))


@pytest.mark.parametrize(
    ("size", "dtype", "power"),
    [
        *(
            (1e-25, torch.float32, 2.0),
            (1e25, torch.float32, 2.0),
            (1e-36, torch.float32, 1.5),
            (0.05, torch.float32, 40),
        ),
        *((1000.0, torch.float16, 2.0), (1e-4, torch.float16, 2.0), (1e25, torch.bfloat16, 2.0)),
    ],
)
def test_features_of_any_size_attend_alike(size, dtype, power):
    features = torch.rand(3, CHANNELS, 4, 5, generator=seeded(1)).to(dtype).float()
    features[1] *= 0.01  # each map by itself
    model = small_tasn(structure_power=power, scale=0.1)
    features = (size * features).to(dtype)
    found = model.attend(features, CHOSEN).structure.double()
    expected = pooled_attention(features, 0.1, CHOSEN).structure.double() ** power  # float64 holds them all
    tolerance = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-1}[dtype]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one / one.max(), other / other.max(), rtol=tolerance, atol=tolerance / 10)
    assert attention_sample(IMAGES, found.to(dtype), 12).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("size", [1e-12, 1e-3, 1.0, 1e12])
def test_the_power_of_ordinary_maps_is_the_plain_power_to_the_last_bit(dtype, power, size):
    features = size * torch.rand(3, CHANNELS, 4, 5, generator=seeded(1)).to(dtype)
    features[2] = 0.0
    if power in (1.0, 2.0):  # of other powers, numbers below 0 have none
        features[1] *= -1
    model = small_tasn(structure_power=power, scale=0.1)
    plain = pooled_attention(features, 0.1, CHOSEN).structure
    assert torch.equal(model.attend(features, CHOSEN).structure, plain**power)


# Networks that do not fit


def test_a_trunk_that_does_not_fit_is_named(as_a_user):
    for dilations in ((), ((1, 2),)):
        net = AttentionNet(nn.Conv2d(3, 8, 3), 9, CLASSES, dilations=dilations)
        with pytest.raises(ValueError, match=r"trunk .* c = 9 as in channels, .* got float32 \(3, 8, 22, 30\)"):
            net(IMAGES)
    flat = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"trunk gives must be a tensor \(b = 3 as in images, .* got float32 \(3, 8\)"):
        AttentionNet(flat, 8, CLASSES, dilations=())(IMAGES)


@pytest.mark.parametrize("call", ["forward", "predict", "plain"])
def test_a_backbone_that_does_not_fit_is_named(as_a_user, call):
    net = AttentionNet(nn.Conv2d(3, 8, 3), 8, CLASSES, dilations=())
    flat = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for backbone, classifier, told in (
        (flat, nn.Linear(6, CLASSES), r"backbone .*\(b, d = 6 as in classifier\).* got float32 \(\d, 7\)"),
        (nn.Conv2d(3, 7, 3), nn.Linear(7, CLASSES), r"backbone .* got float32 \(\d, 7, 10, 10\)"),
        (nn.Conv2d(3, 7, 3), nn.Flatten(), r"backbone .* got float32 \(\d, 7, 10, 10\)"),
    ):
        tasn = TASN(net, backbone, classifier, 16, 12).eval()
        calls = {"forward": tasn, "predict": tasn.predict, "plain": PlainClassifier(backbone, classifier, 12)}
        with pytest.raises(ValueError, match=told):
            calls[call](IMAGES)


def test_own_classifiers_that_do_not_fit_are_named(as_a_user):
    model = small_tasn(own_classifiers=(nn.Linear(7, CLASSES), nn.Linear(6, CLASSES)))
    with pytest.raises(ValueError, match=r"backbone .* d = 6 as in own_classifiers"):
        model(IMAGES)


# Bad input


bad_images = {
    "one image": torch.ones(3, 24, 32),
    "five dimensions": torch.ones(2, 1, 3, 24, 32),
    "no image": torch.ones(0, 3, 24, 32),
    "bytes": torch.ones(2, 3, 24, 32, dtype=torch.uint8),
    "integers": torch.ones(2, 3, 24, 32, dtype=torch.int64),
}


@pytest.mark.parametrize("images", bad_images.values(), ids=bad_images)
@pytest.mark.parametrize("call", ["downsample", "forward", "predict", "plain"])
def test_bad_images_are_named(as_a_user, call, images):
    model = small_tasn().eval()
    plain = PlainClassifier(model.backbone, model.classifier, 12).eval()
    calls = {"downsample": lambda images: downsample(images, 12), "predict": model.predict, "plain": plain}
    with pytest.raises(ValueError, match=r"\bimages\b"):
        calls.get(call, model)(images)


@pytest.mark.parametrize("channel", [[0, 1, CHANNELS], [-1, 0, 0], [0, 1], [[0, 1, 2]], [0.0, 1.0, 2.0]], ids=str)
def test_a_bad_channel_is_named(as_a_user, channel):
    with pytest.raises(ValueError, match=r"\bchannel\b"):
        small_tasn()(IMAGES, torch.tensor(channel))


@pytest.mark.parametrize(
    ("name", "value"),
    [("scale", 0.0), ("scale", float("nan")), ("max_zoom", 0.5), ("max_zoom", float("nan")), ("out_size", 0)],
)
def test_a_bad_option_is_named(as_a_user, name, value):
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        small_tasn(**{name: value})(IMAGES)


def test_the_light_attention_network_costs_at_most_a_fifth_and_starts_sparse():
    image = torch.rand(1, 3, 224, 224)
    paper, light = (
        build_attention_net(replace(RECIPES["paper"], weights=None, light_attention=light), 200).eval()
        for light in (False, True)
    )
    assert 5 * multiply_adds(lambda: light(image)) <= multiply_adds(lambda: paper(image))
    assert light(image)[1].shape[2:] == paper(image)[1].shape[2:] == (28, 28)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    silent = [(net.train()(images)[1] == 0).float().mean() for net in (light, paper)]
    assert silent[0] > 0.7 > silent[1]


def test_there_is_no_light_form_of_the_small_network():
    with pytest.raises(ValueError, match="light_attention is True"):
        build_attention_net(replace(RECIPES["laptop"], light_attention=True), 16)
