"""All benchmarks in one run, as a table and as JSON."""

import json
import math

import pytest
import torch

from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.report import Figure, cells
from tests.research.test_benchmarks import table_of


def test_all_benchmarks_as_table_and_json(tmp_path, capsys):
    main(["--device", "cpu", "--size", "small", "--batch-size", "2", "--json", str(tmp_path / "figures.json")])
    written = json.loads((tmp_path / "figures.json").read_text())
    figures, rows = written["figures"], table_of(capsys.readouterr().out)
    assert {figure["benchmark"] for figure in figures} == set(BENCHMARKS)
    assert (written["torch"], written["threads"]) == (torch.__version__, torch.get_num_threads())
    assert written["device"]
    assert written["date"][:2] == "20"
    assert len(rows) == len(figures)
    for figure, row in zip(figures, rows, strict=True):
        kept = {name: value for name, value in figure.items() if name not in ("ratio", "share", "goal_met")}
        assert cells(Figure(**kept)) == row
        assert figure["goal"] is None  # of the full size only
        assert 0 < figure["value"] < math.inf
        other = figure["alternative_value"]
        if other is not None:
            more = figure["unit"] in ("images/s", "G multiply-adds/s")
            assert figure["ratio"] == pytest.approx(figure["value"] / other if more else other / figure["value"])
    assert all(row[3] != "-" for row in rows)
