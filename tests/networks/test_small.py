import torch

from tasnlib.networks.small import Normalize, NormalizedAttentionNet, small_backbone, small_trunk


def test_normalisation_is_per_colour_and_not_in_the_checkpoint():
    images = torch.rand(2, 3, 4, 5)
    normalise = Normalize((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    for colour, (mean, std) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)]):
        torch.testing.assert_close(normalise(images)[:, colour], (images[:, colour] - mean) / std)
    assert not normalise.state_dict()


def test_a_cell_of_the_small_trunk_sees_7_pixels():
    trunk, _ = small_trunk()
    images = torch.rand(1, 3, 48, 48, requires_grad=True)
    trunk.eval()(images)[0, :, 6, 6].square().sum().backward()
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    # Two 3×3 convolutions of stride 2: 3 + 2·2 pixels a side, around pixel 4·6.
    assert (rows.min(), rows.max()) == (21, 27)


def test_small_networks_take_any_size():
    trunk, channels = small_trunk(8)
    assert trunk(torch.rand(2, 3, 48, 64)).shape == (2, channels, 12, 16) == (2, 8, 12, 16)
    backbone, dimension = small_backbone()
    for size in (32, 48):
        assert backbone(torch.rand(2, 3, size, size)).shape == (2, dimension) == (2, 96)


def test_the_normalised_attention_net_takes_its_features_after_norm_and_relu():
    net = NormalizedAttentionNet(*small_trunk(), classes=5).double().eval()
    images = torch.rand(2, 3, 48, 48, dtype=torch.float64)
    logits, features = net(images)
    torch.testing.assert_close(features, net.norm(net.trunk(images)).relu())
    torch.testing.assert_close(logits, net.classifier(features.mean(dim=(2, 3))))


def test_a_lower_norm_bias_makes_features_sparser():
    images = torch.rand(4, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    zeros = []
    for norm_bias in (0.0, -1.0):
        torch.manual_seed(0)
        zeros.append((NormalizedAttentionNet(*small_trunk(), 5, norm_bias=norm_bias)(images)[1] == 0).float().mean())
    assert zeros[1] > zeros[0] + 0.1
