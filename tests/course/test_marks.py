"""Marks: noted only where a teacher wants them, never lost, and gathered in one table."""

import csv
import io
import json
import subprocess
import sys
import unicodedata

import pytest
import torch

from tasnlib.course.__main__ import COLUMNS, as_csv, gather, main
from tasnlib.course.exercises import BY_NOTEBOOK, EXERCISES, check, marks, record_marks
from tasnlib.course.exercises.marks import FOLDER, STUDENT, fingerprint


def named(name, function):
    def student(*arguments, **given):
        return function(*arguments, **given)

    student.__name__ = name
    return student


MARGIN = EXERCISES["margin"].solution
RIGHT = named("margin", lambda logits: MARGIN(logits))
WRONG = named("margin", lambda logits: logits.softmax(1).amax(1))
STUB = named("margin", lambda logits: ...)


@pytest.fixture(autouse=True)
def off(monkeypatch):
    """Marks are off, and nothing that a test switches on outlives it."""
    for variable in (FOLDER, STUDENT, "JUPYTERHUB_USER"):
        monkeypatch.setenv(variable, "")
    marks._waiting.clear()
    yield
    marks._waiting.clear()


def only_file(folder):
    (path,) = folder.glob("*.jsonl")
    return path


def lines(folder):
    return [json.loads(line) for line in only_file(folder).read_text(encoding="utf-8").splitlines()]


# -- A student's file -------------------------------------------------------------------------------------------------


