import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tasnlib.distillation import soft_target_cross_entropy, tasn_loss
from tests.paper import reference

quick = settings(max_examples=50, deadline=None, derandomize=True)
temperatures = st.sampled_from([0.5, 1.0, 4.0, 10.0])
NAMES = ("attention", "master", "part")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_logits(*shape, seed=0, size=5.0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64) * size


@st.composite
def student_and_teacher(draw):
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 6)))
    seed, size = draw(st.integers(0, 10_000)), draw(st.sampled_from([0.1, 1.0, 10.0]))
    return random_logits(*shape, seed=seed, size=size), random_logits(*shape, seed=seed + 1, size=size)


def three_predictions():
    return {name: random_logits(4, 5, seed=seed).requires_grad_() for seed, name in enumerate(NAMES)}


LABELS = torch.tensor([0, 4, 2, 2])


# The soft cross entropy


@quick
@given(student_and_teacher(), temperatures)
def test_it_agrees_with_loops(logits, temperature):
    student, teacher = logits
    expected = reference.soft_target_cross_entropy(student.tolist(), teacher.tolist(), temperature)
    assert soft_target_cross_entropy(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-12)


@quick
@given(student_and_teacher(), temperatures)
def test_it_is_the_divergence_from_the_teacher_and_the_teachers_entropy(logits, temperature):
    student, teacher = logits
    targets = (teacher / temperature).softmax(-1)
    divergence = F.kl_div((student / temperature).log_softmax(-1), targets, reduction="batchmean")
    entropy = -(targets * targets.log()).sum(-1).mean()
    torch.testing.assert_close(soft_target_cross_entropy(student, teacher, temperature), divergence + entropy)


def test_two_classes_by_hand():
    # At T = 2 logits (2 ln 3, 0) are the probabilities (3/4, 1/4), and (0, 0) are (1/2, 1/2).
    student, teacher = torch.tensor([[2 * math.log(3), 0.0]]).double(), torch.zeros(1, 2, dtype=torch.float64)
    soft = soft_target_cross_entropy(student, teacher, 2.0)
    assert soft.item() == pytest.approx(-(0.5 * math.log(0.75) + 0.5 * math.log(0.25)), rel=1e-6)
    other_way = soft_target_cross_entropy(teacher, student, 2.0)
    assert other_way.item() == pytest.approx(math.log(2), rel=1e-6)


def test_temperature_is_10_unless_given():
    student, teacher = random_logits(3, 4), random_logits(3, 4, seed=1)
    assert torch.equal(soft_target_cross_entropy(student, teacher), soft_target_cross_entropy(student, teacher, 10.0))
    assert soft_target_cross_entropy(student, teacher) != soft_target_cross_entropy(student, teacher, 9.0)


@quick
@given(student_and_teacher(), temperatures, st.integers(0, 1000))
def test_no_student_does_better_than_the_teachers_double(logits, temperature, seed):
    _, teacher = logits
    best = soft_target_cross_entropy(teacher, teacher, temperature)
    for size in (1e-3, 1.0):
        student = teacher + random_logits(*teacher.shape, seed=seed, size=size)
        assert soft_target_cross_entropy(student, teacher, temperature) >= best - 1e-12


def test_the_gradient_is_zero_where_student_and_teacher_agree_and_only_there():
    teacher = random_logits(4, 5)
    double, other = teacher.clone().requires_grad_(), random_logits(4, 5, seed=1).requires_grad_()
    soft_target_cross_entropy(double, teacher, 4.0).backward()
    torch.testing.assert_close(double.grad, torch.zeros_like(teacher))
    soft_target_cross_entropy(other, teacher, 4.0).backward()
    assert other.grad.abs().max() > 1e-3


def test_gradients_of_the_student_are_right():
    student, teacher = random_logits(3, 4).requires_grad_(), random_logits(3, 4, seed=1)
    assert torch.autograd.gradcheck(lambda student: soft_target_cross_entropy(student, teacher, 3.0), (student,))


def test_no_gradient_flows_into_the_teacher():
    student, teacher = random_logits(3, 4).requires_grad_(), random_logits(3, 4, seed=1).requires_grad_()
    soft_target_cross_entropy(student, teacher, 3.0).backward()
    assert teacher.grad is None
    assert not soft_target_cross_entropy(student.detach(), teacher).requires_grad


