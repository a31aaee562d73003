"""Download a large file over an unreliable connection: what has arrived is kept, only the rest is requested again."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import requests
import urllib3
from archive_facts import Archive, Failure
from progress_bar import bar

CHUNK = 1 << 16  # bytes that a killed run may lose
PAUSES = (1, 2, 5, 15, 30)  # seconds before each retry
ENOUGH = 16 << 20  # bytes after which a try counts as a success, and the pauses start over


class Broken(Exception):
    """The connection failed; a retry may succeed."""


def note_of(part: Path) -> Path:
    """The note beside a partial file: which version of which file it belongs to."""
    return part.with_name(part.name + ".json")


def discard(part: Path) -> None:
    """Remove a partial file and its note."""
    part.unlink(missing_ok=True)
    note_of(part).unlink(missing_ok=True)


def download(archive: Archive, part: Path, timeout: float, room: Callable[[int, int], None]) -> None:
    """Complete `part`. Its content is not checked here.

    Args:
        archive: its addresses are tried in order.
        part: the file to write; an earlier run's is continued if it still matches the server's.
        timeout: seconds without data after which a server counts as lost.
        room: called with the remaining and the total bytes, once the server has sent an unknown size; raises if the
            disk is too small.

    Raises:
        Failure: if no address has the file, or it has the wrong size.
        OSError: if it cannot be written.
    """
    reasons = []
    for url in archive.urls:
        failures = 0
        while True:
            before = _size(part)
            if _is_whole(archive, part):
                return
            try:
                _try_once(archive, url, part, timeout, room)
                return
            except _Unavailable as reason:
                reasons.append(f"{url}: {reason}")
                break
            except Broken as reason:
                failures = 0 if _size(part) - before >= ENOUGH else failures
                if failures == len(PAUSES):
                    reasons.append(f"{url}: {reason}, {failures + 1} times in a row")
                    break
                pause = PAUSES[failures]
                failures += 1
                print(f"{archive.name}: {reason}; {_megabytes(_size(part))} are here; again in {pause} s", flush=True)
                time.sleep(pause)
    kept = (
        f" The {_megabytes(_size(part))} that arrived are kept: run the same command again to continue,"
        f" or remove {part} to start over."
        if _size(part)
        else ""
    )
    raise Failure(f"{archive.name} could not be downloaded ({'; '.join(reasons)}).{kept}")


class _Unavailable(Exception):
    """The server does not have the file; retries are useless."""


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _read_note(part: Path) -> dict:
    try:
        note = json.loads(note_of(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    total, validator = (note.get("total"), note.get("validator")) if isinstance(note, dict) else (None, None)
    counts = total is None or (type(total) is int and total >= 0)
    # It is sent back in a header, which holds one line of Latin-1.
    sendable = validator is None or (
        isinstance(validator, str) and re.fullmatch(r"(?!\s)[ -~\xa0-\xff]*", validator) is not None
    )
    return note if isinstance(note, dict) and counts and sendable else {}


def _is_whole(archive: Archive, part: Path) -> bool:
    size, note = _size(part), _read_note(part)
    total = archive.bytes if archive.bytes is not None else note.get("total")
    if size and total is not None and size > total:
        print(
            f"{archive.name}: {size:,} bytes are here, more than the {total:,} of the whole: starting over", flush=True
        )
        discard(part)
    return bool(size) and size == total


def _validator(response: requests.Response) -> str | None:
    """What identifies this version of the file; a weak ETag does not identify its bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _try_once(archive: Archive, url: str, part: Path, timeout: float, room: Callable[[int, int], None]) -> None:
    have, note = _size(part), _read_note(part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "tasnlib-data-scripts"}
    # Without a validator only the hash would reveal a wrong continuation: without both, none is tried.
    if have and note.get("url") == url and (note.get("validator") or archive.hashes):
        headers["Range"] = f"bytes={have}-"
        if note.get("validator"):
            headers["If-Range"] = note["validator"]
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(timeout, timeout)) as response:
            _receive(archive, url, part, have if "Range" in headers else 0, response, room)
    except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as reason:
        raise _Unavailable(str(reason)) from None
    except (requests.Timeout, urllib3.exceptions.ReadTimeoutError):
        raise Broken(f"the server was silent for {timeout:g} s") from None
    except requests.ConnectionError as reason:
        raise Broken(f"no connection ({_cause(reason)})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError):
        raise Broken("the connection was cut") from None


def _cause(reason: BaseException) -> str:
    """The innermost message: the outer ones only repeat it with the addresses of objects."""
    while inner := (reason.__cause__ or reason.__context__):
        reason = inner
    return str(getattr(reason, "strerror", None) or type(reason).__name__)


def _receive(
    archive: Archive, url: str, part: Path, have: int, response: requests.Response, room: Callable[[int, int], None]
) -> None:
    status = response.status_code
    if status == 416:
        discard(part)
        raise Broken("the server does not have the rest of this file, so the download starts over")
    if status in (408, 425, 429) or status >= 500:
        raise Broken(f"the server responded with {status} {response.reason}")
    if status not in (200, 206):
        raise _Unavailable(f"the server responded with {status} {response.reason}")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    if status == 206:
        spans = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        version, remembered = _validator(response), _read_note(part).get("validator")
        if not have or not spans or int(spans[1]) != have or (version and version != remembered):
            discard(part)
            raise Broken("the server sent another part than the one requested, so the download starts over")
        total = int(spans[3]) if spans[3] != "*" else None
    _require_the_file(archive, url, part, have, response, total)
    if status == 200 and have:
        print(f"{archive.name}: the server sends the whole file again, from 0", flush=True)
        have = 0
    if archive.bytes is None and total is not None:
        room(total - have, total)
    if status == 200:
        part.write_bytes(b"")
        _write_note(part, {"url": url, "validator": _validator(response), "total": total})
    end = total if total is not None else archive.bytes
    _write_rest(archive, part, have, end, response)
    if end is None:  # the server closed the connection, and there is nothing to compare with
        _write_note(part, _read_note(part) | {"total": _size(part)})


def _require_the_file(
    archive: Archive, url: str, part: Path, have: int, response: requests.Response, total: int | None
) -> None:
    """Reject another page, such as a hotel network's login page, before it overwrites what has arrived."""
    note = _read_note(part) if _size(part) else {}
    named = note.get("total") if note.get("url") == url else None
    # Without a known hash, a file of another size may be a new version.
    expected = archive.bytes if archive.bytes is not None or not archive.hashes else named
    kind = response.headers.get("Content-Type", "")
    is_text = kind.lower().startswith("text/") and (total is None or total != archive.bytes)
    other_size = total is not None and expected is not None and total != expected
    lost_size = total is None and named is not None and have > 0 and response.status_code == 200
    if is_text or other_size or lost_size:
        size = "an unknown number of" if total is None else f"{total:,}"
        should_be = expected if expected is not None else named
        raise _Unavailable(
            f"the server sent something else, such as a login page: {size} bytes{f' of {kind}' if kind else ''}"
            f"{f', expected {should_be:,}' if should_be is not None else ''}. Open the address in a browser to see what"
            " it is, and log in where the network asks for it"
        )


def _write_note(part: Path, note: dict) -> None:
    note_of(part).write_text(json.dumps(note), encoding="utf-8")


def _write_rest(archive: Archive, part: Path, have: int, end: int | None, response: requests.Response) -> None:
    """Append the response. Every chunk is flushed at once, so a killed run loses none that was counted."""
    with bar(archive.name, end, "B", initial=have) as shown, part.open("ab") as file:
        # Undecoded: a server that calls a .tgz "Content-Encoding: gzip" must not make it be unpacked here.
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            have += len(chunk)
            if end is not None and have > end:
                break
            file.write(chunk)
            file.flush()
            shown.update(len(chunk))
        os.fsync(file.fileno())
    if end is not None and have > end:
        discard(part)
        raise Failure(f"{archive.name}: the server sends more than the expected {end:,} bytes")
    if end is not None and have < end:
        raise Broken("the connection was cut")
