"""What stays in float32 or better when the networks run in bfloat16, and what would break if it did not."""

import pytest
import torch
from torch.nn import functional as F

from tasnlib.attention import pooled_attention
from tasnlib.distillation import soft_target_cross_entropy
from tasnlib.sampler import attention_sample, sampling_positions, zoom_profiles


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


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_maps_multiplied_in_bfloat16_hardly_move_the_positions(scale):
    """So the products of attention may run in bfloat16 under autocast; what is summed up from them may not."""
    features = torch.rand(2, 64, 28, 28, generator=torch.Generator().manual_seed(1)) ** 3
    channel = torch.tensor([3, 5])
    exact = pooled_attention(features.double(), scale, channel)
    with torch.autocast("cpu", torch.bfloat16):
        rough = pooled_attention(features, scale, channel)
    for precise, rounded in zip(exact[:2], rough[:2], strict=True):
        for a, b in zip(sampling_positions(precise, 512, 224), sampling_positions(rounded, 512, 224), strict=True):
            assert (a - b).abs().max() < 1.0  # pixel of 512
