"""The feature distiller: the part net's soft answers teach the master net. Section 3.3 of the paper."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from tasnlib.arguments import above, checked, finite, on_one_device, readable, within


@checked
def soft_target_cross_entropy(
    student_logits: Float[Tensor, "b classes"],
    teacher_logits: Float[Tensor, "b classes"],
    temperature: float = 10.0,
    teacher_gradient: bool = False,
) -> Float[Tensor, ""]:
    """Cross entropy of the student's soft answers against the teacher's: -Σ q_teacher log q_student, mean over b.

    q = softmax(logits / T). A temperature T above 1 softens both, so that the teacher also says which wrong classes
    are nearly right. No gradient flows into the teacher, unless asked for. The loss is smallest where the student's q
    equals the teacher's, and is then the teacher's entropy, not 0.

    Computed in float32 or better: at T = 10 the answers are close to uniform, and bfloat16 cannot tell them apart.

    Args:
        student_logits, teacher_logits: before any softmax, of one shape.
        temperature: T, above 0; 10 in the paper.
        teacher_gradient: let the gradient flow into the teacher as well, as the authors' code does. The teacher is then
            pulled towards what the student already says, and towards answers of low entropy.

    Raises:
        ValueError: for logits that are not (b, classes), differ in shape or device, or are empty; for a temperature
            not above 0; on a CPU, also for a loss that is not finite.

    Source: equations 9 and 10 of the paper, after Hinton, Vinyals, Dean 2015.

    >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
    >>> entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum()
    >>> bool(torch.isclose(soft_target_cross_entropy(logits, logits, temperature=1), entropy))
    True
    """
    above(temperature, "temperature", 0)
    on_one_device({"student_logits": student_logits, "teacher_logits": teacher_logits})
    dtype = torch.promote_types(torch.promote_types(student_logits.dtype, teacher_logits.dtype), torch.float32)
    teacher_logits = teacher_logits if teacher_gradient else teacher_logits.detach()
    targets = (teacher_logits.to(dtype) / temperature).softmax(dim=-1)
    log_answers = (student_logits.to(dtype) / temperature).log_softmax(dim=-1)
    told = "student_logits and teacher_logits must be finite, also when divided by temperature"
    return finite(-(targets * log_answers).sum(dim=-1).mean(), told)


@checked
def tasn_loss(
    logits: Mapping[str, Float[Tensor, "b classes"]],
    labels: Int[Tensor, " b"],
    weights: Mapping[str, float] | None = None,
    distillation_weight: float = 2.0,
    temperature: float = 10.0,
    teacher_gradient: bool = False,
) -> Float[Tensor, ""]:
    """CE(attention net) + CE(master) + CE(part) + λ · soft(master ← part).

    Args:
        logits: by the name of the answer: "attention", "master", "part". A model that gives fewer of them is trained
            on those; the distillation term needs both master and part. Where classifiers of their own answer too,
            "master_own" and "part_own", they get cross entropies as well, and the distillation is between them, as in
            the authors' code; neither comes without the other.
        labels: 0 to classes - 1.
        weights: of the cross entropies, by name; 1 where none is given.
        distillation_weight: λ, 2 in the paper; 0 switches the term off.
        temperature, teacher_gradient: see `soft_target_cross_entropy`.

    Raises:
        ValueError: for labels of another number than the logits or outside the classes, for a weight that names no
            answer, for a negative weight, for one own answer alone, for tensors on several devices; on a CPU, also for
            a loss that is not finite.

    Source: section 3.3 of the paper, L(I_s) = L_cls + λ L_soft.

    >>> logits = {name: torch.randn(4, 5, requires_grad=True) for name in ("attention", "master", "part")}
    >>> loss = tasn_loss(logits, torch.tensor([0, 1, 2, 4]))
    >>> loss.backward()
    """
    weights = dict(weights or {})
    for name in weights.keys() - logits.keys():
        raise ValueError(f"weights names {name!r}, but the answers are {', '.join(logits)}")
    if not logits:
        raise ValueError("logits hold no answer; give at least one")
    for name, missing in (("master_own", "part_own"), ("part_own", "master_own")):
        if name in logits and missing not in logits:
            raise ValueError(f"logits hold {name!r}, but not {missing!r}; give both or neither")
    for name, weight in weights.items():
        within(weight, f"weights[{name!r}]", 0)
    within(distillation_weight, "distillation_weight", 0)
    above(temperature, "temperature", 0)
    on_one_device({"labels": labels, **{f"logits[{name!r}]": answer for name, answer in logits.items()}})
    # On an accelerator the look at the values would wait for the device; torch's own check speaks up there.
    classes = next(iter(logits.values())).shape[1]
    if readable(labels) and not bool(((labels >= 0) & (labels < classes)).all()):
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    loss = sum(weights.get(name, 1.0) * _cross_entropy(answer, labels) for name, answer in logits.items())
    assert isinstance(loss, Tensor)  # a sum of nothing would be the number 0
    finite(loss, "logits must be finite, and so must the sum of their cross entropies, by weights")
    own = "_own" if "master_own" in logits else ""  # and then "part_own" too
    student, teacher = logits.get(f"master{own}"), logits.get(f"part{own}")
    if distillation_weight and student is not None and teacher is not None:
        soft = soft_target_cross_entropy(student, teacher, temperature, teacher_gradient)
        loss = loss + distillation_weight * soft
    return finite(loss, "logits must be finite, and so must the loss be, by weights and distillation_weight")


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """In float32 or better, whatever precision the networks ran in."""
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels.long())
