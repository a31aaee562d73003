"""Importing the library fetches nothing and needs no home folder."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

IMPORT_ALL = """
    import importlib, pkgutil, socket, sys

    def refuse(event, arguments):
        if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
            raise PermissionError(f"{event} at import: {arguments}")

    class NoSocket(socket.socket):
        def __init__(self, *arguments, **named):
            raise PermissionError("a socket at import")

    socket.socket = NoSocket
    sys.addaudithook(refuse)  # also sees what bypasses the module socket

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
    """An environment whose home folder cannot be created."""
    (tmp_path / "file").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HF_", "TORCH", "MPL"))}
    return {**kept, "HOME": str(tmp_path / "file" / "home"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}


def test_imports_open_no_socket_and_need_no_home_folder(without_home, tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(IMPORT_ALL)]
    done = subprocess.run(command, env=without_home, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = len(list((ROOT / "tasnlib").rglob("*.py"))) - 1
    assert done.stdout.splitlines() == [f"imported {modules}", "blocked"]
    assert {entry.name for entry in tmp_path.iterdir()} <= {"file", "matplotlib"}
