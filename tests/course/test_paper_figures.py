"""The figures for a paper."""

import pytest
from PIL import Image

from tasnlib.course import paper_figures
from tasnlib.course.plots.ablations import accuracy_against, seeds_and_means
from tasnlib.research.ablations.tables import Row


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


def test_one_command_writes_all_figures(tmp_path, capsys):
    paper_figures.main(["--folder", str(tmp_path / "figures")])
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    names = ["accuracy_against_cost", "attention_table", "attention_wall", "distillation_table"]
    names += ["magnification_against_accuracy", "sampler_table"]
    assert written == [f"{name}.{kind}" for name in names for kind in ("pdf", "png")]
    for name in names:
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
            assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 10  # not blank
        pdf = (tmp_path / "figures" / f"{name}.pdf").read_bytes()
        assert pdf.startswith(b"%PDF")
        assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf  # text, not outlines
    assert capsys.readouterr().out.startswith("6 figures, each as PNG and PDF, in ")