def test_a_hot_temperature_makes_every_prediction_uniform():
    soft = soft_target_cross_entropy(random_logits(3, 7), random_logits(3, 7, seed=1), 1e7)
    assert soft.item() == pytest.approx(math.log(7), rel=1e-6)


def test_a_cold_temperature_asks_for_the_teachers_first_choice():
    student, teacher = random_logits(3, 7), random_logits(3, 7, seed=1)
    # log q of a class tends to (its logit - the largest logit) / T
    expected = (student.max(-1).values - student.gather(1, teacher.argmax(-1, keepdim=True))[:, 0]).mean()
    soft = soft_target_cross_entropy(student, teacher, 1e-3)
    torch.testing.assert_close(soft * 1e-3, expected, rtol=1e-4, atol=1e-4)


@quick
@given(student_and_teacher(), temperatures)
def test_adding_a_constant_to_logits_changes_nothing(logits, temperature):
    student, teacher = logits
    constants = torch.linspace(-30, 50, len(student), dtype=torch.float64)[:, None]
    expected = soft_target_cross_entropy(student, teacher, temperature)
    torch.testing.assert_close(soft_target_cross_entropy(student + constants, teacher, temperature), expected)
    torch.testing.assert_close(soft_target_cross_entropy(student, teacher - constants, temperature), expected)


