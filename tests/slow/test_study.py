"""Ablations in several processes."""

from dataclasses import replace

import torch

from tasnlib.research.ablations.plan import plan
from tasnlib.research.ablations.study import study
from tasnlib.research.ablations.variants import STRUCTURE_ONLY, Variant
from tests.research.test_ablations import TINY, easy


def test_several_processes_give_the_same_results(tmp_path):
    runs = plan(replace(TINY, seeds=(0,)), [easy(STRUCTURE_ONLY, Variant("plain", sampler="plain"))])
    torch.set_num_threads(1)
    one = study(runs, tmp_path / "one", tmp_path / "data")
    two = study(runs, tmp_path / "two", tmp_path / "data", processes=2)
    for first, second in zip(one, two, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
