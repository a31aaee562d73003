import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tasnlib.attention import AttentionNet, pooled_attention, trilinear_attention
from tasnlib.distillation import tasn_loss
from tasnlib.model import TASN, downsample
from tasnlib.networks.plain import PlainClassifier
from tasnlib.sampler import attention_sample

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
    # A batch normalisation in the backbone: in training the logits depend on which images share a batch.
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
    mean = maps.mean(1)
    structure = (mean / mean.amax(dim=(1, 2), keepdim=True)) ** options["structure_power"]
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
    assert all(values.shape == (3, CLASSES) for values in output.logits.values())
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


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 10), (1, 3)])
def test_the_crop_is_the_middle_half_and_full_is_the_whole(height, width):
    backbone, classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(3, 5)
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    rows, columns = -(-height // 2), -(-width // 2)
    # An odd rest lies on either side: the middle is not further off than half a pixel.
    middles = [
        images[:, :, top : top + rows, left : left + columns]
        for top in {(height - rows) // 2, -((rows - height) // 2)}
        for left in {(width - columns) // 2, -((columns - width) // 2)}
    ]
    seen = PlainClassifier(backbone, classifier, 4, "crop")(images).images
    assert sum(torch.equal(seen, downsample(middle, 4)) for middle in middles) == 1
    assert torch.equal(PlainClassifier(backbone, classifier, 4, "full")(images).images, images)
    with pytest.raises(ValueError, match="view is 'half'; it must be one of downsampled"):
        PlainClassifier(backbone, classifier, 4, "half")


@pytest.mark.parametrize(("antialias", "name"), [(True, "downsampled"), (False, "downsampled_aliased")])
def test_the_plain_classifier_sees_the_plainly_resized_image(antialias, name):
    torch.manual_seed(0)
    backbone, classifier = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(7, 5)
    output = PlainClassifier(backbone, classifier, 12, name)(IMAGES)
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
    expected = pooled_attention(features.double(), 0.1, CHOSEN).structure ** power  # float64 holds them all
    tolerance = 1e-5  # attention is computed in float32 whatever the features are
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one / one.max(), other / other.max(), rtol=tolerance, atol=tolerance / 10)
    assert attention_sample(IMAGES, found.to(dtype), 12).isfinite().all()


@pytest.mark.parametrize("images", [torch.ones(3, 24, 32), torch.ones(2, 3, 24, 32).byte(), torch.ones(2, 1, 24, 32)])
def test_images_of_another_shape_or_type_are_rejected(images):
    model = small_tasn().eval()
    for call in (model, model.predict, PlainClassifier(model.backbone, model.classifier, 12)):
        with pytest.raises(TypeError, match=r"\bimages\b"):
            call(images)


@pytest.mark.parametrize("channel", [[0, 1, CHANNELS], [-1, 0, 0], [0, 1], [0.0, 1.0, 2.0]], ids=str)
def test_channels_that_are_not_there_are_rejected(channel):
    with pytest.raises((ValueError, TypeError), match=r"\bchannel\b"):
        small_tasn()(IMAGES, torch.tensor(channel))


@pytest.mark.parametrize(
    "option", [{"scale": 0.0}, {"max_zoom": 0.5}, {"out_size": 0}, {"attention_size": 0}, {"structure_power": -1.0}]
)
def test_options_out_of_range_are_rejected(option):
    with pytest.raises(ValueError, match=next(iter(option)) if "size" not in str(option) else "size"):
        small_tasn(**option)(IMAGES)


def test_predict_leaves_random_state_batch_norm_and_modes_alone():
    model = small_tasn().train()
    model.backbone.network[1].eval()  # as somebody does who freezes a norm
    model.attention_net.norm.momentum = 0.5
    modes = [module.training for module in model.modules()]
    state, before = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    predicted = model.predict(IMAGES)
    assert torch.equal(before, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    torch.testing.assert_close(predicted, model.eval().predict(IMAGES))


def test_predict_leaves_the_modes_as_they_were_when_it_fails():
    model = small_tasn().train()
    with pytest.raises(ValueError, match="features"):
        model.predict(IMAGES * float("nan"))
    assert model.training
    assert model.attention_net.norm.training


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::FutureWarning")
def test_a_model_can_be_traced():
    model = small_tasn().eval()
    traced = torch.jit.trace_module(model, {"predict": IMAGES}, check_trace=False)
    torch.testing.assert_close(traced.predict(IMAGES), model.predict(IMAGES))
