"""Everything that a room without internet needs, in one folder to copy onto each machine: `make offline`

python data_scripts/gather_offline.py offline --without-solutions

wheels/     the packages of requirements.txt, for this machine's kind of system and its version of Python
tasn/       the project as it was committed
site/       the course as web pages
README.txt  three commands that install and check it all

A stopped run is continued by the same command.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from typed_path import typed_path

PROJECT = Path(__file__).resolve().parents[1]
BATCH = 10  # packages at a time: what is lost when it is stopped
README = """\
The course TASN, for machines without internet: {system} {machine} with Python {python}.

Copy this folder onto the machine, open a terminal in it, and type

    python3 -m venv tasn/.venv
    tasn/.venv/bin/python -m pip install --no-index --find-links wheels --editable "./tasn[course]"
    tasn/.venv/bin/python -m tasnlib.course.headless tasn/notebooks/01_bilinear_attention.ipynb

The last one checks that it works: within a minute it prints "executed notebook: ...". Then open the course:

    tasn/.venv/bin/jupyter lab tasn/notebooks

On Windows: python instead of python3, and tasn\\.venv\\Scripts\\ instead of tasn/.venv/bin/.
To read only, open site/index.html in a browser.
"""


class Pin(NamedTuple):
    """A package of requirements.txt."""

    name: str
    line: str  # with version and hashes
    hashes: set[str]


def pins(requirements: str) -> list[Pin]:
    """The packages that this Python on this machine needs."""
    found = []
    for line in requirements.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.partition("#")[0].split("--hash=sha256:")
        if requirement.strip():
            parsed = Requirement(requirement.strip())
            if parsed.marker is None or parsed.marker.evaluate():
                found.append(Pin(parsed.name, line, {one.strip() for one in hashes}))
    return found


def gather_wheels(project: Path, folder: Path) -> None:
    """Download what is missing, and remove what is cut off or no longer pinned. Raises RuntimeError where pip fails."""
    wanted = pins((project / "requirements.txt").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    allowed, there = set().union(*(pin.hashes for pin in wanted)), set[str]()
    for path in folder.iterdir():
        if (digest := _sha256(path)) in allowed:
            there.add(digest)
        else:
            print(f"wheels: removed {path.name}, which is cut off or no longer pinned", flush=True)
            path.unlink()
    missing = [pin for pin in wanted if not pin.hashes & there]
    print(f"wheels: {len(wanted) - len(missing)} of {len(wanted)} are there", flush=True)
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        print(f"wheels: downloading {', '.join(pin.name for pin in batch)}", flush=True)
        _pip_download(batch, folder)
        print(f"wheels: {len(wanted) - len(missing) + start + len(batch)} of {len(wanted)} are there", flush=True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _pip_download(batch: list[Pin], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        listed = Path(temporary, "requirements.txt")
        listed.write_text("\n".join(pin.line for pin in batch) + "\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        command = [
            *pip,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--dest",
            str(folder),
            "--requirement",
            str(listed),
        ]
        if subprocess.run(command).returncode:
            raise RuntimeError("pip could not download a package; what is complete stays, the same command continues")


def gather_project(project: Path, folder: Path, solutions: bool) -> str:
    """The last commit's files as they are. Returns what names it; raises RuntimeError outside of a git checkout."""
    commit = _git(project, "rev-parse", "HEAD").decode().strip()
    if _git(project, "status", "--porcelain"):
        print("project: changes that are not committed are left out", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        archive = Path(temporary, "project.zip")
        left_out = [] if solutions else ["--", ".", ":(exclude)notebooks/solutions"]
        _git(project, "archive", "--format=zip", f"--output={archive}", "HEAD", *left_out)
        shutil.unpack_archive(archive, Path(temporary, "project"))
        if folder.exists():
            shutil.rmtree(folder)
        Path(temporary, "project").rename(folder)
    print(f"project: commit {commit[:12]}{'' if solutions else ', without the solutions'}", flush=True)
    return commit


def _git(project: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(project), *words], capture_output=True)
    if done.returncode:
        raise RuntimeError(f"git {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def gather_site(project: Path, folder: Path, commit: str) -> None:
    """The pages of the course, which takes minutes; not again for the same commit."""
    made = folder / "made-of.txt"
    if made.is_file() and made.read_text() == commit:
        print("site: done before", flush=True)
        return
    print("site: writing the pages, which takes some minutes", flush=True)
    notebooks = sorted(map(str, (project / "notebooks").glob("[0-9]*.ipynb")))
    command = [sys.executable, "-m", "tasnlib.course.site", str(folder.resolve()), *notebooks]
    if subprocess.run(command, cwd=project).returncode:
        raise RuntimeError("the pages could not be written; the same command tries again")
    made.write_text(commit)


def main(arguments: list[str] | None = None, project: Path = PROJECT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=typed_path, nargs="?", default=project / "offline", help="default: offline")
    parser.add_argument("--without-solutions", action="store_true", help="leave out notebooks/solutions")
    parser.add_argument("--without-site", action="store_true", help="leave out the web pages")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    try:
        gather_wheels(project, folder / "wheels")
        commit = gather_project(project, folder / "tasn", not given.without_solutions)
        if not given.without_site:
            gather_site(project, folder / "site", commit)
        python = ".".join(platform.python_version_tuple()[:2])
        text = README.format(system=platform.system(), machine=platform.machine(), python=python)
        (folder / "README.txt").write_text(text, encoding="utf-8")
    except (RuntimeError, OSError) as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command continues", file=sys.stderr)
        return 130
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"done: {folder}, {size / 1e9:.1f} GB. Its README.txt says how to install it", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
