"""What is known about a data set before it is downloaded: addresses, sizes, hashes, counts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path


class Failure(Exception):
    """What went wrong, in one line for the user: what was found, what is allowed, what to do."""


@dataclass(frozen=True)
class Archive:
    """One file to download. None means unknown, and not checked."""

    name: str
    urls: tuple[str, ...] = ()  # tried in this order
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    unpacked_bytes: int | None = None
    about_bytes: int | None = None  # if the exact size is unknown: to check the free disk space
    expands: int = 3  # unpacks to at most this many times its size: photographs hardly compress

    @property
    def hashes(self) -> dict[str, str]:
        """The known hashes, by algorithm."""
        return {kind: value.lower() for kind in ("sha256", "md5") if (value := getattr(self, kind))}


@dataclass(frozen=True)
class PhotoSet:
    """A data set, its archives and the counts it is checked against."""

    name: str
    folder: str  # its name in datasets/
    source: str
    terms: str
    archives: tuple[Archive, ...]
    train: int | None
    test: int | None
    classes: int | None
    copies_differ: bool = False  # an archive downloaded by hand may have an unknown hash; its content is checked
    val: int | None = 0
    blobs: Path | None = None  # file of git's hashes of the images, one a line: those of train, val and test, in order

    def known_counts(self) -> dict[str, int | None]:
        counts = {"training images": self.train, "validation images": self.val, "test images": self.test}
        return {what: count for what, count in counts.items() if count != 0} | {"classes": self.classes}

    def counts(self) -> str:
        known = self.known_counts()
        return ", ".join(f"{'?' if count is None else format(count, ',')} {what}" for what, count in known.items())


SET_KEYS = ("train", "val", "test", "classes")
ARCHIVE_KEYS = ("url", "urls", "bytes", "md5", "sha256", "unpacked_bytes")


def replaced(known: PhotoSet, file: Path) -> PhotoSet:
    """The facts, replaced by those in a JSON file: for a mirror, or a smaller set in the same format.

    The file holds any of train, val, test, classes; and of url (or urls, a list), bytes, md5, sha256, unpacked_bytes.
    Where a data set has several archives, those stand under "archives", by the archive's name. null means: do not
    check. With other counts it is another set, whose images are not compared with the known hashes.

    Raises:
        Failure: for a file that is not JSON, an unknown key or a value of the wrong kind.
    """
    try:
        given = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as reason:
        raise Failure(f"--facts {file} cannot be read as JSON: {reason}") from None
    if not isinstance(given, dict):
        raise Failure(f"--facts {file} must hold one JSON object, {{...}}")
    by_name = given.pop("archives", {})
    flat = {key: given.pop(key) for key in ARCHIVE_KEYS if key in given}
    names = [archive.name for archive in known.archives]
    if flat:
        if len(names) != 1:
            raise Failure(f"--facts {file}: {', '.join(flat)} must stand under 'archives', by name: {', '.join(names)}")
        by_name = {names[0]: flat, **by_name} if isinstance(by_name, dict) else by_name
    if not isinstance(by_name, dict) or not all(isinstance(facts, dict) for facts in by_name.values()):
        raise Failure(f"--facts {file}: 'archives' must map names to objects; the names are {', '.join(names)}")
    for where, keys, allowed in (
        ("", given, ("archives", *SET_KEYS, *ARCHIVE_KEYS)),
        ("archives: ", by_name, names),
        *((f"{name}: ", facts, ARCHIVE_KEYS) for name, facts in by_name.items()),
    ):
        if unknown := [key for key in keys if key not in allowed]:
            raise Failure(f"--facts {file}: {where}unknown {', '.join(unknown)}; known are {', '.join(allowed)}")
    archives = tuple(_one(archive, by_name.get(archive.name, {}), file) for archive in known.archives)
    for key, value in given.items():
        _check_kind(key, value, file)
    return replace(known, archives=archives, blobs=None if given else known.blobs, **given)


def _one(archive: Archive, facts: dict, file: Path) -> Archive:
    facts = dict(facts)
    urls = facts.pop("urls", facts.pop("url", archive.urls))
    urls = (urls,) if isinstance(urls, str) else tuple(urls or ())
    if not all(isinstance(url, str) and url.startswith(("https://", "http://")) for url in urls):
        raise Failure(f"--facts {file}: urls must start with https:// or http://, got {', '.join(map(str, urls))}")
    for key, value in facts.items():
        _check_kind(key, value, file)
    if facts.keys() & {"bytes", "md5", "sha256"}:  # it is another file, which the built-in facts do not describe
        facts = {"bytes": None, "md5": None, "sha256": None, "unpacked_bytes": None, "about_bytes": None} | facts
    return replace(archive, urls=urls, **facts)


def _check_kind(key: str, value, file: Path) -> None:
    kind_of = str if key in ("md5", "sha256") else int
    length = {"md5": 32, "sha256": 64}.get(key)
    fine = value is None or (type(value) is kind_of and (len(value) == length if length else value >= 0))
    if not fine:
        kind = f"{length} hexadecimal digits" if length else "a whole number from 0 up"
        raise Failure(f"--facts {file}: {key} is {value!r}; it must be {kind}, or null for not known")
