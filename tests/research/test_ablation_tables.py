"""Tables of ablations: means, deviations and paired differences."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from tasnlib.research.ablations import study as study_module
from tasnlib.research.ablations.plan import PROFILES, Profile, plan, run_of
from tasnlib.research.ablations.tables import Row, Study, as_text, open_study, significant, table_rows
from tasnlib.research.ablations.variants import LOOKS, MIDDLE, PHOTOGRAPHS, STRUCTURE_ONLY, TABLES, TASN, Table, Variant

PROFILE = replace(PROFILES["smoke"], seeds=(0, 1, 2))
PLAIN = Variant("plain", sampler="plain")
THREE = Table("three", "easy", (STRUCTURE_ONLY, TASN, PLAIN))
SHARES = {
    "trilinear, squared": (0.5, 0.6, 0.4),
    "part net and distillation": (0.7, 0.65, 0.5),
    "plain": (0.1, 0.2, 0.3),
}


@pytest.fixture
def results():
    found = {}
    for variant in THREE.variants:
        for seed, share in zip(PROFILE.seeds, SHARES[variant.title], strict=True):
            accuracy = {"downsampled": share} if variant is PLAIN else {"attention": 0.05, "master": share}
            if variant is TASN:
                accuracy["part"] = share / 2
            attention = None if variant is PLAIN else {"mass": 0.1 * (seed + 1), "magnification": 2.0 * (seed + 1)}
            found[run_of(PROFILE, THREE, variant, seed).file_name] = {
                "accuracy": accuracy, "attention": attention, "multiply_adds": 10**6, "seconds": 10.0 + seed,
                "epochs": 1,
            }  # fmt: skip
    return found


def test_rows_are_means_over_seeds(results):
    rows = table_rows(THREE, PROFILE, results)
    for row in rows:
        percent = [100 * share for share in SHARES[row.title]]
        assert row.accuracies == pytest.approx(percent)
        assert row.mean == pytest.approx(sum(percent) / 3)
        assert row.deviation == pytest.approx(statistics.stdev(percent))
        assert row.seconds == pytest.approx(11)
    assert rows[1].part == pytest.approx((35, 32.5, 25))
    assert (rows[0].part, rows[2].attention) == ((), {})
    assert rows[0].attention == pytest.approx({"mass": 0.2, "magnification": 4.0})


@pytest.mark.parametrize(
    ("shares", "predicts"),
    [
        ({"attention": 0.1, "master": 0.4, "part": 0.6}, 40),
        ({"attention": 0.1, "master": 0.4, "part": 0.6, "both": 0.5}, 50),  # two views, averaged
        ({"full": 0.9}, 90),
        ({"crop": 0.7}, 70),
        ({"downsampled_aliased": 0.3}, 30),
    ],
)
def test_accuracy_is_that_of_the_net_that_predicts(shares, predicts):
    one = {"accuracy": shares, "attention": None, "multiply_adds": 1, "seconds": 1.0, "epochs": 1}
    table = Table("one", "easy", (STRUCTURE_ONLY,), seeds=1)
    (found,) = table_rows(table, PROFILE, {run_of(PROFILE, table, STRUCTURE_ONLY, 0).file_name: one})
    assert found.accuracies == pytest.approx((predicts,))


def test_classes_are_averaged_over_seeds_where_they_have_images():
    table = Table("one", "grocery", (STRUCTURE_ONLY,), seeds=2)
    profile = Profile({"grocery": PROFILE.recipes["easy"]}, seeds=(0, 1))
    kept = {}
    for seed, share in ((0, 0.5), (1, 1.0)):
        by_class = {"attention": {"Milk": 0.1, "Juice": 0.2}, "master": {"Milk": share, "Juice": None}}
        one: dict[str, object] = {"accuracy": {"attention": 0.1, "master": share}, "by_class": by_class}
        one |= {"attention": None, "multiply_adds": 1, "seconds": 1.0, "epochs": 1}
        kept[run_of(profile, table, STRUCTURE_ONLY, seed).file_name] = one
    (found,) = table_rows(table, profile, kept)
    assert found.by_class == {"Milk": 75.0}


def test_a_prediction_costs_only_what_it_needs(monkeypatch):
    table = Table("some", "grocery", (STRUCTURE_ONLY, TASN, MIDDLE, PHOTOGRAPHS[0], LOOKS), seeds=1)
    monkeypatch.setattr("tasnlib.research.ablations.tables.TABLES", (table,))
    kept = {
        run.file_name: {"accuracy": {"master": 0.5, "downsampled": 0.5}, "attention": None, "multiply_adds": 10**9}
        | {"seconds": 1.0, "epochs": 1}
        for run in plan(PROFILES["photos"], [table])
    }
    study = Study(PROFILES["photos"], kept)
    assert {row.multiply_adds for row in study.rows("some", "grocery")} == {10**9}  # as they were trained
    alone, tasn, middle, plain, looks = (row.multiply_adds for row in study.rows("some", "grocery", predicting=True))
    assert tasn == alone  # no part net
    assert middle == pytest.approx(plain, rel=0.01)  # no first look, which chooses nothing
    assert looks > 1.9 * plain  # the first look says where the second one looks
    assert [row.attends for row in study.rows("some", "grocery")] == [True, True, False, False, True]


def test_differences_are_paired(results):
    first, second, _ = table_rows(THREE, PROFILE, results)
    mean, deviation = second.against(first)
    assert mean == pytest.approx((20 + 5 + 10) / 3)
    assert deviation == pytest.approx(statistics.stdev([20, 5, 10]))
    assert second.against(second) == (0, 0)


def test_paired_differences_as_text():
    a, b = (Row(name, accuracies, (), {}, 1, 1.0) for name, accuracies in (("a", (71, 65, 68)), ("b", (73, 66, 71))))
    assert b.paired(a) == " +2.0  +1.0  +3.0   mean  +2.0 ± 1.0   p = 7.4%"
    assert b.p_value(a) == pytest.approx(p_value_by_sums([2, 1, 3]), abs=1e-3)
    assert row("d", 3.0).paired(row("c", 1.0)).strip() == "+2.0   mean  +2.0 ± 0.0"  # one seed says nothing of p


def test_missing_run_is_named(results):
    with pytest.raises(KeyError, match="easy-"):
        table_rows(replace(THREE, variants=(replace(STRUCTURE_ONLY, attention="uniform"),)), PROFILE, results)


def test_one_seed_has_no_deviation():
    row = Row("one", (50.0,), (), {}, 1, 1.0)
    assert (row.deviation, row.against(row)) == (0.0, (0.0, 0.0))


def test_text_table(results):
    rows = table_rows(THREE, PROFILE, results)
    lines = as_text(rows, "trilinear, squared", ("cost", "magnification", "part")).splitlines()
    assert len(lines) == 4
    assert lines[0].split()[-4:] == ["mult-add", "magnified", "part", "net"]
    assert lines[1].split()[-5:] == ["50.0", "±", "10.0", "1.0", "4.0"]
    assert "+11.7 ± 7.6" in lines[2]
    assert lines[2].split()[-3:] == ["1.0", "4.0", "30.8"]
    assert lines[3].endswith("1.0")  # its cost: it has no attention to measure


def row(title: str, *accuracies: float) -> Row:
    return Row(title, accuracies, (), {}, 1, 1.0)


def p_value_by_sums(differences: list[float]) -> float:
    """Two-sided p of Student's t-test, from a Riemann sum of the density, whose tail is cut off at 4000."""
    n = len(differences)
    t = abs(statistics.fmean(differences)) / (statistics.stdev(differences) / n**0.5)
    places = np.arange(0, 4000, 1e-3)
    density = (1 + places**2 / (n - 1)) ** (-n / 2)
    return density[places > t].sum() / density.sum()


