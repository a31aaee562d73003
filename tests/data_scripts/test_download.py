"""Fetching over bad lines: what is asked again, what is kept, and what is refused."""

import hashlib
import json
import re

import download_cub200
import pytest
import resumable_download

from tests.data_scripts.archives import cub_facts
from tests.data_scripts.server import Server


def files_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def get(tmp_path, cub, server, capfd):
    """Run the script against the local server: exit code, stdout, stderr."""

    def run(*arguments: str, content: bytes = cub, **facts):
        server.content = server.content or cub
        file = cub_facts(tmp_path, content, server.url, **facts)
        code = download_cub200.main([str(tmp_path / "data"), "--facts", str(file), "--timeout", "0.5", *arguments])
        return code, *capfd.readouterr()

    return run


def test_full_run_then_nothing_to_do(get, server, tmp_path):
    code, out, err = get()
    assert (code, err) == (0, "")
    assert files_in(tmp_path / "data") == ["CUB_200_2011"]
    home = tmp_path / "data" / "CUB_200_2011"
    assert len(list(home.glob("images/*/*.jpg"))) == 20
    assert (home / "attributes.txt").is_file()
    assert (home / "parts" / "part_locs.txt").is_file()
    for said in ("non-commercial", "GB needed", "GB free", "sha256 as expected", "10 training and 10 test images"):
        assert said in out
    server.silent = True
    code, out, _ = get()
    assert code == 0
    assert "already complete" in out
    assert len(server.asked) == 1


def test_a_cut_connection_sends_only_what_is_missing(get, server, cub):
    server.cuts = [100_000, 70_000]
    code, out, _ = get()
    assert code == 0
    assert server.sent == [100_000, 70_000, len(cub) - 170_000]
    assert server.asked == [
        (None, None),
        ("bytes=100000-", '"version 1"'),
        ("bytes=170000-", '"version 1"'),
    ]
    assert out.count("the connection was cut") == 2


def test_a_later_run_goes_on_where_the_first_gave_up(get, server, cub, tmp_path):
    server.cuts = [50_000, 0, 0, 0]
    code, _, err = get()
    assert code == 1
    assert re.fullmatch(r"error: CUB_200_2011.tgz could not be downloaded .*4 times in a row.*are kept.*\n", err)
    assert files_in(tmp_path / "data") == ["CUB_200_2011.tgz.part", "CUB_200_2011.tgz.part.json"]
    assert (tmp_path / "data" / "CUB_200_2011.tgz.part").read_bytes() == cub[:50_000]
    assert get()[0] == 0
    assert server.asked[-1] == ("bytes=50000-", '"version 1"')
    assert server.sent[-1] == len(cub) - 50_000


LOGIN = b"<html>please log in</html>"


@pytest.mark.parametrize(
    ("no_length", "kind", "known"),
    [(False, "text/html; charset=utf-8", {}), (True, None, {"bytes": None}), (False, None, {"bytes": None})],
)
def test_a_login_page_does_not_cost_what_has_arrived(get, server, cub, tmp_path, known, kind, no_length):
    server.cuts = [len(cub) - 1_000, 0, 0, 0]
    assert get(**known)[0] == 1
    server.content, server.etag, server.ranges, server.kind, server.no_length = LOGIN, None, False, kind, no_length
    code, _, err = get(**known)
    assert code == 1
    for said in ("something else", "such as a login page", "are kept", "run the same command again", f"{len(cub):,}"):
        assert said in err
    assert ("text/html" in err) == (kind is not None)
    assert (tmp_path / "data" / "CUB_200_2011.tgz.part").read_bytes() == cub[:-1_000]
    server.content, server.etag, server.ranges, server.kind, server.no_length = cub, '"version 1"', True, None, False
    assert get(**known)[0] == 0
    assert server.sent[-1] == 1_000


@pytest.mark.parametrize("size", ["known", "unknown"])
def test_a_page_of_text_is_not_taken_for_an_archive(get, server, cub, tmp_path, size):
    server.content, server.kind = LOGIN, "text/html"
    code, _, err = get(**({} if size == "known" else {"bytes": None, "sha256": None}))
    assert code == 1
    assert "such as a login page" in err
    assert "kept" not in err
    assert files_in(tmp_path / "data") == []
    server.content, server.kind = cub, "text/plain"  # some servers call every file so; its size is right
    assert get()[0] == 0


