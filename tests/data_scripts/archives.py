"""Archives for tests: small data sets packed as the real ones are, and hostile ones."""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

from tests.data.photo_sets import make_cub200


def pack(archive: Path, members: dict[str, Path]) -> Path:
    """A .tgz or .zip with these files and folders under these names."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, path in members.items():
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    packed.write(file, str(Path(name, file.relative_to(path))))
    else:
        with tarfile.open(archive, "w:gz") as packed:
            for name, path in members.items():
                packed.add(path, name)
    return archive


def cub_archive(folder: Path) -> bytes:
    """CUB_200_2011/ and attributes.txt, 20 images, and a README of 300,000 random bytes."""
    home = make_cub200(folder)
    (home / "README").write_bytes(os.urandom(300_000))
    members = {"CUB_200_2011": home, "attributes.txt": folder / "attributes.txt"}
    return pack(folder / "CUB_200_2011.tgz", members).read_bytes()


def cub_facts(folder: Path, content: bytes, url: str | None = None, **other) -> Path:
    """A file for --facts that describes this archive."""
    facts = {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "train": 10,
        "test": 10,
        "classes": 2,
        **({"url": url} if url else {}),
        **other,
    }
    file = folder / "facts.json"
    file.write_text(json.dumps(facts))
    return file


def tar_of(*members: tuple[str, dict, bytes], mode: str = "w:gz", **options) -> bytes:
    """A tar archive whose members' headers are set field by field."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as packed:
        for name, fields, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            packed.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(*members: tuple[str, int, bytes]) -> bytes:
    """A zip archive: name, Unix mode, data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, mode, data in members:
            member = zipfile.ZipInfo(name)
            member.filename = name  # the constructor cuts some names
            member.create_system, member.external_attr = 3, mode << 16
            packed.writestr(member, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
