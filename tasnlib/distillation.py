"""The feature distiller: the part net's soft predictions teach the master net. Section 3.3 of the paper."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def soft_target_cross_entropy(
    student_logits: Float[Tensor, "b classes"], teacher_logits: Float[Tensor, "b classes"], temperature: float = 10.0
) -> Float[Tensor, ""]:
    """Cross entropy of the student's soft predictions with the teacher's: -Σ q_teacher log q_student, mean over b.

    q = softmax(logits / T), equations 9 and 10 of the paper, after Hinton, Vinyals, Dean 2015. A temperature T above 1
    softens both, so that the teacher also tells which wrong classes are nearly right. No gradient flows into the
    teacher. The loss is smallest where the student's q equals the teacher's, and is then the teacher's entropy, not 0.

    Args:
        temperature: T, above 0; 10 in the paper.

    Raises:
        ValueError: for a temperature that is not above 0, or logits of different shapes.

    >>> logits = torch.tensor([[2.0, 0.0, -1.0]])
    >>> entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum()
    >>> bool(torch.isclose(soft_target_cross_entropy(logits, logits, temperature=1), entropy))
    True
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; it must be a finite number above 0")
    if student_logits.shape != teacher_logits.shape:  # they would be broadcast
        raise ValueError(f"student_logits are {student_logits.shape}, but teacher_logits {teacher_logits.shape}")
    targets = (_at_least_float32(teacher_logits.detach()) / temperature).softmax(dim=-1)
    return F.cross_entropy(_at_least_float32(student_logits) / temperature, targets)


def tasn_loss(
    logits: Mapping[str, Float[Tensor, "b classes"]],
    labels: Int[Tensor, " b"],
    weights: Mapping[str, float] | None = None,
    distillation_weight: float = 2.0,
    temperature: float = 10.0,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """CE(attention net) + CE(master) + CE(part) + λ · soft(master ← part). Section 3.3 of the paper.

    Args:
        logits: of "attention", "master" and "part", or of other classifiers. All learn the labels; the part net
            teaches the master net where both are there.
        labels: 0 to classes - 1.
        weights: of the cross entropies, by name; 1 where none is given.
        distillation_weight: λ, 2 in the paper; 0 switches distillation off.
        temperature: see `soft_target_cross_entropy`.
        label_smoothing: of the cross entropies, see torch's.

    Raises:
        ValueError: for weights that name no logits or are negative, for no logits, for a temperature that is not
            above 0; on a CPU, also for labels outside the classes.

    >>> logits = {name: torch.randn(4, 5, requires_grad=True) for name in ("attention", "master", "part")}
    >>> loss = tasn_loss(logits, torch.tensor([0, 1, 2, 4]))
    >>> loss.backward()
    """
    weights = {**dict.fromkeys(logits, 1.0), **(weights or {})}
    if not logits or weights.keys() != logits.keys():
        raise ValueError(f"weights are for {sorted(weights)}, logits of {sorted(logits)}; each weight needs its logits")
    for name, weight in {**weights, "distillation": distillation_weight}.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of {name} is {weight}; it must be a finite number from 0 up")
    classes = next(iter(logits.values())).shape[1]
    if labels.is_cpu and not torch.compiler.is_compiling() and not ((labels >= 0) & (labels < classes)).all():
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    loss = torch.zeros((), device=labels.device)
    for name, weight in weights.items():
        scores = _at_least_float32(logits[name])
        loss = loss + weight * F.cross_entropy(scores, labels.long(), label_smoothing=label_smoothing)
    if distillation_weight and {"master", "part"} <= logits.keys():
        loss = loss + distillation_weight * soft_target_cross_entropy(logits["master"], logits["part"], temperature)
    return loss


def _at_least_float32(logits: Tensor) -> Tensor:
    """Whatever precision the networks ran in: at T = 10 bfloat16 cannot tell the predictions apart."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