def test_a_file_that_changed_and_has_no_known_hash_is_fetched_anew(get, server, cub):
    server.content, server.etag, server.cuts = b"x" * (len(cub) + 5), '"version 0"', [100_000, 0, 0, 0]
    assert get(bytes=None, sha256=None)[0] == 1
    server.content, server.etag = cub, '"version 1"'
    assert get(bytes=None, sha256=None)[0] == 0


@pytest.mark.parametrize("trouble", ["no ranges", "changed", "wrong start"])
def test_the_download_starts_anew_where_it_cannot_go_on(get, server, cub, trouble):
    # What arrived first is another file of the same length: going on from it would give a wrong hash.
    server.content, server.etag, server.cuts = b"x" * len(cub), '"version 0"', [100_000, 0, 0, 0]
    assert get()[0] == 1
    server.content, server.etag = cub, '"version 1"'
    if trouble != "changed":
        server.etag = '"version 0"'
    server.ranges, server.wrong_start = trouble != "no ranges", trouble == "wrong start"
    code, _, err = get()
    assert (code, err) == (0, "")
    assert server.sent[-1] == len(cub)


@pytest.mark.parametrize("part", ["longer", "complete but of another size than the server's"])
def test_a_partial_file_that_is_too_long_is_dropped(get, server, cub, tmp_path, part):
    server.cuts = [50_000, 0, 0, 0]
    assert get()[0] == 1
    (tmp_path / "data" / "CUB_200_2011.tgz.part").write_bytes(b"x" * (len(cub) + (part == "longer")))
    if part == "longer":
        assert get()[0] == 0
    else:  # its size is right: only the hash can tell, and after that it is gone
        assert get()[0] == 1
        assert files_in(tmp_path / "data") == []
    assert get()[0] == 0


def test_416_restarts(get, server, cub, tmp_path):
    server.cuts = [50_000, 0, 0, 0]
    assert get(bytes=None)[0] == 1
    part = tmp_path / "data" / "CUB_200_2011.tgz.part"
    part.write_bytes(b"x" * len(cub))
    resumable_download.note_of(part).write_text(
        json.dumps({"url": server.url, "validator": server.etag, "total": None})
    )
    code, out, _ = get(bytes=None)
    assert code == 0
    assert "does not have the rest" in out
    assert server.sent[-1] == len(cub)


def test_without_a_validator_the_hash_decides_whether_to_go_on(get, server, cub):
    server.etag, server.cuts = None, [100_000]
    assert get()[0] == 0
    assert server.asked == [(None, None), ("bytes=100000-", None)]


def test_a_version_that_was_not_named_before_is_not_appended(get, server, cub):
    # A page without type and length, kept as a beginning; then the true server, which names its version.
    server.content, server.etag, server.ranges, server.no_length = LOGIN, None, False, True
    assert get()[0] == 1
    server.content, server.etag, server.ranges, server.no_length = cub, '"version 1"', True, False
    code, _, err = get()
    assert (code, err) == (0, "")
    assert server.sent[-1] == len(cub)


@pytest.mark.parametrize("wrong", [{"total": "x"}, {"validator": 5}, {"validator": "two\nlines"}], ids=str)
def test_a_note_of_another_kind_is_no_note(get, server, cub, tmp_path, wrong):
    part = tmp_path / "data" / "CUB_200_2011.tgz.part"
    part.parent.mkdir()
    part.write_bytes(cub[:100])
    resumable_download.note_of(part).write_text(
        json.dumps({"url": server.url, "validator": None, "total": None} | wrong)
    )
    code, _, err = get(bytes=None)
    assert (code, err) == (0, "")
    assert server.asked == [(None, None)]


def test_without_validator_and_hash_it_starts_anew(get, server, cub):
    server.etag, server.cuts = None, [100_000]
    code, out, _ = get(sha256=None)
    assert code == 0
    assert server.asked == [(None, None), (None, None)]
    assert "no hash is known" in out


