"""Clock, locale, folder names, a missing home folder, no network: none of them changes a bit of a run."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasnlib.data.image_folder import load_folder
from tasnlib.runs.load_data import load_data
from tasnlib.runs.run import train
from tasnlib.runs.run_folder import prepare_folder
from tasnlib.runs.settings import Settings

ROOT = Path(__file__).parent.parent.parent
CLASSES = ("굴뚝새", "黃鶯 warbler", "a wren", "grün")
BIRDS = {"recipe": "smoke", "epochs": 2, "batch_size": 8, "train_images": 16, "test_images": 5}
PHOTOS = {"recipe": "smoke", "epochs": 2, "batch_size": 4, "dataset": "folder", "num_workers": 0}

# Before training: no socket may be opened, and the clock goes back thirty years or on twenty whenever it is read.
STRANGE = """
    import itertools, sys, time

    def refuse(event, arguments):
        if event.startswith("socket.") and event != "socket.gethostname" or event == "urllib.Request":
            raise PermissionError(f"{event}: {arguments}")

    sys.addaudithook(refuse)
    real, year = time.time, 365 * 86400
    jumps = itertools.cycle([0, -30 * year, 20 * year, -year])
    time.time = lambda: real() + next(jumps)

    from tasnlib.runs.__main__ import main
    sys.exit(main(["train", *sys.argv[1:]]))
"""
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def odd_folder(tmp_path) -> Path:
    """A folder with photographs in it, in which no name is ASCII."""
    home = tmp_path / "새 폴더 mit Leerzeichen 中文"
    for number, kind in enumerate(CLASSES):
        (home / "내 사진" / kind).mkdir(parents=True)
        for image in range(4):
            pixels = np.random.default_rng(4 * number + image).integers(0, 256, (60, 50, 3), dtype=np.uint8)
            path = home / "내 사진" / kind / f"사진 {image} – é.png"
            Image.fromarray(pixels).save(path)
            os.utime(path, ((0, 0), (4e9, 4e9))[image % 2])  # taken in 1970, or in 2096
    return home


def train_strangely(place: Path, surroundings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **surroundings}
    command = [sys.executable, "-c", textwrap.dedent(STRANGE), *arguments]
    return subprocess.run(command, capture_output=True, env=environment, cwd=place, timeout=200, check=False)


def parameters(given: dict) -> list[str]:
    return [word for name, value in given.items() for word in ("-p", name, str(value))]


def outcome(folder: Path) -> tuple[bytes, list[dict], dict]:
    history = json.loads((folder / "downsampled.history.json").read_text())
    without_times = [{name: value for name, value in entry.items() if "second" not in name} for entry in history]
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    return (folder / "downsampled.safetensors").read_bytes(), without_times, data


def trained_here(given: dict, folder: Path, data_folder: Path) -> tuple[bytes, list[dict], dict]:
    settings = Settings(**given, data_folder=str(data_folder), output_folder=str(folder))
    train("downsampled", settings, prepare_folder(settings), load_data(settings))
    return outcome(folder)


def nowhere(tmp_path: Path) -> str:
    """A home folder that is not there and cannot be made."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file/home")


def test_photographs_in_odd_folders_train_alike_under_ascii_without_home_or_network(odd_folder, tmp_path):
    """Not even Python's own remedies for the locale C are on."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kathmandu"}
    given = [*parameters(PHOTOS), "-p", "data_folder", "내 사진"]
    surroundings = {**ascii_only, "HOME": nowhere(tmp_path)}
    done = train_strangely(odd_folder, surroundings, "새 run", "downsampled", *given)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    expected = trained_here(PHOTOS, tmp_path / "expected", odd_folder / "내 사진")
    assert outcome(odd_folder / "새 run") == expected
    assert expected[2]["class_names"] == sorted(CLASSES)
    # What was begun there goes on here.
    settings = Settings(
        **PHOTOS, data_folder=str(odd_folder / "내 사진"), output_folder=str(odd_folder / "새 run"), resume=True
    )
    train("downsampled", settings, prepare_folder(settings), load_data(settings))
    assert outcome(odd_folder / "새 run") == expected


def test_drawn_birds_are_trained_offline_without_a_home_folder_in_another_locale(tmp_path):
    locale = {"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR", "TZ": "nonsense"}
    place = tmp_path / "새 폴더"
    place.mkdir()
    done = train_strangely(
        *(place, {**locale, "HOME": nowhere(tmp_path)}, "run", "downsampled"),
        *(*parameters(BIRDS), "-p", "data_folder", "데이터"),
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
    assert outcome(place / "run") == trained_here(BIRDS, tmp_path / "expected", tmp_path / "data")
    assert {entry.name for entry in place.iterdir()} == {"run", "데이터"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_folder_names_that_are_not_unicode_are_escaped(odd_folder, tmp_path):
    """As an archive of another age leaves them, in Latin-1."""
    photos = odd_folder / "내 사진"
    (photos / "grün").rename(photos / os.fsdecode(b"gr\xfcn"))
    expected = ["a wren", r"gr\xfcn", "黃鶯 warbler", "굴뚝새"]
    assert load_folder(photos, "train").class_names == expected
    assert trained_here(PHOTOS, tmp_path / "run", photos)[2]["class_names"] == expected


def test_a_resumed_run_may_lie_elsewhere_by_now(odd_folder, tmp_path):
    expected = trained_here(BIRDS, tmp_path / "run", tmp_path / "data")
    (tmp_path / "run").rename(odd_folder / "옮긴 run")
    settings = Settings(**BIRDS, data_folder=str(tmp_path / "data"), output_folder=str(odd_folder / "옮긴 run"))
    resumed = replace(settings, resume=True)
    train("downsampled", resumed, prepare_folder(resumed), load_data(resumed))
    assert outcome(odd_folder / "옮긴 run") == expected
