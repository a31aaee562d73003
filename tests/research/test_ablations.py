"""Ablations: maps and samplers against plain loops, variants, and studies that resume."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tasnlib.attention import pooled_attention
from tasnlib.data.birds import Birds, BirdsConfig
from tasnlib.model import downsample
from tasnlib.networks import backbones
from tasnlib.networks.build import build_tasn
from tasnlib.research.ablations import study as study_module
from tasnlib.research.ablations.baseline_samplers import crop_at_maximum, saliency_sample
from tasnlib.research.ablations.map_measures import measure_maps
from tasnlib.research.ablations.maps import RELATIONS, changed, pooled_maps
from tasnlib.research.ablations.plan import PROFILES, Profile, plan, run_of
from tasnlib.research.ablations.study import inside_boxes, study
from tasnlib.research.ablations.tables import open_study
from tasnlib.research.ablations.variant_network import build_variant
from tasnlib.research.ablations.variants import (
    ATTENTION,
    PHOTOGRAPHS,
    STRUCTURE_ONLY,
    TABLES,
    TASN,
    Table,
    Variant,
)
from tasnlib.research.cost import cost_by_part, multiply_adds
from tasnlib.runs import run_folder
from tasnlib.training.recipes import RECIPES
from tests.data.photo_sets import make_grocery
from tests.paper.reference import softmax

LAPTOP = RECIPES["laptop"]


def maps_by_loop(kind: str, channels: list[list[float]], scale: float) -> list[list[float]]:
    """All maps of one image, from the definition of each kind."""
    c = len(channels)
    where = [softmax([scale * v for v in row]) for row in channels]
    rows = {
        "features": [[float(i == j) for j in range(c)] for i in range(c)],
        "products": [[sum(a * b for a, b in zip(p, q, strict=True)) for q in channels] for p in channels],
        "inner": [[sum(a * b for a, b in zip(p, q, strict=True)) for q in channels] for p in where],
    }
    rows["outer"] = [softmax(row) for row in rows["products"]]
    rows["trilinear"] = [softmax(row) for row in rows["inner"]]
    places = range(len(channels[0]))
    return [[sum(w * x[p] for w, x in zip(row, channels, strict=True)) for p in places] for row in rows[kind]]


@pytest.mark.parametrize("kind", RELATIONS)
def test_maps_agree_with_loops(kind):
    features = torch.rand(2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    channel = torch.tensor([4, 1])
    found = pooled_maps(kind, features, 7.0, channel)
    for image in range(2):
        maps = maps_by_loop(kind, features[image].flatten(1).double().tolist(), 7.0)
        mean = [sum(column) / 5 for column in zip(*maps, strict=True)]
        assert found.structure[image].flatten().tolist() == pytest.approx(mean, rel=1e-4)
        assert found.detail[image].flatten().tolist() == pytest.approx(maps[channel[image]], rel=1e-4)


def test_uniform_and_trilinear_maps():
    features, channel = torch.rand(2, 5, 3, 4), torch.tensor([0, 3])
    assert pooled_maps("uniform", features, 7.0, channel).structure.unique().tolist() == [1.0]
    for one, other in zip(
        pooled_maps("trilinear", features, 7.0, channel), pooled_attention(features, 7.0, channel), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 3), (5, 5)])
def test_crop_around_the_maximum(row, column):
    """On an image that is a plane, reading at (x, y) gives the plane's value there."""
    x, y = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(60) + 0.5, indexing="xy")
    images = torch.stack([x, y, x + y])[None]
    attention = torch.zeros(1, 6, 6)
    attention[0, row, column] = 1.0
    crop = crop_at_maximum(images, attention, out_size=10, zoom=4.0)
    side = 60 / 4
    centre_x, centre_y = (min(max((cell + 0.5) * 10, side / 2), 60 - side / 2) for cell in (column, row))
    expected_x = [centre_x - side / 2 + (i + 0.5) * side / 10 for i in range(10)]
    expected_y = [centre_y - side / 2 + (i + 0.5) * side / 10 for i in range(10)]
    assert crop[0, 0, 4].tolist() == pytest.approx(expected_x, abs=1e-3)
    assert crop[0, 1, :, 7].tolist() == pytest.approx(expected_y, abs=1e-3)


