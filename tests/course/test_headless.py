"""The command that runs a notebook: rejects early, fails loudly, ends with what the notebook printed last."""

import json
import re
import shlex
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbconvert import ScriptExporter
from nbformat.v4 import new_code_cell, new_notebook

from tasnlib.course import headless
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings

PARAMETERS = "# as usual\nseed = 0\nepochs = None\nresume = False\nrecipe = 'laptop'\nfolder: str = None"
CELLS = [
    "import sys\nprint('to stderr', file=sys.stderr)",
    "print(seed, epochs, resume, recipe, folder)\nassert seed >= 0, 'seed must be from 0 up'\nprint('last line')",
    "sys.executable",
]
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").rglob("*.ipynb"))


@pytest.fixture
def notebook(tmp_path) -> Path:
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), *map(new_code_cell, CELLS)]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "small.ipynb")
    return tmp_path / "small.ipynb"


@pytest.fixture
def no_execution(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("was executed, where it should have been rejected")

    monkeypatch.setattr(papermill, "execute_notebook", fail)


def run(*arguments) -> int:
    return headless.main([str(argument) for argument in arguments])


# -- Rejected before anything starts -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_execution")
def test_an_unknown_parameter_is_rejected_before_anything_runs(notebook, tmp_path, capsys):
    assert run(notebook, tmp_path / "new" / "out.ipynb", "-p", "seed", 1, "-p", "seeed", 1) == 2
    shown = capsys.readouterr()
    assert "no parameter 'seeed'. Did you mean 'seed'?" in shown.err
    assert all(name in shown.err for name in ("seed", "epochs", "resume", "recipe"))
    assert shown.out == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize("content", [None, "no notebook"])
def test_what_is_no_notebook_is_rejected(tmp_path, capsys, content):
    if content:
        (tmp_path / "text.ipynb").write_text(content)
    assert run(tmp_path / "text.ipynb") == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize(
    ("output", "message"),
    [(".", "is a folder; name another"), ("small.ipynb", "is the notebook itself"), ("file/out.ipynb", "file")],
)
def test_an_unwritable_output_is_rejected_before_anything_runs(notebook, tmp_path, output, message, capsys):
    (tmp_path / "file").touch()
    before = notebook.read_bytes()
    assert run(notebook, tmp_path / output) == 2
    assert message in capsys.readouterr().err.removeprefix("error: ")
    assert notebook.read_bytes() == before


@pytest.mark.usefixtures("no_execution")
def test_a_notebook_of_somebody_is_not_overwritten(notebook, tmp_path, capsys):
    other = tmp_path / "answers.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("my_answer = 3")]), other)
    before = other.read_bytes()
    assert run(notebook, other) == 2
    assert "answers.ipynb exists, and is no output of this command; name another" in capsys.readouterr().err
    assert other.read_bytes() == before


@pytest.mark.usefixtures("no_execution")
def test_a_notebook_without_parameters_says_so(tmp_path, capsys):
    nbformat.write(new_notebook(cells=[new_code_cell("print(1)")]), tmp_path / "plain.ipynb")
    assert run(tmp_path / "plain.ipynb", "-p", "seed", 1) == 2
    assert "there is no parameter 'seed'. This notebook has no parameters" in capsys.readouterr().err


def test_nothing_is_refreshed_where_one_of_them_is_missing(notebook, tmp_path, capsys):
    before = notebook.read_bytes()
    assert run("--refresh", notebook, tmp_path / "nowhere.ipynb") == 2
    assert f"error: there is no notebook at {tmp_path / 'nowhere.ipynb'}" in capsys.readouterr().err
    assert notebook.read_bytes() == before


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["-p", "epochs=3"], "-p epochs 3\n"),
        (["-p", "seed"], "expected 2 arguments"),
        (["out.ipynb", "-p", "folder", "my", "birds"], "unrecognized: birds; values with spaces need quotes"),
    ],
)
def test_a_typing_slip_shows_how_it_is_written(notebook, given, message, capsys):
    with pytest.raises(SystemExit) as ended:
        run(notebook, *given)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# -- Parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["007", "2024_11", "20261128", "True", "1e3", "my run"])
