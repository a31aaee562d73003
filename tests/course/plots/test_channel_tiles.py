"""The wall of channels: tiles lie where a click looks for them, the strongest channel first."""

import torch

from tasnlib.course.plots import channel_tiles


def test_a_tile_is_bright_where_its_own_map_is():
    maps = torch.zeros(11, 2, 2)
    for number in range(11):
        maps[number, number % 2, number // 2 % 2] = 1.0 + number  # each map by its own maximum
    picture = channel_tiles.wall(torch.zeros(3, 48, 48), maps)
    step, half = channel_tiles.TILE + channel_tiles.GAP, channel_tiles.TILE // 2
    assert picture.shape == (3, 2 * step - channel_tiles.GAP, 8 * step - channel_tiles.GAP)
    for number in range(11):
        top, left = step * (number // 8), step * (number % 8)
        tile = picture[:, top : top + channel_tiles.TILE, left : left + channel_tiles.TILE].sum(0)
        quarters = [[tile[y : y + half, x : x + half].mean() for x in (0, half)] for y in (0, half)]
        brightest = torch.tensor(quarters).argmax().item()
        assert brightest == 2 * (number % 2) + number // 2 % 2
    assert picture[:, :, channel_tiles.TILE : step].eq(1).all()  # the gap is white
    assert picture[:, step:, 3 * step :].eq(1).all()  # and so is where tiles are missing


def test_maps_of_zero_and_images_of_any_shape_have_a_tile():
    assert channel_tiles.wall(torch.rand(3, 30, 70), torch.zeros(3, 7, 9)).isfinite().all()


def test_the_strongest_channels_come_first():
    features = torch.zeros(100, 2, 2)
    features[7, 0, 0], features[93] = 5.0, 2.0
    order = channel_tiles.strongest(features)
    assert order[:2] == [93, 7]
    assert len(order) == len(set(order)) == 64


def test_numbers_on_the_wall_stand_on_their_tiles():
    figure = channel_tiles.wall_figure(torch.rand(3, 48, 48), torch.rand(10, 3, 3), list(range(20, 30)))
    step = channel_tiles.TILE + channel_tiles.GAP
    for number, text in enumerate(figure.axes[0].texts):
        x, y = text.get_position()
        assert int(text.get_text()) == 20 + number
        assert (x // step, y // step) == (number % 8, number // 8)
