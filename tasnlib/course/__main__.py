"""The marks of a class in one table: `python -m tasnlib.course marks FOLDER [--csv FILE] [--students FILE]`

One row per student, file and exercise. A right result counts, whatever follows it; attempts are counted up to it.
"""

import argparse
import csv
import io
import json
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from tasnlib.course.exercises import BY_NOTEBOOK
from tasnlib.course.exercises.marks import VERSION, Mark, fingerprint
from tasnlib.data.data_set_folder import text_lines
from tasnlib.data.files import first_of, print_text, write_atomically

COLUMNS = ("student", "file", "notebook", "exercise", "right", "attempts", "last mistake", "first", "last")
NOTEBOOK_OF = {one.name: notebook for notebook, exercises in BY_NOTEBOOK.items() for one in exercises}


def gather(folder: Path, class_list: Sequence[str] = ()) -> tuple[list[tuple], list[str]]:
    """The rows under `COLUMNS`, and remarks on what is odd. Whoever in the class list has no marks gets an empty row.
    Raises ValueError for a folder in which, and in whose folders, there are no files of marks."""
    paths, remarks = sorted(folder.rglob("*.jsonl")), list[str]()
    if not paths:
        raise ValueError(f"there are no files of marks (*.jsonl) in {folder}")
    work: dict[tuple[str, str, str], list[Mark]] = {}  # by student, file and exercise
    files: dict[str, dict[str, None]] = {}  # by student
    for path in paths:
        file = path.relative_to(folder).as_posix()
        for mark in _marks_in(path, file, remarks):
            work.setdefault((mark.student, file, mark.exercise), []).append(mark)
            files.setdefault(_folded(mark.student), {})[file] = None
    remarks += [f"of one name: {', '.join(one)}" for one in files.values() if len(one) > 1]
    absent = [name for line in class_list if (name := " ".join(line.split())) and _folded(name) not in files]
    remarks += [f"no marks of {name}" for name in absent]
    order = list(NOTEBOOK_OF)
    rows = [_row(*key, marks) for key, marks in work.items()] + [(name, *("",) * 8) for name in absent]
    return sorted(rows, key=lambda row: (*row[:2], order.index(row[3]) if row[3] in order else 99)), remarks


def _folded(name: str) -> str:
    """Of a name, what is the same whoever types it, on whatever machine."""
    return unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def _marks_in(path: Path, file: str, remarks: list[str]) -> list[Mark]:
    """What can be read of a file; remarks are added about the rest."""
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError as reason:
        remarks.append(f"{file} cannot be read: {reason.strerror}")
        return []
    found, problems = list[Mark](), dict[str, list[str]]()
    for number, line in enumerate(lines, start=1):
        if isinstance(one := _mark(line), Mark):
            found.append(one)
        elif line.strip():
            problems.setdefault(one, []).append(str(number))
    for problem, at in problems.items():
        remarks.append(f"{file}, line {first_of(at, 3)}: {problem}; left out here, and unchanged in the file")
    if others := sum(mark.checks != fingerprint() for mark in found):
        remarks.append(f"{file}: {others} of {len(found)} marks are by other checks than this copy's")
    return found


def _mark(line: str) -> Mark | str:
    """The mark in a line, or what is wrong with the line."""
    try:
        content = json.loads(line)
        if content["version"] != VERSION:
            return f"of version {str(content['version'])[:20]}, while this copy of the course reads {VERSION}"
        return Mark(**content)
    except (ValueError, TypeError, KeyError, RecursionError):
        return "damaged"


def _row(student: str, file: str, exercise: str, marks: Sequence[Mark]) -> tuple:
    marks = sorted(marks, key=lambda mark: mark.time)  # files may have been joined in any order
    right = next((number for number, mark in enumerate(marks, start=1) if mark.right), 0)
    mistakes = ["", *(mark.mistake for mark in marks if not mark.right)]
    result = ("yes" if right else "no", right or len(marks), mistakes[-1], marks[0].time, marks[-1].time)
    return student, file, NOTEBOOK_OF.get(exercise, "unknown"), exercise, *result


def as_csv(rows: Sequence[tuple]) -> str:
    """The table. Text that a spreadsheet would take for a formula gets an apostrophe.

    >>> as_csv([("=Ada", "a.jsonl", 2)]).splitlines()[1]
    "'=Ada,a.jsonl,2"
    """
    table = io.StringIO()
    safe = [[f"'{one}" if str(one).startswith(("=", "+", "-", "@")) else one for one in row] for row in rows]
    csv.writer(table).writerows([COLUMNS, *safe])
    return table.getvalue()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tasnlib.course", description="For teachers.")
    marks = parser.add_subparsers(required=True).add_parser("marks", help="gather the marks of a class in one table")
    marks.add_argument("folder", type=Path, help="with the students' files, or with folders of them")
    marks.add_argument("--csv", type=Path, metavar="FILE", help="write the table there instead of printing it")
    marks.add_argument("--students", type=Path, metavar="FILE", help="the names of the class, one per line")
    given = parser.parse_args(arguments)
    try:
        class_list = text_lines(given.students) if given.students else ()
        rows, remarks = gather(given.folder, class_list)
        if given.csv:
            write_atomically(given.csv, as_csv(rows).encode("utf-8-sig", "backslashreplace"))  # for spreadsheets
    except (ValueError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    print_text(f"{len(rows)} rows: {given.csv}" if given.csv else as_csv(rows).rstrip())
    for remark in remarks:
        print(remark, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