def test_folders_named_like_numbers_stay_text(notebook, name):
    assert headless.values_of(notebook, [["folder", name], ["recipe", name]], []) == {"folder": name, "recipe": name}
    assert headless.values_of(notebook, [], [["seed", name]]) == {"seed": name}


def test_other_values_are_read_as_papermill_reads_them(notebook):
    given = [["seed", "7"], ["epochs", "None"], ["resume", "True"], ["folder", "None"]]
    assert headless.values_of(notebook, given, []) == {"seed": 7, "epochs": None, "resume": True, "folder": None}


def test_the_text_parameters_of_notebook_05_are_declared_as_text():
    given = [
        [name, "007"] for name in ("data_folder", "output_folder", "weights", "backbone", "attention_trunk", "track")
    ]
    notebook = next(path for path in NOTEBOOKS if path.name.startswith("05"))
    assert headless.values_of(notebook, given, []) == dict(given)
    assert headless.values_of(notebook, [["epochs", "3"]], []) == {"epochs": 3}


# -- Run for real ------------------------------------------------------------------------------------------------------


def test_parameters_arrive_and_the_kernel_is_this_python(notebook, tmp_path, capfd, monkeypatch):
    """Although another Python's kernel is found first."""
    other = {"argv": ["false"], "display_name": "another Python", "language": "python"}
    (tmp_path / "share" / "kernels" / "python3").mkdir(parents=True)
    (tmp_path / "share" / "kernels" / "python3" / "kernel.json").write_text(json.dumps(other))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    output = tmp_path / "new" / "folder" / "out.ipynb"
    given = [
        "-p",
        "seed",
        7,
        "-p",
        "epochs",
        3,
        "-p",
        "recipe",
        "smoke",
        "-p",
        "resume",
        "False",
        "-p",
        "folder",
        "007",
    ]
    assert run(notebook, output, *given) == 0
    shown, warned = capfd.readouterr()
    assert "encrypt" not in warned
    assert "7 3 False smoke 007\n" in shown
    assert f"executed notebook: {output}\n" in shown
    assert shown.endswith("\nlast line\n")
    assert nbformat.read(output, 4).cells[-1].outputs[0].data["text/plain"] == repr(sys.executable)


def test_an_error_in_a_cell_is_exit_code_1_and_named(notebook, tmp_path, capfd):
    output = tmp_path / "out.ipynb"
    assert run(notebook, output, "-p", "seed", -1) == 1
    error = capfd.readouterr().err.splitlines()[-1]
    assert "AssertionError: seed must be from 0 up" in error
    assert str(output) in error
    assert "seed must be from 0 up" in output.read_text()


def test_a_kernel_that_dies_is_reported_in_a_sentence(tmp_path, capfd):
    path = tmp_path / "deadly.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("import os\nos._exit(1)")]), path)
    assert run(path, tmp_path / "out.ipynb") == 1
    error = capfd.readouterr().err
    assert "error: the kernel died or never started" in error
    assert "Traceback" not in error


def test_refreshing_twice_gives_the_same_file_that_converts_to_a_script(tmp_path, capsys):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "data.txt").write_text("found")
    path = tmp_path / "beside" / "small.ipynb"
    cells = [new_code_cell("from pathlib import Path"), new_code_cell("print(Path('data.txt').read_text())\nprint(3)")]
    nbformat.write(new_notebook(cells=cells), path)
    assert run("--refresh", path) == 0
    executed = nbformat.read(path, 4)
    assert [cell.execution_count for cell in executed.cells] == [1, 2]
    assert [output.text for output in executed.cells[1].outputs] == ["found\n3\n"]
    assert ScriptExporter().from_filename(str(path))[1]["output_extension"] == ".py"
    before = path.read_text()
    assert run("--refresh", path) == 0
    assert path.read_text() == before


def test_every_committed_notebook_converts_to_a_python_script():
    kinds = {path.name: ScriptExporter().from_filename(str(path))[1]["output_extension"] for path in NOTEBOOKS}
    assert set(kinds.values()) == {".py"}, kinds


