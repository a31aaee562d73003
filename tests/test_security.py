"""Nothing that is read is ever executed, nothing is fetched at import, and JupyterLab opens its door to nobody else."""

import ast
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
import requests
import torch
from packaging.requirements import Requirement
from PIL import Image

from tasnlib.data.birds import Birds, BirdsConfig
from tasnlib.data.image_file import open_image
from tasnlib.data.images import ImageFiles
from tasnlib.networks.backbones import attention_trunk, classifier_backbone
from tasnlib.networks.build import build_model
from tasnlib.runs.prediction import load
from tasnlib.training.devices import make_accelerator
from tasnlib.training.fit import fit
from tasnlib.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "tasnlib").rglob("*.py"), *(ROOT / "data_scripts").rglob("*.py")])

# -- Calls that execute what they are given ----------------------------------------------------------------------------

FORBIDDEN = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen|exec\w+|spawn\w+)|subprocess\.(getoutput|"
    r"getstatusoutput)|_?(c?pickle|dill|cloudpickle|marshal|jsonpickle)\.(load|loads|Unpickler)|shelve\.open|"
    r"pandas\.read_pickle|joblib\.load|yaml\.(load|load_all|unsafe_load|unsafe_load_all|full_load)|tempfile\.mktemp|"
    r"torch\.hub\.load|torch\.(jit|package)\.\w+|runpy\.\w+|code\.interact|importlib\.util\.spec_from_file_location"
)


def dangers(source: str) -> list[str]:
    """Calls in Python source that run what they are given, whatever name they were imported under."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return [f"line {node.lineno}: {found}" for node in ast.walk(tree) if (found := danger(node, names))]


def danger(node: ast.AST, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name | ast.Attribute):  # also where it is only handed on
        name = dotted(node, names)
        return name if FORBIDDEN.fullmatch(name) else None
    if not isinstance(node, ast.Call):
        return None
    name = dotted(node.func, names)
    given = {word.arg: getattr(word.value, "value", ...) for word in node.keywords}
    if given.get("shell", False) is not False:
        return f"{name}(shell=...)"
    if given.get("allow_pickle", False) is not False:
        return f"{name}(allow_pickle=...)"
    if name == "torch.load" and given.get("weights_only") is not True:
        return "torch.load without weights_only=True"
    return None


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """`np.load` as "numpy.load", after `import numpy as np`."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, names)}.{node.attr}"
    return ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_executes_what_it_is_given(path):
    assert dangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "run = exec",
        "import builtins\nbuiltins.eval('1')",
        "import os\nos.system('ls')",
        "from os import system as start\nstart('ls')",
        "import pickle as storage\nstorage.load(file)",
        "from pickle import loads\nloads(text)",
        "import pickle\nclass Mine(pickle.Unpickler): pass",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import torch\ntorch.load(path, weights_only=trusted)",
        "from torch import load as fetch\nfetch(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.Popen('ls', shell=asked)",
        "import torch\ntorch.hub.load('somebody/code', 'model')",
    ],
)
def test_a_danger_is_found_under_any_name(source):
    assert len(dangers(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import re\nre.compile('a')",
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import yaml\nyaml.safe_load(text)",
        "import json\njson.load(file)",
        "from pickle import UnpicklingError",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import numpy as np\nnp.load(path)",
    ],
)
def test_what_is_no_danger_is_left_alone(source):
    assert dangers(source) == []


# -- Hostile pickles in the place of every file that is read -----------------------------------------------------------


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


