"""Archives that mean harm, and archives that are broken: nothing of them is followed, and nothing lands outside."""

import gzip
import stat
import struct
import tarfile
from pathlib import Path

import pytest
from archive_facts import Failure
from unpack_archive import safe_name, unpack

from tests.data_scripts.archives import tar_of, zip_of

GOOD = ("set/images/1.jpg", {}, b"an image")


def extract(tmp_path, content: bytes, bytes_at_most: int = 10_000, members_at_most: int = 10) -> dict[str, bytes]:
    """Unpack into tmp_path/a/into; also makes sure that nothing was written anywhere else."""
    archive, into = tmp_path / "archive", tmp_path / "a" / "into"
    archive.write_bytes(content)
    into.mkdir(parents=True)
    try:
        unpack(archive, into, bytes_at_most, members_at_most)
    finally:
        outside = [path for path in tmp_path.rglob("*") if into not in (path, *path.parents)]
        assert sorted(outside) == [tmp_path / "a", archive]
        assert not any(path.is_symlink() or not (path.is_file() or path.is_dir()) for path in into.rglob("*"))
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


def test_plain_archives(tmp_path):
    for number, content in enumerate(
        [
            tar_of(GOOD),
            tar_of(GOOD, mode="w"),
            tar_of(GOOD, format=tarfile.PAX_FORMAT),
            tar_of(("./set/", {"type": tarfile.DIRTYPE}, b""), ("./" + GOOD[0], {}, GOOD[2])),
            zip_of((GOOD[0], 0o644 | stat.S_IFREG, GOOD[2])),
            zip_of(("set/", 0o755 | stat.S_IFDIR, b""), (GOOD[0], 0, GOOD[2])),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert extract(folder, content) == {"set/images/1.jpg": b"an image"}


def test_file_modes_are_made_plain(tmp_path):
    extract(tmp_path, tar_of(("set", {"type": tarfile.DIRTYPE, "mode": 0o000}, b""), ("set/1", {"mode": 0o6777}, b"")))
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    assert (tmp_path / "a/into/set/1").stat().st_mode == usual.stat().st_mode
    assert (tmp_path / "a/into/set").stat().st_mode == (tmp_path / "a").stat().st_mode


BAD_NAMES = {
    "/etc/cron.d/job": "leads out",
    "\\\\server\\share": "not a valid name",
    "C:/windows/x": "not a valid name",
    "set/../../outside": "leads out",
    "set/..": "leads out",
    "set\\..\\outside": "not a valid name",
    "set/new\nline": "not a valid name",
    "set/" + "n" * 256: "not a valid name",
    "s/" * 600 + "deep": "not a valid name",
}


@pytest.mark.parametrize("kind", ["tar", "tar folder", "zip"])
def test_bad_names(tmp_path, kind):
    for number, (name, text) in enumerate(BAD_NAMES.items()):
        fields = {"type": tarfile.DIRTYPE if "folder" in kind else tarfile.REGTYPE}
        tar = tar_of((name, fields, b""), format=tarfile.GNU_FORMAT)
        (tmp_path / str(number)).mkdir()
        with pytest.raises(Failure, match=text):
            extract(tmp_path / str(number), zip_of((name, 0, b"x")) if kind == "zip" else tar)


def test_bytes_that_are_no_text_in_a_name(tmp_path):
    with pytest.raises(Failure, match="not a valid name"):
        extract(tmp_path, tar_of(("set/\udcff", {}, b""), format=tarfile.GNU_FORMAT))


def test_a_zero_byte_in_a_name(tmp_path):
    content = zip_of(("set/1.jpg#.exe", 0, b"x")).replace(b"#", b"\0")
    with pytest.raises(Failure, match="not a valid name"):
        extract(tmp_path, content)


def test_a_file_without_a_name(tmp_path):
    for number, name in enumerate(["", "./"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Failure, match="without a name"):
            extract(folder, tar_of((name, {}, b"x")))


def test_links_devices_and_pipes_in_a_tar(tmp_path):
    for number, kind in enumerate(
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"Z"]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        for number, points_to in enumerate(["set/images/1.jpg", "/etc/passwd", "../../outside"]):
            content = tar_of(
                GOOD, ("set/odd", {"type": kind, "linkname": points_to, "devmajor": 1, "devminor": 3}, b"")
            )
            (folder / str(number)).mkdir()
            with pytest.raises(Failure, match=r"set/odd.*a link, a device or the like"):
                extract(folder / str(number), content)


def test_a_link_to_a_folder_and_a_file_through_it(tmp_path):
    # The classic way out: each name alone looks harmless.
    content = tar_of(("set", {"type": tarfile.SYMTYPE, "linkname": "../.."}, b""), ("set/outside", {}, b"x"))
    with pytest.raises(Failure, match="a link"):
        extract(tmp_path, content)


def test_sparse_files_are_refused(tmp_path):
    # 1 TB of nothing in a few bytes.
    pax = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1"}
    content = tar_of(("set/hole", {"pax_headers": pax}, b"x"), format=tarfile.PAX_FORMAT)
    with pytest.raises(Failure):
        extract(tmp_path, content)


def test_links_devices_and_pipes_in_a_zip(tmp_path):
    for number, kind in enumerate([stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Failure, match="a link, a device or the like"):
            extract(folder, zip_of((GOOD[0], 0o644, b"x"), ("set/odd", kind | 0o777, b"/etc/passwd")))


@pytest.mark.parametrize(
    ("names", "kind"),
    [(("set/1", "./set//1"), "zip"), (("set/1", "set/1/2"), "tar"), (("set/1/2", "set/1"), "zip")],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path, names, kind):
    content = tar_of(*((n, {}, b"x") for n in names)) if kind == "tar" else zip_of(*((n, 0, b"x") for n in names))
    with pytest.raises(Failure, match="twice"):
        extract(tmp_path, content)
    first = tmp_path / "a" / "into" / names[0]
    assert first.read_bytes() == b"x"


def test_bombs_are_refused_before_they_are_written(tmp_path):
    for number, kind in enumerate(["tar", "zip"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = bytes(1_000_000)
        content = tar_of(GOOD, ("set/zeros", {}, data)) if kind == "tar" else zip_of(("set/zeros", 0, data))
        assert len(content) < 10_000
        with pytest.raises(Failure, match="more than 999,999 bytes"):
            extract(folder, content, bytes_at_most=999_999)
        assert not (folder / "a/into/set/zeros").exists()


def test_too_many_files(tmp_path):
    for number, kind in enumerate(["tar", "zip"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = [f"set/{number}" for number in range(11)]
        content = tar_of(*((n, {}, b"") for n in names)) if kind == "tar" else zip_of(*((n, 0, b"") for n in names))
        with pytest.raises(Failure, match="more than 10 files"):
            extract(folder, content)


def test_a_header_of_gigabytes(tmp_path):
    # A member's comment is read into memory before anybody can ask how large it is.
    content = tar_of(("set/1", {"pax_headers": {"comment": "c" * 5_000_000}}, b"x"), format=tarfile.PAX_FORMAT)
    with pytest.raises(Failure, match="far more than it should"):
        extract(tmp_path, content, bytes_at_most=1000)


def test_a_zip_that_lies_about_its_sizes(tmp_path):
    content = bytearray(zip_of(("set/zeros", 0, bytes(100_000))))
    for size in (content.index(struct.pack("<I", 100_000)), content.rindex(struct.pack("<I", 100_000))):
        content[size : size + 4] = struct.pack("<I", 10)
    with pytest.raises(Failure, match="truncated or damaged"):
        extract(tmp_path, bytes(content))
    assert sum(path.stat().st_size for path in (tmp_path / "a").rglob("*") if path.is_file()) <= 10


NOISE = bytes((i * i * 31 + i // 7) % 251 for i in range(50_000))


@pytest.mark.parametrize(("kind", "left"), [("tar.gz", 0.97), ("tar", 0.6), ("zip", 0.6)])
def test_truncated_archives(tmp_path, kind, left):
    members = [(f"set/{number}.jpg", {}, NOISE[number * 10_000 :][:10_000]) for number in range(5)]
    if kind == "zip":
        content = zip_of(*((name, 0, data) for name, _, data in members))
    else:
        content = tar_of(*members, mode="w:gz" if kind == "tar.gz" else "w")
    left = min(left, 0.8) if kind == "tar" else left  # at the end of a plain one is nothing
    with pytest.raises(Failure, match="truncated or damaged"):
        extract(tmp_path, content[: int(len(content) * left)], 100_000)


def test_a_damaged_byte_is_found_by_the_checksum(tmp_path):
    for number, content in enumerate((tar_of(("set/1", {}, NOISE)), zip_of(("set/1", 0, NOISE)))):
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 0xFF
        (tmp_path / str(number)).mkdir()
        with pytest.raises(Failure, match="truncated or damaged"):
            extract(tmp_path / str(number), bytes(damaged), 100_000)


def test_what_is_no_archive(tmp_path):
    for number, content in enumerate([b"", b"<!DOCTYPE html>", gzip.compress(b"not a tar", mtime=0)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Failure, match=r"is not a \.tar|truncated or damaged"):
            extract(folder, content)


def test_encrypted_zip(tmp_path):
    content = bytearray(zip_of(("set/1", 0, b"x" * 20)))
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(Failure, match="password"):
        extract(tmp_path, bytes(content))


def test_random_damage_never_gets_through_as_another_error(tmp_path):
    import random

    dice = random.Random(0)
    plain = tar_of(GOOD, ("set/2", {"pax_headers": {"comment": "long" * 50}}, NOISE[:600]), mode="w", format=2)
    packed = zip_of((GOOD[0], 0, GOOD[2]), ("set/2", 0, NOISE[:600]))
    for number in range(200):
        damaged = bytearray(plain if number % 2 else packed)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            extract(folder, bytes(damaged))
        except Failure:
            continue


def test_names_that_are_fine():
    fine = "train_val_images/Aves/Accipiter badius/été × 1.jpg"
    assert str(safe_name(fine, Path("set"))) == fine
    assert str(safe_name("a/...b/..c", Path("set"))) == "a/...b/..c"