def test_after_ctrl_c_the_command_that_continues_is_valid_in_any_folder(tmp_path, monkeypatch, capsys):
    def interrupted(notebook, output, parameters):
        prepare_folder(Settings(**parameters, output_folder="runs/birds one"))
        raise KeyboardInterrupt

    (tmp_path / "notebooks").mkdir()
    notebook = tmp_path / "notebooks/05_train_full.ipynb"
    cell = new_code_cell("seed = 0\ndata_folder: str = None", metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": headless.KERNEL}), notebook)
    (tmp_path / "runs/earlier").mkdir(parents=True)
    (tmp_path / "runs/earlier/settings.json").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headless, "run_notebook", interrupted)
    assert run("notebooks/05_train_full.ipynb", "out.ipynb", "-p", "seed", 3, "-p", "data_folder", "data") == 130
    command = shlex.split(re.search("To continue: .* -m tasnlib.course.headless (.*)", capsys.readouterr().err)[1])
    assert command[0] == str(notebook)
    given = dict(zip(command[2::3], command[3::3], strict=True))
    where = {"data_folder": str(tmp_path / "data"), "output_folder": str(tmp_path / "runs/birds one")}
    assert given == {"seed": "3", "resume": "True", **where}


def test_a_notebook_that_trains_nothing_is_only_stopped(notebook, monkeypatch, tmp_path, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headless, "run_notebook", interrupted)
    assert run(notebook, "out.ipynb") == 130
    assert capsys.readouterr().err.strip() == "stopped; the executed part is in out.ipynb"


# -- The last line -----------------------------------------------------------------------------------------------------


def test_output_is_shown_at_once_but_for_the_result(capsys):
    """Which the command ends with."""
    shown = headless.Printed()
    for text in ("epoch 1\n", '{"a": 1}\n', '{"dataset": "birds"}', "50 %", " {done}\n"):
        shown.write(text)
    assert capsys.readouterr().out == 'epoch 1\n{"a": 1}\n50 % {done}\n'


@pytest.mark.parametrize(
    ("pieces", "last"), [(["a\nb\n", "c\n\n"], "c"), (["in two ", "cells\n"], "in two cells"), ([], "")]
)
def test_the_last_line_is_the_last_of_stdout_that_is_not_empty(notebook, monkeypatch, pieces, last):
    def execute(*_, stdout_file, **__):
        for piece in pieces:
            stdout_file.write(piece)

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    assert headless.run_notebook(notebook, notebook.with_name("out.ipynb"), {}) == last


@pytest.mark.parametrize(("plain", "words"), [(0.25, "25.0 %"), (None, "not run")])
def test_a_result_is_shown_in_words_and_as_the_last_line(notebook, monkeypatch, capsys, plain, words):
    line = json.dumps({"checkpoint": "runs/one/tasn.safetensors", "accuracy": {"master": 0.987, "downsampled": plain}})
    monkeypatch.setattr(headless, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    shown = capsys.readouterr().out
    assert re.search(
        r"checkpoint: +runs/one/tasn\.safetensors\naccuracy: +TASN 98\.7 %, antialiased downsampling " + words, shown
    )
    assert shown.splitlines()[-1] == line


@pytest.mark.parametrize(("accuracy", "chance_level"), [(0.45, True), (0.6, False)])
def test_a_result_at_chance_level_is_called_so(notebook, monkeypatch, capsys, accuracy, chance_level):
    shares = {"master": accuracy, "downsampled": None, "chance": 0.25}
    line = json.dumps({"checkpoint": "runs/one/tasn.safetensors", "test_images": 12, "accuracy": shares})
    monkeypatch.setattr(headless, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    message = "on 12 test images, not significantly better than chance (25.0 %)"
    assert (message in capsys.readouterr().out) == chance_level


@pytest.mark.parametrize("line", ["", "3", "[]", '{"accuracy": 3}', "{", "text"])
def test_any_other_last_line_is_printed_unchanged(notebook, monkeypatch, capsys, line):
    monkeypatch.setattr(headless, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    assert capsys.readouterr().out.endswith(f"out.ipynb\n{line}\n")
