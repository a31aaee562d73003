"""Marks: the results of a student's checks, noted in a small file if a teacher wants that. Nothing is noted by default.

A file holds one JSON object per line and check. Lines are only ever added, so whatever is in a file stays there.
"""

import hashlib
import json
import os
import platform
import re
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path

from filelock import FileLock
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from tasnlib.course.exercises.checking import Report
from tasnlib.course.exercises.running import NOT_DONE
from tasnlib.data.files import expanded, write_atomically
from tasnlib.runs.run_folder import project_folder

VERSION = 1
FOLDER, STUDENT = "TASN_MARKS", "TASN_STUDENT"  # environment variables: where marks are noted, and whose
_waiting: list[str] = []  # lines that could not be written


@dataclass(frozen=True, config=ConfigDict(strict=True))
class Mark:
    """The result of one check."""

    student: str
    exercise: str
    right: bool
    mistake: str  # what the check said is wrong
    time: str
    checks: str  # what computed it, see `fingerprint`
    version: int = VERSION


def record_marks(student: str, folder: str | Path | None = None) -> None:
    """Note the results of all checks from now on, in a file of this student.

    Args:
        student: the name, as it shall stand in the class's table.
        folder: for the file, in the project if it is relative; default: that in TASN_MARKS (a variable of the
            environment), or marks.

    >>> record_marks("")
    Traceback (most recent call last):
    ValueError: student is ''; it must be a name
    """
    if not re.search(r"\w", student):
        raise ValueError(f"student is {student!r}; it must be a name")
    os.environ[STUDENT] = " ".join(student.split())
    os.environ[FOLDER] = str(expanded(folder or os.environ.get(FOLDER) or "marks", "folder"))


def note(exercise: str, report: Report) -> str:
    """Add a check's result to the student's file, if marks are recorded; a stub is no attempt.

    Returns a sentence if the file cannot be written. The result is kept then, and written with the next one."""
    if not os.environ.get(FOLDER) or NOT_DONE in report.message:
        return ""
    student = os.environ.get(STUDENT) or os.environ.get("JUPYTERHUB_USER") or Path.home().name
    # A folder's name may hold bytes that are no UTF-8.
    student = " ".join(student.encode(errors="backslashreplace").decode().split())
    said = report.message.removeprefix(f"{exercise}: ").partition("\n")[0].partition(" The input was ")[0]
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    mark = Mark(student, exercise, report.passed, "" if report.passed else said, now, fingerprint())
    _waiting.append(json.dumps(asdict(mark), ensure_ascii=False) + "\n")
    # Two students of one name, and one student on two machines, have different files, so that none replaces the other.
    whose = hashlib.sha256(f"{student}\n{platform.node()}\n{Path.home()}".encode()).hexdigest()[:6]
    name = re.sub(r"\W+", "-", student.lower()).strip("-")[:40]
    try:
        path = project_folder() / expanded(os.environ[FOLDER], FOLDER) / f"{name}-{whose}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=5):  # against the same student's other notebooks
            before = path.read_bytes() if path.exists() else b""
            cut_off = b"\n" if before and not before.endswith(b"\n") else b""
            write_atomically(path, before + cut_off + "".join(_waiting).encode())
    except (OSError, ValueError) as reason:
        kept = "It is kept while this notebook runs, and written with the next check"
        return f"The mark is not in {os.environ[FOLDER]} yet: {getattr(reason, 'strerror', None) or reason}. {kept}."
    _waiting.clear()
    return ""


@cache
def fingerprint() -> str:
    """A hash of the code of exercises and checks: another one in a mark means that another version computed it."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(code.encode()).hexdigest()[:12]
