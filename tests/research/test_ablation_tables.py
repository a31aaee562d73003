"""Tables of ablations: means, spreads and paired differences, and their figures."""

import statistics
from dataclasses import replace

import pytest
from PIL import Image

from tasnlib.course.plots.seeds_and_costs import accuracy_against, seeds_and_means
from tasnlib.research.ablations import figures
from tasnlib.research.ablations import study as study_module
from tasnlib.research.ablations.plan import PROFILES, run_of
from tasnlib.research.ablations.tables import Row, as_text, in_a_sentence, open_study, table_rows
from tasnlib.research.ablations.variants import STRUCTURE_ONLY, TABLES, TASN, Table, Variant

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
    lines = as_text(rows, "trilinear, squared", ("cost", "magnification", "part")).splitlines()
    assert len(lines) == 4
    assert lines[0].split()[-4:] == ["mult-add", "magnified", "part", "net"]
    assert lines[1].split()[-5:] == ["50.0", "±", "10.0", "1.0", "4.0"]
    assert "+11.7 ± 7.6" in lines[2]
    assert lines[2].split()[-3:] == ["1.0", "4.0", "30.8"]
    assert lines[3].endswith("1.0")  # its cost: it has no attention to measure


@pytest.mark.parametrize(
    ("mine", "its", "apart"),
    [
        ((60.0, 61.0, 62.0), (50.0, 51.0, 52.0), True),
        ((60.0, 61.0, 49.0), (50.0, 51.0, 52.0), False),  # not the same way in every seed
        ((50.1, 58.0, 52.2), (50.0, 51.0, 52.0), False),  # the same way, but mostly by one seed
        ((60.0, 61.0), (50.0, 51.0), False),  # two seeds are too few
        ((40.0, 41.0, 42.5), (50.0, 51.0, 52.0), True),
    ],
)
def test_a_difference_is_told_apart_when_it_is_large_against_its_spread(mine, its, apart):
    row, other = (Row("x", values, (), {}, 1, 1.0) for values in (mine, its))
    assert row.is_told_apart(other) == other.is_told_apart(row) == apart


def test_the_sentence_names_every_row_once(results):
    starts = {"a": 5, "b": 9, "c": 2, "d": 5}
    rows = [Row(name, (start, start + 1, start + 2), (), {}, 1, 1.0) for name, start in starts.items()]
    text = in_a_sentence(rows, "a")
    assert text == "Better than 'a': b (+4.0). Worse: c (-3.0). Not told apart by 3 seeds: d."


def test_a_study_reads_what_is_kept_and_trains_nothing(monkeypatch):
    monkeypatch.setattr(study_module, "train_run", lambda *_: pytest.fail("something was trained"))
    opened = open_study("laptop")
    for table in TABLES:
        rows = opened.rows(table.name, table.dataset)
        if table.optional and not rows:
            continue
        assert [row.title for row in rows] == [variant.title for variant in table.variants]
        assert {len(row.accuracies) for row in rows} == {5 if table.split == "val" else 3}
    assert all("CPU" in device for device in opened.devices)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"profile": "lapdog"}, "profile is 'lapdog'; it must be one of smoke, laptop, gpu"),
        ({"processes": 0}, "processes is 0"),
        ({"processes": "2"}, "processes is '2'"),
        ({"processes": True}, "processes is True"),
    ],
)
def test_bad_parameters_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        open_study(**arguments)


def test_figures_show_every_seed_and_every_mean(results):
    rows = table_rows(THREE, PROFILE, results)
    (axes,) = seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes
    dots = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [tuple(line.get_xdata()) for line in dots] == [row.accuracies for row in rows]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2.5]
    assert means == pytest.approx([row.mean for row in rows])
    assert len(accuracy_against(rows, "mass").axes[0].containers) == 2  # two variants have attention
    assert len(accuracy_against(rows, "multiply-adds").axes[0].containers) == 3


def test_one_command_writes_the_figures_that_a_paper_would_print(tmp_path, capsys):
    figures.main(["--folder", str(tmp_path / "figures")])
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    names = ["accuracy_against_cost", "attention_table", "attention_wall", "distillation_table"]
    names += ["magnification_against_accuracy", "sampler_table"]
    assert written == [f"{name}.{kind}" for name in names for kind in ("pdf", "png")]
    for name in names:
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
            assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 10  # something is drawn on it
        pdf = (tmp_path / "figures" / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf  # letters are letters
    assert capsys.readouterr().out.startswith("6 figures, each as PNG and PDF, in ")
