import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tasnlib.attention import (
    AttentionNet,
    MultiDilation,
    bilinear_attention,
    pool_maps,
    pooled_attention,
    trilinear_attention,
)
from tests.paper import reference

quick = settings(max_examples=50, deadline=None, derandomize=True)
scales = st.sampled_from([0.5, 1.0, 7.0])


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@st.composite
def some_features(draw):
    """ReLU-like float64 features: about half of the values are 0, as in the attention network."""
    shape = [draw(st.integers(1, high)) for high in (3, 6, 4, 5)]
    values = torch.randn(shape, dtype=torch.float64, generator=seeded(draw(st.integers(0, 10_000))))
    return values.relu() * 2


def test_a_relation_computed_by_hand():
    # Channel 0 fires at the left place only, channel 1 at both alike. With s = ln 3 the inner softmax of channel 0
    # is (3/4, 1/4), of channel 1 (1/2, 1/2); times Xᵀ: ((3/4, 1), (1/2, 1)); the outer softmax sees the differences.
    features = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64).view(1, 2, 1, 2)
    scale = torch.tensor(3.0, dtype=torch.float64).log().item()
    relation = bilinear_attention(features, scale)[0]
    second = torch.tensor([0.25, 0.5], dtype=torch.float64).sigmoid()
    torch.testing.assert_close(relation, torch.stack([1 - second, second], dim=1))


@quick
@given(some_features(), scales)
def test_bilinear_attention_agrees_with_loops(features, scale):
    expected = [reference.bilinear_attention(image, scale) for image in features.flatten(2).tolist()]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(bilinear_attention(features, scale), expected, rtol=1e-12, atol=1e-14)


@quick
@given(some_features(), scales)
def test_trilinear_attention_agrees_with_loops(features, scale):
    expected = [reference.trilinear_attention(image, scale) for image in features.flatten(2).tolist()]
    expected = torch.tensor(expected, dtype=torch.float64).view_as(features)
    torch.testing.assert_close(trilinear_attention(features, scale), expected, rtol=1e-12, atol=1e-14)


@quick
@given(some_features(), scales)
def test_every_row_of_the_relation_is_a_set_of_weights(features, scale):
    relation = bilinear_attention(features, scale)
    assert (relation >= 0).all()
    torch.testing.assert_close(relation.sum(-1), torch.ones_like(relation[..., 0]))


@quick
@given(some_features(), scales)
def test_trilinear_attention_is_scaled_dot_product_attention_over_channels(features, scale):
    x = features.flatten(2)
    same = F.scaled_dot_product_attention(query=(scale * x).softmax(-1), key=x, value=x, scale=1.0)
    torch.testing.assert_close(trilinear_attention(features, scale), same.view_as(features))


@quick
@given(some_features(), scales, st.data())
def test_renumbering_the_channels_renumbers_the_maps(features, scale, data):
    order = list(data.draw(st.permutations(range(features.shape[1]))))
    renumbered = features[:, order]
    torch.testing.assert_close(
        bilinear_attention(renumbered, scale), bilinear_attention(features, scale)[:, order][:, :, order]
    )
    torch.testing.assert_close(trilinear_attention(renumbered, scale), trilinear_attention(features, scale)[:, order])


@quick
@given(some_features(), scales, st.data())
def test_moving_the_places_moves_the_maps(features, scale, data):
    order = list(data.draw(st.permutations(range(features[0, 0].numel()))))
    moved = features.flatten(2)[:, :, order].view_as(features)
    torch.testing.assert_close(bilinear_attention(moved, scale), bilinear_attention(features, scale))
    maps = trilinear_attention(features, scale).flatten(2)[:, :, order].view_as(features)
    torch.testing.assert_close(trilinear_attention(moved, scale), maps)


@pytest.mark.parametrize("function", [bilinear_attention, trilinear_attention])
def test_one_image_does_not_depend_on_the_others(function):
    features = torch.rand(3, 5, 4, 4, generator=seeded(0), dtype=torch.float64)
    torch.testing.assert_close(function(features, 7.0)[1:2], function(features[1:2], 7.0))


def test_scale_is_1_unless_given():
    features = torch.rand(2, 5, 3, 4, generator=seeded(0))
    assert torch.equal(bilinear_attention(features), bilinear_attention(features, 1.0))
    assert torch.equal(trilinear_attention(features), trilinear_attention(features, 1.0))
    assert torch.equal(pooled_attention(features).structure, pooled_attention(features, 1.0).structure)
    assert not torch.allclose(bilinear_attention(features), bilinear_attention(features, 7.0))


