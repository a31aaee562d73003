"""The published log is drawn as it was published, and one's own curve over it."""

import pytest

from tasnlib.course.plots.published_log import PUBLISHED, PUBLISHED_EPOCHS, on_track, published_at


def test_the_log_is_the_published_one():
    """Epochs counted from 0, as there; here after how many epochs, so one more."""
    master = {0: 31.1, 5: 69.3, 10: 78.8, 20: 79.4, 40: 82.6, 60: 83.0, 99: 82.3, 100: 84.7, 110: 85.8, 150: 86.3,
              199: 86.5, 205: 86.8, 265: 87.0}  # fmt: skip
    attention = {0: 11.8, 5: 64.3, 10: 69.3, 20: 76.1, 40: 78.6, 60: 80.0, 99: 79.5, 100: 80.0, 110: 80.1, 150: 80.4,
                 199: 80.8, 205: 80.7, 265: 80.9}  # fmt: skip
    for name, entries in (("master", master), ("attention", attention)):
        assert dict(zip(PUBLISHED_EPOCHS, PUBLISHED[name], strict=True)) == {e + 1: v for e, v in entries.items()}
        assert [published_at(epoch + 1, name) for epoch in entries] == list(entries.values())


@pytest.mark.parametrize(("epoch", "expected"), [(0, 31.1), (300, 87.0), (51, 82.8)])
def test_the_log_is_linear_between_its_entries_and_flat_beyond_them(epoch, expected):
    assert published_at(epoch) == pytest.approx(expected)


def test_a_run_of_ones_own_is_drawn_over_it():
    history = [{"epoch": e, "accuracy": {"master": 0.1 * e, "attention": 0.05 * e, "part": 0.0}} for e in (1, 2, 3)]
    (axes,) = on_track(history).axes
    own = {line.get_label(): line.get_ydata().tolist() for line in axes.lines if "this run" in line.get_label()}
    assert own == {
        "TASN, master net, this run": pytest.approx([10, 20, 30]),
        "TASN, attention net, this run": pytest.approx([5, 10, 15]),
    }
    assert len(on_track().axes[0].lines) == 2