def test_wrong_hash_is_reported_removed_and_not_unpacked(get, server, cub, tmp_path):
    code, out, err = get(sha256="0" * 64)
    assert code == 1
    assert "0" * 64 in err
    assert hashlib.sha256(cub).hexdigest() in err
    assert err.count("\n") == 1
    assert "unpacking" not in out
    assert files_in(tmp_path / "data") == []
    assert get()[0] == 0
    assert server.asked[-1] == (None, None)


@pytest.mark.parametrize(("no_length", "difference"), [(False, -1000), (True, -1000), (False, 1000)])
def test_wrong_size(get, server, cub, tmp_path, difference, no_length):
    server.no_length = no_length
    code, out, err = get(bytes=len(cub) + difference)
    assert code == 1
    assert f"{len(cub) + difference:,}" in err or (difference > 0 and no_length)
    assert err.startswith("error: CUB_200_2011.tgz")
    assert "unpacking" not in out
    assert "CUB_200_2011" not in files_in(tmp_path / "data")


def test_a_server_that_promises_more_than_it_has(get, server, cub, tmp_path):
    server.says = len(cub) + 10
    code, out, err = get(bytes=None)
    assert code == 1
    assert "the connection was cut" in out
    assert "could not be downloaded" in err
    assert "CUB_200_2011" not in files_in(tmp_path / "data")


def test_a_server_without_length_is_believed_only_after_the_hash(get, server):
    server.no_length = True
    assert get(bytes=None)[0] == 0


def test_content_encoding_does_not_unpack_the_archive(get, server):
    server.encoding = "gzip"
    assert get()[0] == 0


def test_a_silent_server_is_given_up(get, server, tmp_path):
    server.silent = True
    code, _, err = get()
    assert code == 1
    assert "silent for 0.5 s, 4 times in a row" in err
    assert len(server.asked) == 4


def test_busy_servers_are_asked_again_and_missing_files_are_not(get, server):
    server.statuses = [503, 429]
    assert get()[0] == 0
    assert len(server.asked) == 3


def test_a_missing_file_is_looked_for_at_the_next_address(get, server, cub):
    server.statuses = [404]
    code, _, err = get()
    assert code == 1
    assert "404" in err
    assert len(server.asked) == 1
    with Server() as mirror:
        mirror.content, server.statuses = cub, [404]
        # `urls` stands before `url`
        assert get(urls=[server.url, mirror.url])[0] == 0
        assert len(mirror.asked) == 1


def test_nobody_listens(get, server):
    with Server() as gone:
        pass
    code, _, err = get(urls=[gone.url])
    assert code == 1
    assert "no connection" in err
    assert "object at 0x" not in err


def test_a_damaged_archive_without_a_known_hash_is_fetched_again(get, server, cub, tmp_path):
    server.content = cub[: len(cub) // 2] + bytes([cub[len(cub) // 2] ^ 255]) + cub[len(cub) // 2 + 1 :]
    code, _, err = get(sha256=None)
    assert code == 1
    assert re.fullmatch(r"error: .*truncated or damaged.*removed; run the same command again.*\n", err)
    assert files_in(tmp_path / "data") == []
    server.content = cub
    assert get(sha256=None)[0] == 0


def test_an_archive_with_the_right_hash_is_kept_though_it_cannot_be_unpacked(get, server, tmp_path):
    server.content = b"not an archive"  # it would be the same the next time
    code, _, err = get(content=server.content)
    assert code == 1
    assert "is not a .tar" in err
    assert "removed" not in err
    assert "CUB_200_2011.tgz.part" in files_in(tmp_path / "data")


def test_kept_archive_is_used_again(get, server, cub, tmp_path):
    assert get("--keep-archive")[0] == 0
    assert files_in(tmp_path / "data") == ["CUB_200_2011", "CUB_200_2011.tgz"]
    (tmp_path / "data" / "CUB_200_2011").rename(tmp_path / "away")
    assert get()[0] == 0
    assert len(server.asked) == 1
    assert files_in(tmp_path / "data") == ["CUB_200_2011", "CUB_200_2011.tgz"]  # it was kept on purpose


def test_a_wrong_archive_in_its_place_is_put_aside(get, server, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "CUB_200_2011.tgz").write_bytes(b"a page that says: please log in")
    code, _, err = get()
    assert code == 1
    assert ", expected " in err
    assert files_in(tmp_path / "data") == ["CUB_200_2011.tgz.wrong"]
    assert get()[0] == 0
