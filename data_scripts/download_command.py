"""The steps that all download scripts share: download, check, unpack, check, rename."""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from archive_facts import Archive, Failure, PhotoSet, replaced
from collect_parts import assemble, bytes_to_copy, link_or_copy
from resumable_download import discard, download, note_of
from typed_path import typed_path
from unfinished_folder import hidden, unfinished_folder
from unpack_archive import unpack
from verify_data_set import Reader, archive_problem, hashes_of, problems_of, verify

Locator = Callable[[list[Path]], dict[str, Path]]
PROJECT = Path(__file__).resolve().parent.parent
SMALL = 10_000_000  # bytes any archive may unpack to: text compresses better than photographs


def run(known: PhotoSet, locate: Locator, read: Reader, manual: str = "", arguments: list[str] | None = None) -> int:
    """The command line of a download script; returns its exit code.

    Args:
        known: the built-in facts.
        locate: finds the data set's parts in folders: name in the finished folder -> where it is now. Raises
            Failure if one is missing.
        read: reads the data set's own lists.
        manual: instructions to print, with exit code 2, if there is nothing to download from.
    """
    parser = argparse.ArgumentParser(description=f"Get {known.name}: download, check, unpack.")
    folder_help = f"the data set becomes FOLDER/{known.folder}; default: datasets in the project"
    parser.add_argument(
        "folder", nargs="?", type=typed_path, default=PROJECT / "datasets", metavar="FOLDER", help=folder_help
    )
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        type=typed_path,
        metavar="ARCHIVE_OR_FOLDER",
        help="use what was downloaded by hand; download nothing. May be given several times",
    )
    parser.add_argument("--verify", action="store_true", help="count and open every file of a finished data set")
    parser.add_argument("--keep-archive", action="store_true", help="keep the downloaded archives after unpacking")
    parser.add_argument(
        "--facts", type=typed_path, metavar="FILE", help="JSON with other addresses, sizes, hashes, counts"
    )
    parser.add_argument(
        "--timeout", type=float, default=60, metavar="SECONDS", help="without data before the server counts as lost"
    )
    given = parser.parse_args(arguments)
    if not given.timeout > 0:
        parser.error(f"--timeout is {given.timeout:g}; it must be above 0")
    try:
        facts = replaced(known, given.facts) if given.facts else known
        target = given.folder.resolve() / known.folder
        if given.verify:
            return 1 if verify(facts, target, read) else 0
        return _prepare(facts, target, locate, read, manual, given)
    except Failure as reason:
        return _error(str(reason))
    except KeyboardInterrupt:
        print("\nstopped; run the same command again to continue", file=sys.stderr)
        return 130
    except OSError as reason:
        return _error(_in_words(reason, given.folder))


def _error(text: str) -> int:
    sys.stdout.flush()
    print(f"error: {' '.join(text.split())}", file=sys.stderr)
    return 1


def _in_words(reason: OSError, folder: Path) -> str:
    text = f"{reason.strerror or reason}{f': {reason.filename}' if reason.filename else ''}"
    if reason.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG):
        return f"the disk is full ({text}); make room and run the same command again, or name another FOLDER"
    if reason.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{folder} or a file in it is not yours to read or write ({text}); name another FOLDER"
    return text


def _prepare(facts: PhotoSet, target: Path, locate: Locator, read: Reader, manual: str, given) -> int:
    print(f"{facts.name}: {facts.counts()}\nfrom:  {facts.source}\nterms: {facts.terms}", flush=True)
    parts = [target.with_name(f"{archive.name}.part") for archive in facts.archives]
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        try:
            problems, _ = problems_of(facts, target, read)
        except Failure as reason:
            problems = [str(reason)]
        if problems:
            advice = "Remove or rename that folder and run the same command again"
            raise Failure(f"{target} exists but is incomplete: {'; '.join(problems)}. {advice}")
        if hidden(target).exists():
            with unfinished_folder(target):
                pass  # emptied and removed
        for part in [] if given.keep_archive else parts:
            discard(part)
        print(f"already complete: {target} holds {facts.counts()}. Nothing to do; --verify opens every file")
        return 0
    by_hand = (
        {} if given.sources else {a.name: at for a in facts.archives if (at := target.with_name(a.name)).is_file()}
    )
    to_download = [] if given.sources else [archive for archive in facts.archives if archive.name not in by_hand]
    if any(not archive.urls for archive in to_download):
        print(manual, end="")
        return 2
    with unfinished_folder(target) as work:
        sources, folders = _given(facts, given.sources)
        sources += [(archive, by_hand[archive.name]) for archive in facts.archives if archive.name in by_hand]
        _check_room(facts, target.parent, to_download, sources)
        for archive, file in sources:
            _check_given(facts, archive, file, ours=file.parent == target.parent and not given.sources)
        fetched = [_fetch(archive, target.with_name(f"{archive.name}.part"), given.timeout) for archive in to_download]
        content = work / "unpacked"
        content.mkdir()
        for archive, file in sources:
            _unpack(facts, archive, file, content)
        for archive, part in zip(to_download, fetched, strict=True):
            _unpack_fetched(facts, archive, part, content)
        whole = work / "whole"
        found = locate([content, *folders])
        room = bytes_to_copy({name: at for name, at in found.items() if not at.is_relative_to(content)}, work)
        _require_room(target.parent, room, "copying from another disk")
        assemble(found, whole, own=content)
        problems, contents = problems_of(facts, whole, read)
        if problems:
            raise Failure(f"what was unpacked is not the complete {facts.name}: {'; '.join(problems)}")
        for archive, part in zip(to_download, fetched, strict=True):
            if given.keep_archive:
                os.replace(part, target.with_name(archive.name))
                note_of(part).unlink(missing_ok=True)
        os.replace(whole, target)
    for part in fetched:
        discard(part)
    print(f"complete: {target} holds {contents.counts()}")
    return 0


