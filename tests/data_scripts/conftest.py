"""A local server, small archives in the exact real formats, and a way to run the scripts as a user does."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
sys.path.insert(0, str(SCRIPTS))  # as `python data_scripts/download_....py` has it

from tests.data_scripts.archives import cub_archive  # noqa: E402
from tests.data_scripts.server import Server  # noqa: E402


@pytest.fixture
def server():
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def cub(tmp_path_factory) -> bytes:
    """The archive of a small CUB-200-2011, padded with noise so that cutting it in the middle cuts an image."""
    return cub_archive(tmp_path_factory.mktemp("cub"))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Tests in this process do not wait before they try again."""
    import resumable_download

    monkeypatch.setattr(resumable_download, "PAUSES", (0.0, 0.0, 0.0))
