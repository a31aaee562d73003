"""The scripts as a user meets them: stopped half-way, on full and read-only disks, with files fetched by hand."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import download_cub200
import download_inat2017
import download_stanford_cars
import pytest
from prepare import shutil as prepare_shutil

from tests.data_scripts.archives import cub_facts, pack, tar_of
from tests.data_scripts.conftest import SCRIPTS
from tests.photo_sets import make_cub200, make_inat2017, make_stanford_cars

SMALL_CARS = {"train": 9, "test": 9, "classes": 3}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def images(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.jpg")}


def write_facts(folder: Path, **facts) -> str:
    file = folder / "small.json"
    file.write_text(json.dumps(facts))
    return str(file)


def command(script: str, *arguments) -> list[str]:
    return [sys.executable, str(SCRIPTS / f"download_{script}.py"), *map(str, arguments)]


def is_one_error(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.fixture
def cub_set(tmp_path, cub) -> Path:
    """A whole CUB_200_2011 in tmp_path/data."""
    archive = tmp_path / "CUB_200_2011.tgz"
    archive.write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 0
    assert archive.read_bytes() == cub
    return tmp_path / "data" / "CUB_200_2011"


# --- stopped runs


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
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
    assert sorted(os.listdir(tmp_path / "data")) == ["CUB_200_2011"]


def test_killed_while_unpacking(tmp_path, cub, server):
    server.content = cub
    facts = cub_facts(tmp_path, cub, server.url)
    # The tenth file that is opened for unpacking never comes: the run hangs there until it is killed.
    hang = (
        f"import sys, time; sys.path.insert(0, {str(SCRIPTS)!r}); import unpack, download_cub200\n"
        "write = unpack.Writer.file\n"
        "def slow(self, *given):\n"
        "    if self.members == 10: print('hanging', flush=True); time.sleep(60)\n"
        "    write(self, *given)\n"
        "unpack.Writer.file = slow\n"
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
    assert sorted(os.listdir(tmp_path / "data")) == ["CUB_200_2011"]
    assert len(images(tmp_path / "data")) == 20
    assert len(server.asked) == 1  # the archive had arrived


# --- disks


def test_full_disk_before_starting(tmp_path, cub, server, capfd):
    facts = str(cub_facts(tmp_path, cub, server.url, unpacked_bytes=10**18))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == 1
    out, err = capfd.readouterr()
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
        monkeypatch.setattr(prepare_shutil, "disk_usage", lambda _, free=free: usage(free, 0, free))
        assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == code
    assert "not enough room" in capfd.readouterr().err


def test_room_is_asked_again_once_the_server_names_an_unknown_size(tmp_path, cub, server, monkeypatch, capfd):
    server.content = cub
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(prepare_shutil, "disk_usage", lambda _: usage(0, 0, 2 * len(cub)))
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
    mount = f"mount -t tmpfs -o size={size} none '{disk}' || exit 99; {then}"
    script = f"{mount} \"$@\"; code=$?; ls -A '{disk}' >&3; exit $code"
    listing = disk.with_name("listing")
    with listing.open("w") as names:
        wrapped = ["unshare", "--mount", *user, "sh", "-c", f"exec 3>&{names.fileno()}; {script}", "sh", *run]
        done = subprocess.run(wrapped, capture_output=True, text=True, pass_fds=[names.fileno()], timeout=30)
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
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import prepare, download_cub200; "
        "prepare._require_room = lambda *_: None; sys.exit(download_cub200.main(sys.argv[1:]))"
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


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_says_no(tmp_path, cub, monkeypatch, capfd, code):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(cub)
    import unpack

    def refuse(*_):
        raise OSError(code, os.strerror(code), "images/1.jpg")

    monkeypatch.setattr(unpack.Writer, "file", refuse)
    facts = str(cub_facts(tmp_path, cub))
    given = [str(tmp_path / "data"), "--facts", facts, "--from", str(tmp_path / "CUB_200_2011.tgz")]
    assert download_cub200.main(given) == 1
    err = capfd.readouterr().err
    assert is_one_error(err)
    assert ("disk is full" in err) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert os.listdir(tmp_path / "data") == []
    monkeypatch.undo()
    assert download_cub200.main(given) == 0


def test_a_folder_that_is_a_file(tmp_path, cub, capfd):
    (tmp_path / "data").write_text("in the way")
    facts = str(cub_facts(tmp_path, cub, "http://127.0.0.1:9/"))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts]) == 1
    assert is_one_error(capfd.readouterr().err)


# --- what is inside


@pytest.mark.parametrize("trouble", ["hostile", "truncated", "an image too few", "no lists", "empty image"])
def test_archives_that_must_not_become_a_data_set(tmp_path, capfd, trouble):
    home = make_cub200(tmp_path / "source")
    victim = next(home.glob("images/*/*.jpg"))
    if trouble == "an image too few":
        victim.unlink()
    if trouble == "empty image":
        victim.write_bytes(b"")
    if trouble == "no lists":
        (home / "train_test_split.txt").unlink()
    archive = pack(tmp_path / "CUB_200_2011.tgz", {"CUB_200_2011": home})
    if trouble == "hostile":
        archive.write_bytes(tar_of(("CUB_200_2011/images.txt", {}, b"x"), ("../../outside", {}, b"x")))
    if trouble == "truncated":
        archive.write_bytes(archive.read_bytes()[:-5_000])
    facts = str(cub_facts(tmp_path, archive.read_bytes()))
    assert download_cub200.main([str(tmp_path / "a/data"), "--facts", facts, "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert is_one_error(err)
    expected = {
        "hostile": "leads out of the folder",
        "truncated": "truncated or damaged",
        "an image too few": f"1 of 20 images are missing or empty, the first is images/{victim.parent.name}",
        "empty image": "1 of 20 images are missing or empty",
        "no lists": "no train_test_split.txt",
    }
    assert expected[trouble] in err
    assert os.listdir(tmp_path / "a" / "data") == []
    assert os.listdir(tmp_path / "a") == ["data"]


def test_counts_must_be_the_known_ones(tmp_path, cub, capfd):
    (tmp_path / "CUB_200_2011.tgz").write_bytes(cub)
    facts = str(cub_facts(tmp_path, cub, train=11, classes=3))
    given = [str(tmp_path / "data"), "--facts", facts, "--from", str(tmp_path / "CUB_200_2011.tgz")]
    assert download_cub200.main(given) == 1
    assert "10 training images, expected are 11; 2 classes, expected are 3" in capfd.readouterr().err


def test_a_damaged_set_in_its_place_is_reported_not_touched(tmp_path, cub_set, cub, capfd):
    next(cub_set.glob("images/*/*.jpg")).unlink()
    before = tree(cub_set)
    facts = str(cub_facts(tmp_path, cub, "http://127.0.0.1:9/"))
    assert download_cub200.main([str(cub_set.parent), "--facts", facts]) == 1
    assert "is there but not whole: 1 of 20 images" in capfd.readouterr().err
    assert tree(cub_set) == before
    (cub_set / "images.txt").unlink()
    assert download_cub200.main([str(cub_set.parent), "--facts", facts]) == 1
    assert "Remove or rename that folder" in capfd.readouterr().err


def test_verify(tmp_path, cub_set, cub, capfd):
    given = [str(cub_set.parent), "--facts", str(cub_facts(tmp_path, cub)), "--verify"]
    assert download_cub200.main(given) == 0
    assert "10 training and 10 test images of 2 classes; every file opens" in capfd.readouterr().out
    cut, missing, text, *_ = sorted(cub_set.glob("images/*/*.jpg"))
    cut.write_bytes(cut.read_bytes()[:-300])  # its header is whole: only decoding shows it
    missing.unlink()
    text.write_text("not an image")
    assert download_cub200.main(given) == 1
    out = capfd.readouterr().out
    broken = [line for line in out.replace("\r", "\n").split("\n") if line.startswith("broken: ")]
    assert [line.split(": ")[1] for line in broken] == [str(f.relative_to(cub_set)) for f in (cut, missing, text)]
    assert "3 problems" in out


def test_verify_without_a_set(tmp_path, capfd):
    assert download_cub200.main([str(tmp_path), "--verify"]) == 1
    assert "run the same command without --verify first" in capfd.readouterr().err


# --- fetched by hand


@pytest.mark.parametrize("where", ["itself", "above", "archive in a folder", "renamed archive"])
def test_cub_from(tmp_path, cub, where):
    home = make_cub200(tmp_path / "source")
    os.chmod(home / "README", 0o444)
    source = {"itself": home, "above": home.parent}.get(where, tmp_path / "packed")
    if source == tmp_path / "packed":
        source.mkdir()
        name = "CUB_200_2011.tgz" if where == "archive in a folder" else "CUB_200_2011 (1).tgz"
        (source / name).write_bytes(cub)
        source = source if where == "archive in a folder" else source / name
    before = tree(tmp_path / "source")
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(source)]) == 0
    result = tmp_path / "data" / "CUB_200_2011"
    assert images(result) == images(home)
    assert (result / "attributes.txt").is_file()
    assert tree(tmp_path / "source") == before
    if where in ("itself", "above"):
        assert (result / "images.txt").samefile(home / "images.txt")  # linked: takes no room


def test_where_links_are_not_possible_files_are_copied(tmp_path, monkeypatch):
    home = make_cub200(tmp_path / "source")

    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", refuse)
    facts = write_facts(tmp_path, train=10, test=10, classes=2)
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    result = tmp_path / "data" / "CUB_200_2011"
    assert images(result) == images(home)
    assert not (result / "images.txt").samefile(home / "images.txt")


def test_links_in_the_users_folder_become_files(tmp_path):
    home = make_cub200(tmp_path / "source")
    (home / "images").rename(tmp_path / "elsewhere")
    (home / "images").symlink_to(tmp_path / "elsewhere")
    facts = write_facts(tmp_path, train=10, test=10, classes=2)
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    assert not any(path.is_symlink() for path in (tmp_path / "data").rglob("*"))
    assert len(images(tmp_path / "data")) == 20


def test_cub_from_a_wrong_archive_is_refused_and_kept(tmp_path, cub, capfd):
    archive = tmp_path / "CUB_200_2011.tgz"
    archive.write_bytes(cub[:-1] + b"?")
    facts = str(cub_facts(tmp_path, cub))
    assert download_cub200.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert hashlib.sha256(cub).hexdigest() in err
    assert hashlib.sha256(cub[:-1] + b"?").hexdigest() in err
    assert archive.is_file()


def test_cars_without_from_gives_manual_steps(tmp_path):
    done = subprocess.run(command("stanford_cars", tmp_path / "data"), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == ""
    for archive in download_stanford_cars.FACTS.archives:
        assert f"{archive.name:<32} {archive.md5}" in done.stdout
    assert "--from FOLDER" in done.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("layout", ["devkit", "nested", "car_ims"])
@pytest.mark.parametrize("packed", ["folder", "one zip", "archives"])
def test_cars_from_every_layout(tmp_path, layout, packed, capfd):
    home = make_stanford_cars(tmp_path / "source", layout)
    before = tree(home)
    sources = [home]
    if packed == "one zip":
        sources = [pack(tmp_path / "archive.zip", {"stanford_cars": home})]
    if packed == "archives":
        names = {"devkit": "car_devkit.tgz"}
        folders = [path for path in home.iterdir() if path.is_dir()]
        sources = [pack(tmp_path / names.get(at.name, f"{at.name}.tgz"), {at.name: at}) for at in folders]
        labels = shutil.copy(next(home.glob("*.mat")), tmp_path / next(home.glob("*.mat")).name)
        sources.append(Path(labels))
    given = [str(tmp_path / "data"), "--facts", write_facts(tmp_path, **SMALL_CARS)]
    for source in sources:
        given += ["--from", str(source)]
    assert download_stanford_cars.main(given) == 0
    out = capfd.readouterr().out
    assert (out.count("is not one of the known files") > 0) == (packed != "folder")
    result = tmp_path / "data" / "stanford_cars"
    assert images(result) == images(home)
    assert len(images(result)) == 18
    assert tree(home) == before
    assert not any(path.is_symlink() for path in result.rglob("*"))
    assert download_stanford_cars.main([*given[:3], "--verify"]) == 0
    from tasnlib.data.stanford_cars import load_stanford_cars

    assert [len(load_stanford_cars(result, split)) for split in ("train", "test")] == [9, 9]


def test_cars_whose_test_labels_lie_in_the_devkit(tmp_path):
    home = make_stanford_cars(tmp_path / "source", "devkit", test_labels="inside")
    facts = write_facts(tmp_path, **SMALL_CARS)
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 0
    assert (tmp_path / "data" / "stanford_cars" / "cars_test_annos_withlabels.mat").is_file()


def test_cars_without_test_labels(tmp_path, capfd):
    home = make_stanford_cars(tmp_path / "source", "devkit", test_labels="missing")
    facts = write_facts(tmp_path, **SMALL_CARS)
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(home)]) == 1
    assert "there is no cars_test_annos_withlabels.mat" in capfd.readouterr().err


def test_a_known_file_of_cars_is_recognised_whatever_its_name(tmp_path, capfd):
    home = make_stanford_cars(tmp_path / "source", "car_ims")
    archive = pack(tmp_path / "download.tgz", {"stanford_cars": home})
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    facts = write_facts(tmp_path, **SMALL_CARS, archives={"cars_train.tgz": {"md5": md5}})
    assert download_stanford_cars.main([str(tmp_path / "data"), "--facts", facts, "--from", str(archive)]) == 0
    assert "download.tgz is the known cars_train.tgz" in capfd.readouterr().out


@pytest.fixture
def inat(tmp_path) -> dict[str, Path]:
    home = make_inat2017(tmp_path / "source")
    lists = {name: home / name for name in ("train2017.json", "val2017.json")}
    packed = {
        "train_val_images.tar.gz": {"train_val_images": home / "train_val_images"},
        "train_val2017.zip": lists,
    }
    return {name: pack(tmp_path / name, members) for name, members in packed.items()}


def test_inat_downloads_both_archives(tmp_path, inat, server, capfd):
    from tests.data_scripts.server import Server

    with Server() as second:
        archives = {}
        for at, (name, file) in zip((server, second), inat.items(), strict=True):
            at.content = file.read_bytes()
            archives[name] = {"url": at.url, "md5": hashlib.md5(at.content).hexdigest()}
        facts = write_facts(tmp_path, train=9, test=9, classes=3, archives=archives)
        assert download_inat2017.main([str(tmp_path / "data"), "--facts", facts]) == 0
    out = capfd.readouterr().out
    assert "research and education only; the images must not be passed on" in out
    assert "9 training and 9 test images of 3 classes" in out
    assert images(tmp_path / "data" / "inat2017") == images(tmp_path / "source")
    assert os.listdir(tmp_path / "data") == ["inat2017"]


@pytest.mark.parametrize("given", ["archives", "folder", "archive and folder", "one only"])
def test_inat_from(tmp_path, inat, given, capfd):
    source = tmp_path / "source"
    sources = {
        "archives": [*inat.values()],
        "folder": [source],
        "archive and folder": [source / "train_val_images", inat["train_val2017.zip"]],
        "one only": [inat["train_val_images.tar.gz"]],
    }[given]
    facts = write_facts(tmp_path, train=9, test=9, classes=3, archives={"train_val_images.tar.gz": {"md5": None}})
    arguments = [str(tmp_path / "data"), "--facts", facts]
    for path in sources:
        arguments += ["--from", str(path)]
    code = download_inat2017.main(arguments)
    if given == "one only":
        assert code == 1
        assert "no train2017.json found; it is in train_val2017.zip" in capfd.readouterr().err
    else:
        assert code == 0
        assert images(tmp_path / "data" / "inat2017") == images(source)


def test_inat_refuses_images_with_another_hash(tmp_path, inat, capfd):
    archive = inat["train_val_images.tar.gz"]
    assert download_inat2017.main([str(tmp_path / "data"), "--from", str(archive)]) == 1
    err = capfd.readouterr().err
    assert "expected is 7c784ea5e424efaec655bd392f87301f" in err
    assert hashlib.md5(archive.read_bytes()).hexdigest() in err


def test_from_what_is_not_there(tmp_path, capfd):
    assert download_cub200.main([str(tmp_path), "--from", str(tmp_path / "nothing")]) == 1
    assert "there is no such file or folder" in capfd.readouterr().err


# --- facts


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "one JSON object"),
        ('{"sha": "x"}', "unknown sha; known are archives, train"),
        ('{"train": "ten"}', "train is 'ten'; it must be a whole number"),
        ('{"train": true}', "train is True"),
        ('{"md5": "123"}', "md5 is '123'; it must be 32 hexadecimal digits"),
        ('{"url": "ftp://a/b"}', "urls must start with https:// or http://"),
        ('{"archives": {"cub.tgz": {}}}', "unknown cub.tgz; known are CUB_200_2011.tgz"),
    ],
)
def test_facts_that_make_no_sense(tmp_path, capfd, text, says):
    (tmp_path / "facts.json").write_text(text)
    assert download_cub200.main([str(tmp_path / "data"), "--facts", str(tmp_path / "facts.json")]) == 1
    err = capfd.readouterr().err
    assert is_one_error(err)
    assert says in err


def test_a_mirror_keeps_the_known_size_and_hash(tmp_path):
    from facts import replaced

    (tmp_path / "facts.json").write_text('{"url": "https://mirror/cub.tgz"}')
    (archive,) = replaced(download_cub200.FACTS, tmp_path / "facts.json").archives
    assert archive.urls == ("https://mirror/cub.tgz",)
    assert archive.bytes == 1_150_585_339
    assert archive.hashes == {
        "sha256": "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
        "md5": "97eceeb196236b17998738112f37df78",
    }


def test_examples_in_the_docstrings():
    import doctest

    import check
    import gather
    import unpack

    results = [
        doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL) for module in (check, gather, unpack)
    ]
    assert [result.failed for result in results] == [0, 0, 0]
    assert all(result.attempted for result in results)