DISGUISES = {
    "pickle": lambda bomb, path: path.write_bytes(pickle.dumps(bomb)),
    "old pickle": lambda bomb, path: path.write_bytes(pickle.dumps(bomb, protocol=0)),
    "torch": torch.save,
    "torch, a dictionary": lambda bomb, path: torch.save({"conv1.weight": torch.ones(3), "extra": bomb}, path),
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


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize(
    "offer",
    [offer_a_checkpoint, offer_weights, offer_a_trunk_as_safetensors, offer_a_state, offer_an_image],
    ids=lambda offer: offer.__name__,
)
def test_a_hostile_file_is_refused_by_name_and_its_code_is_not_run(tmp_path, offer, disguise):
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
def test_the_bombs_would_go_off(tmp_path, disguise):
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
    "stored_geometry": "with refused: stored_geometry(Path('bird.jpg'))",
}


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for Ghostscript is a shell script")
@pytest.mark.parametrize("reader", READ)
def test_an_image_that_is_a_program_is_not_given_to_ghostscript(tmp_path, reader):
    """Pillow goes by a file's content, and asks Ghostscript to run PostScript under whatever name."""
    (tmp_path / "bird.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/ran\n")
    (tmp_path / "gs").chmod(0o755)
    script = (
        "import contextlib, pytest\nfrom pathlib import Path\nfrom PIL import Image\n"
        "from tasnlib.data.image_file import open_image, stored_geometry\n"
        "refused = pytest.raises(ValueError, match='^bird.jpg is not a readable image: no image of a known kind$')\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    where = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script + READ[reader]], cwd=tmp_path, env=where, check=True)
    assert (tmp_path / "ran").exists() == (reader == "Pillow")


@pytest.mark.parametrize("disguise", DISGUISES)
def test_hostile_drawn_birds_are_drawn_again(tmp_path, capsys, disguise):
    birds, folder = BirdsConfig(image_size=32), tmp_path / "kept"
    first = Birds.load(birds, "test", 3, folder=folder, progress=False)
    (kept,) = folder.iterdir()
    DISGUISES[disguise](Bomb(tmp_path / "executed"), kept)
    again = Birds.load(birds, "test", 3, folder=folder, progress=False)
    assert kept.name in capsys.readouterr().out
    assert torch.equal(again.images, first.images)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("kept", ["inspected", "cached"])
def test_a_hostile_record_or_cache_of_photographs_is_made_again(tmp_path, disguise, kept):
    paths = [tmp_path / f"{kind}.png" for kind in ("wren", "robin")]
    for path in paths:
        Image.new("RGB", (40, 30), "brown").save(path)
    images = ImageFiles(paths, [0, 1], ["wren", "robin"], 24, "two birds")
    first = getattr(images, kept)(folder=tmp_path / "cache", workers=1, progress=False)
    (record,) = (tmp_path / "cache").iterdir()
    DISGUISES[disguise](Bomb(tmp_path / "executed"), record)
    again = getattr(images, kept)(folder=tmp_path / "cache", workers=1, progress=False)
    assert again.data_hash == first.data_hash
    assert torch.equal(again.take([0, 1]).images, images.take([0, 1]).images)
    assert not (tmp_path / "executed").exists()


# -- At import ---------------------------------------------------------------------------------------------------------

IMPORT_ALL = """
    import importlib, pkgutil, socket, sys

    def refuse(event, arguments):
        if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
            raise PermissionError(f"{event} at import: {arguments}")

    class NoSocket(socket.socket):
        def __init__(self, *arguments, **named):
            raise PermissionError("a socket at import")

    socket.socket = NoSocket
    sys.addaudithook(refuse)  # sees what does not come by way of the module socket, too

    import tasnlib
    names = [found.name for found in pkgutil.walk_packages(tasnlib.__path__, "tasnlib.")]
    for name in names:
        importlib.import_module(name)
    print("imported", len(names))
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=1)
    except PermissionError:
        print("blocked")
"""


@pytest.fixture
def without_home(tmp_path) -> dict[str, str]:
    """An environment whose home folder is not there and cannot be made."""
    (tmp_path / "file").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HF_", "TORCH", "MPL"))}
    return {**kept, "HOME": str(tmp_path / "file" / "home"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}


def test_importing_every_module_opens_no_socket_and_needs_no_home_folder(without_home, tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(IMPORT_ALL)]
    done = subprocess.run(command, env=without_home, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = len(list((ROOT / "tasnlib").rglob("*.py"))) - 1
    assert done.stdout.splitlines() == [f"imported {modules}", "blocked"]
    assert {entry.name for entry in tmp_path.iterdir()} <= {"file", "matplotlib"}


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
    "requests": lambda: requests.get("https://example.com", timeout=5),
    "an address": lambda: connect("203.0.113.1", 80),
    "an address of version 6": lambda: connect("2001:db8::1", 80, socket.AF_INET6),
    "a name": lambda: socket.create_connection(("example.com", 443), timeout=5),
    "a packet": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("203.0.113.1", 53)),
    "ImageNet weights": lambda: classifier_backbone("squeezenet1_1", "DEFAULT"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_no_test_reaches_the_network(what, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # or the weights may be there already
    with pytest.raises(Exception, match="a test may not use the network") as refusal:
        OUTSIDE[what]()
    assert refusal.type is not AssertionError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_test_may_ask_its_own_machine(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect(host, server.getsockname()[1])


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


def test_make_lab_changes_nothing_about_who_may_come_in(nobody_s_settings):
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


def test_the_server_behind_it_listens_on_the_loopback_and_asks_for_a_long_token(nobody_s_settings):
    command = [sys.executable, "-c", textwrap.dedent(SERVER_DEFAULTS)]
    done = subprocess.run(command, env=nobody_s_settings, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    server = json.loads(done.stdout)
    addresses = {place[4][0] for place in socket.getaddrinfo(server["ip"], 80)}
    assert addresses <= {"127.0.0.1", "::1"}
    assert server["generated"]
    assert len(server["token"]) >= 40
    assert (server["remote"], server["origin"], server["no check"]) == (False, "", False)


# -- Pins --------------------------------------------------------------------------------------------------------------


def test_every_requirement_is_one_version_with_hashes():
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


def test_the_environment_is_made_with_these_hashes_alone():
    installs = re.findall(r"pip install (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert installs
    assert all("--require-hashes" in one or ("--no-deps" in one and one.endswith("--editable .")) for one in installs)