def pulled_by_loop(attention, place_x, place_y, sigma, resolution) -> tuple[float, float]:
    """Where one place of the grid is drawn to: the mean place of all attention around it, the border repeated."""
    pad = resolution // 2
    total = x = y = 0.0
    for i in range(place_y - pad, place_y + pad + 1):
        for j in range(place_x - pad, place_x + pad + 1):
            weight = attention[min(max(i, 0), resolution - 1)][min(max(j, 0), resolution - 1)]
            weight *= math.exp(-((i - place_y) ** 2 + (j - place_x) ** 2) / (2 * (sigma * resolution) ** 2))
            total, x, y = total + weight, x + weight * (j + 0.5) / resolution, y + weight * (i + 0.5) / resolution
    return x / total, y / total


def test_saliency_sampler_reads_at_centres_of_mass():
    resolution, sigma = 7, 0.2
    attention = torch.rand(1, 7, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64).float()
    x, y = torch.meshgrid(torch.arange(70) + 0.5, torch.arange(70) + 0.5, indexing="xy")
    images = torch.stack([x, y, x])[None]
    sampled = saliency_sample(images, attention, out_size=7, sigma=sigma, resolution=resolution)
    spread = (attention / attention.max() + 0.02)[0].tolist()
    for row in range(7):
        for column in range(7):
            place_x, place_y = pulled_by_loop(spread, column, row, sigma, resolution)
            assert sampled[0, 0, row, column].item() == pytest.approx(min(max(place_x * 70, 0.5), 69.5), abs=0.05)
            assert sampled[0, 1, row, column].item() == pytest.approx(min(max(place_y * 70, 0.5), 69.5), abs=0.05)


def test_saliency_sampler_magnifies_attended_places():
    x = (torch.arange(96) + 0.5)[None, None, None].expand(1, 3, 96, 96)
    attention = torch.zeros(1, 12, 12)
    attention[0, 6, 6] = 1.0
    row = saliency_sample(x, attention, 48)[0, 0, 24]
    near = (row - 52).abs() < 8  # pixels read close to the attention
    assert near.sum() > 1.5 * (16 / 96 * 48)


def test_every_variant_predicts_with_its_nets():
    channel = torch.tensor([0, 1])
    for table in TABLES:
        for variant in table.variants:
            recipe = variant.recipe(LITE if table.name.startswith("photographs") else LAPTOP)
            images = torch.rand(2, 3, recipe.image_size, recipe.image_size)
            if variant.sampler == "boxes":
                continue
            model = build_variant(variant, recipe, 4)
            arguments = (images, channel) if hasattr(model, "attention_net") else (images,)
            names = set(model(*arguments).logits)
            if variant.sampler in ("plain", "full", "centre", "trunk") and variant.part == "none":
                assert len(names) == 1
            else:
                more = {"none": set(), "looks": {"both"}, "view": {"part", "both"}}.get(variant.part, {"part"})
                assert names == {"attention", "master"} | more


def test_unchanged_variant_is_tasn():
    torch.manual_seed(0)
    expected = build_tasn(LAPTOP, 4).eval()
    torch.manual_seed(0)
    found = build_variant(TASN, LAPTOP, 4).eval()
    images, channel = torch.rand(2, 3, 144, 144), torch.tensor([3, 1])
    for name, logits in expected(images, channel).logits.items():
        torch.testing.assert_close(found(images, channel).logits[name], logits)


