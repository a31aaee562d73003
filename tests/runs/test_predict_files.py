"""Predictions for folders of images: every file has one row, whatever was stopped, unreadable or asked for."""

import csv
import os
import sys

import pytest
from filelock import FileLock
from PIL import Image

import tasnlib
from tasnlib.runs import predict_files as module
from tasnlib.runs.__main__ import main
from tasnlib.runs.predict_files import find_images, predict_files
from tests.runs.tiny_run import save_tiny_run


@pytest.fixture
def predictor(tmp_path):
    return tasnlib.load(save_tiny_run(tmp_path / "run"), device="cpu")


@pytest.fixture
def photos(tmp_path):
    """Seven images in two folders, one of them damaged, and what is no image."""
    home = tmp_path / "photos"
    (home / "b, c" / ".cache").mkdir(parents=True)
    for number in range(7):
        place = home / "b, c" if number % 2 else home
        Image.effect_noise((40 + number, 50), 90).convert("RGB").save(place / f"{number}.png")
    (home / "4.png").write_bytes((home / "4.png").read_bytes()[:90])
    (home / "notes.txt").write_text("three wrens")
    (home / "b, c" / ".hidden.png").write_bytes(b"x")
    (home / "@eaDir" / "0.png").mkdir(parents=True)  # what a server keeps of each picture
    Image.new("RGB", (8, 8)).save(home / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_M.jpg")
    return home


def rows_of(table):
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_folders_patterns_and_names_are_found_once_each(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    everything = [*(f"photos/{n}.png" for n in (0, 2, 4, 6)), *(f"photos/b, c/{n}.png" for n in (1, 3, 5))]
    assert find_images(["photos"]) == everything
    assert find_images(["photos/*.png", "photos/0.png"]) == everything[:4]
    assert sorted(find_images(["photos/**/*.png"])) == sorted(everything)
    assert find_images(["photos/notes.txt"]) == ["photos/notes.txt"]  # named, so it is tried
    assert find_images(["photos/b, c/../0.png"]) == ["photos/b, c/../0.png"]
    for nothing in ("photos/*.gif", "nowhere", "photos/b, c/.cache"):
        with pytest.raises(ValueError, match="leads to no image"):
            find_images(["photos", nothing])


@pytest.mark.parametrize("workers", [0, 2])
def test_each_file_has_the_row_of_its_own_prediction(predictor, photos, tmp_path, capsys, monkeypatch, workers):
    monkeypatch.setattr(module, "BATCH", 3)
    names = find_images([str(photos)])
    predict_files(predictor, names, tmp_path / "out.csv", top=2, num_workers=workers)
    rows = rows_of(tmp_path / "out.csv")
    assert [row["file"] for row in rows] == names
    for row in rows:
        if row["file"] == str(photos / "4.png"):
            assert "4.png is not a readable image" in row["problem"]
            assert not row["class_1"]
            continue
        expected = predictor.predict(row["file"])
        assert [row["class_1"], row["class_2"]] == expected.class_names[:2]
        assert [float(row["share_1"]), float(row["share_2"])] == pytest.approx(expected.probabilities[:2], abs=1e-4)
        assert (row["views"], row["problem"]) == ("whole", "")
    printed = capsys.readouterr().out
    assert "7 images in" in printed
    assert "1 of 7 cannot be read: " in printed
    assert "4.png" in printed
    predict_files(predictor, names, tmp_path / "out.csv", top=2)
    assert "1 of 7 cannot be read: " in capsys.readouterr().out  # also of those that were there before


def test_a_stopped_call_goes_on_and_a_row_cut_short_is_written_again(predictor, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    names, table, asked = find_images([str(photos)]), tmp_path / "out.csv", []
    predict_files(predictor, names, table)
    predict_files(predictor, names, table)  # the image that cannot be read comes last now: it is tried every time
    whole = table.read_bytes()
    real = predictor.shares
    predictor.shares = lambda images, views: asked.append(len(images)) or real(images, views)
    unread = whole[: whole.rindex(b"\n", 0, -1) + 1]
    assert b"4.png" not in unread
    for kept in (len(unread) - 5, whole.index(b"\n", 200) + 1, whole.index(b"\n") + 1, 0):
        table.write_bytes(whole[:kept])
        predict_files(predictor, names, table)
        assert sorted(table.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert asked[0] == 1  # the last row alone
    capsys.readouterr()
    predict_files(predictor, names, table)
    assert "1 images in" in (said := capsys.readouterr().out)
    assert "6 were there before" in said
    Image.new("RGB", (40, 50)).save(photos / "4.png")
    predict_files(predictor, names, table)
    assert {row["problem"] for row in rows_of(table)} == {""}
    assert len(rows_of(table)) == 7


ODD = ["a, b.png", "a\nb.png", " lead.png", "x\u2028y.png", "u\x85v.png", "~a.png", 'q"uote.png', "b\udcff.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any file name")
def test_whatever_files_are_called_a_cut_anywhere_is_mended(predictor, tmp_path, monkeypatch):
    (tmp_path / "odd").mkdir()
    for name in ODD:
        Image.new("RGB", (8, 8)).save(tmp_path / "odd" / name, "PNG")
    monkeypatch.chdir(tmp_path / "odd")
    table = tmp_path / "out.csv"
    predict_files(predictor, find_images(["."]), table, top=1)
    whole = table.read_bytes()
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {str(tmp_path / "odd" / name) for name in ODD}
    assert {row["problem"] for row in rows} == {""}
    for kept in range(whole.index(b"\n") + 1, len(whole), 7):
        table.write_bytes(whole[:kept])
        predict_files(predictor, find_images(["."]), table, top=1)
        assert sorted(table.read_bytes().split(b"\r\n")) == sorted(whole.split(b"\r\n")), kept


def test_a_table_continued_from_elsewhere_or_with_a_mark_of_a_spreadsheet(predictor, photos, tmp_path, monkeypatch):
    table = tmp_path / "out.csv"
    for place in ("photos", "other"):
        (tmp_path / place / "sub").mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 50), 90).convert("RGB").save(tmp_path / place / "sub" / "1.png")
        monkeypatch.chdir(tmp_path / place)
        predict_files(predictor, find_images(["sub"]), table)  # the same name, another file
        predict_files(predictor, find_images([str(tmp_path / place / "sub"), "sub/../sub/1.png"]), table)
    assert len(rows_of(table)) == 2
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    predict_files(predictor, find_images(["sub"]), table)
    assert len(rows_of(table)) == 2


def test_two_calls_with_one_table_do_not_mix(predictor, photos, tmp_path):
    names, table = find_images([str(photos / "b, c")]), tmp_path / "out.csv"
    with FileLock(tmp_path / ".out.csv.lock"), pytest.raises(ValueError, match=r"another .*out\.csv; wait"):
        predict_files(predictor, names, table)
    predict_files(predictor, names, table)
    assert len(rows_of(table)) == 3


def test_rows_of_other_views_another_model_or_another_table_are_not_mixed(predictor, photos, tmp_path):
    names, table = find_images([str(photos / "b, c")]), tmp_path / "out.csv"
    predict_files(predictor, names, table, views="flip")
    assert {row["views"] for row in rows_of(table)} == {"flip"}
    before = table.read_bytes()
    with pytest.raises(ValueError, match=r"out\.csv .*name another file"):
        predict_files(predictor, names, table)
    with pytest.raises(ValueError, match=r"out\.csv .*name another file"):
        predict_files(predictor, names, table, top=1, views="flip")
    predictor.model.classifier.bias.data += 1
    with pytest.raises(ValueError, match=r"out\.csv .*name another file"):
        predict_files(predictor, names, table, views="flip")
    assert table.read_bytes() == before
    (tmp_path / "mine.csv").write_text("a diary without a last line end")
    with pytest.raises(ValueError, match=r"mine\.csv .*name another file"):
        predict_files(predictor, names, tmp_path / "mine.csv")
    assert (tmp_path / "mine.csv").read_text() == "a diary without a last line end"


def test_rows_of_images_that_are_not_asked_for_stay_with_their_problems(predictor, photos, tmp_path):
    table = tmp_path / "out.csv"
    predict_files(predictor, [str(photos / "4.png"), str(photos / "0.png")], table)
    before = rows_of(table)
    predict_files(predictor, find_images([str(photos / "b, c")]), table)
    assert rows_of(table)[:2] == before
    assert "not a readable image" in before[0]["problem"]
    predict_files(predictor, [str(photos / "4.png")], table)
    assert len(rows_of(table)) == 5


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text.replace("\r\n", ",checked\r\n").replace(",checked", "", 1),  # a note beside each row
        lambda text: text + text.splitlines()[1] + ",checked\r\n",
        lambda text: text + '"' + 200_000 * "x",  # a quote that is not closed
    ],
)
def test_a_table_that_was_edited_is_rejected_and_stays(predictor, photos, tmp_path, changed):
    names, table = find_images([str(photos / "b, c")]), tmp_path / "out.csv"
    predict_files(predictor, names, table)
    table.write_text(changed(table.read_bytes().decode()), newline="")
    before = table.read_bytes()
    with pytest.raises(ValueError, match=r"out\.csv .*name another file"):
        predict_files(predictor, names, table)
    assert table.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")
