"""Matrices as pictures: every number and every share is drawn."""

import torch

from tasnlib.course.plots import number_tables


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_tables_hold_every_number_and_the_signs_between_them():
    figure = number_tables.number_tables([torch.tensor([[1.0, 2.5]]), torch.eye(2)], ["a", "b"], digits=1, between="=")
    first, second = figure.axes
    assert texts(first) == ["1.0", "2.5"]
    assert texts(second) == ["1.0", "0.0", "0.0", "1.0", "="]


def test_relations_are_shares_of_rows_in_the_given_order():
    matrix, order = torch.tensor([[1.0, 3.0], [1.0, 1.0]]), torch.tensor([1, 0])
    drawn = number_tables.relations({"one": matrix}, order).axes[0].images[0].get_array()
    assert drawn.tolist() == [[50, 50], [75, 25]]


def test_a_product_shows_the_weights_above_zero():
    a = torch.tensor([[0.25, 0.75, 0.0]])
    figure = number_tables.matrix_product(a, torch.ones(3, 3), a, torch.ones(1, 1))
    assert [text for text in texts(figure.axes[0]) if text] == ["0.2", "0.8", "·"]
    assert [text for text in texts(figure.axes[1]) if text] == ["·"]