def test_a_part_net_of_its_own_shares_nothing_and_starts_alike():
    model = build_variant(Variant("own", part="own"), LAPTOP, 4)
    master, own = model.tasn.backbone.state_dict(), model.part_backbone.state_dict()
    assert all(torch.equal(master[name], own[name]) for name in master)
    model(torch.rand(2, 3, 144, 144), torch.tensor([0, 1])).logits["part"].sum().backward()
    assert all(weight.grad is None for weight in model.tasn.backbone.parameters())


def test_the_whole_image_is_seen_whole():
    model = build_variant(Variant("full", sampler="full"), LAPTOP, 4)
    images = torch.rand(1, 3, 144, 144)
    assert torch.equal(model(images).images, images)
    variant = Variant("plain", sampler="plain", changes={"antialias": True})
    plain = build_variant(variant, variant.recipe(LAPTOP), 4)
    torch.testing.assert_close(plain(images).images, downsample(images, 48))


def test_equal_compute():
    table = Table("longer", "hard", (Variant("longer", equal_compute=True),))
    longer = run_of(PROFILES["laptop"], table, table.variants[0], 0).recipe.epochs
    usual, classes = PROFILES["laptop"].recipes["hard"].epochs, 64
    cost = {
        v.title: cost_by_part(build_variant(v, LAPTOP, classes), 144)["total"] * epochs
        for v, epochs in ((TASN, usual), (STRUCTURE_ONLY, longer))
    }
    assert cost[STRUCTURE_ONLY.title] == pytest.approx(cost[TASN.title], rel=0.07)


def test_multiply_adds():
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False), nn.Flatten(), nn.Linear(8 * 36, 10))
    assert multiply_adds(lambda: network(torch.rand(2, 3, 12, 12))) == 2 * (8 * 36 * 3 * 25 + 8 * 36 * 10)


def test_cost_by_part():
    model = build_tasn(LAPTOP, 4)
    cost = cost_by_part(model, 144)
    assert sum(count for name, count in cost.items() if name != "total") == cost["total"]
    small = torch.rand(1, 3, 48, 48)
    assert cost["attention_net"] == multiply_adds(lambda: model.attention_net.eval()(small))
    assert cost["backbone"] == 2 * multiply_adds(lambda: model.backbone.eval()(small))


def test_inside_boxes():
    boxes = torch.tensor([[[1.6, 0.0, 3.4, 2.0], [5.0, 5.0, 6.0, 6.0]]])
    inside = inside_boxes(boxes, 6)[0]
    expected = [[float(any(x0 <= j + 0.5 < x1 and y0 <= i + 0.5 < y1 for x0, y0, x1, y1 in boxes[0].tolist()))
                 for j in range(6)] for i in range(6)]  # fmt: skip
    assert inside.tolist() == expected


TINY_RECIPE = replace(PROFILES["smoke"].recipes["easy"], image_size=48, train_images=16, test_images=8, batch_size=8)
TINY = Profile({"easy": TINY_RECIPE}, seeds=(0, 1, 2))


def easy(*variants: Variant, split: str = "test", seeds: int = 2) -> Table:
    return Table("some", "easy", variants, split, seeds)


def test_interrupted_study_resumes(tmp_path, monkeypatch):
    variants = (STRUCTURE_ONLY, Variant("boxes", sampler="boxes"), Variant("plain", sampler="plain"))
    runs = plan(TINY, [easy(*variants), easy(variants[0])])
    assert len(runs) == 6
    real, trained = study_module.train_run, []

    def stop_after_four(run, **folders):
        if len(trained) == 4:
            raise KeyboardInterrupt
        trained.append(run)
        return real(run, **folders)

    monkeypatch.setattr(study_module, "train_run", stop_after_four)
    with pytest.raises(KeyboardInterrupt):
        study(runs, tmp_path / "kept", tmp_path / "data")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    assert len(kept) == 4
    trained.clear()
    results = study(runs, tmp_path / "kept", tmp_path / "data")
    assert [run.file_name for run in trained] == [run.file_name for run in runs[4:]]
    assert all((tmp_path / "kept" / name).read_bytes() == content for name, content in kept.items())
    assert [result["title"] for result in results] == [run.variant.title for run in runs]
    assert study(runs, tmp_path / "kept", tmp_path / "data") == results
    assert len(trained) == 2


