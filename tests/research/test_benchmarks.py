"""Every benchmark runs, alternatives agree, counts are right. No time is asserted."""

import doctest
import importlib
import json

import pytest
import timm
import torch
from torch import nn

from benchmarks import frozen, photographs, resolutions
from benchmarks.__main__ import main
from benchmarks.alternatives import (
    all_maps_then_pool,
    authors_loop,
    authors_vectorised,
    dense_grid,
    plain_network,
    read_grid,
)
from benchmarks.limits import Rates, count_operations, limit_seconds
from benchmarks.memory import peak_bytes
from benchmarks.report import COLUMNS
from benchmarks.sampler import bytes_to_move
from benchmarks.setting import Setting
from benchmarks.timing import WARM_UP, compare
from tasnlib.attention import MultiDilation, pooled_attention
from tasnlib.research.ablations.variants import PHOTOGRAPHS
from tasnlib.research.authors_sampler import authors_positions
from tasnlib.sampler import attention_sample, sampling_matrices, sampling_positions
from tests.data.photo_sets import make_grocery

SMALL = Setting(torch.device("cpu"), "small")
MODULES = ("setting", "limits", "timing", "report", "alternatives", "sampler", "steps", "memory")


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    found = doctest.testmod(importlib.import_module(f"benchmarks.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted
    assert found.failed == 0


def table_of(printed):
    """The rows of the printed table, as lists of cells."""
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert rows[0] == [column.strip() for column in COLUMNS]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_networks_of_the_paper(capsys):
    like_a_gpu = ["--precision", "bfloat16", "--channels-last", "--batch-size", "2"]
    main(["--device", "cpu", "--size", "small", "--recipes", "modern", *like_a_gpu, "--only", "training"])
    alternatives = {row[4] for row in table_of(capsys.readouterr().out)}
    assert {"its networks alone, one after the other", "float32, NCHW, not compiled"} < alternatives


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "speed"], "invalid choice: 'speed'"),
        (["--batch-size", "0"], "must be 1 or more"),
        (["--json", "no/such/folder/figures.json"], "cannot be written; name a file in a folder that exists"),
        (["--json", "."], "cannot be written"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_alternatives_take_turns():
    order = []
    compared = compare({name: lambda name=name: order.append(name) for name in "abc"}, SMALL, "test")
    assert "".join(order)[-3 * SMALL.repeats :] == "abc" * SMALL.repeats
    assert len(order) == 3 * (WARM_UP + 1 + SMALL.repeats)
    assert list(compared.seconds) == ["a", "b", "c"]


def test_all_maps_agree_with_pooled_attention(generator):
    features, channel = torch.rand(3, 16, 5, 7, generator=generator), torch.tensor([0, 15, 4])
    structure, detail = all_maps_then_pool(features, 7.0, channel)
    pooled = pooled_attention(features, 7.0, channel)
    assert torch.allclose(structure, pooled.structure, atol=1e-6)
    assert torch.allclose(detail, pooled.detail, atol=1e-6)


def test_authors_loop(generator):
    attention = torch.rand(3, 6, 9, generator=generator, dtype=torch.float64) ** 4
    reference = authors_positions(attention, (48, 48), (20, 20))
    for form in (authors_loop, authors_vectorised):
        for found, expected in zip(form(attention, 48, 20), reference, strict=True):
            assert torch.allclose(found, expected, atol=1e-9)


def test_dense_grid_reads_like_the_sampler(generator):
    images, attention = torch.rand(2, 3, 40, 40, generator=generator), torch.rand(2, 6, 6, generator=generator) ** 3
    grid = dense_grid(*sampling_positions(attention, 40, 16), 40)
    assert torch.allclose(read_grid(images, grid), attention_sample(images, attention, 16), atol=1e-4)


def test_plain_networks_classify():
    for name in ("laptop", "paper"):
        recipe = SMALL.recipe(name)
        network = plain_network(recipe, 7).eval()
        assert network(torch.rand(1, 3, recipe.out_size, recipe.out_size)).shape == (1, 7)


def test_operations_are_counted_forward_and_backward():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(8 * 36, 5, bias=False))
    images = torch.rand(2, 3, 6, 6)
    costs = count_operations(lambda: network(images).sum().backward())
    convolution, linear = 2 * 36 * 8 * 27, 2 * 8 * 36 * 5
    # The images need no gradient: the convolution makes one product backward, the linear layer two.
    assert sum(cost.multiply_adds for cost in costs) == 2 * convolution + 3 * linear
    pixels, maps, weights, logits = 2 * 3 * 36, 2 * 8 * 36, 8 * 36 * 5, 2 * 5
    assert costs[1].bytes == 4 * (maps + weights + logits)
    assert costs[0].bytes == 4 * (pixels + maps + 8 * 27)
    # Bound by its bytes where copying is slow, by its multiply-adds where it is fast.
    assert limit_seconds(costs[:1], Rates(1e9, 1.0)) == costs[0].bytes
    assert limit_seconds(costs[:1], Rates(1.0, 1e9)) == convolution


