"""Unpack an archive of unknown origin: only plain files and folders, and only inside the given folder.

Names go through tarfile's data filter. Members are written here and not by the standard library, which does not limit
size and number, and overwrites files.
"""

import errno
import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from archive_facts import Failure
from progress_bar import bar
from tqdm import tqdm

CHUNK = 1 << 20
HEADER_BYTES = 4096  # of a tar member, generously
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


def safe_name(name: str, into: Path) -> PurePosixPath:
    """The member's path inside the folder `into`; for zip archives too, by tarfile's data filter.

    Raises:
        Failure: if it could lead out of the folder, or is not a valid name on every system.

    >>> str(safe_name("./images/001.Albatross/1.jpg", Path("birds")))
    'images/001.Albatross/1.jpg'
    >>> safe_name("images/../../passwords", Path("birds"))
    Traceback (most recent call last):
        ...
    archive_facts.Failure: the archive has 'images/../../passwords', which leads out of the folder
    """
    # Also bytes that are not UTF-8, and what means another folder on Windows.
    odd = re.match("[A-Za-z]:", name) or "\\" in name or any(not letter.isprintable() for letter in name)
    if odd or any(len(step.encode()) > 255 for step in name.split("/")) or len(name) > 1000:
        raise Failure(f"the archive has {name[:300]!r}, which is not a valid name")
    try:
        tarfile.data_filter(tarfile.TarInfo(name), str(into))
    except tarfile.FilterError:
        outside = True
    else:  # the filter makes absolute paths relative, and takes a/.. for a
        outside = name.startswith("/") or ".." in name.split("/")
    if outside:
        raise Failure(f"the archive has {name[:300]!r}, which leads out of the folder")
    return PurePosixPath(name)


class Writer:
    """Writes members into a new folder, each once, up to the allowed size and number."""

    def __init__(self, into: Path, bytes_at_most: int, members_at_most: int):
        self.into, self.bytes_at_most, self.members_at_most = into, bytes_at_most, members_at_most
        self.bytes = self.members = 0
        self.made = {PurePosixPath()}

    def allow(self, size: int) -> None:
        """Count a member before it is written."""
        self.members += 1
        self.bytes += size
        if size < 0:
            raise Failure("the archive has a file of negative size")
        if self.members > self.members_at_most:
            raise Failure(f"the archive has more than {self.members_at_most:,} files: far more than it should")
        if self.bytes > self.bytes_at_most:
            raise Failure(f"the archive unpacks to more than {self.bytes_at_most:,} bytes: far more than it should")

    def folder(self, name: PurePosixPath) -> None:
        if name not in self.made:
            try:
                self.into.joinpath(name).mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise Failure(f"the archive has {str(name)!r} twice, as a file and as a folder") from None
            self.made.add(name)

    def file(self, name: PurePosixPath, size: int, source: BinaryIO) -> None:
        if not name.parts:
            raise Failure("the archive has a file without a name")
        self.folder(name.parent)
        try:
            target = self.into.joinpath(name).open("xb")  # never overwrites, and uses the user's own file mode
        except (FileExistsError, IsADirectoryError):
            raise Failure(f"the archive has {str(name)!r} twice") from None
        with target:
            left = size
            while left and (chunk := source.read(min(left, CHUNK))):
                target.write(chunk)
                left -= len(chunk)
        if left:
            raise EOFError(f"{name} ends {left:,} bytes early")


def unpack(archive: Path, into: Path, bytes_at_most: int, members_at_most: int) -> None:
    """Unpack a .tar, .tar.gz or .zip, recognised by content, into an empty folder, with a progress bar.

    Args:
        bytes_at_most, members_at_most: what the archive may unpack to; a larger one is rejected.

    Raises:
        Failure: for an archive that is truncated or damaged, and for one that holds a path out of the folder, a link,
            a device, a pipe, an invalid name, a name twice, or too much.
        OSError: if the files cannot be written.
    """
    writer = Writer(into, bytes_at_most, members_at_most)
    with archive.open("rb") as file:
        start = file.read(512)
        file.seek(0)
        label = f"unpacking {archive.name.removesuffix('.part')}"
        try:
            with bar(label, archive.stat().st_size, "B") as shown:
                if start.startswith(b"PK"):
                    _unpack_zip(file, writer, shown)
                elif start.startswith(b"\x1f\x8b"):
                    with gzip.GzipFile(fileobj=file) as inner:
                        _unpack_tar(inner, file, writer, shown)
                elif start[257:262] == b"ustar":
                    _unpack_tar(file, file, writer, shown)
                else:
                    raise Failure(f"{archive} is not a .tar, .tar.gz or .zip archive; it starts with {start[:20]!r}")
        except (*DAMAGE, OSError) as reason:
            # EINVAL: a damaged zip may give an offset before the file's start. Other such errors are the disk's.
            if isinstance(reason, OSError) and not isinstance(reason, DAMAGE) and reason.errno != errno.EINVAL:
                raise
            text = " ".join(str(reason).split()) or type(reason).__name__
            raise Failure(f"{archive} is truncated or damaged ({text})") from None


class _Bounded:
    """A stream that raises once more is read than an archive of honest size holds.

    Counts what members' sizes do not show: headers that are themselves gigabytes long.
    """

    def __init__(self, stream: BinaryIO, limit: int):
        self.stream, self.left = stream, limit

    def read(self, count: int) -> bytes:
        data = self.stream.read(count)
        self.left -= len(data)
        if self.left < 0:
            raise Failure("the archive unpacks to far more than it should")
        return data


def _unpack_tar(stream: BinaryIO, file: BinaryIO, writer: Writer, shown: tqdm) -> None:
    bounded = _Bounded(stream, writer.bytes_at_most + HEADER_BYTES * (writer.members_at_most + 100))
    with tarfile.open(fileobj=bounded, mode="r|", encoding="utf-8") as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # or it keeps all of them: a gigabyte for iNaturalist
            # The data filter would let links inside the folder pass.
            if not (member.isdir() or (member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse())):
                raise Failure(f"the archive has {member.name!r}, a link, a device or the like: not part of a data set")
            name = safe_name(member.name, writer.into)
            writer.allow(0 if member.isdir() else member.size)
            if member.isdir():
                writer.folder(name)
            else:
                writer.file(name, member.size, tar.extractfile(member))
            shown.update(file.tell() - shown.n)
    while bounded.read(CHUNK):  # to the end, where gzip keeps its checksum
        pass
    shown.update(file.tell() - shown.n)


def _unpack_zip(file: BinaryIO, writer: Writer, shown: tqdm) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Failure(
                    f"the archive has {member.filename!r}, a link, a device or the like: not part of a data set"
                )
            name = safe_name(member.orig_filename, writer.into)  # filename is cut at a zero byte
            writer.allow(member.file_size)
            if member.is_dir():
                writer.folder(name)
            else:
                with archive.open(member) as source:
                    writer.file(name, member.file_size, source)
                    if source.read(1):  # the checksum is compared at the end
                        raise EOFError(f"{name} is longer than the archive says")
            shown.update(member.compress_size)
    shown.update(shown.total - shown.n)