def test_a_link_is_followed_to_the_table_and_a_pipe_is_none(predictor, photos, tmp_path):
    (tmp_path / "share").mkdir()
    link, table = tmp_path / "out.csv", tmp_path / "share" / "table.csv"
    link.symlink_to(table)
    for _ in range(2):  # with a row to try again, so that the table is written anew
        predict_files(predictor, find_images([str(photos)]), link)
        assert link.is_symlink()
        assert len(rows_of(table)) == 7
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a regular file"):
        predict_files(predictor, find_images([str(photos)]), tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes")
def test_linked_folders_are_searched_once_and_pipes_left_out(photos, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "wrens").symlink_to(photos / "b, c")
    (photos / "b, c" / "up").symlink_to(photos)
    os.mkfifo(photos / "pipe.png")
    found = find_images([str(tmp_path / "linked")])
    assert found[:3] == [str(tmp_path / "linked" / "wrens" / f"{n}.png") for n in (1, 3, 5)]
    assert not [name for name in found if name.endswith("pipe.png")]
    assert len(find_images([str(photos)])) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the system")
def test_a_full_disk_is_a_sentence_and_the_rows_before_it_stay(predictor, photos, tmp_path, monkeypatch):
    import resource

    monkeypatch.setattr(module, "BATCH", 2)
    names, table = find_images([str(photos)]), tmp_path / "out.csv"
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(OSError, match=r"out\.csv .*cannot be written: File too large.*make room"):
            predict_files(predictor, names, table)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    there = rows_of(table)
    assert 0 < len(there) < 7
    predict_files(predictor, names, table)
    assert len(rows_of(table)) == 7
    assert rows_of(table)[0] == there[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any file name")
def test_without_a_table_an_image_may_have_any_name(predictor, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ODD:
        Image.new("RGB", (8, 8)).save(tmp_path / name, "PNG")
    assert main(["predict", str(tmp_path / "run"), *ODD]) == 0
    assert capsys.readouterr().out.count(" %") == 3 * len(ODD)


def test_the_command(predictor, photos, tmp_path, capsys):
    words = ["predict", str(tmp_path / "run"), str(photos), "--num-workers", "0", "--csv"]
    assert main([*words, str(tmp_path / "nowhere" / "out.csv")]) == 1
    said = capsys.readouterr()
    assert "out.csv" in said.err
    assert "cannot be written" in said.err
    assert "images in" not in said.out
    assert main([*words, str(tmp_path / "out.csv"), "--views", "flip and crops", "--top", "9"]) == 0
    assert {row["views"] for row in rows_of(tmp_path / "out.csv")} == {"flip and crops"}
    assert main(["predict", str(tmp_path / "run"), str(photos / "b, c")]) == 0
    assert capsys.readouterr().out.count("%") >= 9


def test_without_a_table_a_damaged_image_does_not_keep_the_others_from_being_predicted(
    predictor, photos, tmp_path, capsys
):
    damaged = tmp_path / "b damaged.jpg"
    damaged.write_bytes(b"no image")
    good = find_images([str(photos / "b, c")])
    assert main(["predict", str(tmp_path / "run"), good[0], str(damaged), *good[1:]]) == 1
    said = capsys.readouterr()
    assert [line.split(": ")[0] for line in said.out.splitlines()] == good
    assert f"1 of {len(good) + 1} cannot be read: {damaged} is not a readable image" in said.err


@pytest.mark.parametrize("option", [["--top", "3"], ["--views", "whole"], ["--num-workers", "0"]])
def test_options_of_a_table_need_one(option, capsys):
    assert main(["predict", "no such run", "no such image", *option]) == 1
    assert "add it, or leave them out" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--top", "0"], ["--num-workers", "-1"]])
def test_numbers_that_cannot_be_are_rejected_before_any_work(predictor, photos, tmp_path, capsys, option):
    words = ["predict", str(tmp_path / "run"), str(photos), "--csv", str(tmp_path / "out.csv"), *option]
    assert main(words) == 1
    assert "must be 1 or more, and 0 or more" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