@pytest.mark.parametrize("differences", [[1.0, 2.0, 3.0], [3.0, 3.5, 4.1], [2.0, 2.3, 1.9, 2.5, 2.2], [-9.0, 1.0, 2.0]])
def test_a_single_comparison_is_student_s_paired_t_test(differences):
    base = row("base", *(50.0 + seed for seed in range(len(differences))))
    other = row("x", *(b + d for b, d in zip(base.accuracies, differences, strict=True)))
    assert significant([base, other], base) == ({"x"} if p_value_by_sums(differences) <= 0.05 else set())


def test_holm_s_rule_over_a_table():
    """p-values 0.005, 0.02, 0.04 and 0.2 of four comparisons: limits are 0.0125, 0.0167, 0.025, 0.05."""
    base = row("base", 0.0, 0.0, 0.0)
    # With three seeds the p of differences m - s, m, m + s is 2 · P(t > m / (s / √3)) at 2 degrees of freedom.
    t_of = {0.005: 14.0890, 0.02: 6.9646, 0.04: 4.8487, 0.2: 1.8856}
    rows = [base, *(row(f"p = {p}", *((t / 3**0.5 + d) for d in (-1, 0, 1))) for p, t in t_of.items())]
    assert significant(rows, base) == {"p = 0.005"}  # 0.02 fails, so 0.04 is not asked any more
    assert significant(rows[:3], base) == {"p = 0.005", "p = 0.02"}  # of two: 0.025, then 0.05
    assert significant([base, rows[3]], base) == {"p = 0.04"}
    assert significant([base, rows[4]], base) == set()


def test_differences_without_variance():
    base = row("base", 50.0, 60.0, 70.0)
    rows = [base, row("better", 51.0, 61.0, 71.0), row("equal", 50.0, 60.0, 70.0)]
    assert significant(rows, base) == {"better"}


def test_one_seed_is_never_significant():
    assert significant([row("base", 1.0), row("x", 99.0)], row("base", 1.0)) == set()


def test_kept_results_are_read_and_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(study_module, "each", lambda *_: pytest.fail("a run is missing"))
    opened = open_study("laptop")
    for table in [table for table in TABLES if table.dataset in PROFILES["laptop"].recipes]:
        rows = opened.rows(table.name, table.dataset)
        if table.optional and not rows:
            continue
        assert [row.title for row in rows] == [variant.title for variant in table.variants]
        assert {len(row.accuracies) for row in rows} == {table.seeds}
    assert all("CPU" in device for device in opened.devices)


@pytest.mark.parametrize("arguments", [{"profile": "lapdog"}, {"processes": 0}, {"processes": True}, {"optional": 1}])
def test_bad_parameters_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        open_study(**arguments)
