"""The command that writes the figures for a paper."""

import pytest
from PIL import Image

from tasnlib.course import paper_figures


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
