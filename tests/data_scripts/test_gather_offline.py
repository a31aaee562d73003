"""The folder for a room without internet: complete, resumable, and installed by the commands it comes with."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import gather_offline
import pytest

BACKEND = """
import zipfile

def build(folder, name, files):
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr("tasnlib-1.0.dist-info/RECORD", "")
    return name

def build_editable(folder, settings=None, metadata=None):
    info = {"WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "METADATA": "Metadata-Version: 2.1\\nName: tasnlib\\nVersion: 1.0\\nProvides-Extra: course\\n"
                        "Requires-Dist: tiny>=1; extra == 'course'\\n"}
    files = {"tasnlib-1.0.dist-info/" + name: text for name, text in info.items()}
    return build(folder, "tasnlib-1.0-py3-none-any.whl", files)
"""


def make_wheel(folder, name, version="1.0"):
    """A package with one empty module. Returns its line of requirements.txt."""
    folder.mkdir(exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return (
        f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n    # via tasnlib\n"
    )


def git(folder, *words):
    named = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """What pip can reach: a folder of wheels, and no network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(gather_offline, "BATCH", 1)
    return tmp_path / "index"


@pytest.fixture
def project(tmp_path, index):
    """A small project in a git checkout: two packages for every machine, one for another system."""
    folder = tmp_path / "project"
    (folder / "notebooks" / "solutions").mkdir(parents=True)
    for name in ("notebooks/01_a.ipynb", "notebooks/solutions/01_a.ipynb"):
        (folder / name).write_text("{}")
    elsewhere = "elsewhere==1.0 ; sys_platform == 'amiga' \\\n    --hash=sha256:" + "0" * 64 + "\n"
    (folder / "requirements.txt").write_text(make_wheel(index, "tiny") + elsewhere + make_wheel(index, "small"))
    backend = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    about = "[project]\nname = 'tasnlib'\nversion = '1.0'\n"
    (folder / "pyproject.toml").write_text(backend + about)
    (folder / "backend.py").write_text(BACKEND)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


def gather(project, *options):
    return gather_offline.main([str(project.parent / "offline"), "--without-site", *options], project)


def test_wheels_project_and_readme_are_in_one_folder(project, capsys):
    assert gather(project) == 0
    offline = project.parent / "offline"
    assert sorted(path.name for path in offline.iterdir()) == ["README.txt", "tasn", "wheels"]
    assert sorted(path.name for path in (offline / "wheels").iterdir()) == [
        "small-1.0-py3-none-any.whl", "tiny-1.0-py3-none-any.whl",
    ]  # fmt: skip
    assert (offline / "tasn/notebooks/solutions/01_a.ipynb").is_file()
    assert not (offline / "tasn/.git").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["wheels: 0 of 2 are there", "wheels: downloading tiny", "wheels: 1 of 2 are there"]
    assert re.fullmatch(r"project: commit \w{12}", lines[5])
    assert lines[-1].startswith(f"done: {offline}, ")


def test_a_second_run_downloads_nothing_and_takes_new_commits(project, index, capsys):
    assert gather(project) == 0
    shutil.rmtree(index)
    (project / "new.txt").write_text("new")
    assert gather(project) == 0
    assert not (project.parent / "offline/tasn/new.txt").exists()
    assert "project: changes that are not committed are left out" in capsys.readouterr().out
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "new")
    assert gather(project) == 0
    assert (project.parent / "offline/tasn/new.txt").is_file()
    assert "wheels: 2 of 2 are there\nproject: commit" in capsys.readouterr().out


def test_a_failed_download_keeps_what_is_complete_and_is_continued(project, index, capfd):
    hidden = (index / "small-1.0-py3-none-any.whl").rename(index.parent / "small-1.0-py3-none-any.whl")
    assert gather(project) == 1
    shown = capfd.readouterr()
    assert "error: pip could not download a package; what is complete stays, the same command continues" in shown.err
    wheels = project.parent / "offline/wheels"
    assert [path.name for path in wheels.iterdir()] == ["tiny-1.0-py3-none-any.whl"]
    hidden.rename(index / hidden.name)
    assert gather(project) == 0
    assert "wheels: 1 of 2 are there\nwheels: downloading small\n" in capfd.readouterr().out


