import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tasnlib.networks.strides import keep_halvings, layers_up_to_the_last_map

# Every way to halve that the networks have: odd and even kernels, padded or not, dilated, means, maxima.
HALVING = {
    "3 padded": lambda: nn.Conv2d(3, 3, 3, 2, padding=1),
    "3 bare": lambda: nn.Conv2d(3, 3, 3, 2),
    "7 padded": lambda: nn.Conv2d(3, 3, 7, 2, padding=3),
    "2": lambda: nn.Conv2d(3, 3, 2, 2),
    "1": lambda: nn.Conv2d(3, 3, 1, 2),
    "3 dilated": lambda: nn.Conv2d(3, 3, 3, 2, padding=2, dilation=2),
    "max 2": lambda: nn.MaxPool2d(2),
    "max 3 padded": lambda: nn.MaxPool2d(3, 2, padding=1),
    "max 3 ceil": lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    "mean 2": lambda: nn.AvgPool2d(2),
    "mean 3 bare": lambda: nn.AvgPool2d(3, 2),
}


@pytest.mark.parametrize("halving", HALVING.values(), ids=HALVING)
def test_without_its_stride_a_layer_keeps_the_size_and_a_constant_inside(halving):
    trunk = nn.Sequential(halving())
    weights = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    keep_halvings(trunk, 0)
    for size in ((12, 12), (9, 14)):
        assert trunk(torch.rand(1, 3, *size)).shape[2:] == size
    inside = trunk(torch.ones(1, 3, 16, 16))[..., 5:-5, 5:-5]
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))
    assert set(trunk.state_dict()) == set(weights)
    assert all(torch.equal(trunk.state_dict()[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize("halving", [HALVING["max 2"], HALVING["mean 2"], HALVING["mean 3 bare"]])
def test_pooling_without_stride_keeps_a_constant_up_to_the_border(halving):
    trunk = nn.Sequential(halving())
    keep_halvings(trunk, 0)
    assert torch.equal(trunk(torch.full((1, 3, 8, 8), 3.0)), torch.full((1, 3, 8, 8), 3.0))


def test_every_other_value_is_what_the_stride_of_2_would_have_given():
    images = torch.rand(1, 3, 16, 16)
    for kernel in (1, 2, 3, 7):
        trunk = nn.Sequential(nn.Conv2d(3, 4, kernel, 2, padding=(kernel - 1) // 2))
        expected = trunk(images)
        keep_halvings(trunk, 0)
        torch.testing.assert_close(trunk(images)[..., ::2, ::2], expected)


@pytest.mark.parametrize(
    ("halvings", "strides"),
    [
        (6, [4, 2, 2, 2, 2]),
        (5, [4, 2, 2, 2, 1]),
        (4, [4, 2, 1, 2, 1]),
        (3, [4, 2, 1, 1, 1]),
        (2, [4, 1, 1, 1, 1]),
        (1, [2, 1, 1, 1, 1]),
        (0, [1, 1, 1, 1, 1]),
    ],
)
def test_the_last_halving_goes_then_the_last_but_two_then_from_the_end(halvings, strides):
    trunk = nn.Sequential(nn.Conv2d(3, 3, 4, 4), *(nn.Conv2d(3, 3, 3, 2, padding=1) for _ in range(4)))
    keep_halvings(trunk, halvings)
    assert [layer.stride[0] for layer in trunk] == strides
    assert trunk(torch.rand(1, 3, 128, 128)).shape[2:] == (128 >> halvings, 128 >> halvings)


@pytest.mark.parametrize(("halvings", "strides"), [(3, [2, 2, 2, 1]), (2, [2, 2, 1, 1]), (1, [2, 1, 1, 1])])
def test_the_first_two_of_four_halvings_stay_longest(halvings, strides):
    trunk = nn.Sequential(*(nn.Conv2d(3, 3, 3, 2, padding=1) for _ in range(4)))
    keep_halvings(trunk, halvings)
    assert [layer.stride[0] for layer in trunk] == strides


class Inside(nn.Module):
    """A halving that is no layer's."""

    def forward(self, images):
        return F.avg_pool2d(images, 2)


def test_a_halving_that_no_layer_does_cannot_be_taken_out(as_a_user):
    with pytest.raises(ValueError, match=r"1 halvings are left, not 0"):
        keep_halvings(nn.Sequential(Inside()), 0)


class Network(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 1)
        self.unused, self.pool = nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d(1)
        self.between = between

    def forward(self, images):
        return self.pool(self.body(self.between(self.stem(images)))).flatten(1)


def test_the_chain_ends_before_the_pooling_and_leaves_out_what_is_not_run():
    network = Network(lambda features: features)
    assert layers_up_to_the_last_map(network) == [network.stem, network.body]


def test_what_lies_between_the_layers_is_not_lost_without_a_word():
    with pytest.raises(ValueError, match="no plain chain"):
        layers_up_to_the_last_map(Network(lambda features: features * 2))


def test_looking_for_the_chain_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.Dropout())
    network[2].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    layers_up_to_the_last_map(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [layer.training for layer in network] == [True, True, False]
    assert not any(layer._forward_hooks for layer in network)
