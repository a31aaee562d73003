"""Disks that are full, fill up, or are read-only: one line that says so, and nothing half-made."""

import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import download_cub200
import pytest
from download_command import shutil as command_shutil

from tests.data_scripts.archives import cub_facts
from tests.data_scripts.conftest import SCRIPTS
from tests.data_scripts.running import command, is_one_error, names_in


def test_full_disk_before_starting(tmp_path, cub, server, capfd):
    facts = str(cub_facts(tmp_path, cub, server.url, unpacked_bytes=10**18))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == 1
    err = capfd.readouterr().err
    assert is_one_error(err)
    assert "not enough room" in err
    assert "1,000,000,000.00 GB are needed" in err
    assert server.asked == []


def test_room_counts_archive_and_content_less_what_is_here(tmp_path, cub, server, monkeypatch, capfd):
    server.content = cub
    facts = str(cub_facts(tmp_path, cub, server.url, unpacked_bytes=5_000_000))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "CUB_200_2011.tgz.part").write_bytes(cub[:100_000])
    usage = namedtuple("usage", "total used free")
    needed = len(cub) - 100_000 + 5_000_000
    for free, code in ((needed - 1, 1), (needed, 0)):
        monkeypatch.setattr(command_shutil, "disk_usage", lambda _, free=free: usage(free, 0, free))
        assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == code
    assert "not enough room" in capfd.readouterr().err


def test_room_is_asked_again_once_the_server_names_an_unknown_size(tmp_path, cub, server, monkeypatch, capfd):
    server.content = cub
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(command_shutil, "disk_usage", lambda _: usage(0, 0, 2 * len(cub)))
    facts = str(cub_facts(tmp_path, cub, server.url, bytes=None))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == 1
    assert "not enough room" in capfd.readouterr().err
    assert server.sent[0] <= 1 << 20
    assert not (tmp_path / "data" / "CUB_200_2011.tgz.part").exists()


def mounted(size: str, then: str, run: list[str], disk: Path) -> subprocess.CompletedProcess:
    """Run a command on a disk of its own that is really full or read-only, for root as for everybody."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed: no disk of our own")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    disk.mkdir()
    listing = disk.with_name("listing")
    mount = f"mount -t tmpfs -o size={size} none '{disk}' || exit 99; {then}"
    script = f"{mount} \"$@\"; code=$?; ls -A '{disk}' > '{listing}'; exit $code"
    wrapped = ["unshare", "--mount", *user, "sh", "-c", script, "sh", *run]
    done = subprocess.run(wrapped, capture_output=True, text=True, timeout=30)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("no right to mount a disk here")
    done.left = listing.read_text().split()
    return done


@pytest.mark.parametrize(
    ("size", "left"),
    [
        pytest.param("200k", ["CUB_200_2011.tgz.part", "CUB_200_2011.tgz.part.json"], id="while downloading"),
        pytest.param("450k", ["CUB_200_2011.tgz.part", "CUB_200_2011.tgz.part.json"], id="while unpacking"),
    ],
)
def test_a_disk_that_fills_up(tmp_path, cub, server, size, left):
    server.content = cub
    # Facts that promise too little, so that the check before the start lets it pass.
    facts = cub_facts(tmp_path, cub, server.url, bytes=None, unpacked_bytes=1)
    lie = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import download_command, download_cub200; "
        "download_command._require_room = lambda *_: None; sys.exit(download_cub200.main(sys.argv[1:]))"
    )
    run = [sys.executable, "-c", lie, str(tmp_path / "disk"), "--facts", str(facts)]
    done = mounted(size, "", run, tmp_path / "disk")
    assert done.returncode == 1
    assert is_one_error(done.stderr)
    assert "the disk is full" in done.stderr
    assert done.left == left


def test_a_read_only_disk(tmp_path, cub, server):
    server.content = cub
    run = command("cub200", tmp_path / "disk", "--facts", cub_facts(tmp_path, cub, server.url))
    done = mounted("1m", f"mount -o remount,ro '{tmp_path / 'disk'}';", run, tmp_path / "disk")
    assert done.returncode == 1
    assert is_one_error(done.stderr)
    assert "name another FOLDER" in done.stderr
    assert server.asked == []


def test_a_disk_that_says_no(tmp_path, cub, monkeypatch, capfd):
    for number, code in enumerate([errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "CUB_200_2011.tgz").write_bytes(cub)
        import unpack_archive

        def refuse(*_, code=code):
            raise OSError(code, os.strerror(code), "images/1.jpg")

        monkeypatch.setattr(unpack_archive.Writer, "file", refuse)
        facts = str(cub_facts(folder, cub))
        given = [str(folder / "data"), "--facts", facts, "--from", str(folder / "CUB_200_2011.tgz")]
        assert download_cub200.main(given) == 1
        err = capfd.readouterr().err
        assert is_one_error(err)
        assert ("disk is full" in err) == (code in (errno.ENOSPC, errno.EDQUOT))
        assert names_in(folder / "data") == []
        monkeypatch.undo()
        assert download_cub200.main(given) == 0


def test_a_folder_that_is_a_file(tmp_path, cub, capfd):
    (tmp_path / "data").write_text("in the way")
    facts = str(cub_facts(tmp_path, cub, "http://127.0.0.1:9/"))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == 1
    assert is_one_error(capfd.readouterr().err)
