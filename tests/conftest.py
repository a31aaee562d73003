"""No test reaches the network: nothing but this machine can be reached."""

import importlib
import ipaddress
import socket
import sys

import pytest
import torch
from jaxtyping import install_import_hook

import tasnlib  # noqa: F401  before the hook, which its checker would otherwise be under itself

# The hook compiles anew whatever a hooked module is the first to import, so what is large comes before it.
for large in [
    "accelerate",
    "ipywidgets",
    "matplotlib.pyplot",
    "nbconvert",
    "papermill",
    "pydantic",
    "seaborn",
    "timm",
    "torchvision",
]:
    importlib.import_module(large)
# Users have the checks in the files of the paper only, because elsewhere they would cost seconds at import.
install_import_hook("tasnlib", "tasnlib.typechecker")


@pytest.fixture(scope="module")
def one_thread():
    """Two threads on busy cores wait for each other most of the time. And the processes that tests start have one: with
    another number here, sums could round otherwise than there."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Puts a script of one's own in the place of the Python that starts the processes of a run."""

    def install(script: str) -> None:
        (tmp_path / "python").write_text("#!/bin/sh\n" + script)
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    return install


def _stays_here(address: object) -> bool:
    """Is it the loopback? What is no pair of host and port is a socket of Unix."""
    if not isinstance(address, tuple):
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False  # a name, which would have to be asked for


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """A test that asks for anything from outside fails, whether or not there is a network. (A child process may.)"""
    patch = pytest.MonkeyPatch()

    def guarded(name: str):
        original = getattr(socket.socket, name)

        def refuse_or_do(this, *given):
            address = given[-1]
            if this.family in (socket.AF_INET, socket.AF_INET6) and not _stays_here(address):
                raise PermissionError(f"a test may not use the network: {name} to {address}")
            return original(this, *given)

        return refuse_or_do

    def asked(host, *given, **named):
        if not _stays_here((host,)):
            raise PermissionError(f"a test may not use the network: it asked for the address of {host}")
        return getaddrinfo(host, *given, **named)

    getaddrinfo = socket.getaddrinfo
    for name in ("connect", "connect_ex", "sendto"):
        patch.setattr(socket.socket, name, guarded(name))
    patch.setattr(socket, "getaddrinfo", asked)
    yield
    patch.undo()
