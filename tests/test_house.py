"""What README and CONTRIBUTING say of the house is so, and what runs elsewhere runs the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tasnlib

ROOT = Path(__file__).parent.parent
TEXTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
MAKEFILE = (ROOT / "Makefile").read_text()


def named_paths(text: str) -> list[str]:
    """Everything in backticks, or behind a link, that looks like a file or folder of this project."""
    quoted = re.findall(r"`([\w./-]+)`", text) + re.findall(r"\]\(([\w./-]+)\)", text)
    return [name for name in quoted if name.endswith((".py", ".md", ".ipynb", ".png", ".yml", ".txt", ".toml", "/"))]


@pytest.mark.parametrize("name", TEXTS)
def test_files_that_a_text_names_exist(name):
    folders = [ROOT, ROOT / "tasnlib", ROOT / "tasnlib" / "ablations", ROOT / "benchmarks"]
    found = [one for one in named_paths((ROOT / name).read_text()) if not one.startswith(("runs/", "my"))]
    made = {"out.ipynb", "settings.json", "train/", "test/", "figures/"}  # by a run, or by the reader
    missing = [one for one in found if one not in made and not any((folder / one).exists() for folder in folders)]
    assert found or name == "CHANGELOG.md"
    assert missing == []


@pytest.mark.parametrize("name", TEXTS)
def test_targets_that_a_text_names_exist(name):
    targets = set(re.findall(r"`make ([a-z-]+)", (ROOT / name).read_text()))
    assert targets <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))


def test_the_library_s_files_are_all_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    modules = [path.name for path in (ROOT / "tasnlib").glob("*.py") if path.name != "__init__.py"]
    assert [name for name in modules if f"`{name}`" not in readme and f"/{name}`" not in readme] == []


def test_the_workflow_runs_what_ci_runs_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    steps = workflow["jobs"]["pinned"]["steps"]
    assert any(step.get("run") == "bash .ci/run" for step in steps)
    assert workflow["jobs"]["pinned"]["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert workflow[True]["schedule"][0]["cron"].endswith("* * 1")  # YAML reads "on" as True
    oldest = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    assert f"torch=={oldest}.*" in (ROOT / ".github/workflows/test.yml").read_text()


def test_advisories_are_looked_up_every_week_by_the_command_that_is_written_down():
    (job,) = [job for job in yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"].values()
              if any("pip-audit" in step.get("run", "") for step in job["steps"])]  # fmt: skip
    assert job["if"] == "github.event_name == 'schedule'"
    assert f"`{job['steps'][-1]['run']}`" in (ROOT / "CONTRIBUTING.md").read_text()
    assert job["steps"][-1]["run"].endswith("--require-hashes --requirement requirements.txt")


def test_issue_templates_ask_for_something():
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        assert form["name"]
        assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_the_public_names_are_there_few_and_told():
    assert len(tasnlib.__all__) <= 12
    for name in tasnlib.__all__:
        assert getattr(tasnlib, name) is not None
        assert name in dir(tasnlib)
        assert f"`{name}`" in tasnlib.__doc__
    with pytest.raises(AttributeError, match="has no attribute 'attention_samples'; it has load"):
        _ = tasnlib.attention_samples


def test_the_bare_import_loads_no_torch_and_what_trains_needs_no_jupyter():
    heavy = "{'torch', 'IPython', 'ipywidgets', 'papermill', 'nbformat', 'matplotlib', 'seaborn'} & set(sys.modules)"
    for modules, allowed in (("tasnlib", "set()"), ("tasnlib, tasnlib.runs.run", "{'torch'}")):
        code = f"import sys, {modules}; found = {heavy}; assert found <= {allowed}, found"
        subprocess.run([sys.executable, "-c", code], check=True)