def test_a_dead_channel_looks_everywhere_alike():
    features = torch.rand(1, 4, 3, 5, generator=seeded(1), dtype=torch.float64)
    features[:, 2] = 0
    means = features.mean(dim=(2, 3))
    torch.testing.assert_close(bilinear_attention(features, 7.0)[:, 2], means.softmax(-1))
    weighted = (means.softmax(-1)[..., None, None] * features).sum(1)
    torch.testing.assert_close(trilinear_attention(features, 7.0)[:, 2], weighted)


def test_where_every_channel_is_dead_the_maps_are_zero():
    features = torch.zeros(2, 4, 3, 5)
    assert torch.equal(bilinear_attention(features, 7.0), torch.full((2, 4, 4), 0.25))
    assert torch.equal(trilinear_attention(features, 7.0), features)


@pytest.mark.parametrize("function", [bilinear_attention, trilinear_attention])
def test_gradients_are_right(function):
    features = torch.randn(2, 3, 2, 3, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: function(x, 7.0), (features,))


@pytest.mark.parametrize("function", [bilinear_attention, trilinear_attention])
def test_bfloat16_in_bfloat16_out(function):
    features = torch.rand(2, 16, 7, 7, generator=seeded(3)).bfloat16()
    result = function(features, 7.0)
    assert result.dtype == torch.bfloat16
    torch.testing.assert_close(result.double(), function(features.double(), 7.0), rtol=0.02, atol=0.005)


@quick
@given(some_features(), scales, st.data())
def test_pooled_attention_is_the_mean_and_one_of_the_trilinear_maps(features, scale, data):
    b, c = features.shape[:2]
    channel = torch.tensor(data.draw(st.lists(st.integers(0, c - 1), min_size=b, max_size=b)))
    pooled = pooled_attention(features, scale, channel)
    maps = trilinear_attention(features, scale)
    torch.testing.assert_close(pooled.structure, maps.mean(1))
    torch.testing.assert_close(pooled.detail, torch.stack([maps[i, channel[i]] for i in range(b)]))
    assert torch.equal(pooled.channel, channel)


def test_pooled_attention_returns_the_channel_whose_map_it_drew():
    features = torch.rand(5, 6, 3, 4, generator=seeded(4), dtype=torch.float64)
    pooled = pooled_attention(features, 7.0, generator=seeded(5))
    maps = trilinear_attention(features, 7.0)
    torch.testing.assert_close(pooled.detail, maps[torch.arange(5), pooled.channel])