def test_file_names_depend_on_all_that_decides_a_result():
    base = run_of(PROFILES["laptop"], easy(), STRUCTURE_ONLY, 0)
    others = [
        replace(base, seed=1), replace(base, dataset="hard"), replace(base, precision="bfloat16"),
        replace(base, recipe=replace(base.recipe, epochs=9)), replace(base, variant=ATTENTION[0]),
        replace(base, split="val"),
    ]  # fmt: skip
    names = {run.file_name for run in (base, *others)}
    assert len(names) == 7
    assert replace(base, variant=replace(base.variant, title="another name")).file_name == base.file_name


def test_contents_of_a_result(tmp_path):
    (result,) = study(plan(replace(TINY, seeds=(3,)), [easy(TASN)]), tmp_path / "kept", tmp_path / "data")
    assert (result["seed"], result["dataset"], result["epochs"], result["test_images"]) == (3, "easy", 1, 8)
    assert set(result["accuracy"]) >= {"master", "part", "attention"}
    assert set(result["attention"]) == {
        *("mass", "mass of single channels", "pointing", "magnification", "diversity", "coverage", "area", "partners")
    }
    assert len(result["by_epoch"]) == 1
    assert result["multiply_adds"] > 10**6
    assert json.loads((tmp_path / "kept").joinpath(next((tmp_path / "kept").iterdir()).name).read_text()) == result


def test_each_table_has_its_own_number_of_seeds():
    runs = plan(TINY, [easy(TASN), easy(TASN, split="val", seeds=3)])
    assert [(run.seed, run.split) for run in runs] == [(0, "test"), (0, "val"), (1, "test"), (1, "val"), (2, "val")]


def test_structure_map_of_one_channel():
    torch.manual_seed(0)
    one = build_variant(Variant("one", one_channel=True), LAPTOP, 4).eval()
    images, channel = torch.rand(2, 3, 144, 144), torch.tensor([3, 1])
    output = one(images, channel)
    assert torch.equal(output.structure, output.detail)
    expected = one.tasn.classifier(one.tasn.backbone(one.sample(images, output.detail)))
    torch.testing.assert_close(output.logits["master"], expected)


def test_channels_partners_are_counted():
    """One row of R that picks a single channel, and one that averages all 32."""
    model = build_variant(STRUCTURE_ONLY, LAPTOP, 16)
    birds = Birds.load(BirdsConfig(), "test", count=2, progress=False)

    def partners(features: torch.Tensor) -> float:
        model.tasn.look = lambda images: (torch.zeros(len(images), 16), features.expand(len(images), -1, -1, -1))
        return measure_maps(model, LAPTOP, birds)["partners"]

    assert partners(torch.ones(1, 32, 12, 12)) == pytest.approx(32, rel=1e-5)
    one_strong = torch.rand(1, 32, 12, 12)
    one_strong[:, 5] += 100
    assert partners(one_strong) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("stages", [2, 3, 4])
def test_features_are_before_the_norm_unless_normalised(stages):
    images = torch.rand(2, 3, 144, 144)
    for after in (False, True):
        net = build_variant(Variant("x", attention_stages=stages, normalized=after), LAPTOP, 4).eval().attention_net
        before = net(images)[1]
        nn.init.constant_(net.norm.bias, 9.0)
        assert torch.equal(net(images)[1], before) != after


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: json.dumps({**json.loads(text), "seed": 7}),
        lambda text: json.dumps({**json.loads(text), "accuracy": {"master": float("nan")}}),
    ],
    ids=["truncated", "list", "seed", "NaN"],
)
def test_damaged_result_is_named(tmp_path, damage):
    run = plan(PROFILES["laptop"], TABLES[:1])[0]
    kept = (Path(__file__).parent.parent.parent / "notebooks/ablations/laptop" / run.file_name).read_text()
    assert run.dataset == "easy"
    (tmp_path / run.file_name).write_text(kept)
    assert study([run], tmp_path, tmp_path)[0] == json.loads(kept)
    (tmp_path / run.file_name).write_text(damage(kept))
    with pytest.raises(ValueError, match=f"{run.file_name} is not this run"):
        study([run], tmp_path, tmp_path)


