"""The comparison of bfloat16 with float32."""

import json

import pytest

from benchmarks.precision import main as main_of_precision


def test_comparison_is_paired(tmp_path, capsys):
    main_of_precision(["--profile", "smoke", "--folder", str(tmp_path), "--json", str(tmp_path / "figures.json")])
    found = json.loads((tmp_path / "figures.json").read_text())
    for dataset in ("easy", "hard"):
        both = found[dataset]
        difference = both["bfloat16"]["accuracies"][0] - both["float32"]["accuracies"][0]
        assert both["difference"]["mean"] == pytest.approx(difference)
        assert not both["significant"]
    assert "hard birds" in capsys.readouterr().out
