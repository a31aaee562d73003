"""Answers to the exercises of notebook 03 from the zoom to the sampled image, right and wrong; see planted_01."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from tasnlib.sampler import sampling_positions


def heights(zoom, out_size):
    return (torch.arange(out_size) + 0.5) / out_size * zoom.sum()


def positions_by_parts(zoom, n):
    """How far each level reaches into every pixel, added up."""
    before = zoom.cumsum(0) - zoom
    return ((heights(zoom, n)[:, None] - before) / zoom.clamp_min(1e-30)).clamp(0, 1).sum(1)


def positions_by_numpy(zoom, out_size):
    u = zoom.numpy().astype(float)
    edges = np.concatenate([[0], np.cumsum(u)])
    levels = (np.arange(out_size) + 0.5) / out_size * edges[-1]
    pixel = np.searchsorted(edges, levels, side="right") - 1
    return pixel + (levels - edges[pixel]) / u[pixel]


def positions_by_sum(zoom, out_size):
    edges = torch.cat([torch.zeros(1), zoom.cumsum(0)])
    pixel = (heights(zoom, out_size)[:, None] > edges[1:]).sum(1)
    return torch.lerp(pixel.float(), pixel + 1.0, (heights(zoom, out_size) - edges[pixel]) / zoom[pixel])


def positions_by_loop(zoom, out_size):
    edges, found = [0.0], []
    for value in zoom.tolist():
        edges.append(edges[-1] + value)
    for i in range(out_size):
        level = (i + 0.5) / out_size * edges[-1]
        pixel = max(j for j in range(len(zoom)) if edges[j] < level)
        found.append(pixel + (level - edges[pixel]) / zoom[pixel].item())
    return torch.tensor(found)


def without_the_edge_at_0(zoom, out_size):
    at_edges = zoom.cumsum(0)
    levels = heights(zoom, out_size)
    pixel = torch.searchsorted(at_edges, levels)
    return pixel + (levels - at_edges[pixel - 1]) / zoom[pixel]


def moved(shift_levels=0.0, shift=0.0):
    def answer(zoom, out_size):
        edges = F.pad(zoom.cumsum(0), (1, 0))
        levels = (torch.arange(out_size) + 0.5 + shift_levels) / out_size * edges[-1]
        pixel = torch.searchsorted(edges[1:], levels).clamp(max=len(zoom) - 1)
        return pixel + (levels - edges[pixel]) / zoom[pixel] + shift

    return answer


def read_by_matrix(values, positions):
    centred = (positions - 0.5).clip(0, len(values) - 1)
    return torch.relu(1 - (centred[:, None] - torch.arange(len(values))).abs()) @ values


def read_by_numpy(row, where):
    return np.interp(where.numpy(), np.arange(len(row)) + 0.5, row.numpy())


def read_by_padding(values, positions):
    padded = torch.cat([values[:1], values, values[-1:]])
    left = (positions + 0.5).floor().long().clamp(max=len(values))
    share = positions + 0.5 - left
    return padded[left] * (1 - share) + padded[left + 1] * share


def read_by_loop(values, positions):
    return torch.tensor([np.interp(p, np.arange(len(values)) + 0.5, values.numpy()) for p in positions.tolist()])


def read_by_map(values, positions):
    return np.array([*map(partial(one_value, values), positions.tolist() * 4)])[: len(positions)]


def one_value(values, position):
    return read_by_numpy(values, torch.tensor(position)).item()


def read(centre=lambda p: p - 0.5, low=0.0, high=0.0):
    """Mixes neighbours at `centre`, clamped to [low, size - 1 + high]; beyond the last pixel it reads the first."""

    def answer(values, positions):
        size = len(values)
        at = centre(positions).clamp(low, size - 1 + high)
        first = at.floor().long()
        return torch.lerp(values[first % size], values[(first + 1) % size], at - first)

    return answer


def matrix_by_scatter(positions, size):
    at = (positions - 0.5).clamp(0, size - 1)
    first = at.floor().long()
    rows = torch.zeros(len(at), size)
    rows.scatter_add_(1, first[:, None], (1 - (at - first))[:, None])
    return rows.scatter_add_(1, (first + 1).clamp(max=size - 1)[:, None], (at - first)[:, None])


def matrix_by_numpy(p, w):
    at = np.clip(p.numpy() - 0.5, 0, w - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(w)[None]))


def matrix_by_reading(positions, size):
    """Reads the rows of the unit matrix."""
    at = (positions - 0.5).clamp(0, size - 1)
    low, high = at.floor().long(), at.ceil().long()
    eye = torch.eye(size)
    return torch.lerp(eye[low], eye[high], (at - low)[:, None])


def matrix_by_loop(positions, size):
    return torch.stack([matrix_by_reading(position[None], size)[0] for position in positions])


def tent(width=1.0, low=0.5, high=0.5):
    return lambda p, w: (width - (p.clamp(low, w - high)[:, None] - 0.5 - torch.arange(w)).abs()).clamp(min=0) / width


RIGHT = {
    "positions_of": [positions_by_parts, positions_by_numpy, positions_by_sum],
    "read_row": [read_by_matrix, read_by_numpy, read_by_padding],
    "reading_matrix": [matrix_by_scatter, matrix_by_numpy, matrix_by_reading],
}

WRONG = {
    "positions_of": [
        ("", positions_by_loop),
        ("", without_the_edge_at_0),
        ("", lambda zoom, n: sampling_positions(zoom[None, None], (1, len(zoom)), (1, n), 99.0)[0][0]),
        ("left edges", moved(-0.5)),
        ("", moved(0.5)),
        ("", moved(shift=-0.5)),
        ("", moved(shift=0.5)),
        ("pixel that each level falls into", lambda zoom, n: positions_by_sum(zoom, n).floor()),
        ("", lambda zoom, n: positions_by_sum(zoom, n).round()),
        ("plain resizing", lambda zoom, n: (torch.arange(n) + 0.5) * len(zoom) / n),
        ("", lambda zoom, n: positions_by_sum(zoom, n) / len(zoom)),
        ("", lambda zoom, n: positions_by_sum(1 / zoom.clamp_min(1e-3), n)),
        ("", lambda zoom, n: positions_by_sum(zoom, n).floor() + 0.5),
        ("", lambda zoom, n: positions_by_sum(zoom.flip(0), n)),
        ("", lambda zoom, n: zoom.cumsum(0)[:: max(len(zoom) // n, 1)][:n]),
        ("", lambda zoom, n: positions_by_sum(zoom, len(zoom) // max(len(zoom) // n, 1))),
    ],
    "read_row": [
        ("", read_by_loop),
        ("", read_by_map),
        ("centre to be at j", read(lambda p: p)),
        ("", read(lambda p: p - 1)),
        ("", read(high=0.5)),
        ("", read(low=-0.5)),
        ("", read(lambda p: (p - 0.5).round())),
        ("", lambda values, positions: values[positions.long()]),
        ("pixel that each position", lambda v, p: v[p.floor().long().clamp(max=len(v) - 1)]),
        ("", lambda v, p: read_by_matrix(v, p.sort().values)),
        ("", lambda v, p: (v[p.floor().long().clamp(0, len(v) - 1)] + v[p.ceil().long().clamp(0, len(v) - 1)]) / 2),
        ("", lambda v, p: torch.lerp(v[p.long() - 1], v[p.long().clamp(max=len(v) - 1)], p - p.floor())),
        ("read 0", lambda v, p: torch.relu(1 - (p[:, None] - 0.5 - torch.arange(len(v))).abs()) @ v),
        ("centre to be at j", lambda v, p: np.interp(p.numpy(), np.arange(len(v)), v.numpy())),
    ],
    "reading_matrix": [
        ("", matrix_by_loop),
        ("centre to be at j", lambda p, w: matrix_by_numpy(p + 0.5, w)),
        ("", lambda p, w: matrix_by_reading(p, w).T),
        ("nearest pixel only", lambda p, w: torch.eye(w)[p.long().clamp(max=w - 1)]),
        ("sum to less than 1", tent(low=-9, high=-9)),
        ("", tent(width=2.0)),
        ("sum to less than 1", tent(low=0, high=0)),
        ("", tent(high=0)),
        ("", tent(low=1)),
        ("", lambda p, w: matrix_by_numpy(p.sort().values, w)),
        ("", lambda p, w: tent(low=-9, high=-9)(p, w) / tent(low=-9, high=-9)(p, w).sum(1, keepdim=True) ** 0.5),
        ("", lambda p, w: (-(p[:, None] - 0.5 - torch.arange(w)).abs()).softmax(1)),
        ("", lambda p, w: matrix_by_numpy(p, w)[: len(p) - 1]),
    ],
}
