"""Answers to a test set: ranked, averaged, by class, and every image once, whatever the number of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tasnlib.data.birds import Birds, BirdsBatch, BirdsConfig
from tasnlib.networks.build import build_model
from tasnlib.training.devices import make_accelerator
from tasnlib.training.evaluation import accuracies, accuracies_by_class, answer_batch, evaluate, silent_images
from tasnlib.training.recipes import RECIPES

STYLE = BirdsConfig(image_size=48)
SCRIPT = """
import json, sys
import torch
from tasnlib.training.devices import leave_processes, make_accelerator
from tasnlib.training.evaluation import evaluate
from tests.training.test_evaluation import some_birds, some_model

torch.set_num_threads(1)
accelerator = make_accelerator()
answers = evaluate(some_model(), some_birds(int(sys.argv[1])), int(sys.argv[2]), accelerator)
if accelerator.is_main_process:
    print("answers " + json.dumps([accelerator.num_processes, {name: a.tolist() for name, a in answers.items()}]))
leave_processes()
"""


def some_birds(count: int) -> Birds:
    return Birds.load(STYLE, "test", count, progress=False)


def some_model() -> torch.nn.Module:
    """TASN with random weights, but with answers that differ from image to image."""
    torch.manual_seed(0)
    model = build_model("tasn", RECIPES["smoke"], STYLE.classes)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=3.0)
    return model.eval()


def one_by_one(model, birds) -> dict[str, list[list[float]]]:
    """The softmax of each net for each image, alone in its batch."""
    shares: dict[str, list[list[float]]] = {}
    for index in range(len(birds)):
        with torch.no_grad():
            logits = answer_batch(model, birds[index], 0, 0, torch.device("cpu"))
        for name, z in logits.items():
            powers = torch.exp(z[0].double() - z[0].max())
            shares.setdefault(name, []).append((powers / powers.sum()).tolist())
    return shares


def ranked(shares: list[list[float]]) -> list[list[int]]:
    return [sorted(range(len(row)), key=lambda place: -row[place])[:5] for row in shares]


@pytest.fixture(scope="module")
def seven():
    birds, model = some_birds(7), some_model()
    return birds, model, one_by_one(model, birds)


def test_classes_come_best_first(seven):
    birds, model, shares = seven
    answers = evaluate(model, birds, 3)
    for name, rows in shares.items():
        assert answers[name].tolist() == ranked(rows)
    assert len({tuple(row) for row in answers["master"].tolist()}) > 2


@pytest.mark.parametrize("names", [("master", "part"), ("master", "part", "attention")])
def test_averages_are_of_probabilities(seven, names):
    birds, model, shares = seven
    mean = [
        [sum(values) / len(names) for values in zip(*rows, strict=True)]
        for rows in zip(*(shares[name] for name in names), strict=True)
    ]
    assert evaluate(model, birds, 4)["+".join(names)].tolist() == ranked(mean)


@pytest.mark.parametrize(("processes", "count", "batch_size"), [(1, 7, 4), (2, 7, 4), (3, 7, 3), (3, 2, 6), (2, 5, 10)])
def test_any_number_of_processes_gives_the_same_answers(tmp_path, processes, count, batch_size):
    (tmp_path / "script.py").write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(
        [sys.executable, *launcher, str(tmp_path / "script.py"), str(count), str(batch_size)],
        capture_output=True, text=True, timeout=300, check=False, env=_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("answers ")]
    number, found = json.loads(line.removeprefix("answers "))
    assert number == processes
    birds, model = some_birds(count), some_model()
    expected = evaluate(model, birds, 1)
    assert found == {name: answer.tolist() for name, answer in expected.items()}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent), "OMP_NUM_THREADS": "1"}


class WithUnreadable(Birds):
    unreadable = frozenset({2, 5})


def test_an_image_that_cannot_be_read_counts_as_wrong(seven):
    birds, model, _ = seven
    broken = WithUnreadable(BirdsBatch(birds.images, birds.labels, birds.boxes), birds.config)
    answers, expected = evaluate(model, broken, 3), evaluate(model, birds, 3)
    kept = [0, 1, 3, 4, 6]
    for name, answer in answers.items():
        assert answer[[2, 5]].unique().tolist() == [-1]
        assert torch.equal(answer[kept], expected[name][kept])
    found = accuracies({"master": answers["master"]}, answers["master"][:, 0].clamp_min(0))
    assert found == {"master": 5 / 7}


def test_top_5_asks_whether_the_label_is_among_the_first_five():
    answers = {"net": torch.tensor([[1, 2, 3], [3, 1, 0], [0, 2, 1], [-1, -1, -1]])}
    labels = torch.tensor([1, 0, 2, 0])
    assert accuracies(answers, labels)["net"] == 1 / 4
    assert accuracies(answers, labels, top=2)["net"] == 2 / 4
    assert accuracies(answers, labels, top=3)["net"] == 3 / 4


@pytest.mark.parametrize("top", [0, 4])
def test_more_answers_than_were_kept_are_refused(top):
    with pytest.raises(ValueError, match=f"top is {top}; 3 answers"):
        accuracies({"net": torch.zeros(4, 3, dtype=torch.int64)}, torch.zeros(4, dtype=torch.int64), top)


def test_by_class_is_the_accuracy_among_that_class_s_images():
    generator = torch.Generator().manual_seed(0)
    labels, answers = (torch.randint(0, 4, (60,), generator=generator) for _ in range(2))
    found = accuracies_by_class(answers[:, None], labels, ["a", "b", "c", "d", "none"])
    for number, name in enumerate("abcd"):
        mine = [int(a == number) for a, label in zip(answers, labels, strict=True) if label == number]
        assert found[name] == pytest.approx(sum(mine) / len(mine))
    assert found["none"] is None


def test_workers_read_what_one_process_reads(seven):
    birds, model, _ = seven
    found = evaluate(model, birds, 3, make_accelerator(), num_workers=2)
    expected = evaluate(model, birds, 3)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_images_whose_attention_is_0_everywhere_are_counted(seven):
    birds, model, _ = seven
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        model.attention_net.norm.bias.data.fill_(1.0)
        assert silent_images(model, birds) == (0, 7)
        model.attention_net.norm.bias.data.fill_(-100.0)
        assert silent_images(model, birds, at_most=5) == (5, 5)
    finally:
        model.load_state_dict(before)
