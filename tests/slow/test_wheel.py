"""A wheel carries what the notebooks load, so they run where nothing of the project is but the installed package."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tasnlib.course.headless import CLIENT

PROJECT = Path(__file__).parents[2]
SAVED = tuple(f"notebooks/{name}" for name in ("saved_run", "ablations", "photographs", "high_resolution"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp("wheel") / "source"  # a copy, because building leaves folders behind
    for name in ("tasnlib", *SAVED):
        shutil.copytree(PROJECT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", str(source.parent), str(source)], check=True)
    (path,) = source.parent.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel) -> Path:
    """A folder with the package and nothing else of the project."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(wheel.parent / "installed")
    return wheel.parent / "installed"


def test_the_wheel_carries_the_saved_results_and_no_more(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    code = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tasnlib").rglob("*.py")}
    saved = {
        f"tasnlib/{path.relative_to(PROJECT).as_posix()}"
        for folder in SAVED
        for path in (PROJECT / folder).rglob("*.*")
    }
    assert code | saved | {"tasnlib/py.typed"} <= names
    assert {name for name in names if not name.startswith("tasnlib/")} == set()
    assert wheel.stat().st_size < 5_000_000


def test_pip_installs_what_the_first_cell_asks_for_and_leaves_torch_alone(wheel, tmp_path):
    """Nothing is installed, nothing is fetched: all that the extra needs is here."""
    course, torch = f"tasnlib[notebooks] @ {wheel.as_uri()}", f"torch=={metadata.version('torch')}"
    ask = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet", "--report", "report.json"]
    subprocess.run([*ask, course, torch], cwd=tmp_path, check=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert [one["metadata"]["name"] for one in report["install"]] == ["tasnlib"]


def executed(notebook: str, cells: int, folder: Path, installed: Path) -> list:
    """The first code cells of a notebook, run in this folder, where the package is installed."""
    book = nbformat.read(PROJECT / "notebooks" / f"{notebook}.ipynb", as_version=4)
    book.cells = [cell for cell in book.cells if cell.cell_type == "code"][:cells]
    client = NotebookClient(book, timeout=None, resources={"metadata": {"path": str(folder)}}, **CLIENT)
    client.execute(env={**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"})
    return book.cells


def test_notebook_07_runs_in_another_folder_from_the_installed_package(installed, tmp_path):
    where, *_, last = executed("07_explore", 4, tmp_path, installed)
    assert where.outputs == []
    assert last.outputs[0].text.startswith("16 classes, such as")
    assert list(tmp_path.iterdir()) == []


def test_the_results_of_the_ablations_are_found_too(installed, tmp_path):
    program = (
        "import tasnlib; from tasnlib.research.ablations.tables import open_study; "
        "print(tasnlib.__file__); open_study('laptop')"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [str(installed / "tasnlib" / "__init__.py")]  # nothing was trained
    assert list(tmp_path.iterdir()) == []
