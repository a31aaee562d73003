"""The command that runs a notebook: refuses early, fails loudly, ends with what the notebook printed last."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tasnlib.course import headless as command
from tasnlib.runs.run_folder import this_python

PARAMETERS = "# as usual\nseed = 0\nepochs = None\nresume = False\nrecipe = 'laptop'"
CELLS = [
    "from tasnlib.runs.settings import Settings\nsettings = Settings.from_cells(In)",
    "import sys\nprint('to stderr', file=sys.stderr)",
    "print(settings.seed, settings.epochs, settings.resume, settings.recipe)\nprint('last line')",
    "settings.seed",
]


@pytest.fixture
def notebook(tmp_path) -> Path:
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), *map(new_code_cell, CELLS)]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "small.ipynb")
    return tmp_path / "small.ipynb"


@pytest.fixture
def no_execution(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("was executed, where it should have been refused")

    monkeypatch.setattr(papermill, "execute_notebook", refuse)


def run(*arguments) -> int:
    return command.main([str(argument) for argument in arguments])


# -- Refused before anything starts ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_execution")
def test_an_unknown_parameter_is_refused_before_anything_runs(notebook, tmp_path, capsys):
    assert run(notebook, tmp_path / "new" / "out.ipynb", "-p", "seed", 1, "-p", "seeed", 1) == 2
    shown = capsys.readouterr()
    assert "no parameter 'seeed'. Did you mean 'seed'?" in shown.err
    assert all(name in shown.err for name in ("seed", "epochs", "resume", "recipe"))
    assert shown.out == ""
    assert not (tmp_path / "new").exists()


def test_an_unknown_parameter_is_the_exit_code_of_the_command(notebook):
    arguments = [sys.executable, "-m", "tasnlib.course.headless", str(notebook), "-p", "seeed", "1"]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: there is no parameter 'seeed'.")
    assert ended.stdout == ""


@pytest.mark.usefixtures("no_execution")
def test_a_missing_notebook_is_refused(tmp_path, capsys):
    assert run(tmp_path / "nowhere.ipynb") == 2
    assert "nowhere.ipynb" in capsys.readouterr().err


@pytest.mark.usefixtures("no_execution")
def test_a_file_that_is_no_notebook_is_refused(tmp_path, capsys):
    (tmp_path / "text.ipynb").write_text("no notebook")
    assert run(tmp_path / "text.ipynb") == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize(
    ("output", "told"),
    [(".", "is a folder; name another"), ("small.ipynb", "is the notebook itself"), ("file/out.ipynb", "file")],
)
def test_a_place_where_nothing_can_be_written_is_told_before_anything_runs(notebook, tmp_path, output, told, capsys):
    (tmp_path / "file").touch()
    before = notebook.read_bytes()
    assert run(notebook, tmp_path / output) == 2
    assert told in capsys.readouterr().err.removeprefix("error: ")
    assert notebook.read_bytes() == before


@pytest.mark.usefixtures("no_execution")
def test_a_notebook_without_parameters_says_so(tmp_path, capsys):
    nbformat.write(new_notebook(cells=[new_code_cell("print(1)")]), tmp_path / "plain.ipynb")
    assert run(tmp_path / "plain.ipynb", "-p", "seed", 1) == 2
    assert "there is no parameter 'seed': this notebook has none" in capsys.readouterr().err


def test_nothing_is_refreshed_where_one_of_them_is_not_there(notebook, tmp_path, capsys):
    before = notebook.read_bytes()
    assert run("--refresh", notebook, tmp_path / "nowhere.ipynb") == 2
    assert f"error: there is no notebook at {tmp_path / 'nowhere.ipynb'}" in capsys.readouterr().err
    assert notebook.read_bytes() == before


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize("arguments", [[], ["small.ipynb", "-p", "seed"], ["small.ipynb", "out.ipynb", "more"]])
def test_a_command_that_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.usefixtures("no_execution")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["-p", "epochs=3"], "-p epochs 3\n"),
        (["-p", "seed", "1", "-p", "data_folder=a b"], "-p data_folder a b\n"),
        (["out.ipynb", "-p", "data_folder", "my", "birds"], "what is birds? A value with spaces in it needs quotes"),
    ],
)
def test_a_slip_of_the_keyboard_is_told_how_it_is_written(notebook, given, told, capsys):
    with pytest.raises(SystemExit):
        run(notebook, *given)
    assert told in capsys.readouterr().err


# -- Run for real ------------------------------------------------------------------------------------------------------


def test_parameters_arrive_folders_are_made_and_the_last_line_comes_last(notebook, tmp_path, capfd):
    output = tmp_path / "new" / "folder" / "out.ipynb"
    given = ["-p", "seed", 7, "-p", "epochs", 3, "-p", "recipe", "smoke", "-p", "resume", "False"]
    assert run(notebook, output, *given) == 0
    shown, warned = capfd.readouterr()
    assert "encrypt" not in warned
    assert "7 3 False smoke\n" in shown
    assert f"executed notebook: {output}\n" in shown
    assert shown.endswith("\nlast line\n")
    executed = nbformat.read(output, 4)
    assert executed.cells[-1].outputs[0].data["text/plain"] == "7"


def test_an_error_in_a_cell_is_exit_code_1_and_named(notebook, tmp_path, capfd):
    # A bad value is found by the notebook's own check, in the kernel.
    output = tmp_path / "out.ipynb"
    assert run(notebook, output, "-p", "epochs", "three") == 1
    error = capfd.readouterr().err.splitlines()[-1]
    assert "ValueError: epochs is 'three'; it must be a whole number" in error
    assert str(output) in error
    assert "epochs is 'three'" in output.read_text()


def test_refreshing_writes_a_notebook_back_executed_and_does_so_twice_alike(tmp_path, capsys):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "data.txt").write_text("found")
    path = tmp_path / "beside" / "small.ipynb"
    cells = [new_code_cell("from pathlib import Path"), new_code_cell("print(Path('data.txt').read_text())\nprint(3)")]
    nbformat.write(new_notebook(cells=cells), path)
    assert run("--refresh", path) == 0
    executed = nbformat.read(path, 4)
    assert [cell.execution_count for cell in executed.cells] == [1, 2]
    assert [output.text for output in executed.cells[1].outputs] == ["found\n3\n"]
    before = path.read_text()
    assert run("--refresh", path) == 0
    assert path.read_text() == before


# -- The last line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["epoch 1\n", '{"a": 1}\n'], "epoch 1\n"),
        (['{"a": ', "1}", "\n", "\n"], ""),
        (['{"a": 1}\n', "more\n"], '{"a": 1}\nmore\n'),
        (['{"a": 1}\n{"b": 2}\n'], '{"a": 1}\n'),
        (["50 %", " {done}\n"], "50 % {done}\n"),
    ],
)
def test_what_is_printed_is_shown_at_once_but_for_the_result(pieces, shown, capsys):
    """The result is shown once, at the end: `test_a_result_is_told_in_words_and_stays_the_last_line`."""
    out = command._ShownAtOnce()
    for piece in pieces:
        out.write(piece)
    assert capsys.readouterr().out == shown


@pytest.fixture
def printing(monkeypatch, notebook):
    """A notebook that printed these (name, text) streams, without a kernel."""

    def run_it(*streams) -> str:
        cells = [new_code_cell("", outputs=[new_output("stream", name=name, text=text)]) for name, text in streams]
        monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: new_notebook(cells=cells))
        return command.run_notebook(notebook, notebook.with_name("out.ipynb"), {})

    return run_it


def test_the_last_line_is_the_last_of_stdout_that_is_not_empty(printing):
    assert printing(("stdout", "a\nb\n"), ("stdout", "c\n\n"), ("stderr", "warning\n")) == "c"
    assert printing(("stdout", "in two "), ("stdout", "cells\n")) == "in two cells"
    assert printing(("stdout", "only")) == "only"
    assert printing(("stderr", "only a warning")) == ""
    assert printing() == ""


@pytest.mark.parametrize(("plain", "words"), [(0.25, "25.0 %"), (None, "not run")])
def test_a_result_is_told_in_words_and_stays_the_last_line(notebook, monkeypatch, capsys, plain, words):
    line = json.dumps({"checkpoint": "runs/one/tasn.safetensors", "accuracy": {"master": 0.987, "downsampled": plain}})
    monkeypatch.setattr(command, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    shown = capsys.readouterr().out
    assert "runs/one/tasn.safetensors\n" in shown
    assert "98.7 %" in shown
    assert words in shown
    assert shown.splitlines()[-1] == line


@pytest.mark.parametrize(("right", "guessing"), [(0.167, True), (0.45, True), (0.6, False)])
def test_a_result_that_may_be_guessed_is_called_so(notebook, monkeypatch, capsys, right, guessing):
    accuracy = {"master": right, "downsampled": None, "chance": 0.25}
    line = json.dumps({"checkpoint": "runs/one/tasn.safetensors", "test_images": 12, "accuracy": accuracy})
    monkeypatch.setattr(command, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    shown = capsys.readouterr().out
    told = "on 12 test images, that is not told apart from guessing (25.0 %): take more images, or more epochs"
    assert (told in shown) == guessing


def test_the_command_that_goes_on_is_one_that_can_be_typed(tmp_path, monkeypatch):
    """Typed in the project's folder, where `.venv` is not on the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/05_train_full.ipynb").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert this_python() == ".venv/bin/python"
    monkeypatch.setattr(sys, "executable", "/elsewhere/bin/python")
    assert this_python() == "/elsewhere/bin/python"
    monkeypatch.setattr(shutil, "which", lambda _: "/elsewhere/bin/python")
    assert this_python() == "python"


@pytest.mark.parametrize("line", ["", "3", "null", "[]", '{"accuracy": 3}', "{", "text"])
def test_any_other_last_line_is_printed_as_it_is(notebook, monkeypatch, capsys, line):
    monkeypatch.setattr(command, "run_notebook", lambda *_: line)
    assert run(notebook, notebook.with_name("out.ipynb")) == 0
    shown = capsys.readouterr().out
    assert shown.endswith(f"out.ipynb\n{line}\n")
