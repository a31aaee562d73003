"""The first cell of every notebook: silent where the course is installed; elsewhere a sentence, or an installation."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from data_scripts.first_cell import ROOT, first_cell, tomllib, with_first_cell

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PUBLISHED = first_cell({**PROJECT, "urls": {"Repository": "https://example.org/tasn"}})
COURSE = "tasnlib[notebooks] @ git+https://example.org/tasn"
NOTEBOOKS = [path for path in sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")) if path.parent.name[0] != "."]
HOSTED = {"Colab": "COLAB_RELEASE_TAG", "Kaggle": "KAGGLE_KERNEL_RUN_TYPE"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_notebook_begins_with_it_below_its_title(path):
    title, cell, *_ = nbformat.read(path, as_version=4).cells
    assert title.source.startswith("# ")
    assert cell.source == first_cell(PROJECT), "run data_scripts/first_cell.py"
    assert (cell.execution_count, cell.outputs) == (1, [])


def test_here_it_does_nothing(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it installs"))
    exec(PUBLISHED, {})
    assert capsys.readouterr() == ("", "")


# -- Where nothing is installed ----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path):
    """Runs a cell in a Python without packages, but with a pip that notes what it is asked for, and a torch by name."""

    def run(cell: str, torch: str = "2.12.0+cu128", **environment: str) -> tuple[list[str] | None, str]:
        (tmp_path / f"torch-{torch}.dist-info").mkdir()
        (tmp_path / f"torch-{torch}.dist-info" / "METADATA").write_text(f"Name: torch\nVersion: {torch}\n")
        (tmp_path / "pip.py").write_text(
            "import json, pathlib, sys; (pathlib.Path(__file__).parent / 'asked').write_text(json.dumps(sys.argv[1:]))"
        )
        (tmp_path / "notebook").mkdir()
        kept = {name: value for name, value in os.environ.items() if name not in HOSTED.values()}
        done = subprocess.run(
            [sys.executable, "-S", "-c", cell],
            cwd=tmp_path / "notebook",
            env={**kept, "PYTHONPATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
        )
        assert done.stdout == ""
        asked = tmp_path / "asked"
        return json.loads(asked.read_text()) if asked.is_file() else None, done.stderr.strip().rpartition("\n")[2]

    return run


def test_where_the_course_is_missing_it_says_in_one_sentence_what_to_run(elsewhere):
    asked, sentence = elsewhere(PUBLISHED)
    assert asked is None
    assert sentence.startswith(
        "ModuleNotFoundError: tasnlib is missing: choose the kernel of the project's .venv, or run"
    )
    assert f'%pip install "{COURSE}"' in sentence


@pytest.mark.parametrize("host", HOSTED)
def test_colab_and_kaggle_install_it_and_keep_a_recent_torch(elsewhere, host):
    assert elsewhere(PUBLISHED, **{HOSTED[host]: "yes"}) == (["install", "--quiet", COURSE, "torch==2.12.0+cu128"], "")


@pytest.mark.parametrize(
    ("torch", "kept"), [("2.11.0", True), ("3.0.1", True), ("2.10.2+cu126", False), ("2.9", False)]
)
def test_a_torch_that_is_too_old_is_not_kept(elsewhere, torch, kept):
    asked, _ = elsewhere(PUBLISHED, torch, COLAB_RELEASE_TAG="yes")
    assert asked == ["install", "--quiet", COURSE, *([f"torch=={torch}"] if kept else [])]


def test_without_an_address_it_says_so_everywhere_until_the_folder_is_put_in(elsewhere):
    unpublished = first_cell({**PROJECT, "urls": {}})
    asked, sentence = elsewhere(unpublished, COLAB_RELEASE_TAG="yes")
    assert asked is None
    assert '%pip install "PROJECT[notebooks]"' in sentence


def test_with_the_folder_put_in_colab_installs_from_there(elsewhere):
    edited = first_cell({**PROJECT, "urls": {}}).replace('"PROJECT[', '"/content/tasn[')
    asked, _ = elsewhere(edited, COLAB_RELEASE_TAG="yes")
    assert asked == ["install", "--quiet", "/content/tasn[notebooks]", "torch==2.12.0+cu128"]


# -- Writing it into notebooks -----------------------------------------------------------------------------------------


def test_a_new_cell_shifts_the_counts_as_a_run_would():
    book = new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            new_code_cell("a = 1", execution_count=1),
            new_code_cell("a", execution_count=2, outputs=[new_output("execute_result", execution_count=2)]),
        ]
    )
    _, first, second, third = with_first_cell(book, PUBLISHED).cells
    assert [cell.execution_count for cell in (first, second, third)] == [1, 2, 3]
    assert third.outputs[0].execution_count == 3
    again = with_first_cell(book, "new " + PUBLISHED)
    assert [cell.source for cell in again.cells[1:]] == ["new " + PUBLISHED, "a = 1", "a"]


def test_what_the_notebooks_import_is_in_the_extra_that_it_installs():
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["train"], *extras["notebooks"]]
    installed = {re.split(r"[^\w-]", line)[0] for line in lines} | {"tasnlib", "PIL"}  # PIL is pillow
    books = [nbformat.read(path, as_version=4) for path in NOTEBOOKS]
    code = [cell.source for book in books for cell in book.cells if cell.cell_type == "code"]
    for room in ("plots", "widgets", "exercises"):
        for path in (ROOT / "tasnlib" / "course" / room).glob("*.py"):
            if path.stem != "solutions":  # a command that writes notebooks
                code.append(path.read_text(encoding="utf-8"))
    imported = set(re.findall(r"^(?:from|import) (\w+)", "\n".join(code), re.M)) - set(sys.stdlib_module_names)
    assert imported - installed == {"IPython", "traitlets"}  # Jupyter's and ipywidgets' own
