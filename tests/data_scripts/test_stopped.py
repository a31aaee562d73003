"""Runs that were stopped half-way leave nothing that looks whole, and the next run goes on."""

import signal
import subprocess
import sys
import time

import pytest

from tests.data_scripts.archives import cub_facts
from tests.data_scripts.conftest import SCRIPTS
from tests.data_scripts.running import command, images, names_in


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_stopped_while_downloading(tmp_path, cub, server, stop):
    server.content, server.slow = cub, 0.03
    run = command("cub200", tmp_path / "data", "--facts", cub_facts(tmp_path, cub, server.url))
    part = tmp_path / "data" / "CUB_200_2011.tgz.part"
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (part.exists() and part.stat().st_size > 60_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(stop)
    _, err = process.communicate(timeout=10)
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "stopped; run the same command again" in err
        assert "Traceback" not in err
    else:
        assert process.returncode == -stop
    assert not (tmp_path / "data" / "CUB_200_2011").exists()
    have = part.stat().st_size
    assert part.read_bytes() == cub[:have]
    server.slow = 0
    done = subprocess.run(run, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.asked[-1][0] == f"bytes={have}-"
    assert server.sent[-1] == len(cub) - have
    assert names_in(tmp_path / "data") == ["CUB_200_2011"]


def test_killed_while_unpacking(tmp_path, cub, server):
    server.content = cub
    facts = cub_facts(tmp_path, cub, server.url)
    # The run hangs in the middle of unpacking until it is killed.
    hang = (
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r}); import unpack_archive, download_cub200\n"
        "write = unpack_archive.Writer.file\n"
        "def slow(self, *given):\n"
        "    if self.members >= 25: print('hanging', flush=True); time.sleep(60)\n"
        "    write(self, *given)\n"
        "unpack_archive.Writer.file = slow\n"
        f"download_cub200.main([{str(tmp_path / 'data')!r}, '--facts', {str(facts)!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", hang], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while b"hanging" not in process.stdout.readline():
        assert process.poll() is None
    leftovers = list((tmp_path / "data").rglob("*.jpg"))
    again = subprocess.run(
        command("cub200", tmp_path / "data", "--facts", facts), capture_output=True, text=True, timeout=30
    )
    assert again.returncode == 1  # two at once would spoil each other's work
    assert "another run is at work" in again.stderr
    process.kill()
    process.wait()
    process.stdout.close()
    assert leftovers
    assert not (tmp_path / "data" / "CUB_200_2011").exists()
    done = subprocess.run(
        command("cub200", tmp_path / "data", "--facts", facts), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "removing what a stopped run left" in done.stdout
    assert names_in(tmp_path / "data") == ["CUB_200_2011"]
    assert len(images(tmp_path / "data")) == 20
    assert len(server.asked) == 1  # the archive had arrived