def test_kept_results_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study_module, "each", lambda *_: pytest.fail("a run is missing"))
    assert open_study("laptop").rows("attention", "easy")
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkout_the_message_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "__file__", str(tmp_path / "site-packages/tasnlib/runs/run_folder.py"))
    with pytest.raises(FileNotFoundError, match="checkout"):
        open_study("laptop")


# -- Photographs -------------------------------------------------------------------------------------------------------

LITE = replace(RECIPES["photos"], weights=None, image_size=64, attention_size=64, out_size=64, epochs=1, batch_size=4)


def test_maps_are_changed_as_said():
    maps = torch.tensor([[[0.0, 1.0, 2.0], [1.0, 3.0, 1.0], [0.0, 1.0, 0.0]]])  # mean 1
    assert torch.equal(changed("floor", 5 * maps), maps + 1)
    prior = changed("centre", maps) - maps
    assert prior.mean().item() == pytest.approx(1)
    assert prior.flatten().argmax() == 4
    assert torch.allclose(prior, prior.flip(1, 2))


def test_a_class_activation_map_is_what_the_pooled_features_are_made_of():
    """Lite0's pooling is a mean, so a class's logit is the mean of its map, and its bias."""
    torch.manual_seed(0)
    model = build_variant(Variant("cam", attention="class activation"), LITE, classes=5).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        logits, maps = model.tasn.look(images)
        plain = model.tasn.classifier(model.tasn.backbone(images))
        torch.testing.assert_close(logits, plain)
        normalize, network = model.tasn.backbone
        features = network.forward_features(normalize(images))
        best = plain.argmax(dim=1)
        by_hand = [
            sum(w * f for w, f in zip(model.tasn.classifier.weight[c], one, strict=True))
            for c, one in zip(best, features, strict=True)
        ]
    torch.testing.assert_close(maps[:, 0], torch.stack(by_hand).clamp_min(0), rtol=1e-4, atol=1e-5)
    assert list(model(images, torch.tensor([7, 900])).logits) == ["attention", "master"]
    assert len(list(model.parameters())) == len(
        {id(weight) for weight in model.state_dict(keep_vars=True).values() if weight.requires_grad}
    )


def test_the_second_view_is_the_plain_image_and_both_are_averaged():
    torch.manual_seed(0)
    model = build_variant(Variant("views", part="view"), LITE, classes=5).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        logits = model(images, torch.tensor([0, 1])).logits
        plain = model.tasn.classifier(model.tasn.backbone(downsample(images, 64)))
    torch.testing.assert_close(logits["part"], plain)
    mean = (logits["master"].softmax(1) + logits["part"].softmax(1)) / 2
    torch.testing.assert_close(logits["both"].exp(), mean)


@pytest.mark.parametrize(("zoom", "first", "last"), [(2.0, 16, 48), (1.5, 11, 53)])
def test_the_middle_is_the_share_of_the_side_that_the_zoom_leaves(zoom, first, last):
    variant = Variant("middle", sampler="centre", changes={"max_zoom": zoom})
    columns = torch.arange(64.0).expand(1, 3, 64, -1)
    seen = build_variant(variant, variant.recipe(LITE), classes=5).eval()(columns).images[0, 0, 0]
    assert (seen[0].item(), seen[-1].item()) == pytest.approx((first, last), abs=1)


