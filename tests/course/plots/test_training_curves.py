"""Figures of a training run: every epoch, every pair of classes and every accuracy is there."""

import matplotlib.colors
import pytest
import torch

from tasnlib.course.plots import COLOURS, LABELS
from tasnlib.course.plots.training_curves import accuracy_bars, confusion, training_curves

CLASSES = ["red, along", "red, across", "blue, along", "blue, across"]


def history(*names: str) -> list[dict]:
    epochs = []
    for epoch in (1, 2, 3):
        accuracy = {name: (epoch + number) / 10 for number, name in enumerate(names)}
        epochs.append({"epoch": epoch, "loss": 9.0 / epoch, "accuracy": accuracy})
    return epochs


def test_curves_show_every_epoch_of_every_net():
    histories = {"tasn": history("master", "part", "attention", "master+part"), "downsampled": history("downsampled")}
    left, right = training_curves(histories, chance=1 / 16).axes
    assert left.lines[0].get_xydata().tolist() == [[1, 9.0], [2, 4.5], [3, 3.0]]
    shown = {line.get_label(): line for line in right.lines}
    assert set(shown) == {LABELS[name] for name in ("master", "part", "attention", "downsampled", "chance")}
    for model, names in (("tasn", ("master", "part", "attention")), ("downsampled", ("downsampled",))):
        for name in names:
            expected = [[entry["epoch"], 100 * entry["accuracy"][name]] for entry in histories[model]]
            assert shown[LABELS[name]].get_xydata().tolist() == expected
            assert shown[LABELS[name]].get_color() == COLOURS[name]
    assert list(shown[LABELS["chance"]].get_ydata()) == [6.25, 6.25]


def test_a_confusion_matrix_holds_the_share_of_each_true_class():
    predictions = {"master": torch.tensor([0, 1, 2, 3, 2]), "downsampled": torch.zeros(5, dtype=torch.int64)}
    figure = confusion(torch.tensor([0, 1, 2, 3, 3]), predictions, CLASSES, genera=2)
    master, downsampled = (axes for axes in figure.axes if axes.get_label() != "<colorbar>")
    shares = master.collections[0].get_array().reshape(4, 4)
    assert shares.tolist() == [[100, 0, 0, 0], [0, 100, 0, 0], [0, 0, 100, 0], [0, 0, 50, 50]]  # rows: true classes
    assert downsampled.collections[0].get_array().reshape(4, 4).tolist() == [[100, 0, 0, 0]] * 4
    assert (master.get_title(), downsampled.get_title()) == (LABELS["master"], LABELS["downsampled"])
    assert [label.get_text() for label in master.get_xticklabels()] == ["red", "blue"]
    assert master.get_xlabel().startswith("predicted class")
    assert master.get_ylabel() == "true class"


def test_a_confusion_matrix_of_hundreds_of_classes_numbers_only_some():
    labels = torch.arange(200)
    figure = confusion(labels, {"master": labels.flip(0)}, [f"class {n}" for n in range(200)], genera=200)
    assert len(figure.axes[0].get_xticklabels()) < 100


def test_bars_are_as_long_as_the_accuracies_and_a_net_that_did_not_run_has_none():
    accuracy = {"master": 0.9, "part": 0.25, "downsampled_aliased": None, "chance": 0.1}
    (axes,) = accuracy_bars(accuracy).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([90, 25, 10])
    ran = ["master", "part", "chance"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [LABELS[name] for name in ran]
    assert [matplotlib.colors.to_hex(bar.get_facecolor()).upper() for bar in axes.patches] == [COLOURS[n] for n in ran]
    assert [text.get_text() for text in axes.texts] == ["90.0", "25.0", "10.0"]
    assert axes.yaxis_inverted()  # the first on top
