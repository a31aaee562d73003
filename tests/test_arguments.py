"""What is told of an argument that does not fit, and that the look at it costs nothing where it must not."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tasnlib.arguments import NotFinite, check_argument, checked, not_negative
from tasnlib.attention import pooled_attention
from tasnlib.distillation import soft_target_cross_entropy, tasn_loss
from tasnlib.networks.build import build_tasn
from tasnlib.sampler import attention_sample
from tasnlib.training.recipes import RECIPES

SMOKE = replace(RECIPES["smoke"], image_size=32, attention_size=16, out_size=16)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((int, value) for value in (3, 2**80, np.int64(3))),
        *((float, value) for value in (3, 0.5, np.float32(0.5), -1e300)),
        *((str | None, value) for value in ("text", "", None)),
        *((int | tuple[int, int], value) for value in (3, (3, 4), [3, 4])),
        *((Sequence[int], value) for value in ([], (1, 2), range(3))),
        *((Mapping[str, float] | None, value) for value in (None, {}, {"part": 1})),
        *((tuple[float, ...], value) for value in ((), (0.5, 1))),
        (str | Path, Path("a")),
    ],
)
def test_what_fits_is_let_through(kind, value):
    check_argument(value, "given", kind)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (int, True, "given is True; it must be a whole number"),
        (int, 3.0, "given is 3.0; it must be a whole number"),
        (float, float("nan"), "given is nan; it must be a finite number"),
        (float, 10**400, "given is a value of type int; it must be a finite number"),
        (bool, 1, "given is 1; it must be True or False"),
        (str | None, 3, "given is 3; it must be a text or None"),
        (str | Path, "a\0b", r"given is 'a\x00b', which holds a zero byte; it must be a text or a path"),
        (int | tuple[int, int], (3, 4, 5), "it must be a whole number or (a whole number, a whole number)"),
        (Sequence[int], ["a"], "given is ['a']; it must be a sequence, each a whole number"),
        (Sequence[str], "abc", "given is 'abc'; it must be a sequence, each a text"),
        (Mapping[str, float] | None, {"part": "x"}, "given['part'] is 'x'; it must be a finite number"),
        (Mapping[str, float] | None, {1: 1.0}, "a name in given is 1; it must be a text"),
        (Float[Tensor, "b 3"], torch.ones(2, 4), "given must be a tensor (b, 3) of floating point numbers, with no"),
        (Float[Tensor, "b 3"], torch.ones(2, 3).to_sparse(), "got sparse float32 (2, 3)"),
        (Float[Tensor, "b 3"], torch.ones(0, 3), "with no axis of length 0; got float32 (0, 3)"),
        (Int[Tensor, " b"], [1, 2], "given must be a tensor (b) of signed whole numbers, with no"),
        (torch.Generator | None, 3, "given is 3; it must be a Generator or None"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_by_name(kind, value, told):
    with pytest.raises(ValueError, match=r"^(a name in )?given") as refusal:
        check_argument(value, "given", kind)
    assert told in str(refusal.value)


@checked
def pairs(first: Float[Tensor, "b n"], second: Float[Tensor, "b m"] | None = None, times=None) -> int:
    return len(first)


def test_axes_of_one_name_are_equally_long():
    assert pairs(torch.ones(2, 3), torch.ones(2, 5), times="whatever") == 2
    with pytest.raises(ValueError, match=r"^second .*a tensor \(b = 2 as in first, m\)"):
        pairs(torch.ones(2, 3), torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"^given must be a tensor \(n = 2 as in given, n\)|\(n, n\)"):
        check_argument(torch.ones(2, 3), "given", Float[Tensor, "n n"])


def test_an_argument_too_many_or_too_few_is_named():
    with pytest.raises(TypeError, match="'first'"):
        pairs()
    with pytest.raises(TypeError, match="'third'"):
        pairs(torch.ones(2, 3), third=1)


def whole_step(model: torch.nn.Module, images: Tensor, channel: Tensor, labels: Tensor) -> Tensor:
    return tasn_loss(model(images, channel).logits, labels)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("antialias", [False, True])
def test_torch_compile_finds_one_graph(antialias):
    model = build_tasn(replace(SMOKE, antialias=antialias), 5).eval()
    given = torch.rand(2, 3, 32, 32), torch.tensor([1, 2]), torch.tensor([0, 4])
    torch._dynamo.reset()
    found = torch._dynamo.explain(whole_step)(model, *given)
    assert (found.graph_count, found.graph_break_count) == (1, 0), found.break_reasons


@pytest.mark.usefixtures("as_a_user")
def test_no_value_is_looked_at_but_on_a_cpu():
    """A look at a value of an accelerator waits for it; at one of the device without memory, it fails."""
    model = build_tasn(SMOKE, 5).to("meta")
    given = torch.rand(2, 3, 32, 32), torch.tensor([1, 2]), torch.tensor([0, 4])
    loss = whole_step(model, *(one.to("meta") for one in given))
    loss.backward()
    assert loss.shape == ()
    with pytest.raises(RuntimeError, match="meta"):
        bool(loss.isfinite())


ON_META, HERE = torch.ones(2, 4, 4, device="meta"), torch.ones(2, 4, 4)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda a: attention_sample(HERE[:, None], ON_META, 4, antialias=a),
            "attention is on meta, but images is on cpu",
        ),
        (
            lambda a: attention_sample(ON_META[:, None], HERE, 4, antialias=a),
            "attention is on cpu, but images is on meta",
        ),
        (
            lambda a: soft_target_cross_entropy(HERE[0], ON_META[0]),
            "teacher_logits is on meta, but student_logits is on",
        ),
        (
            lambda a: tasn_loss({"part": ON_META[0]}, torch.arange(4)),
            r"logits\['part'\] is on meta, but labels is on cpu",
        ),
        (
            lambda a: tasn_loss({"part": HERE[0], "master": ON_META[0]}, torch.arange(4)),
            r"logits\['master'\] is on meta",
        ),
    ],
)
def test_tensors_on_two_devices_are_named(call, told, antialias):
    with pytest.raises(ValueError, match=told):
        call(antialias)


def test_the_channel_s_number_may_stay_on_the_cpu():
    assert pooled_attention(ON_META[:, None], channel=torch.tensor([0, 0])).structure.device.type == "meta"


@pytest.mark.parametrize(("value", "is_a_number"), [(-1.0, True), (math.nan, False), (math.inf, False)])
def test_training_can_tell_numbers_that_are_none_from_numbers_that_are_wrong(value, is_a_number):
    """`fit` says that it diverged where a number is none; a wrong one is the caller's error."""
    with pytest.raises(ValueError, match="attention must be finite and not negative") as refused:
        not_negative(torch.tensor([1.0, value]), "attention")
    assert isinstance(refused.value, NotFinite) != is_a_number