def test_the_middle_half_is_seen_second_without_attention():
    (row,) = (one for one in PHOTOGRAPHS if one.title == "the middle half, both looks")
    model = build_variant(row, row.recipe(replace(RECIPES["photos"], weights=None)), classes=24)
    images, attention = torch.rand(2, 3, 336, 336), torch.rand(2, 4, 4)
    middle = F.interpolate(images[:, :, 84:252, 84:252], (112, 112), mode="bilinear", align_corners=False)
    assert torch.allclose(model.sample(images, attention), middle, atol=1e-4)
    assert list(model.eval()(images, torch.zeros(2, dtype=torch.int64)).logits) == ["attention", "master", "both"]


def test_a_random_half_is_seen_second_whatever_the_map_says():
    (row,) = (one for one in PHOTOGRAPHS if one.sampler == "anywhere")
    model = build_variant(row, row.recipe(replace(RECIPES["photos"], weights=None)), classes=24)
    attention = torch.zeros(64, 4, 4)
    attention[:, 0, 0] = 1.0
    seen = model.sample(torch.arange(336.0).expand(64, 3, 336, 336), attention)[:, 0, 0]  # columns
    assert torch.allclose(seen[:, -1] - seen[:, 0], torch.tensor(111 * 1.5))  # half of the side, at 112 px
    left = (seen[:, 0] - 0.25).round()  # the first pixel lies between columns 0 and 1
    assert set(left.tolist()) == {0.0, 42.0, 126.0, 168.0}  # around the four columns of cells, moved inside


def test_a_trunk_without_its_last_strides_classifies_alone():
    row = next(variant for variant in PHOTOGRAPHS if variant.sampler == "trunk")
    recipe = replace(row.recipe(RECIPES["photos"]), weights=None)
    model = build_variant(row, recipe, classes=24)
    assert model(torch.rand(2, 3, 336, 336)).logits["downsampled"].shape == (2, 24)
    assert model.backbone[0](torch.rand(1, 3, 112, 112)).shape[2:] == (14, 14)  # cells of 8 px
    tasn = build_variant(STRUCTURE_ONLY, replace(RECIPES["photos"], weights=None), classes=24)
    share = cost_by_part(model, 336)["total"] / cost_by_part(tasn, 336)["total"]
    assert share == pytest.approx(1, abs=0.1)


def test_planning_needs_no_pretrained_weights(monkeypatch):
    def headless(name, weights, **options):
        assert weights is None
        return real(name, weights, **options)

    real = backbones.headless_network
    monkeypatch.setattr(backbones, "headless_network", headless)
    rows = (PHOTOGRAPHS[0], replace(PHOTOGRAPHS[0], equal_compute=True))
    plain, equal = plan(PROFILES["photos"], [Table("some", "grocery", rows, seeds=1)])
    # The antialiasing of the plain row costs TASN nothing: 240 million multiply-adds against 106.
    assert (plain.recipe.epochs, equal.recipe.epochs) == (6, 14)
    assert equal.recipe.weights == "DEFAULT"


def test_photographs_are_studied_like_birds(tmp_path):
    make_grocery(tmp_path / "data" / "GroceryStoreDataset")
    photos = Profile({"grocery": LITE}, seeds=(0,))
    tables = [
        Table("some", "grocery", (Variant("middle", sampler="centre"), TASN)),
        Table("choice", "grocery", (TASN,), "val"),
    ]
    results = study(plan(photos, tables), tmp_path / "kept", tmp_path / "data")
    assert [(result["title"], result["split"], result["test_images"]) for result in results] == [
        ("middle", "test", 12), (TASN.title, "test", 12), (TASN.title, "val", 5),
    ]  # fmt: skip
    by_class = results[1]["by_class"]["master"]
    assert list(by_class)[-1] == "Avocado"
    assert sum(by_class.values()) / 6 == pytest.approx(results[1]["accuracy"]["master"])
    assert results[2]["by_class"]["master"]["Avocado"] is None  # it has no validation image
