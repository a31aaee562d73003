"""What is known of the data sets, other facts in their place, and the examples in the docstrings."""

import download_cub200

from tests.data.photo_sets import make_cub200
from tests.data_scripts.running import is_one_error


def test_facts_that_make_no_sense(tmp_path, capfd):
    for number, (text, says) in enumerate(
        [
            ("{", "cannot be read as JSON"),
            ("[]", "one JSON object"),
            ('{"sha": "x"}', "unknown sha; known are archives, train"),
            ('{"train": "ten"}', "train is 'ten'; it must be a whole number"),
            ('{"train": true}', "train is True"),
            ('{"md5": "123"}', "md5 is '123'; it must be 32 hexadecimal digits"),
            ('{"url": "ftp://a/b"}', "urls must start with https:// or http://"),
            ('{"archives": {"cub.tgz": {}}}', "unknown cub.tgz; known are CUB_200_2011.tgz"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "facts.json").write_text(text)
        assert download_cub200.main([str(folder / "data"), "--facts", str(folder / "facts.json")]) == 1
        err = capfd.readouterr().err
        assert is_one_error(err)
        assert says in err


def test_a_mirror_keeps_the_known_size_and_hash(tmp_path):
    from archive_facts import replaced

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

    import collect_parts
    import unpack_archive
    import verify_data_set

    results = [
        doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
        for module in (verify_data_set, collect_parts, unpack_archive)
    ]
    assert [result.failed for result in results] == [0, 0, 0]
    assert all(result.attempted for result in results)


def test_lists_and_facts_that_begin_with_a_byte_order_mark(tmp_path, cub):
    from tests.data_scripts.archives import cub_facts

    facts = cub_facts(tmp_path, cub)
    facts.write_bytes(b"\xef\xbb\xbf" + facts.read_bytes())
    home = make_cub200(tmp_path / "source")
    for table in home.glob("*.txt"):
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    given = [f" '{tmp_path / 'data'}' ", "--facts", f" {facts}", "--from", f"{home} "]  # and paths as pasted
    assert download_cub200.main(given) == 0
    assert (tmp_path / "data" / "CUB_200_2011" / "images.txt").is_file()
