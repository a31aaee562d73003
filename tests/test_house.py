"""The layout and budgets of the library, and that texts, Makefile and workflow agree with it."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import tasnlib

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "tasnlib"
FILES = [path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py"]
TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)
MAKEFILE = (ROOT / "Makefile").read_text()
PAPER = ("attention.py", "sampler.py", "distillation.py", "model.py")
BUDGETS = {
    620: PAPER,
    4500: ("networks", "data", "training", "runs"),
    1500: ("research",),
    5200: ("course",),
}


def lines(path: Path) -> int:
    if path.is_dir():
        return sum(map(lines, path.rglob("*.py")))
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(("budget", "rooms"), BUDGETS.items(), ids=lambda value: str(value))
def test_budgets_of_lines(budget, rooms):
    assert sum(lines(LIBRARY / room) for room in rooms) <= budget


def test_no_file_is_over_250_lines():
    assert {str(path): lines(path) for path in FILES if lines(path) > 250} == {}


def test_no_two_files_have_the_same_name():
    names = Counter(path.name for path in FILES if path.name != "__main__.py")  # which is what Python wants
    assert [name for name, count in names.items() if count > 1] == []


def test_the_library_s_folder_shows_the_paper_first():
    assert set(PAPER) <= {path.name for path in LIBRARY.glob("*.py")}
    assert len(list(LIBRARY.glob("*.py"))) <= 6


def test_imports_run_one_way():
    command = str(Path(sys.executable).parent / "lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]


def named_paths(text: str) -> list[str]:
    """Everything in backticks or behind a link that looks like a file or folder of the project."""
    quoted = re.findall(r"`([\w./-]+)`", text) + re.findall(r"\]\(([\w./-]+)\)", text)
    return [name for name in quoted if name.endswith((".py", ".md", ".ipynb", ".png", ".yml", ".txt", ".toml", "/"))]


@pytest.mark.parametrize("name", TEXTS)
def test_texts_name_existing_files(name):
    folders = [ROOT, LIBRARY, ROOT / "benchmarks", ROOT / "docs"]
    text = (ROOT / name).read_text(encoding="utf-8")
    found = [one for one in named_paths(text) if not one.startswith(("runs/", "my"))]
    made = {"out.ipynb", "settings.json", "train/", "test/", "figures/"}  # by a run or the reader
    missing = [one for one in found if one not in made and not any((folder / one).exists() for folder in folders)]
    assert found or name != "README.md"
    assert missing == []


@pytest.mark.parametrize("name", TEXTS)
def test_texts_name_existing_targets(name):
    targets = set(re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8")))
    assert targets <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


def test_workflow_runs_ci_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    steps = workflow["jobs"]["pinned"]["steps"]
    assert any(step.get("run") == "bash .ci/run" for step in steps)
    assert workflow["jobs"]["pinned"]["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert workflow[True]["schedule"][0]["cron"].endswith("* * 1")  # YAML reads "on" as True
    oldest = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert f"torch=={oldest}.*" in (ROOT / ".github/workflows/test.yml").read_text()


def test_advisories_are_checked_weekly():
    (job,) = [job for job in yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"].values()
              if any("pip-audit" in step.get("run", "") for step in job["steps"])]  # fmt: skip
    assert job["if"] == "github.event_name == 'schedule'"
    assert f"`{job['steps'][-1]['run']}`" in (ROOT / "CONTRIBUTING.md").read_text()
    assert job["steps"][-1]["run"].endswith("--require-hashes --requirement requirements.txt")


def test_issue_templates_have_required_fields():
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        assert form["name"]
        assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_public_names():
    assert len(tasnlib.__all__) <= 12
    for name in tasnlib.__all__:
        assert getattr(tasnlib, name) is not None
        assert name in dir(tasnlib)
        assert f"`{name}`" in tasnlib.__doc__
    with pytest.raises(AttributeError, match="has no attribute 'attention_samples'; it has load"):
        _ = tasnlib.attention_samples


def test_importing_for_training_needs_no_jupyter():
    heavy = "{'IPython', 'ipywidgets', 'papermill', 'nbformat', 'matplotlib', 'seaborn'} & set(sys.modules)"
    code = f"import sys, tasnlib.runs.run; found = {heavy}; assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_readme_is_read_in_a_minute():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("name", ["README.md", "docs/sampler.md"])
def test_code_about_the_sampler_runs(name):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.S)
    of_sampler = [block for block in blocks if "tasnlib.load" not in block]
    assert of_sampler
    for block in of_sampler:
        exec(block, {})
