"""What stays in float32 or better when the networks run in bfloat16, and what would break if it did not."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tasnlib.attention import bilinear_attention
from tasnlib.distillation import soft_target_cross_entropy
from tasnlib.networks.build import build_tasn
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles
from tasnlib.training.recipes import RECIPES


def attention_of(seed: int, dtype: torch.dtype) -> torch.Tensor:
    return (torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(seed)) ** 4).to(dtype)


def test_positions_are_precise_whatever_the_attention_s_precision():
    exact = attention_of(0, torch.bfloat16).double()
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        found = sampling_positions(exact.to(dtype), 512, 224)
        for positions, expected in zip(found, sampling_positions(exact, 512, 224), strict=True):
            torch.testing.assert_close(positions.double(), expected, rtol=0, atol=1e-4)
            assert (positions.diff(dim=1) > 0).all()


@pytest.mark.parametrize("antialias", [False, True])
def test_autocast_changes_no_bit_of_a_sampled_image(antialias):
    images, attention = (
        torch.rand(4, 3, 96, 80, generator=torch.Generator().manual_seed(1)),
        attention_of(0, torch.float32),
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = attention_sample(images, attention, 48, antialias=antialias)
    assert torch.equal(found, attention_sample(images, attention, 48, antialias=antialias))


def test_positions_summed_up_in_bfloat16_would_stand_still():
    """F, the running sum of the zoom, reaches 512. bfloat16 has 8 bits of it: above 256, it counts in steps of 2."""
    zoom, _ = zoom_profiles(attention_of(0, torch.float64), 512)
    running = zoom[0].cumsum(0)
    rounded = running.to(torch.bfloat16)  # the best that bfloat16 could do: each sum exact, and only then rounded
    assert (rounded.double() - running).abs().max() > 0.5  # half a pixel away
    assert (rounded.diff() == 0).any()  # several pixels at one place: F cannot be inverted there


def test_distillation_in_bfloat16_would_teach_something_else():
    """At T = 10 the softened predictions differ little from each other; their difference is the gradient."""
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(8, 200, generator=generator, dtype=torch.float64)
    teacher = student + 0.3 * torch.randn(8, 200, generator=generator, dtype=torch.float64)
    student = student.to(torch.bfloat16).double()  # the same logits for all
    teacher = teacher.to(torch.bfloat16).double()

    def direction(dtype, plain):
        logits = student.to(dtype).requires_grad_()
        if plain:  # all of it in the logits' own precision
            q, log_p = (teacher.to(dtype) / 10).softmax(1), (logits / 10).log_softmax(1)
            loss = -(q * log_p).sum(1).mean()
        else:
            loss = soft_target_cross_entropy(logits, teacher.to(dtype), 10.0)
        return torch.autograd.grad(loss, logits)[0].double().flatten()

    exact = direction(torch.float64, plain=True)
    ours, naive = direction(torch.bfloat16, plain=False), direction(torch.bfloat16, plain=True)
    assert F.cosine_similarity(ours, exact, dim=0) > 0.9999
    assert F.cosine_similarity(naive, exact, dim=0) < 0.99


def features_that_bfloat16_mixes_up() -> torch.Tensor:
    """Three channels. Where the first fires, the second averages 200.3 and the third 199.9, a ratio of e^0.4 in R."""
    features = torch.zeros(1, 3, 1, 10)
    features[0, 1] = torch.tensor([201.0] * 3 + [200.0] * 7)
    features[0, 2] = torch.tensor([199.0] * 1 + [200.0] * 9)
    return features


def test_attention_under_autocast_would_weigh_channels_wrongly():
    """Features before a norm reach hundreds, where bfloat16 counts in steps of 1, so the ratio is 1, e or 1/e."""
    features = features_that_bfloat16_mixes_up()
    exact = bilinear_attention(features.double(), 7.0)[0, 0]
    assert (exact[1] / exact[2]).log().item() == pytest.approx(0.4, rel=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        rough = bilinear_attention(features, 7.0)[0, 0]
    assert abs((rough[1] / rough[2]).float().log().item() - 0.4) > 0.35


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tasn_attends_outside_of_autocast_in_float32(dtype, official):
    recipe = RECIPES["official"] if official else RECIPES["paper"]
    names = {"attention_trunk": "small", "backbone": "small", "weights": None, "scale": 7.0}
    model = build_tasn(replace(recipe, **names), classes=2).eval()
    features, channel = features_that_bfloat16_mixes_up(), torch.zeros(1, dtype=torch.int64)
    exact = model.attend(features.double(), channel)
    with torch.autocast("cpu", torch.bfloat16):
        found = model.attend(features.to(dtype), channel)
    for given, expected in zip(found[:2], exact[:2], strict=True):
        assert given.dtype == torch.float32
        torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=0)
