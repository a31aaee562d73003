"""Answers to the exercises of notebook 04, right and wrong; see planted_01."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from tasnlib.distillation import soft_target_cross_entropy


def softened_by_loops(logits, temperature):
    rows = []
    for row in logits.tolist():
        powers = [math.exp(value / temperature) for value in row]
        rows.append([power / sum(powers) for power in powers])
    return torch.tensor(rows)


def softened_by_numpy(z, T):
    powers = np.exp(z.numpy() / T)
    return powers / powers.sum(axis=1, keepdims=True)


def entropy_by_loops(q):
    return [-sum(p * math.log(p) for p in row) for row in q.tolist()]


def soft_loss_by_einsum(student, teacher, T):
    return -torch.einsum("bk,bk->", F.softmax(teacher / T, 1), F.log_softmax(student / T, 1)) / len(student)


def soft_loss_by_loop(student_logits, teacher_logits, temperature):
    total = 0
    for z_student, z_teacher in zip(student_logits, teacher_logits, strict=True):
        q_teacher = (z_teacher / temperature).softmax(0)
        total = total + (z_student / temperature).logsumexp(0) - q_teacher @ z_student / temperature
    return total / len(student_logits)


def gradient_by_loop(student_logits, teacher_logits, temperature):
    rows = []
    for z_student, z_teacher in zip(student_logits, teacher_logits, strict=True):
        rows.append(((z_student / temperature).softmax(0) - (z_teacher / temperature).softmax(0)) / temperature)
    return torch.stack(rows) / len(rows)


def gradient_by_elements(student_logits, teacher_logits, temperature):
    gradient = torch.zeros_like(student_logits)
    for bird in range(len(student_logits)):
        student = (student_logits[bird] / temperature).exp()
        teacher = (teacher_logits[bird] / temperature).exp()
        for kind in range(student_logits.shape[1]):
            difference = student[kind] / student.sum() - teacher[kind] / teacher.sum()
            gradient[bird, kind] = difference / temperature / len(student_logits)
    return gradient


def gradient_by_scalars(student_logits, teacher_logits, temperature):
    birds, kinds = student_logits.shape
    gradient = torch.zeros(birds, kinds)
    for i in range(birds):
        student = sum(torch.exp(logit / temperature) for logit in student_logits[i])
        teacher = sum(torch.exp(logit / temperature) for logit in teacher_logits[i])
        for k in range(kinds):
            share = torch.exp(student_logits[i, k] / temperature) / student
            gradient[i, k] = (share - torch.exp(teacher_logits[i, k] / temperature) / teacher) / temperature / birds
    return gradient


def gradient_by_differences_at_once(student_logits, teacher_logits, temperature, step=1e-3):
    def losses(logits):
        return -(shares[:, None] * (logits / temperature).log_softmax(-1)).sum(-1) / len(logits)

    student, shares = student_logits.double(), (teacher_logits.double() / temperature).softmax(1)
    moves = step * torch.eye(student.shape[1], dtype=torch.float64)
    return ((losses(student[:, None] + moves) - losses(student[:, None] - moves)) / (2 * step)).float()


def gradient_by_differences(student_logits, teacher_logits, temperature, step=1e-4):
    gradient, teacher = torch.zeros_like(student_logits), teacher_logits.double()
    for bird, kind in np.ndindex(*student_logits.shape):
        losses = []
        for move in (step, -step):
            moved = student_logits.double()
            moved[bird, kind] += move
            losses.append(soft_loss_by_einsum(moved, teacher, temperature))
        gradient[bird, kind] = (losses[0] - losses[1]) / (2 * step)
    return gradient


def gradient_by_backward(student_logits, teacher_logits, temperature):
    at = student_logits.clone().requires_grad_()
    with torch.enable_grad():
        soft_loss_by_einsum(at, teacher_logits, temperature).backward()
    return at.grad


def gradient_by_autograd(student_logits, teacher_logits, temperature):
    at = student_logits.clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(soft_loss_by_einsum(at, teacher_logits, temperature), at)[0]


def gradient_by_func(student_logits, teacher_logits, temperature):
    return torch.func.grad(soft_loss_by_einsum)(student_logits, teacher_logits, temperature)


def joint_by_names(a, m, p, y, lam, T):
    target = F.softmax(p / T, dim=1).detach()
    return F.cross_entropy(a, y) + F.cross_entropy(m, y) + F.cross_entropy(p, y) + lam * F.cross_entropy(m / T, target)


def joint_in_steps(attention_logits, master_logits, part_logits, labels, weight, temperature):
    losses = [-z.log_softmax(1)[torch.arange(len(z)), labels].mean() for z in (attention_logits, master_logits)]
    losses.append(-part_logits.log_softmax(1).gather(1, labels[:, None]).mean())
    with torch.no_grad():
        teacher = (part_logits / temperature).softmax(1)
    return torch.stack(losses).sum() + weight * -(teacher * F.log_softmax(master_logits / temperature, 1)).sum(1).mean()


def joint_at_once(a, m, p, y, weight, T):
    plain = 3 * F.cross_entropy(torch.cat([a, m, p]), y.repeat(3))
    return plain + weight * soft_loss_by_einsum(m, p.detach(), T)


def joint(
    terms=(1.0, 1.0, 1.0), teacher=lambda m, p: p.detach(), student=lambda m, p: m, factor=lambda w, T: w, T=None
):
    def answer(a, m, p, y, weight, temperature):
        plain = sum(term * F.cross_entropy(z, y) for term, z in zip(terms, (a, m, p), strict=True))
        soft = soft_loss_by_einsum(student(m, p), teacher(m, p), T or temperature)
        return plain + factor(weight, temperature) * soft

    return answer


def in_place(logits, temperature):
    return softened_by_numpy(logits.div_(temperature), 1.0)


RIGHT = {
    "soften": [
        softened_by_loops,
        softened_by_numpy,
        lambda z, T: (z / T - torch.logsumexp(z / T, dim=1, keepdim=True)).exp(),
        lambda logits, temperature: F.normalize(torch.exp(logits / temperature), p=1, dim=1),
    ],
    "entropy": [
        entropy_by_loops,
        lambda q: torch.special.entr(q).sum(1),
        lambda p: torch.distributions.Categorical(probs=p).entropy(),
        lambda probabilities: -np.einsum("bk,bk->b", probabilities.numpy(), np.log(probabilities.numpy())),
    ],
    "soft_cross_entropy": [
        soft_loss_by_einsum,
        soft_loss_by_loop,
        lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(1)),
        lambda s, t, T: -((t / T).softmax(-1) * torch.log_softmax(s / T, -1)).sum() / len(s),
    ],
    "soft_gradient": [
        gradient_by_loop,
        gradient_by_elements,
        gradient_by_scalars,
        lambda s, t, T: (F.softmax(s / T, 1) - F.softmax(t / T, 1)) / (T * s.shape[0]),
        lambda z_s, z_t, T: (softened_by_numpy(z_s, T) - softened_by_numpy(z_t, T)) / T / len(z_t),
    ],
    "joint_loss": [joint_by_names, joint_in_steps, joint_at_once],
}

WRONG = {
    "soften": [
        ("", lambda z, T: F.softmax(z / T, dim=1)),
        ("", lambda z, T: torch.nn.Softmax(1)(z / T)),
        ("", lambda z, T: torch.special.softmax(z / T, 1)),
        ("", lambda z, T: (z / T).log_softmax(1).exp()),
        ("", in_place),
        ("multiplied by T", lambda z, T: F.softmax(T * z, dim=1)),
        ("", lambda z, T: softened_by_numpy(z, 1.0) / T),
        ("no effect", lambda z, T: softened_by_numpy(z, 1.0)),
        ("over the batch", lambda z, T: softened_by_numpy(z.T, T).T),
        ("", lambda z, T: (z / T).exp() / (z / T).exp().sum()),
        ("", lambda z, T: (z / T).exp()),
        ("", lambda z, T: z.exp() / T / (z / T).exp().sum(1, keepdim=True)),
        ("", lambda z, T: (z / T).sigmoid() / (z / T).sigmoid().sum(1, keepdim=True)),
        ("", lambda z, T: softened_by_numpy(z, 2.0)),
        ("", lambda z, T: softened_by_numpy(z, T).round()),
    ],
    "entropy": [
        ("sign is wrong", lambda q: torch.einsum("bk,bk->b", q, q.log())),
        ("mean over the classes", lambda q: torch.special.entr(q).mean(1)),
        ("", lambda q: torch.special.entr(q).sum()),
        ("", lambda q: torch.special.entr(q).sum(1).mean()),
        ("", lambda q: torch.special.entr(q).sum(0)),
        ("", lambda q: -(q * q.log2()).sum(1)),
        ("", lambda q: -(q * q.log10()).sum(1)),
        ("", lambda q: -q.log().sum(1)),
        ("", lambda q: -(q * (q + 0.01).log()).sum(1)),
        ("", lambda q: torch.special.entr(q).sum(1).exp()),
        ("", lambda q: -(q.log() * q).amax(1)),
    ],
    "soft_cross_entropy": [
        ("", lambda s, t, T: -((t / T).softmax(-1) * (s / T).softmax(-1).log()).sum() / len(s)),  # underflows
        ("swapped student", lambda s, t, T: soft_loss_by_einsum(t, s, T)),
        ("KL divergence", lambda s, t, T: F.kl_div((s / T).log_softmax(1), (t / T).softmax(1), reduction="batchmean")),
        ("only the teacher's", lambda s, t, T: F.cross_entropy(s, (t / T).softmax(1))),
        ("summed over the batch", lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(1), reduction="sum")),
        ("multiplied by T²", lambda s, t, T: T * T * soft_loss_by_loop(s, t, T)),
        ("", lambda s, t, T: F.cross_entropy(s / T, t.softmax(1))),
        ("", lambda s, t, T: F.cross_entropy(s / T, t.argmax(1))),
        ("", lambda s, t, T: F.cross_entropy((s / T).softmax(1), (t / T).softmax(1))),
        ("", lambda s, t, T: T * soft_loss_by_einsum(s, t, T)),
        ("", lambda s, t, T: -soft_loss_by_einsum(s, t, T)),
        ("", lambda s, t, T: soft_loss_by_einsum(s, t, T) / s.shape[1]),
        ("", lambda s, t, T: soft_loss_by_einsum(s, t, T).item()),
        ("", lambda s, t, T: soft_loss_by_einsum(s.detach(), t, T)),
        ("", lambda s, t, T: torch.tensor(soft_loss_by_einsum(s, t, T).numpy(force=True))),
        ("", lambda s, t, T: soft_target_cross_entropy(s, t, T)),
        ("", lambda s, t, T: F.cross_entropy(s / T, (t / T).softmax(1), reduction="none")),
        ("", lambda s, t, T: ((s / T).softmax(1) - (t / T).softmax(1)).square().sum(1).mean()),
        ("", lambda s, t, T: F.cross_entropy(s * T, (t * T).softmax(1))),
    ],
    "soft_gradient": [
        ("", gradient_by_backward),
        ("", gradient_by_autograd),
        ("", gradient_by_func),
        ("", gradient_by_differences),
        ("", gradient_by_differences_at_once),
        ("sign is wrong", lambda s, t, T: gradient_by_loop(t, s, T)),
        ("left out 1/T", lambda s, t, T: gradient_by_loop(s / T, t / T, 1.0)),
        ("number of birds", lambda s, t, T: gradient_by_loop(s, t, T) * len(s)),
        ("", lambda s, t, T: gradient_by_loop(s, t, T) / T),
        ("", lambda s, t, T: gradient_by_loop(s, t, 1.0)),
        ("", lambda s, t, T: (s - t) / (s.shape[1] * T**2 * len(s))),
        ("", lambda s, t, T: gradient_by_loop(s, t, T) * len(s) / s.shape[1]),
        ("", lambda s, t, T: gradient_by_loop(s, F.one_hot(t.argmax(1), t.shape[1]) * 99.0, T)),
        ("", lambda s, t, T: gradient_by_loop(s, t, T).sum(0)),
        ("", lambda s, t, T: ((s / T).softmax(0) - (t / T).softmax(0)) / T / len(s)),
        ("", lambda s, t, T: gradient_by_loop(s, t, T) * len(s) * T),
    ],
    "joint_loss": [
        ("", joint(teacher=lambda m, p: p)),
        ("", joint(student=lambda m, p: m.detach())),
        ("", lambda a, *rest: joint()(a.detach(), *rest)),
        ("", lambda *given: joint()(*given).item()),
        ("", lambda *given: torch.tensor(joint()(*given).item())),
        ("master net teaches", joint(teacher=lambda m, p: m.detach(), student=lambda m, p: p)),
        ("left out the attention", joint(terms=(0.0, 1.0, 1.0))),
        ("", joint(terms=(1.0, 0.0, 1.0))),
        ("", joint(terms=(1.0, 1.0, 0.0))),
        ("", joint(terms=(1 / 3, 1 / 3, 1 / 3))),
        ("left out the weight", joint(factor=lambda w, T: 1.0)),
        ("", joint(factor=lambda w, T: w * T**2)),
        ("", joint(factor=lambda w, T: -w)),
        ("", joint(factor=lambda w, T: 2.0)),
        ("", joint(T=1.0)),
        ("", joint(T=10.0)),
        ("", joint(factor=lambda w, T: 0.0)),
        ("", joint(teacher=lambda m, p: p.detach().softmax(1))),
    ],
}