def test_the_same_seed_draws_the_same_channels():
    features = torch.rand(32, 8, 2, 2, generator=seeded(0))
    first, again, other = (pooled_attention(features, generator=seeded(seed)).channel for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_generator_goes_on_drawing():
    features, generator = torch.rand(32, 8, 2, 2, generator=seeded(0)), seeded(7)
    first, second = (pooled_attention(features, generator=generator).channel for _ in range(2))
    assert not torch.equal(first, second)


def test_a_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    pooled_attention(torch.ones(4, 8, 2, 2), generator=seeded(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_are_drawn_uniformly():
    images, channels = 4000, 10
    drawn = pooled_attention(torch.ones(images, channels, 1, 1), generator=seeded(0)).channel
    counts = torch.bincount(drawn, minlength=channels)
    assert len(counts) == channels
    expected = images / channels
    chi_square = ((counts - expected) ** 2 / expected).sum().item()
    # 9 degrees of freedom: above 27.9 in 1 of 1000 fair draws, below 0.6 where somebody deals the channels out in turn.
    assert 0.6 < chi_square < 27.9


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_channels_may_be_of_any_integer_type(dtype):
    features, channel = torch.rand(2, 4, 3, 5, generator=seeded(0)), torch.tensor([3, 0])
    assert torch.equal(
        pooled_attention(features, channel=channel.to(dtype)).detail, pooled_attention(features, channel=channel).detail
    )


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_maps_are_pooled_by_channels_of_any_integer_type(dtype):
    features, channel = torch.rand(2, 4, 3, 3, generator=seeded(0)), torch.tensor([3, 1])
    relation = bilinear_attention(features)
    pooled = pool_maps(relation, features, channel.to(dtype), relation.mean(1))
    torch.testing.assert_close(pooled.detail, trilinear_attention(features)[torch.arange(2), channel])


def test_no_gradient_flows_through_pooled_attention():
    features = torch.rand(2, 4, 3, 3, generator=seeded(0), requires_grad=True)
    pooled = pooled_attention(features, 7.0)
    assert not pooled.structure.requires_grad
    assert not pooled.detail.requires_grad


def test_multi_dilation_is_a_sum_of_separate_convolutions_with_one_kernel():
    block = MultiDilation(5, (1, 2, 3)).double()
    features = torch.randn(2, 5, 9, 8, generator=seeded(0), dtype=torch.float64)
    expected = torch.zeros_like(features)
    nn.init.normal_(block.kernel.bias)
    for dilation in (1, 2, 3):
        convolution = nn.Conv2d(5, 5, 3, padding=dilation, dilation=dilation).double()
        convolution.load_state_dict(block.kernel.state_dict())
        expected += convolution(features).relu()
    torch.testing.assert_close(block(features), expected)


def test_a_kernel_starts_as_the_authors_start_theirs():
    torch.manual_seed(0)
    for dilations in ((1,), (1, 2), (1, 2, 3)):
        kernel = MultiDilation(64, dilations).kernel
        # He's variance for ReLU, 2 / (9 · 64), however many dilations; 36864 draws say it to 2 %.
        assert kernel.weight.var().item() * 9 * 64 == pytest.approx(2, rel=0.03)
        assert not kernel.bias.any()


def test_the_bias_of_a_kernel_is_added_once_for_every_dilation():
    block = MultiDilation(2, dilations=(1, 2, 3))
    torch.nn.init.zeros_(block.kernel.weight)
    torch.nn.init.constant_(block.kernel.bias, 0.5)
    assert block(torch.rand(1, 2, 4, 4)).unique().tolist() == [1.5]


def test_one_channel_and_one_class_are_enough():
    logits, features = AttentionNet(nn.Conv2d(3, 1, 3), channels=1, classes=1)(torch.rand(2, 3, 8, 8))
    assert (logits.shape, features.shape) == ((2, 1), (2, 1, 6, 6))


def small_attention_net(**options):
    torch.manual_seed(0)
    return AttentionNet(nn.Conv2d(3, 6, 3, stride=2, padding=1), channels=6, classes=5, **options)


def test_attention_net_gives_logits_and_features():
    logits, features = small_attention_net()(torch.rand(2, 3, 16, 24))
    assert logits.shape == (2, 5)
    assert features.shape == (2, 6, 8, 12)
    assert (features >= 0).all()
    assert (features == 0).any()
    assert (features > 0).any()


def test_attention_net_joins_its_parts_in_order():
    net = small_attention_net().double().eval()
    images = torch.rand(2, 3, 16, 24, generator=seeded(0), dtype=torch.float64)
    features = net.trunk(images)
    for block, dilations in zip(net.multi_dilation, ((1, 2), (1, 2, 3)), strict=True):
        kernel = block.kernel
        features = sum(F.conv2d(features, kernel.weight, kernel.bias, padding=d, dilation=d).relu() for d in dilations)
    logits, given_features = net(images)
    torch.testing.assert_close(given_features, features)  # before the norm, as in the authors' code
    torch.testing.assert_close(logits, net.classifier(net.norm(features).relu().mean(dim=(2, 3))))


def test_features_are_before_the_norm():
    net = small_attention_net().eval()
    images = torch.rand(2, 3, 16, 24, generator=seeded(0))
    before = net(images)[1]
    torch.nn.init.constant_(net.norm.weight, 3.0)
    torch.nn.init.constant_(net.norm.bias, -5.0)
    assert torch.equal(net(images)[1], before)


def test_without_blocks_the_features_of_any_trunk_are_not_negative():
    net = small_attention_net(dilations=())
    features = net(torch.rand(2, 3, 16, 24, generator=seeded(0)))[1]
    assert net.trunk(torch.rand(2, 3, 16, 24, generator=seeded(0))).min() < 0
    assert features.min() == 0


def test_the_logits_train_every_weight_of_the_attention_net():
    net = small_attention_net()
    logits, _ = net(torch.rand(4, 3, 16, 16, generator=seeded(0)))
    F.cross_entropy(logits, torch.arange(4)).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


FUNCTIONS = (bilinear_attention, trilinear_attention, pooled_attention)
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("features", [torch.ones(4, 3, 3), torch.ones(2, 4, 3, 3, dtype=torch.int64), None])
def test_features_of_another_shape_or_type_are_rejected(features):
    for function in FUNCTIONS:
        with pytest.raises(TypeError, match=r"\bfeatures\b"):
            function(features)


@pytest.mark.parametrize("value", [NAN, INFINITY])
def test_features_that_are_not_finite_are_rejected(value):
    features = torch.ones(2, 4, 3, 3)
    features[1, 2, 0, 1] = value
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match=r"\bfeatures\b"):
            function(features)


@pytest.mark.parametrize("scale", [0, -1.0, NAN, INFINITY])
def test_a_scale_that_is_not_above_0_is_rejected(scale):
    for function in FUNCTIONS:
        with pytest.raises(ValueError, match=r"\bscale\b"):
            function(torch.ones(2, 4, 3, 3), scale)


@pytest.mark.parametrize("channel", [[0, 4], [-1, 0], [0], [0.0, 1.0]], ids=str)
def test_channels_outside_the_features_are_rejected(channel):
    with pytest.raises((ValueError, TypeError), match=r"\bchannel\b"):
        pooled_attention(torch.ones(2, 4, 3, 3), channel=torch.tensor(channel))