def _given(facts: PhotoSet, paths: list[Path]) -> tuple[list[tuple[Archive | None, Path]], list[Path]]:
    """Sort the paths of --from into archives and folders; a folder may itself hold known archives."""
    sources: list[tuple[Archive | None, Path]] = []
    folders = []
    for path in (path.resolve() for path in paths):
        if path.is_dir():
            folders.append(path)
            inside = [path / archive.name for archive in facts.archives if archive.name.endswith(("gz", "zip"))]
            sources += [(_match(facts, file), file) for file in inside if file.is_file()]
        elif path.is_file():
            sources.append((_match(facts, path), path))
        else:
            raise Failure(f"--from {path}: there is no such file or folder")
    return sources, folders


def _match(facts: PhotoSet, file: Path) -> Archive | None:
    """Which archive a file is meant to be: by name, or else as the only one with that ending."""
    named = [archive for archive in facts.archives if archive.name == file.name]
    alike = [archive for archive in facts.archives if Path(archive.name).suffix == file.suffix.replace("tgz", "gz")]
    alike = [*facts.archives] if len(facts.archives) == 1 else alike
    if named or facts.copies_differ:
        return named[0] if named else None
    if len(alike) == 1:
        return alike[0]
    raise Failure(f"--from {file} is none of {', '.join(archive.name for archive in facts.archives)}")


def _check_given(facts: PhotoSet, archive: Archive | None, file: Path, ours: bool) -> None:
    """An archive downloaded by hand is never removed; a wrong one in our folder is renamed."""
    if facts.copies_differ:
        md5 = hashes_of(file, ["md5"])["md5"]
        known = next((one.name for one in facts.archives if one.md5 == md5), None)
        text = f"is the known {known}" if known else "is not one of the known files; its content is checked instead"
        print(f"{file.name} {text} (md5 {md5})", flush=True)
    elif problem := archive_problem(archive, file):
        if ours:
            os.replace(file, file.with_name(f"{file.name}.wrong"))
            problem += f". It was renamed to {file.name}.wrong; run the same command again to download it"
        raise Failure(f"{file} is not {archive.name}: {problem}")


def _fetch(archive: Archive, part: Path, timeout: float) -> Path:
    part.parent.mkdir(parents=True, exist_ok=True)

    def room(rest: int, total: int) -> None:
        _require_room(part.parent, rest + (archive.unpacked_bytes or total * 6 // 5), f"{archive.name} and its content")

    download(archive, part, timeout, room)
    if problem := archive_problem(archive, part):
        discard(part)
        raise Failure(f"the downloaded {archive.name} is wrong: {problem}. It was removed and nothing was unpacked")
    return part


def _unpack(facts: PhotoSet, archive: Archive | None, file: Path, content: Path) -> None:
    if file.suffix == ".mat":
        link_or_copy(file, content / file.name)
        return
    expands = archive.expands if archive else 3
    expected = archive.unpacked_bytes if archive and archive.unpacked_bytes else None
    at_most = expected * 3 // 2 if expected else file.stat().st_size * expands
    images = sum(1_000_000 if count is None else count for count in (facts.train, facts.val, facts.test))
    unpack(file, content, at_most + SMALL, 4 * images + 10_000)


def _unpack_fetched(facts: PhotoSet, archive: Archive, part: Path, content: Path) -> None:
    """Without a hash, only unpacking shows that a download is damaged; if kept, it would fail every later run."""
    try:
        _unpack(facts, archive, part, content)
    except Failure as reason:
        if archive.hashes:  # it is the right file: downloading it again would not help
            raise
        discard(part)
        raise Failure(f"{reason}. It was removed; run the same command again to download it again") from None


def _check_room(
    facts: PhotoSet, folder: Path, to_download: list[Archive], given: list[tuple[Archive | None, Path]]
) -> None:
    """Before any download: is there room for the remaining archives, and for the content of all of them?"""
    to_fetch = unpacked = 0
    unknown = []
    for archive, file in [*((archive, None) for archive in to_download), *given]:
        size = file.stat().st_size if file else archive.bytes if archive.bytes is not None else archive.about_bytes
        if size is None:
            unknown.append(archive.name)
        if file is None and size is not None:
            part = folder / f"{archive.name}.part"
            to_fetch += max(0, size - (part.stat().st_size if part.is_file() else 0))
        unpacked += (archive.unpacked_bytes if archive else None) or (size or 0) * 6 // 5
    if unknown:
        print(f"space: the size of {', '.join(unknown)} is not known yet; it is added once the server names it")
    _require_room(
        folder, to_fetch + unpacked, f"{to_fetch / 1e9:,.2f} to download, about {unpacked / 1e9:,.2f} unpacked"
    )


def _require_room(folder: Path, needed: int, what: str) -> None:
    if needed == 0:
        return
    free = shutil.disk_usage(folder).free
    print(f"space: {needed / 1e9:,.2f} GB needed in {folder} ({what}), {free / 1e9:,.2f} GB free", flush=True)
    if free < needed:
        short = f"{needed / 1e9:,.2f} GB are needed ({what}), {free / 1e9:,.2f} GB are free"
        raise Failure(f"not enough room in {folder}: {short}. Make room, or name another FOLDER")
