"""No notebook prints a negative zero: its sign hangs on rounding, which differs between processors."""

import re
from pathlib import Path

import nbformat

from tasnlib.research.ablations.tables import Row, as_text

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("*.ipynb"))
NEGATIVE_ZERO = re.compile(r"(?<![\w.-])-0(?:\.0*)?(?![\d.]|\w)")


def printed(output) -> str:
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")


def test_no_output_of_a_notebook_holds_a_negative_zero():
    found = []
    for notebook in NOTEBOOKS:
        cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
        lines = "\n".join(printed(output) for cell in cells for output in cell.outputs).splitlines()
        found += [f"{notebook.name}: {line}" for line in lines if NEGATIVE_ZERO.search(line)]
    assert found == []
    assert len(NOTEBOOKS) > 7  # and their solutions


def test_a_table_of_the_ablations_holds_none():
    rows = [Row("a", (50.0, 60.0), (), {}, 10**6, 5.0), Row("b", (49.99, 59.99), (), {}, 10**6, 5.0)]
    assert "+0.0 ± 0.0" in as_text(rows, reference="a")


def test_the_pattern_finds_negative_zeros_and_nothing_else():
    assert all(NEGATIVE_ZERO.search(text) for text in ("x -0.0", "-0", "[-0.00, 1]", "tensor(-0.)"))
    assert not any(NEGATIVE_ZERO.search(text) for text in ("-0.1", "1-0", "-0.05", "0.0", "2024-01-0", "-00x"))