def test_a_wheel_that_is_cut_off_or_no_longer_pinned_is_replaced(project, index, capsys):
    assert gather(project) == 0
    wheels = project.parent / "offline/wheels"
    cut_off = wheels / "tiny-1.0-py3-none-any.whl"
    whole = cut_off.read_bytes()
    cut_off.write_bytes(whole[:100])
    make_wheel(wheels, "small", "0.9")
    assert gather(project) == 0
    assert cut_off.read_bytes() == whole
    assert len(list(wheels.iterdir())) == 2
    assert capsys.readouterr().out.count("which is cut off or no longer pinned") == 2


def test_a_wheel_that_is_not_the_pinned_one_is_not_taken(project, index, capfd):
    with zipfile.ZipFile(index / "tiny-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("more.py", "")
    assert gather(project) == 1
    assert list((project.parent / "offline/wheels").iterdir()) == []


def test_solutions_can_be_left_out(project):
    assert gather(project, "--without-solutions") == 0
    assert sorted(path.name for path in (project.parent / "offline/tasn/notebooks").iterdir()) == ["01_a.ipynb"]


def test_outside_of_a_git_checkout_a_sentence_says_so(project, capsys, monkeypatch):
    shutil.rmtree(project / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    assert gather(project) == 1
    assert capsys.readouterr().err.startswith("error: git rev-parse failed: fatal: not a git repository")


def test_pages_are_made_once_per_commit(project, monkeypatch, capfd):
    """The stand-in for the site notes how it was called."""
    (project / "tasnlib" / "course").mkdir(parents=True)
    site = "import json, pathlib, sys\npathlib.Path(sys.argv[1]).mkdir(exist_ok=True)\n"
    site += "with open(sys.argv[1] + '/calls', 'a') as file:\n    print(json.dumps(sys.argv[2:]), file=file)\n"
    (project / "tasnlib/course/site.py").write_text(site)
    monkeypatch.setenv("PYTHONPATH", str(project))
    offline = project.parent / "offline"
    for _ in range(2):
        assert gather_offline.main([str(offline)], project) == 0
    calls = (offline / "site/calls").read_text().splitlines()
    assert [json.loads(call) for call in calls] == [[str(project / "notebooks/01_a.ipynb")]]
    assert capfd.readouterr().out.count("site: done before") == 1


def test_the_commands_of_the_readme_install_it_without_an_index(project, monkeypatch):
    """The first two; the third runs a notebook."""
    assert gather(project) == 0
    for variable in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PYTHONPATH"):
        monkeypatch.delenv(variable, raising=False)
    offline = (project.parent / "offline").rename(project.parent / "on the student's machine")
    text = (offline / "README.txt").read_text()
    commands = re.findall(r"^    (.*)$", text, re.M)
    assert len(commands) == 4
    assert commands[1].split()[2:6] == ["pip", "install", "--no-index", "--find-links"]
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in text
    for command in commands[:2]:
        words = shlex.split(command)
        words[0] = sys.executable if words[0] == "python3" else str(offline / words[0])
        subprocess.run(words, cwd=offline, check=True, capture_output=True)
    found = "import tiny, importlib.metadata as m; print(m.version('tasnlib'))"
    python = offline / "tasn/.venv/bin/python"
    said = subprocess.run([python, "-c", found], check=True, capture_output=True, text=True, cwd=offline).stdout
    assert said == "1.0\n"


def test_every_pin_of_this_project_is_understood():
    pins = gather_offline.pins((gather_offline.PROJECT / "requirements.txt").read_text())
    names = [pin.name for pin in pins]
    assert {"torch", "jupyterlab", "setuptools"} <= set(names)
    assert len(names) == len(set(names))
    assert all(pin.hashes and all(re.fullmatch("[0-9a-f]{64}", one) for one in pin.hashes) for pin in pins)