def test_scaling_both_logits_with_the_temperature_changes_nothing():
    student, teacher = random_logits(3, 4), random_logits(3, 4, seed=1)
    expected = soft_target_cross_entropy(student, teacher, 2.0)
    torch.testing.assert_close(soft_target_cross_entropy(10 * student, 10 * teacher, 20.0), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(dtype):
    student, teacher = random_logits(8, 200).to(dtype), random_logits(8, 200, seed=1).to(dtype)
    soft = soft_target_cross_entropy(student, teacher)
    assert soft.dtype == torch.float32
    exact = soft_target_cross_entropy(student.double(), teacher.double()).item()
    assert soft.item() == pytest.approx(exact, rel=1e-6)


def test_the_more_precise_of_the_two_sets_the_precision():
    student, teacher = random_logits(3, 4), random_logits(3, 4, seed=1)
    assert soft_target_cross_entropy(student.float(), teacher).dtype == torch.float64
    assert soft_target_cross_entropy(student, teacher.float()).dtype == torch.float64


def test_half_precision_students_get_gradients_in_their_own_precision():
    student = random_logits(3, 4).bfloat16().requires_grad_()
    soft_target_cross_entropy(student, random_logits(3, 4, seed=1).bfloat16()).backward()
    assert student.grad.dtype == torch.bfloat16
    assert student.grad.abs().max() > 0


# The training loss


def test_the_loss_is_the_sum_written_by_hand():
    logits = three_predictions()
    weights = {"attention": 0.5, "part": 3.0}
    loss = tasn_loss(logits, LABELS, weights, distillation_weight=1.5, temperature=4.0)
    log_probabilities = {name: values.detach().log_softmax(-1) for name, values in logits.items()}
    entropies = {
        name: -sum(values[i, label] for i, label in enumerate(LABELS)) / 4 for name, values in log_probabilities.items()
    }
    soft = reference.soft_target_cross_entropy(logits["master"].tolist(), logits["part"].tolist(), 4.0)
    by_hand = 0.5 * entropies["attention"] + 1.0 * entropies["master"] + 3.0 * entropies["part"] + 1.5 * soft
    torch.testing.assert_close(loss.detach(), by_hand)


def test_weights_are_1_lambda_is_2_and_temperature_10_unless_given():
    logits = three_predictions()
    ones = dict.fromkeys(NAMES, 1.0)
    assert torch.equal(tasn_loss(logits, LABELS), tasn_loss(logits, LABELS, ones, 2.0, 10.0))
    hard = sum(F.cross_entropy(values, LABELS) for values in logits.values())
    soft = soft_target_cross_entropy(logits["master"], logits["part"], 10.0)
    torch.testing.assert_close(tasn_loss(logits, LABELS), hard + 2 * soft)


def test_the_loss_takes_a_temperature_below_1():
    logits = three_predictions()
    hard = tasn_loss(logits, LABELS, distillation_weight=0.0)
    soft = soft_target_cross_entropy(logits["master"], logits["part"], 0.5)
    torch.testing.assert_close(tasn_loss(logits, LABELS, temperature=0.5), hard + 2 * soft)


@pytest.mark.parametrize("unweighted", NAMES)
def test_a_net_of_weight_0_is_not_trained(unweighted):
    logits = three_predictions()
    tasn_loss(logits, LABELS, {unweighted: 0.0}, distillation_weight=0.0).backward()
    for name, values in logits.items():
        trained = values.grad is not None and bool((values.grad != 0).any())
        assert trained == (name != unweighted)


def test_distillation_of_weight_0_leaves_the_cross_entropies():
    logits = three_predictions()
    expected = sum(F.cross_entropy(values, LABELS) for values in logits.values())
    torch.testing.assert_close(tasn_loss(logits, LABELS, distillation_weight=0.0), expected)


@pytest.mark.parametrize("names", [("attention", "master"), ("attention", "part"), ("attention",), ("downsampled",)])
def test_without_both_master_and_part_nothing_is_distilled(names):
    logits = {name: random_logits(4, 5, seed=seed) for seed, name in enumerate(names)}
    expected = sum(F.cross_entropy(values, LABELS) for values in logits.values())
    torch.testing.assert_close(tasn_loss(logits, LABELS, distillation_weight=7.0), expected)


def test_distillation_teaches_the_master_and_leaves_the_part_alone():
    logits = three_predictions()
    tasn_loss(logits, LABELS, dict.fromkeys(NAMES, 0.0), distillation_weight=2.0, temperature=4.0).backward()
    alone = logits["master"].detach().clone().requires_grad_()
    (2 * soft_target_cross_entropy(alone, logits["part"].detach(), 4.0)).backward()
    torch.testing.assert_close(logits["master"].grad, alone.grad)
    assert not logits["part"].grad.any()
    assert not logits["attention"].grad.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_losses_are_computed_in_float32(dtype):
    logits = {name: values.detach().to(dtype) for name, values in three_predictions().items()}
    loss = tasn_loss(logits, LABELS)
    assert loss.dtype == torch.float32
    exact = tasn_loss({name: values.double() for name, values in logits.items()}, LABELS).item()
    assert loss.item() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_labels_may_be_of_any_integer_type(dtype):
    logits = three_predictions()
    assert torch.equal(tasn_loss(logits, LABELS.to(dtype)), tasn_loss(logits, LABELS))


# Bad input


@pytest.mark.parametrize("bad", [torch.ones(5), torch.ones(4, 6), torch.ones(4, 5, dtype=torch.int64)])
def test_logits_that_do_not_fit_are_rejected(bad):
    with pytest.raises(TypeError, match=r"student_logits|teacher_logits"):
        soft_target_cross_entropy(bad, torch.ones(4, 5))
    with pytest.raises(TypeError, match="teacher_logits"):
        soft_target_cross_entropy(torch.ones(4, 5), bad)
    with pytest.raises((TypeError, ValueError)):
        tasn_loss({**three_predictions(), "part": bad}, LABELS)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_not_above_0_is_rejected(temperature):
    with pytest.raises(ValueError, match=r"\btemperature\b"):
        soft_target_cross_entropy(torch.ones(4, 5), torch.ones(4, 5), temperature)
    with pytest.raises(ValueError, match=r"\btemperature\b"):
        tasn_loss(three_predictions(), LABELS, temperature=temperature)


@pytest.mark.parametrize("labels", [[0, 5, 2, 2], [0, -1, 2, 2], [0, 1, 2], [0.0, 1.0, 2.0, 3.0]], ids=str)
def test_labels_outside_the_classes_are_rejected(labels):
    with pytest.raises((ValueError, TypeError), match=r"\blabels\b"):
        tasn_loss(three_predictions(), torch.tensor(labels))


@pytest.mark.parametrize("weights", [{"student": 1.0}, {"master": -1.0}, {"master": float("nan")}], ids=str)
def test_weights_that_mean_nothing_are_rejected(weights):
    with pytest.raises(ValueError, match=r"\bweight"):
        tasn_loss(three_predictions(), LABELS, weights)


def test_a_loss_of_no_logits_or_of_a_negative_distillation_weight_is_rejected():
    with pytest.raises(ValueError, match="logits"):
        tasn_loss({}, LABELS)
    with pytest.raises(ValueError, match="distillation"):
        tasn_loss(three_predictions(), LABELS, distillation_weight=-1.0)
