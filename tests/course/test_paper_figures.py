"""The figures for a paper."""

import pytest

from tasnlib.course.paper_figures import main
from tasnlib.course.plots.seeds_and_costs import accuracy_against, seeds_and_means
from tasnlib.research.ablations.tables import Row


@pytest.mark.parametrize("arguments", [["--run", "no/such/run"], ["--folder", "README.md/figures"]])
def test_wrong_arguments_are_a_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_figures_show_every_seed_and_mean():
    shares = {"a": (50.0, 60.0, 40.0), "b": (70.0, 65.0, 50.0), "plain": (10.0, 20.0, 30.0)}
    rows = [
        Row(title, accuracies, (), {} if title == "plain" else {"mass": 0.2}, 10**6, 5.0)
        for title, accuracies in shares.items()
    ]
    (axes,) = seeds_and_means({"easy": rows}, {"easy": 1 / 16}).axes
    dots = [line for line in axes.lines if len(line.get_xdata()) == 3]
    assert [tuple(line.get_xdata()) for line in dots] == [row.accuracies for row in rows]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() == 2.5]
    assert means == pytest.approx([row.mean for row in rows])
    assert len(accuracy_against(rows, "mass").axes[0].containers) == 2  # two variants have attention
    assert len(accuracy_against(rows, "multiply-adds").axes[0].containers) == 3


def test_points_that_touch_share_a_line():
    at = {"a": (40.0, 7.0), "b": (86.0, 7.5), "c": (87.5, 7.6), "d": (88.0, 9.0), "e": (95.0, 9.1)}
    rows = [Row(title, (mean, mean), (), {"magnification": x}, 10**6, 5.0) for title, (mean, x) in at.items()]
    names = [text.get_text() for text in accuracy_against(rows, "magnification").axes[0].texts]
    assert names == ["a", "c\nb", "d", "e"]
