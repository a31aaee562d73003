"""Nothing on the way to a prediction needs float64 on the device, which Apple's GPUs do not have."""

import pytest
import torch
from torch import nn

from tasnlib.attention import AttentionNet, pooled_attention
from tasnlib.attention_sampler import AttentionSampler
from tasnlib.model import TASN
from tasnlib.networks.official import OfficialTASN, distinct_channels
from tasnlib.networks.small import small_backbone, small_trunk
from tests.paper.apple import MPS, Apple, on_apple


def test_the_stand_in_rejects_float64():
    tensor = on_apple(torch.rand(2, 3))
    assert tensor.device.type == "mps"
    assert torch.equal((tensor + 1).cpu(), tensor.cpu() + 1)
    with pytest.raises(TypeError, match="float64"):
        tensor.double()
    with Apple(), pytest.raises(TypeError, match="float64"):
        torch.arange(3, device=MPS, dtype=torch.float64)


@pytest.mark.parametrize("antialias", [False, True])
def test_the_sampler_and_its_way_back(antialias):
    images, attention = torch.rand(2, 3, 20, 30), torch.rand(2, 5, 6)
    sampler = AttentionSampler((8, 9), power=2, antialias=antialias)
    expected, grid = sampler(images, attention)
    points = torch.rand(2, 4, 2) * 8
    boxes = torch.cat([points, points + 1], dim=2)
    with Apple():
        found, there = sampler(on_apple(images), on_apple(attention))
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=0)
        for name in ("to_sampled", "to_image"):
            torch.testing.assert_close(
                getattr(there, name)(on_apple(points)).cpu(), getattr(grid, name)(points), atol=1e-4, rtol=0
            )
        carried = there.boxes_to_sampled(on_apple(boxes)).boxes.cpu()
        torch.testing.assert_close(carried, grid.boxes_to_sampled(boxes).boxes, atol=1e-4, rtol=0)
        torch.testing.assert_close(there.unsample(found).cpu(), grid.unsample(expected), atol=1e-3, rtol=0)


def test_what_a_device_cannot_reject_without_waiting_becomes_nan():
    images, attention = torch.rand(1, 3, 20, 30), torch.rand(1, 5, 6)
    points = torch.tensor([[[3.0, 4.0], [31.0, 4.0], [3.0, -1.0]]])
    boxes = torch.tensor([[[1.0, 2.0, 40.0, 5.0], [6.0, 2.0, 1.0, 5.0]]])
    with Apple():
        _, grid = AttentionSampler(8)(on_apple(images), on_apple(attention))
        assert grid.to_sampled(on_apple(points)).cpu().isnan().tolist() == [[[False] * 2, [True] * 2, [True] * 2]]
        assert grid.to_image(on_apple(points)).cpu().isnan().tolist() == [[[False] * 2, [True] * 2, [True] * 2]]
        carried = grid.boxes_to_sampled(on_apple(boxes))
        assert carried.boxes.cpu().isnan().tolist() == [[[False] * 4, [True] * 4]]
        assert carried.clipped.cpu()[0, 0]
    for wrong in (torch.nan, -1.0, torch.inf):
        maps = torch.rand(2, 5, 6)
        maps[0, 0, 0] = wrong
        for sampler in (AttentionSampler(8), AttentionSampler(8, power=2), AttentionSampler(8, antialias=True)):
            with Apple():
                found, grid = sampler(on_apple(images.expand(2, -1, -1, -1)), on_apple(maps))
                x = grid.x.cpu()
            assert found.cpu().isnan().all(dim=3).all(dim=2).tolist() == [[True] * 3, [False] * 3]
            assert not found.cpu()[1].isnan().any()
            assert x.isnan().any(dim=1).tolist() == [True, False]


def test_attention_and_distinct_channels():
    features, channel = torch.rand(2, 6, 5, 5), torch.tensor([1, 4])
    features[:, [2, 5]] = 0.0
    expected = pooled_attention(features, 7.0, channel)
    relation = torch.rand(2, 6, 6).softmax(dim=2)
    with Apple():
        found = pooled_attention(on_apple(features), 7.0, channel)
        marks = distinct_channels(on_apple(relation), on_apple(features))
    torch.testing.assert_close(found.structure.cpu(), expected.structure)
    torch.testing.assert_close(found.detail.cpu(), expected.detail)
    assert torch.equal(marks.cpu(), distinct_channels(relation, features))


class Prediction(nn.Module):
    def __init__(self, tasn: TASN):
        super().__init__()
        self.tasn = tasn.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.tasn.predict(images)


@pytest.mark.parametrize("official", [False, True])
def test_a_prediction(official):
    torch.manual_seed(0)
    backbone, features = small_backbone()
    networks = AttentionNet(*small_trunk(), 5, dilations=((1, 2),)), backbone, nn.Linear(features, 5)
    own = {"own_classifiers": (nn.Linear(features, 5), nn.Linear(features, 5))} if official else {}
    model = Prediction((OfficialTASN if official else TASN)(*networks, attention_size=48, out_size=48, **own))
    images = torch.rand(2, 3, 96, 96)
    expected = model(images)
    there = {name: on_apple(one.detach()) for name, one in model.state_dict(keep_vars=True).items()}
    there |= {name: on_apple(one) for name, one in model.named_buffers()}  # those that are not saved, too
    with Apple(), torch.no_grad():
        found = torch.func.functional_call(model, there, (on_apple(images),))
    torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=0)