def test_functional_kernels_are_counted():
    block = MultiDilation(8, (1, 2, 3))
    costs = count_operations(lambda: block(torch.rand(1, 8, 10, 10)))
    assert [cost.multiply_adds for cost in costs] == [100 * 8 * 8 * 9] * 3


def test_bytes_to_move_against_marked_pixels(generator):
    images = torch.rand(2, 3, 64, 64, generator=generator)
    attention = torch.rand(2, 4, 4, generator=generator) ** 6
    # Entries that are zero mean that a pixel is not looked at; the loop marks pieces of 8 pixels, 32 bytes.
    expected = 2 * 3 * 24 * 24 * 4
    for a_y, a_x in zip(*sampling_matrices(attention, 64, 24), strict=True):
        pieces = (a_x != 0).any(0).view(8, 8).any(1)
        expected += 3 * int((a_y != 0).any(0).sum()) * int(pieces.sum()) * 32
    assert bytes_to_move(images, attention, 24) == expected
    assert expected < 2 * 3 * 4 * (24 * 24 + 64 * 64)


def test_peak_memory():
    def work():
        first = torch.zeros(1000, 100)
        second = first + 1
        del first
        return second * 2

    assert 0 <= peak_bytes(work, SMALL) - 2 * 400_000 < 100  # a number beside a tensor is a tensor too


def test_every_resolution_is_measured(tmp_path, capsys):
    threads = torch.get_num_threads()
    resolutions.main(["--device", "cpu", "--size", "small", "--sizes", "40", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())["figures"]
    assert len(found) == 2 * 2 * 5  # threads, batches, alternatives
    assert all(one["value"] > 0 and one["limit_value"] > 0 and one["note"].endswith("MB") for one in found)
    assert "8 × 3 × 40², float32, 2 threads" in capsys.readouterr().out
    assert torch.get_num_threads() == threads


def test_a_frozen_network_is_measured(tmp_path, monkeypatch, capsys):
    make_grocery(tmp_path / "GroceryStoreDataset")
    network = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    torch.save(network.state_dict(), tmp_path / "tf_efficientnet_lite0.pth")
    load = frozen.load_grocery
    monkeypatch.setattr(frozen, "load_grocery", lambda folder, split, *_, **__: load(folder, split, 64))
    monkeypatch.setattr(frozen, "LOOKS", [(2.0, 1.0), (3.0, 2.0)])
    where = ["--data", str(tmp_path), "--weights", str(tmp_path), "--json", str(tmp_path / "found.json")]
    frozen.main([*where, "--size", "64"])
    (result,) = json.loads((tmp_path / "found.json").read_text())["results"]
    assert result["test images"] == 12
    assert result["rows"]["plain"]["gain"] == 0
    assert all(0 <= row["accuracy"] <= 1 for row in result["rows"].values())
    assert "attend_and_sample, as chosen" in capsys.readouterr().out


def test_rows_of_photographs_are_timed(tmp_path, capsys):
    photographs.main(["--size", "small", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())["figures"]
    assert [one["measured"] for one in found] == [f"{row.title}, batches of 1" for row in PHOTOGRAPHS]
    cost = {one["measured"]: int(one["note"].split()[0]) for one in found}
    # A prediction of TASN costs what its structure image costs: its part net is only trained with.
    assert cost["TASN, batches of 1"] == cost["TASN, structure only, batches of 1"] < 2 * cost["plain, batches of 1"]
    assert "M multiply-adds" in capsys.readouterr().out
