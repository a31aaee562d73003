"""Files that are read are not executed, imports fetch nothing, and JupyterLab listens on this machine alone."""

import json
import os
import pickle
import re
import shlex
import socket
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from PIL import Image

from tasnlib.data.birds import Birds, BirdsConfig
from tasnlib.data.image_file import open_image
from tasnlib.data.inspection import inspected
from tasnlib.data.photographs import ImageFiles
from tasnlib.networks.backbones import attention_trunk, classifier_backbone
from tasnlib.networks.build import build_model
from tasnlib.runs.prediction import load
from tasnlib.training.devices import make_accelerator
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent

# -- Hostile pickles -----------------------------------------------------------------------------------------------


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


DISGUISES = {
    "pickle": lambda bomb, path: path.write_bytes(pickle.dumps(bomb)),
    "torch": lambda bomb, path: torch.save({"conv1.weight": torch.ones(3), "extra": bomb}, path),
    "torch, old": lambda bomb, path: torch.save(bomb, path, _use_new_zipfile_serialization=False),
    "numpy": lambda bomb, path: save_as_numpy(np.array([bomb], dtype=object), path),
}


def save_as_numpy(array: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=True)


def offer_a_checkpoint(folder: Path, write) -> None:
    write(folder / "tasn.safetensors")
    load(folder)


def offer_weights(folder: Path, write) -> None:
    write(folder / "squeezenet1_1-b8a52dc0.pth")
    classifier_backbone("squeezenet1_1", folder / "squeezenet1_1-b8a52dc0.pth")


def offer_a_trunk_as_safetensors(folder: Path, write) -> None:
    write(folder / "squeezenet1_1.safetensors")
    attention_trunk("squeezenet1_1", str(folder / "squeezenet1_1.safetensors"))


def offer_a_state(folder: Path, write) -> None:
    write(folder / "tasn.training.safetensors")
    birds = Birds.load(BirdsConfig(image_size=32), "test", 40, progress=False)
    smoke = RECIPES["smoke"]
    state = folder / "tasn.training.safetensors"
    fit(build_model("downsampled", smoke, 16), birds, birds, smoke, 0, state, make_accelerator(), resume=True)


def offer_an_image(folder: Path, write) -> None:
    write(folder / "wren.jpg")
    open_image(folder / "wren.jpg")


@pytest.mark.parametrize("disguise", ["pickle", "torch"])
@pytest.mark.parametrize(
    "offer",
    [offer_a_checkpoint, offer_weights, offer_a_trunk_as_safetensors, offer_a_state, offer_an_image],
    ids=lambda offer: offer.__name__,
)
def test_hostile_file_is_named_and_not_executed(tmp_path, offer, disguise):
    marker, offered = tmp_path / "executed", []

    def write(path: Path) -> None:
        DISGUISES[disguise](Bomb(marker), path)
        offered.append(path.name)

    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  each reader has its own words
        offer(tmp_path / "run", write)
    assert offered[0] in str(refusal.value)
    assert not marker.exists()


@pytest.mark.parametrize("disguise", DISGUISES)
def test_bombs_go_off_when_unpickled(tmp_path, disguise):
    DISGUISES[disguise](Bomb(tmp_path / "executed"), tmp_path / "bomb")
    if disguise == "numpy":
        np.load(tmp_path / "bomb", allow_pickle=True)
    elif "torch" in disguise:
        torch.load(tmp_path / "bomb", weights_only=False)
    else:
        pickle.loads((tmp_path / "bomb").read_bytes())
    assert (tmp_path / "executed").exists()


