"""Exercises of notebook 04. Solutions are written as a student would write them."""

import torch
from torch.nn import functional as F

from tasnlib.course.exercises.checking import Exercise, Mistake, whole


def _one_of(generator, choices):
    return choices[whole(0, len(choices) - 1, generator)]


def _pair(generator, birds=(2, 3, 5, 6, 7)):
    """The teacher is more confident, so a swap is noticed; never T² birds, so T² is not the number of birds."""
    b, k = _one_of(generator, birds), whole(3, 8, generator)
    return {
        "student_logits": torch.randn(b, k, generator=generator),
        "teacher_logits": 3 * torch.randn(b, k, generator=generator),
        "temperature": _one_of(generator, (2.0, 3.0, 5.0)),
    }


def _logits(generator):
    b, k = whole(2, 5, generator), whole(3, 8, generator)
    logits = 4 * torch.rand(b, k, generator=generator) - 2
    return {"logits": logits, "temperature": _one_of(generator, (2.0, 3.0, 5.0))}


def _probabilities(generator):
    b, k = whole(2, 5, generator), whole(3, 8, generator)
    return {"probabilities": (2 * torch.randn(b, k, generator=generator)).softmax(dim=-1)}


def _joint_inputs(generator):
    b, k = whole(2, 6, generator), whole(3, 8, generator)
    names = ("attention_logits", "master_logits", "part_logits")
    return {
        **{name: 2 * torch.randn(b, k, generator=generator) for name in names},
        "labels": torch.randint(k, (b,), generator=generator),
        "weight": _one_of(generator, (0.5, 3.0)),
        "temperature": _one_of(generator, (2.0, 3.0)),
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


def _swapped(student_logits, teacher_logits, temperature):
    return soft_cross_entropy(teacher_logits, student_logits, temperature)


def _kl(student_logits, teacher_logits, temperature):
    teacher = (teacher_logits / temperature).softmax(dim=-1)
    return soft_cross_entropy(student_logits, teacher_logits, temperature) - entropy(teacher).mean()


def _hard_student(student_logits, teacher_logits, temperature):
    return soft_cross_entropy(temperature * student_logits, teacher_logits, temperature)


def _softmax_twice(attention_logits, master_logits, part_logits, labels, weight, temperature):
    three = (attention_logits, master_logits, part_logits)
    plain = sum(F.cross_entropy(logits.softmax(dim=-1), labels) for logits in three)
    return plain + weight * soft_cross_entropy(master_logits, part_logits, temperature)


EXERCISES = [
    Exercise(
        name="soften",
        solution=soften,
        inputs=_logits,
        mistakes=[
            Mistake(
                "You multiplied by T, which sharpens. Divide the logits by T.",
                lambda logits, temperature: (logits * temperature).softmax(dim=-1),
            ),
            Mistake(
                "You divided after the softmax. Divide the logits by T first, then take the softmax.",
                lambda logits, temperature: logits.softmax(dim=-1) / temperature,
            ),
            Mistake(
                "T has no effect on your result. Divide the logits by T before the softmax.",
                lambda logits, temperature: logits.softmax(dim=-1),
            ),
            Mistake(
                "Your softmax runs over the batch. It belongs over the classes, the last axis.",
                lambda logits, temperature: (logits / temperature).softmax(dim=0),
            ),
        ],
        properties=[
            (
                "Every row sums to 1.",
                lambda inputs, result: torch.allclose(result.sum(-1), torch.ones((), dtype=torch.float64), atol=1e-4),
            )
        ],
        hint="Divide the logits by T, raise e to each, divide each row by its sum.",
    ),
    Exercise(
        name="entropy",
        solution=entropy,
        inputs=_probabilities,
        mistakes=[
            Mistake(
                "The sign is wrong: the log of a probability is negative. Put a minus in front of the sum.",
                lambda probabilities: (probabilities * probabilities.log()).sum(dim=-1),
            ),
            Mistake(
                "You took the mean over the classes. Take the sum.",
                lambda probabilities: -(probabilities * probabilities.log()).mean(dim=-1),
            ),
            Mistake(
                "You returned one number for all rows. Sum over the classes only, dim=-1.",
                lambda probabilities: -(probabilities * probabilities.log()).sum(),
            ),
        ],
        hint="For each row: minus the sum over the classes of q times log q.",
    ),
    Exercise(
        name="soft_cross_entropy",
        solution=soft_cross_entropy,
        inputs=_pair,
        mistakes=[
            Mistake("You swapped student and teacher. The logarithm belongs to the student.", _swapped),
            Mistake("You subtracted the teacher's entropy: that is the KL divergence. Leave it in.", _kl),
            Mistake("You divided only the teacher's logits by T. Divide the student's too.", _hard_student),
            Mistake(
                "You summed over the batch. Take the mean over the batch.",
                lambda student_logits, **rest: len(student_logits) * soft_cross_entropy(student_logits, **rest),
            ),
            Mistake(
                "You multiplied by T². Some do; the paper does not. Leave it out here.",
                lambda temperature, **rest: temperature**2 * soft_cross_entropy(temperature=temperature, **rest),
            ),
        ],
        hint="Softmax of the teacher's logits / T times log softmax of the student's logits / T; sum over classes.",
        tolerance=1e-5,
    ),
    Exercise(
        name="soft_gradient",
        solution=soft_gradient,
        # A batch of T birds would hide which of the two divisions was left out.
        inputs=lambda generator: _pair(generator, birds=(4, 6, 7)),
        mistakes=[
            Mistake(
                "The sign is wrong: it is the student's softmax minus the teacher's.",
                lambda **given: -soft_gradient(**given),
            ),
            Mistake(
                "You left out 1/T, the inner derivative of z/T.",
                lambda temperature, **rest: temperature * soft_gradient(temperature=temperature, **rest),
            ),
            Mistake(
                "The loss is a mean over the batch: divide by the number of birds.",
                lambda student_logits, **rest: len(student_logits) * soft_gradient(student_logits, **rest),
            ),
        ],
        hint="Section 5 derives it for one bird; the loss is the mean over the birds.",
        tolerance=1e-5,
    ),
    Exercise(
        name="joint_loss",
        solution=joint_loss,
        inputs=_joint_inputs,
        mistakes=[
            Mistake(
                "Here the master net teaches the part net. The part net is the teacher, the master net the student.",
                lambda master_logits, part_logits, **rest: joint_loss(
                    master_logits=part_logits, part_logits=master_logits, **rest
                ),
            ),
            Mistake(
                "You left out the attention network's cross entropy. Nothing else trains it.",
                lambda attention_logits, labels, **rest: (
                    joint_loss(attention_logits=attention_logits, labels=labels, **rest)
                    - F.cross_entropy(attention_logits, labels)
                ),
            ),
            Mistake(
                "You left out the weight of the distillation term. Multiply the soft cross entropy by it.",
                lambda weight, **rest: joint_loss(weight=1.0, **rest),
            ),
            Mistake("F.cross_entropy takes logits, not probabilities: it applies the softmax itself.", _softmax_twice),
        ],
        gradients=[
            ("part_logits", "Let no gradient flow into the teacher: detach the part net's logits in the soft term."),
            (
                "master_logits",
                "The master net learns from the labels and from the part net: detach the part net's logits only.",
            ),
            ("attention_logits", "The attention network learns from the labels: do not detach its logits."),
        ],
        hint="Three cross entropies against the labels, plus weight times the soft cross entropy of the master net.",
        tolerance=1e-5,
    ),
]
