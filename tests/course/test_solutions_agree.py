"""Solutions agree with the library, where it has the same function."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import ttest_rel

from tasnlib.attention import bilinear_attention, pooled_attention, trilinear_attention
from tasnlib.course.exercises import EXERCISES
from tasnlib.distillation import soft_target_cross_entropy, tasn_loss
from tasnlib.research import localization
from tasnlib.research.ablations.tables import Row, significant
from tasnlib.sampler import sampling_matrices, sampling_positions, zoom_profiles
from tasnlib.training.recipes import RECIPES
from tasnlib.training.schedule import learning_rate_at


def solution(name):
    return EXERCISES[name].solution


def test_attention():
    features, channel = torch.rand(3, 5, 4, 6), torch.tensor([0, 4, 2])
    relation = bilinear_attention(features, scale=7.0)
    where = solution("where_it_fires")(features, 7.0)
    torch.testing.assert_close(solution("fires_there_too")(where, features), relation)
    maps = trilinear_attention(features, scale=7.0)
    from_second = (relation[:, :, 1, None, None] * features[:, None, 1]).sum((1, 2, 3)) / maps.sum((1, 2, 3))
    torch.testing.assert_close(solution("share_from")(features, 7.0)[:, 1], from_second)
    torch.testing.assert_close(solution("attend_over_channels")(features, 7.0), maps)
    torch.testing.assert_close(solution("maps_from_relation")(relation, features), maps)
    pooled = pooled_attention(features, scale=7.0, channel=channel)
    structure, detail = solution("structure_and_detail")(relation, features, channel)
    torch.testing.assert_close(structure, pooled.structure)
    torch.testing.assert_close(detail, pooled.detail)
    features[:, 1] = 0
    dead = solution("map_of_a_dead_channel")(features)
    torch.testing.assert_close(dead, trilinear_attention(features, scale=7.0)[:, 1])


def test_sampler():
    attention = torch.rand(9, 9, dtype=torch.float64) ** 8 + 0.01
    attention = attention + attention.T  # the same peak along both axes, so that neither limits the other
    zoom = solution("limit_zoom")(solution("marginal_zoom")(attention), 2.0)
    torch.testing.assert_close(zoom, zoom_profiles(attention[None], (9, 9), 2.0)[0][0])
    positions = sampling_positions(attention[None], (9, 9), (5, 5), 2.0)[0][0]
    middles = torch.arange(5, dtype=torch.float64) + 0.5
    torch.testing.assert_close(solution("to_sampled")(zoom, positions, 5), middles)
    matrix = solution("reading_matrix")(positions, 9)
    torch.testing.assert_close(matrix, sampling_matrices(attention[None], (9, 9), (5, 5), 2.0)[0][0])
    values = torch.rand(9, dtype=torch.float64)
    torch.testing.assert_close(solution("read_row")(values, positions), matrix @ values)


def test_distillation():
    logits = {name: 3 * torch.randn(4, 6) for name in ("attention", "master", "part")}
    soft = solution("soft_cross_entropy")(logits["master"], logits["part"], 10.0)
    torch.testing.assert_close(soft, soft_target_cross_entropy(logits["master"], logits["part"], temperature=10.0))
    labels = torch.tensor([0, 5, 2, 3])
    torch.testing.assert_close(solution("joint_loss")(*logits.values(), labels, 2.0, 10.0), tasn_loss(logits, labels))


def test_training():
    recipe = replace(RECIPES["laptop"], learning_rate=0.3, warmup=0.2)
    for done in (0.0, 0.1, 0.2, 0.7, 1.0):
        assert solution("learning_rate_at")(done, 0.3, 0.2) == pytest.approx(learning_rate_at(recipe, done))


def test_measures():
    attention = torch.rand(5, 7, dtype=torch.float64)
    box = torch.tensor([[[1.0, 2.0, 4.0, 4.0]]])
    by_library = localization.attention_mass(attention[None], box, (5, 7)).item()
    assert solution("mass_in_box")(attention, (1, 2, 4, 4)) == pytest.approx(by_library)
    centre = solution("brightest_cell")(attention, 50, 140)
    around = torch.cat([centre - 0.5, centre + 0.5])[None, None]
    assert localization.pointing_game(attention[None], around, (50, 140)).item() == 1
    magnifications = 5 * torch.rand(6, 4)
    reached = solution("share_reached")(magnifications, 3.0)
    torch.testing.assert_close(reached, localization.coverage(magnifications[:, None], at_least=3.0))


def test_significance():
    base, *others = (
        Row(title, (60.0 + d[0], 62.0 + d[1], 61.0 + d[2]), (), {}, 1, 1.0)
        for title, d in {"base": (0, 0, 0), "no": (1, 2, -1), "yes": (5, 5.1, 5.2), "second": (2, 2.5, 3)}.items()
    )
    p_values = torch.tensor([ttest_rel(row.accuracies, base.accuracies).pvalue for row in others])
    found = {row.title for row, one in zip(others, solution("holm")(p_values), strict=True) if one}
    assert found == significant([base, *others], base) == {"yes", "second"}
