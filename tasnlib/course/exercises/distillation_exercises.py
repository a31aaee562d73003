"""Exercises of notebook 04. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import ROWS_SUM_TO_ONE, Exercise, without
from tasnlib.course.exercises.random_inputs import whole

# By turns: birds (never T or T² of them, so that the divisions are told apart), and the temperature.
SIZES = ((6, 2.0), (5, 1.0), (3, 10.0), (7, 3.0), (1, 2.0), (5, 3.0))
AUTOGRAD = ("backward", "grad", "vjp", "jacobian", "jacrev", "jacfwd")
SOFTMAX = ("softmax", "log_softmax", "softmin", "special_softmax", "special_log_softmax")


def _logits(generator, turn, deviation=2.0):
    b, temperature = SIZES[turn % 6]
    logits = deviation * torch.randn(b, whole(3, 8, generator), generator=generator)
    return {"logits": logits, "temperature": temperature}


def _some_equal(generator, turn):
    """With differences as large as a trained network's, and with a row of equal logits."""
    inputs = _logits(generator, turn, deviation=(2.0, 8.0)[turn % 2])
    inputs["logits"][0] *= turn % 4 != 3
    return inputs


def _pair(generator, turn):
    """The teacher is more confident, so that a swap is noticed; in one round not, in the last round the two agree."""
    teacher, temperature = _logits(generator, turn, deviation=6.0).values()
    student = teacher.clone() if turn == 11 else 2 * torch.randn(teacher.shape, generator=generator)
    student = (student * (100 if turn == 7 else 1)).clamp(-70, 70)  # a softmax underflows to 0, no power overflows
    return {"student_logits": student, "teacher_logits": teacher, "temperature": temperature}


def _no_logit_moved(given, record):
    """A rule: no tensor has a row of the student's logits (or these / T) with one of them moved a little."""
    logits, T = given["student_logits"].double(), given["temperature"]
    for tensor in record.tensors:
        if tensor.shape[-1:] == logits.shape[-1:] and tensor.is_floating_point():
            for rows in (logits, logits / T):
                move = (tensor.detach().double().reshape(-1, 1, rows.shape[1]) - rows).abs()
                if (((move > 1e-5 * (1 + rows.abs())).sum(-1) == 1) & (move.amax(-1) < 0.1)).any():
                    return False
    return True


def _joint_inputs(generator, turn):
    """By turns also with the paper's weight, and without distillation."""
    attention, temperature = _logits(generator, turn).values()
    return {
        "attention_logits": attention,
        "master_logits": ((300 if turn == 7 else 6) * torch.randn(attention.shape, generator=generator)).clamp(-70, 70),
        "part_logits": 6 * torch.randn(attention.shape, generator=generator),
        "labels": torch.randint(attention.shape[1], attention.shape[:1], generator=generator),
        "weight": (0.5, 3.0, 2.0, 0.0)[turn % 4],
        "temperature": temperature,
    }


def soften(logits, temperature):
    powers = (logits / temperature).exp()  # (b, k)
    return powers / powers.sum(dim=-1, keepdim=True)


def entropy(probabilities):
    return -(probabilities * probabilities.log()).sum(dim=-1)  # (b,)


def soft_cross_entropy(student_logits, teacher_logits, temperature):
    teacher = (teacher_logits / temperature).softmax(dim=-1)  # (b, k)
    log_student = (student_logits / temperature).log_softmax(dim=-1)  # (b, k)
    return -(teacher * log_student).sum(dim=-1).mean()


def soft_gradient(student_logits, teacher_logits, temperature):
    student = (student_logits / temperature).softmax(dim=-1)
    teacher = (teacher_logits / temperature).softmax(dim=-1)
    return (student - teacher) / temperature / len(student_logits)  # the loss is a mean over the batch


def joint_loss(attention_logits, master_logits, part_logits, labels, weight, temperature):
    loss = sum(F.cross_entropy(logits, labels) for logits in (attention_logits, master_logits, part_logits))
    teacher = (part_logits.detach() / temperature).softmax(dim=-1)
    log_student = (master_logits / temperature).log_softmax(dim=-1)
    return loss - weight * (teacher * log_student).sum(dim=-1).mean()


