import pytest
import torch

from tasnlib.networks.small import small_backbone, small_trunk


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
