"""The mutation testing of `make mutants` itself, on a file of four lines. In a process of its own, because it forks."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import mutants_of

LARGER = '''def larger(a: int, b: int) -> int:
    """The larger one."""
    return a if a > b else b
'''
ITS_TEST = "from steps import larger\n\n\ndef test_larger():\n    assert (larger(1, 2), larger(2, 1)) == (2, 2)\n"
SCRIPT = """
import json
from pathlib import Path
from tests.mutants import judge, mutants_of, verdict

path, tests = Path("library/steps.py").resolve(), ["library/steps.py", "checks/test_steps.py"]
found = {mutant.change: said for mutant, said in judge(path, [tests], mutants_of(path))}
found["an endless loop"] = verdict(path, "while True:\\n    pass", tests, 3)
found["a file that exits"] = verdict(path, "raise SystemExit(0)", tests, 60)
print(json.dumps(found))
"""


def in_a_new_process(folder: Path, test: str) -> subprocess.CompletedProcess:
    for name, text in (("library/steps.py", LARGER), ("checks/test_steps.py", test)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    return subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def reachable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))


def test_one_mutant_is_killed_and_one_survives(tmp_path):
    ran = in_a_new_process(tmp_path, ITS_TEST)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "return a if a > b else b → pass": "killed",
        "a > b → a <= b": "killed",
        "a > b → a >= b": "survived",  # no test can see it: of two equal numbers either is the larger one
        "an endless loop": "timed out",
        "a file that exits": "killed",
    }
    assert (tmp_path / "library/steps.py").read_text() == LARGER


@pytest.mark.parametrize(("test", "told"), [("def test_no(): assert False", "right first"), ("", "no test ran")])
def test_tests_that_cannot_tell_are_refused(tmp_path, test, told):
    ran = in_a_new_process(tmp_path, test)
    assert ran.returncode == 1
    assert told in ran.stderr


def test_what_is_not_changed_stays_on_its_line(tmp_path):
    text = "def f(x):\n    return g(\n        # why\n        x[1:],\n        2,\n    )\n\nf(é,\n  dim=1)\nlast = 1\n"
    (tmp_path / "lines.py").write_text(text)
    mutants = mutants_of(tmp_path / "lines.py")
    assert len(mutants) > 10
    for mutant in mutants:
        ast.parse(mutant.source)
        assert mutant.source.count("\n") == text.count("\n")
        assert mutant.source.splitlines()[9] in ("last = 1", "last = (2)", "last = (0)", "pass")


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("x = 3", ["x = 3 → pass", "3 → 4", "3 → 2"]),
        ("f(x, dim=1)", ["dim=1 → dim=2", "dim=1 → dim=0", "f(x, dim=1) → f(x)", "f(x, dim=1) → x"]),
        ("f(0.5)", ["f(0.5) → f(1.5)", "f(0.5) → f(-0.5)"]),
        ("y = x.floor()", ["x.floor() → x", "x.floor → x.ceil"]),
        ("x.clamp_min(y)", ["x.clamp_min → x.clamp_max"]),
        ("x.amax", ["x.amax → x.mean"]),
        ("x = -y", ["-y → y"]),
        ("x[y:]", ["y: → :"]),
        ("x and y", ["x and y → x or y"]),
        ("if x:\n    y = True", ["x → not x", "y = True → pass", "True → False"]),
        ("if a < b: c", ["a < b → a <= b", "a < b → a >= b"]),
        ("@checked\ndef f(x: int = 0) -> Int[Tensor, 'b 3']:\n    'told'", ["checked → (dropped)", "0 → 1"]),
        ("x = 'cpu'", ["'cpu' → ''"]),
        ("import x\nraise ValueError(f'{x + 1} is bad')", ["raise ValueError(f'{x + 1} is bad') → pass"]),
        ("assert x, 'a text for people'", []),
    ],
)
def test_what_is_changed_and_what_is_left_alone(tmp_path, line, changes):
    (tmp_path / "line.py").write_text(line)
    found = [mutant.change for mutant in mutants_of(tmp_path / "line.py")]
    assert set(changes) <= set(found)
    told = ("int", "Int", "told", "text", "import")
    assert not any(word in change.split("→")[1] for change in found for word in told)