def test_nothing_is_noted_by_default(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    check(WRONG)
    check(RIGHT)
    assert list(tmp_path.iterdir()) == []
    assert "mark" not in capsys.readouterr().out


def test_every_attempt_is_a_line_that_people_can_read(tmp_path):
    record_marks("Ada  Lovelace", tmp_path / "new" / "folder")
    for function in (STUB, WRONG, RIGHT):
        check(function)
    first, second = lines(tmp_path / "new" / "folder")  # a stub is no attempt
    assert only_file(tmp_path / "new" / "folder").name.startswith("ada-lovelace-")
    assert (first["student"], first["exercise"], first["right"]) == ("Ada Lovelace", "margin", False)
    assert first["mistake"] == "This is the probability of the best class. Subtract that of the second best."
    assert (second["right"], second["mistake"]) == (True, "")
    assert first["version"] == 1
    assert first["time"] <= second["time"]


def test_environment_variables_switch_it_on_for_a_whole_class(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("JUPYTERHUB_USER", "grace")
    check(RIGHT)
    assert lines(tmp_path)[0]["student"] == "grace"
    monkeypatch.setenv(STUDENT, "Grace Hopper")
    check(RIGHT)
    assert {path.name.rpartition("-")[0] for path in tmp_path.glob("*.jsonl")} == {"grace", "grace-hopper"}


def test_a_relative_folder_lies_in_the_project_wherever_the_notebook_runs(tmp_path, monkeypatch):
    (tmp_path / "notebooks" / "deeper").mkdir(parents=True)
    (tmp_path / "notebooks" / "05_train_full.ipynb").touch()
    monkeypatch.chdir(tmp_path / "notebooks" / "deeper")
    record_marks("Ada")
    check(RIGHT)
    monkeypatch.setenv(FOLDER, "of/course")
    check(RIGHT)
    assert only_file(tmp_path / "marks").name == only_file(tmp_path / "of" / "course").name


def test_what_a_check_prints_is_the_same_with_marks(tmp_path, capsys):
    check(STUB)
    check(RIGHT)
    without = capsys.readouterr().out
    record_marks("Ada", tmp_path)
    check(STUB)
    check(RIGHT)
    assert capsys.readouterr().out == without


def test_a_name_must_have_a_letter(tmp_path):
    for name in ("", "  ", "!?"):
        with pytest.raises(ValueError, match="it must be a name"):
            record_marks(name, tmp_path)


@pytest.mark.parametrize("name", ["../../escape", "Žofia Müller", "王小明", "a/b\\c:d*e", "x" * 300])
def test_any_name_gives_a_file_in_the_folder(tmp_path, name):
    record_marks(name, tmp_path / "marks")
    check(RIGHT)
    assert lines(tmp_path / "marks")[0]["student"] == name
    assert {path.name for path in tmp_path.iterdir()} == {"marks"}


def test_a_name_that_is_no_utf_8_reaches_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(STUDENT, "M\udcfcller")  # as Python gives the bytes of a folder's name in Latin-1
    monkeypatch.setenv(FOLDER, str(tmp_path / "marks"))
    check(RIGHT)
    monkeypatch.setenv(STUDENT, "Ada")
    check(RIGHT)
    (tmp_path / "marks" / "odd\udcfc.jsonl").write_text(line("Bob\\ud800"), encoding="utf-8")
    assert main(["marks", str(tmp_path), "--csv", str(tmp_path / "class.csv")]) == 0
    found = (tmp_path / "class.csv").read_text(encoding="utf-8-sig")
    assert [name in found for name in ("M\\udcfcller", "Ada", "Bob\\ud800")] == [True] * 3


def test_students_of_one_name_on_two_machines_have_different_files(tmp_path, monkeypatch):
    for machine in ("desk-1", "desk-2"):
        monkeypatch.setattr(marks.platform, "node", lambda machine=machine: machine)
        record_marks("Max Müller", tmp_path)
        check(RIGHT)
    assert len(list(tmp_path.glob("max-müller-*.jsonl"))) == 2


WRITE = """
import sys
from tasnlib.course.exercises import Report, marks
for number in range(10):
    sys.stdout.write(marks.note(f"exercise {number}", Report(True, "right")))
"""


def test_several_notebooks_at_once_lose_no_line(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(STUDENT, "Ada")
    writers = [subprocess.Popen([sys.executable, "-c", WRITE], stdout=subprocess.PIPE) for _ in range(2)]
    assert [writer.communicate(timeout=120)[0] for writer in writers] == [b"", b""]
    assert sorted(line["exercise"] for line in lines(tmp_path)) == sorted(f"exercise {n % 10}" for n in range(20))


def test_a_file_that_cannot_be_written_costs_a_sentence_and_no_mark(tmp_path, capsys):
    blocked = tmp_path / "marks"
    blocked.write_text("a file where the folder should be")
    record_marks("Ada", blocked)
    check(WRONG)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith(f"The mark is not in {blocked} yet: ")
    assert printed[-1].endswith("It is kept while this notebook runs, and written with the next check.")
    blocked.unlink()
    check(RIGHT)
    assert [line["right"] for line in lines(blocked)] == [False, True]
    assert "mark" not in capsys.readouterr().out


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch, capsys):
    record_marks("Ada", tmp_path)
    check(RIGHT)
    before = only_file(tmp_path).read_bytes()

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(marks, "write_atomically", full)
    check(WRONG)
    assert "No space left on device" in capsys.readouterr().out
    assert only_file(tmp_path).read_bytes() == before


@pytest.mark.parametrize("there", [b'{"version": 1, "stud', b'{"version": 2, "who": "Ada"}\n', b"\xff\xfe\x00"])
def test_what_is_in_a_file_stays_whatever_it_is(tmp_path, there):
    record_marks("Ada", tmp_path)
    check(RIGHT)
    path = only_file(tmp_path)
    path.write_bytes(there)
    check(RIGHT)
    check(WRONG)
    content = path.read_bytes()
    assert content.startswith(there)
    rows, remarks = gather(tmp_path)
    assert [row[4:6] for row in rows] == [("yes", 1)]
    assert len(remarks) == 1


# -- The table of a class ---------------------------------------------------------------------------------------------


def line(student="Ada", exercise="margin", right=False, mistake="", time="2026-11-30T09:00:00+01:00", **changed):
    mark = {"student": student, "exercise": exercise, "right": right, "mistake": mistake, "time": time}
    return json.dumps({**mark, "checks": fingerprint(), "version": 1, **changed}) + "\n"


def table(folder, *class_list):
    rows, remarks = gather(folder, class_list)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows], remarks


def test_one_row_per_student_and_exercise_in_the_order_of_the_course(tmp_path):
    (tmp_path / "grace").mkdir()
    (tmp_path / "grace" / "g.jsonl").write_text(line("Grace", mistake="no norm") + line("Grace", mistake="no sum"))
    times = [f"2026-11-30T09:0{n}:00+01:00" for n in range(4)]
    (tmp_path / "a.jsonl").write_text(
        line(exercise="gone", time=times[0])
        + line(mistake="squared", time=times[0])
        + line(right=True, time=times[1])
        + line(mistake="broken again", time=times[2])
        + line(exercise="relation", right=True, time=times[3])
    )
    rows, remarks = table(tmp_path)
    assert remarks == []
    assert [(row["student"], row["exercise"], row["right"], row["attempts"]) for row in rows] == [
        ("Ada", "relation", "yes", 1),
        ("Ada", "margin", "yes", 2),
        ("Ada", "gone", "no", 1),
        ("Grace", "margin", "no", 2),
    ]
    assert [row["notebook"] for row in rows] == ["01_bilinear_attention", "07_explore", "unknown", "07_explore"]
    assert [row["last mistake"] for row in rows] == ["", "broken again", "", "no sum"]
    assert (rows[1]["first"], rows[1]["last"]) == (times[0], times[2])
    assert rows[3]["file"] == "grace/g.jsonl"


def test_every_exercise_of_the_course_has_its_notebook(tmp_path):
    names = [one.name for exercises in BY_NOTEBOOK.values() for one in exercises]
    (tmp_path / "a.jsonl").write_text("".join(line(exercise=name) for name in reversed(names)))
    rows, _ = table(tmp_path)
    assert [row["exercise"] for row in rows] == names
    assert "unknown" not in {row["notebook"] for row in rows}


def test_students_without_a_file_have_a_row_and_a_remark(tmp_path):
    (tmp_path / "a.jsonl").write_text(line("ada LOVELACE", right=True))
    rows, remarks = table(tmp_path, "Ada  Lovelace", "Grace Hopper", "", "Žofia")
    assert [(row["student"], row["right"]) for row in rows] == [
        ("Grace Hopper", ""), ("ada LOVELACE", "yes"), ("Žofia", ""),
    ]  # fmt: skip
    assert remarks == ["no marks of Grace Hopper", "no marks of Žofia"]


def test_students_are_found_however_their_names_were_typed(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv(STUDENT, "Ada  Lovelace ")
    check(RIGHT)
    (tmp_path / "b.jsonl").write_text(line(unicodedata.normalize("NFD", "José")), encoding="utf-8")
    rows, remarks = table(tmp_path, "ada lovelace", "José")
    assert len(rows) == 2
    assert remarks == []


def test_files_that_were_joined_in_any_order_count_by_their_times(tmp_path):
    times = [f"2026-05-0{n}T09:00:00+02:00" for n in (1, 2, 3)]
    wrong = "".join(line("Bob", mistake="no norm", time=time) for time in times[:2])
    (tmp_path / "bob.jsonl").write_text(line("Bob", right=True, time=times[2]) + wrong)
    ((row,), _) = table(tmp_path)
    assert (row["right"], row["attempts"], row["first"], row["last"]) == ("yes", 3, times[0], times[2])


def test_files_of_one_name_stay_apart_and_are_named(tmp_path):
    (tmp_path / "max-1.jsonl").write_text(line("Max", right=True))
    (tmp_path / "max-2.jsonl").write_text(line("max", mistake="swapped"))
    rows, remarks = table(tmp_path)
    assert [(row["file"], row["right"]) for row in rows] == [("max-1.jsonl", "yes"), ("max-2.jsonl", "no")]
    assert remarks == ["of one name: max-1.jsonl, max-2.jsonl"]


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", "7", "null", '"text"', "{}", "\0\0", "[" * 100_000, line(right="yes"), line(student=None)],
    ids=lambda value: value[:12],
)
def test_a_damaged_line_is_named_and_the_others_count(tmp_path, damage):
    (tmp_path / "a.jsonl").write_text(line(right=True) + damage.strip() + "\n" + line(exercise="relation"))
    rows, remarks = table(tmp_path)
    assert [row["exercise"] for row in rows] == ["relation", "margin"]
    assert remarks == ["a.jsonl, line 2: damaged; left out here, and unchanged in the file"]


def test_marks_of_another_version_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(line() + 4 * line(version=2, right="partly"))
    rows, remarks = table(tmp_path)
    assert len(rows) == 1
    assert remarks == [
        "a.jsonl, line 2, 3, 4 and 1 more: of version 2, while this copy of the course reads 1; left out here, and "
        "unchanged in the file"
    ]


def test_marks_by_changed_checks_are_counted_and_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(line() + line(checks="000000000000", right=True))
    rows, remarks = table(tmp_path)
    assert rows[0]["right"] == "yes"
    assert remarks == ["a.jsonl: 1 of 2 marks are by other checks than this copy's"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "b.jsonl").write_text(line())
    rows, remarks = table(tmp_path)
    assert len(rows) == 1
    assert remarks == ["a.jsonl cannot be read: Is a directory"]


def test_formulas_are_defused_and_commas_survive():
    rows = [("=1+1", "+a", "@b", "-c", "yes", 3, 'said "no", twice', "", "")]
    (read,) = list(csv.reader(io.StringIO(as_csv(rows))))[1:]
    assert read == ["'=1+1", "'+a", "'@b", "'-c", "yes", "3", 'said "no", twice', "", ""]


def test_the_command_writes_a_file_that_spreadsheets_open(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text(line("Žofia"), encoding="utf-8")
    names = tmp_path / "class.txt"
    names.write_text("Žofia\nGrace\n", encoding="utf-8")
    assert main(["marks", str(tmp_path), "--csv", str(tmp_path / "class.csv"), "--students", str(names)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"2 rows: {tmp_path / 'class.csv'}\n"
    assert shown.err == "no marks of Grace\n"
    assert (tmp_path / "class.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent,file,")
    assert main(["marks", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("Žofia,a.jsonl,07_explore,margin,no,1,")


def test_what_cannot_work_is_one_sentence(tmp_path, capsys):
    assert main(["marks", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.startswith("error: there are no files of marks (*.jsonl) in ")
    (tmp_path / "a.jsonl").write_text(line())
    (tmp_path / "file").write_text("")
    assert main(["marks", str(tmp_path), "--csv", str(tmp_path / "file" / "class.csv")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["marks", str(tmp_path), "--students", str(tmp_path / "none.txt")]) == 2
    assert "none.txt" in capsys.readouterr().err
    (tmp_path / "class.txt").write_text("Žofia", encoding="utf-16")
    assert main(["marks", str(tmp_path), "--students", str(tmp_path / "class.txt")]) == 2
    assert "class.txt is not a text file in UTF-8" in capsys.readouterr().err


def test_a_home_folder_that_does_not_exist_costs_a_sentence_and_no_mark(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDER, "~nobody-of-this-name/marks")
    check(WRONG)
    assert "The mark is not in ~nobody-of-this-name/marks yet: " in capsys.readouterr().out
    monkeypatch.setenv(FOLDER, str(tmp_path))
    check(RIGHT)
    assert [line["right"] for line in lines(tmp_path)] == [False, True]


# -- Nothing but the message ------------------------------------------------------------------------------------------


def test_a_check_has_no_result_that_a_cell_would_show():
    for function in (STUB, WRONG, RIGHT, named("no_exercise", lambda: torch.ones(1))):
        assert check(function) is None