EXERCISES = [
    Exercise(
        soften,
        _some_equal,
        mistakes={
            "You multiplied by T, which sharpens. Divide the logits by T.": lambda z, T: (z * T).softmax(-1),
            "T has no effect on your result. Divide the logits by T before the softmax.": lambda z, T: z.softmax(-1),
            "Your softmax runs over the batch. It belongs over the classes: dim=-1.": lambda z, T: (z / T).softmax(0),
        },
        properties=ROWS_SUM_TO_ONE,
        rules={"Do it without `softmax`.": without(*SOFTMAX)},
        hint="Divide the logits by T, raise e to each, divide each row by its sum.",
    ),
    Exercise(
        entropy,
        lambda generator, turn: {"probabilities": _some_equal(generator, turn)["logits"].softmax(dim=-1)},
        mistakes={
            "The sign is wrong: a probability's log is negative. Put a minus before the sum.": lambda q: -entropy(q),
            "You took the mean over the classes. Take the sum.": lambda q: -(q * q.log()).mean(dim=-1),
        },
        hint="For each row: minus the sum over the classes of q times log q.",
    ),
    Exercise(
        soft_cross_entropy,
        _pair,
        mistakes={
            "You swapped student and teacher. The log is the student's.": lambda s, t, T: soft_cross_entropy(t, s, T),
            "You subtracted the teacher's entropy: that is the KL divergence. Leave it in.": lambda s, t, T: (
                soft_cross_entropy(s, t, T) - entropy((t / T).softmax(dim=-1)).mean()
            ),
            "You divided only the teacher's logits by T. Divide both.": lambda s, t, T: soft_cross_entropy(T * s, t, T),
            "You summed over the batch. Take the mean over it.": lambda s, t, T: len(s) * soft_cross_entropy(s, t, T),
            "You multiplied by T². Some do; the paper does not.": lambda s, t, T: T**2 * soft_cross_entropy(s, t, T),
        },
        gradients={"student_logits": "The student learns from this loss: do not detach its logits."},
        hint="Softmax of the teacher's logits / T times `log_softmax` of the student's logits / T; sum over classes.",
        tolerance=1e-5,
    ),
    Exercise(
        soft_gradient,
        _pair,
        mistakes={
            "The sign is wrong: the student's softmax minus the teacher's.": lambda s, t, T: -soft_gradient(s, t, T),
            "You left out 1/T, the inner derivative of z/T.": lambda s, t, T: T * soft_gradient(s, t, T),
            "The loss is a mean: divide by the number of birds.": lambda s, t, T: len(s) * soft_gradient(s, t, T),
        },
        rules={
            "No `backward`: write the gradient down directly.": without(*AUTOGRAD),
            "No differences of losses: write the gradient down directly.": _no_logit_moved,
        },
        hint="Section 5 derives it for one bird; the loss is the mean over the birds.",
        tolerance=1e-5,
    ),
    Exercise(
        joint_loss,
        _joint_inputs,
        mistakes={
            "Here the master net teaches the part net. The part net is the teacher, the master net the student.": (
                lambda attention, master, part, *rest: joint_loss(attention, part, master, *rest)
            ),
            "You left out the attention network's cross entropy. Nothing else trains it.": (
                lambda a, m, p, labels, *rest: joint_loss(a, m, p, labels, *rest) - F.cross_entropy(a, labels)
            ),
            "You left out the weight of the distillation term. Multiply the soft cross entropy by it.": (
                lambda attention, master, part, labels, weight, T: joint_loss(attention, master, part, labels, 1, T)
            ),
            "F.cross_entropy takes logits, not probabilities: it applies softmax itself.": lambda a, m, p, y, w, T: (
                sum(F.cross_entropy(z.softmax(-1), y) for z in (a, m, p)) + w * soft_cross_entropy(m, p, T)
            ),
        },
        gradients={
            "part_logits": "The part net learns from its own cross entropy alone: detach it in the soft term only.",
            "master_logits": "The master net learns from labels and part net: detach the part net's logits only.",
            "attention_logits": "The attention network learns from the labels: do not detach its logits.",
        },
        hint="Three cross entropies against the labels, plus weight times the soft cross entropy of the master net.",
        tolerance=1e-5,
    ),
]
