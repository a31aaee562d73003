"""What CI runs on other machines, and what a devcontainer runs, exists here."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
JOBS = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
COMMANDS = [(name, step["run"]) for name, job in JOBS.items() for step in job["steps"] if "run" in step]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
# Words of commands that name files and folders of the project.
OURS = re.compile(r"^(?:tests|tasnlib|notebooks|benchmarks|data_scripts|\.ci|requirements\.txt)(?:/|$)")


def missing(command: str) -> list[str]:
    """The targets, modules and files that a command names and that are not there."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    lacking = []
    if words[0] == "make":
        lacking += [word for word in words[1:] if "=" not in word and word not in TARGETS]
    if "-m" in words and importlib.util.find_spec(words[words.index("-m") + 1]) is None:
        lacking.append(words[words.index("-m") + 1])
    return lacking + [word for word in words if OURS.match(word) and not (ROOT / word).exists()]


@pytest.mark.parametrize(("job", "command"), COMMANDS)
def test_what_a_command_names_is_there(job, command):
    assert missing(re.sub(r"\$\{\{.*?\}\}", "", command)) == []


def test_what_is_missing_is_found():
    assert missing("make setups PYTHON=python") == ["setups"]
    assert missing("A=1 python -m pytests --ignore tests/gone tests") == ["pytests", "tests/gone"]


def test_every_system_has_its_leg():
    machines = {job["runs-on"] for job in JOBS.values()} | set(JOBS["systems"]["strategy"]["matrix"]["system"])
    assert {machine.partition("-")[0] for machine in machines if "$" not in machine} == {"ubuntu", "macos", "windows"}
    assert all(python in JOBS["pinned"]["strategy"]["matrix"]["python"] for python in matrix("systems"))


def matrix(job: str) -> list[str]:
    return JOBS[job]["strategy"]["matrix"]["python"]


def test_where_windows_runs_there_is_no_make_and_no_shell_of_unix():
    for step in JOBS["systems"]["steps"]:
        assert not re.search(r"\bmake\b|\bbash\b|\.venv|^[A-Z_]+=|\\\n", step.get("run", ""))


def test_the_devcontainer_runs_what_is_there():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert missing(container["onCreateCommand"]) == []
    python = re.fullmatch(r"python:(3\.\d+)", container["image"])[1]
    assert python in matrix("pinned")
    assert 8888 in container["forwardPorts"]  # where `make lab` listens
    assert "--port" not in (ROOT / "Makefile").read_text()