READ = {
    "Pillow": "with contextlib.suppress(OSError): Image.open('bird.jpg').load()",
    "open_image": "with refused: open_image('bird.jpg')",
}


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Ghostscript is a shell script")
@pytest.mark.parametrize("reader", READ)
def test_no_image_is_given_to_ghostscript(tmp_path, reader):
    """Pillow goes by a file's content, and asks Ghostscript to run PostScript under whatever name."""
    (tmp_path / "bird.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    script = (
        "import contextlib, pytest\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from tasnlib.data.image_file import open_image\n"
        "refused = pytest.raises(ValueError, match='bird.jpg')\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    where = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script + READ[reader]], cwd=tmp_path, env=where, check=True)
    assert (tmp_path / "ran").exists() == (reader == "Pillow")


def test_hostile_file_of_birds_is_drawn_again(tmp_path, capsys):
    birds, folder = BirdsConfig(image_size=32), tmp_path / "kept"
    first = Birds.load(birds, "test", 3, folder=folder, progress=False)
    (kept,) = folder.iterdir()
    DISGUISES["numpy"](Bomb(tmp_path / "executed"), kept)
    again = Birds.load(birds, "test", 3, folder=folder, progress=False)
    assert kept.name in capsys.readouterr().out
    assert torch.equal(again.images, first.images)
    assert not (tmp_path / "executed").exists()


def test_hostile_record_of_photographs_is_made_again(tmp_path):
    paths = [tmp_path / f"{kind}.png" for kind in ("wren", "robin")]
    for path in paths:
        Image.new("RGB", (40, 30), "brown").save(path)
    images = ImageFiles(paths, [0, 1], ["wren", "robin"], 24, "two birds")
    first = inspected(images, folder=tmp_path / "cache", workers=1, progress=False)
    (record,) = (tmp_path / "cache").glob("*.json")
    DISGUISES["pickle"](Bomb(tmp_path / "executed"), record)
    again = inspected(images, folder=tmp_path / "cache", workers=1, progress=False)
    assert again.data_hash == first.data_hash
    assert torch.equal(again.take([0, 1]).images, images.take([0, 1]).images)
    assert not (tmp_path / "executed").exists()


# -- In tests ----------------------------------------------------------------------------------------------------------


def ask_for_a_page() -> None:
    with urllib.request.urlopen("http://example.com", timeout=5):
        pass


def connect(host: str, port: int, family: int = socket.AF_INET) -> None:
    with socket.socket(family) as one:
        one.settimeout(5)
        one.connect((host, port))


OUTSIDE = {
    "a page": ask_for_a_page,
    "an address": lambda: connect("203.0.113.1", 80),
    "a name": lambda: socket.create_connection(("example.com", 443), timeout=5),
    "ImageNet weights": lambda: classifier_backbone("squeezenet1_1", "DEFAULT"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_tests_do_not_reach_the_network(what, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # or the weights may be there already
    with pytest.raises(Exception, match="a test may not use the network") as refusal:
        OUTSIDE[what]()
    assert refusal.type is not AssertionError


def test_tests_reach_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect("127.0.0.1", server.getsockname()[1])


# -- JupyterLab --------------------------------------------------------------------------------------------------------

SERVER_DEFAULTS = """
    import json
    from jupyter_server.serverapp import ServerApp
    server = ServerApp()
    door = server.identity_provider_class(parent=server)
    print(json.dumps({"ip": server.ip, "token": door.token, "generated": door.token_generated,
                      "remote": server.allow_remote_access, "origin": server.allow_origin,
                      "unauthenticated": server.allow_unauthenticated_access, "no check": server.disable_check_xsrf}))
"""


@pytest.fixture
def nobody_s_settings(tmp_path) -> dict[str, str]:
    """An environment without a user's own settings of Jupyter."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XDG_"))}
    return {**kept, "HOME": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}


def test_make_lab_keeps_the_server_s_protection(nobody_s_settings):
    (line,) = re.findall(r"^\t\$\(BIN\)/(jupyter lab.*)$", (ROOT / "Makefile").read_text(), re.M)
    program, *options = shlex.split(line)
    command = [str(Path(sys.executable).parent / program), *options, "--show-config-json"]
    done = subprocess.run(command, env=nobody_s_settings, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    shown = json.loads(done.stdout[done.stdout.index("{") :])
    changed = {option for section in shown.values() for option in section}
    assert changed & {"ip", "token", "password", "allow_remote_access", "allow_origin", "custom_display_url",
                      "disable_check_xsrf", "allow_unauthenticated_access", "allow_root"} <= {"ip"}  # fmt: skip
    assert shown["ServerApp"]["ip"] == "127.0.0.1"  # said, so that nobody's own settings open it to all


def test_server_listens_on_the_loopback_and_has_a_token(nobody_s_settings):
    command = [sys.executable, "-c", textwrap.dedent(SERVER_DEFAULTS)]
    done = subprocess.run(command, env=nobody_s_settings, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    server = json.loads(done.stdout)
    addresses = {place[4][0] for place in socket.getaddrinfo(server["ip"], 80)}
    assert addresses <= {"127.0.0.1", "::1"}
    assert server["generated"]
    assert len(server["token"]) >= 40
    assert (server["remote"], server["origin"], server["no check"]) == (False, "", False)


# -- Secrets -----------------------------------------------------------------------------------------------------------


def test_no_secrets_are_committed():
    pattern = r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|hf_[A-Za-z]{30,}|BEGIN (RSA |EC |OPENSSH )?PRIVATE" + " KEY"
    found = subprocess.run(["git", "grep", "-lE", pattern], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == ""


# -- Pins --------------------------------------------------------------------------------------------------------------


def test_requirements_are_pinned_with_hashes():
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) > 100
    for line in lines:
        requirement, *hashes = re.split(r"\s--hash=", line)
        pin = Requirement(requirement.strip())
        (version,) = pin.specifier
        assert version.operator == "==", line
        assert "*" not in version.version, line
        assert pin.url is None, line
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), line


def test_makefile_installs_with_hashes():
    installs = re.findall(r"pip install (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert installs
    assert all("--require-hashes" in one or ("--no-deps" in one and one.endswith("--editable .")) for one in installs)
