"""Tables of ablations: means, spreads and paired differences, and their figures."""

import statistics
from dataclasses import replace

import pytest

from tasnlib.ablations.study import PROFILES, run_of
from tasnlib.ablations.tables import Row, as_text, table_rows
from tasnlib.ablations.variants import STRUCTURE_ONLY, TASN, Table, Variant
from tasnlib.plots.ablations import accuracy_against, seeds_and_means

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
            }  # fmt: skip
    return found


def test_a_row_is_the_mean_over_seeds_of_the_net_that_predicts(results):
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


def test_differences_are_taken_seed_by_seed(results):
    first, second, _ = table_rows(THREE, PROFILE, results)
    mean, deviation = second.against(first)
    assert mean == pytest.approx((20 + 5 + 10) / 3)
    assert deviation == pytest.approx(statistics.stdev([20, 5, 10]))
    assert second.against(second) == (0, 0)


def test_a_run_that_is_missing_is_named(results):
    with pytest.raises(KeyError, match="easy-"):
        table_rows(replace(THREE, variants=(replace(STRUCTURE_ONLY, attention="uniform"),)), PROFILE, results)


def test_with_one_seed_there_is_no_spread():
    row = Row("one", (50.0,), (), {}, 1, 1.0)
    assert (row.deviation, row.against(row)) == (0.0, (0.0, 0.0))


def test_the_text_has_a_line_a_variant_and_measures_where_there_are_any(results):
    rows = table_rows(THREE, PROFILE, results)
    lines = as_text(rows, reference="trilinear, squared").splitlines()
    assert len(lines) == 4
    assert lines[0].endswith("in parts  magnified")
    assert "50.0 ± 10.0" in lines[1]
    assert "+11.7 ±  7.6" in lines[2] or "+11.7 ± 7.6" in lines[2]
    assert lines[2].rstrip().endswith("4.0")
    assert lines[3].rstrip().endswith("1.0")  # its cost: it has no attention to measure


def test_figures_show_every_seed_and_every_mean(results):
    rows = table_rows(THREE, PROFILE, results)
    (axes,) = seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes
    dots = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [tuple(line.get_xdata()) for line in dots] == [row.accuracies for row in rows]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2.5]
    assert means == pytest.approx([row.mean for row in rows])
    assert len(accuracy_against(rows, "mass").axes[0].containers) == 2  # two variants have attention
    assert len(accuracy_against(rows, "multiply-adds").axes[0].containers) == 3
