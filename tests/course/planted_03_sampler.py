"""Answers to the exercises of notebook 03 from the zoom to the sampled image, right and wrong; see planted_01."""

from functools import partial

import numpy as np
import torch

from tasnlib.attention_sampler import AttentionSampler


def edges_of(zoom):
    return torch.cat([torch.zeros(1), zoom.cumsum(0)])


def sampled_by_numpy(zoom, positions, out_size):
    running = np.concatenate([[0], np.cumsum(zoom.numpy())])
    return out_size * np.interp(positions.numpy(), np.arange(len(running)), running) / running[-1]


def sampled_by_parts(zoom, positions, out_size):
    """Of every pixel, the part to the left of each position, added up."""
    covered = (positions[:, None] - torch.arange(len(zoom))).clamp(0, 1)
    return covered @ zoom * out_size / len(zoom)


def sampled_by_lerp(zoom, x, n):
    left, right = x.floor().long(), x.ceil().long()
    return n / zoom.sum() * torch.lerp(edges_of(zoom)[left], edges_of(zoom)[right], x - left)


def sampled_by_loop(zoom, positions, out_size):
    found = []
    for x in positions.tolist():
        pixel = min(int(x), len(zoom) - 1)
        found.append(out_size * (zoom[:pixel].sum() + (x - pixel) * zoom[pixel]) / zoom.sum())
    return torch.stack(found)


def sampled_by_library(zoom, positions, out_size):
    attention = (zoom + 1e-9).expand(1, len(zoom), len(zoom))
    sampler = AttentionSampler(out_size, max_zoom=99.0)
    grid = sampler(torch.zeros(1, 1, len(zoom), len(zoom)), attention * attention.mT).grid
    return grid.to_sampled(torch.stack([positions, positions], -1)[None])[0, :, 0]


def the_other_way(zoom, positions, out_size):
    """From positions in the sampled line to those in the image."""
    return torch.from_numpy(np.interp(positions.numpy() / out_size * len(zoom), edges_of(zoom), range(len(zoom) + 1)))


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
    "to_sampled": [sampled_by_numpy, sampled_by_parts, sampled_by_lerp],
    "read_row": [read_by_matrix, read_by_numpy, read_by_padding],
    "reading_matrix": [matrix_by_scatter, matrix_by_numpy, matrix_by_reading],
}

WRONG = {
    "to_sampled": [
        ("", sampled_by_loop),
        ("", sampled_by_library),
        ("", the_other_way),
        ("height F(x)", lambda zoom, x, n: sampled_by_numpy(zoom, x, len(zoom))),
        ("left edge", lambda zoom, x, n: n * edges_of(zoom)[x.long()] / zoom.sum()),
        ("", lambda zoom, x, n: n * edges_of(zoom)[x.ceil().long()] / zoom.sum()),
        ("", lambda zoom, x, n: n * edges_of(zoom)[x.round().long()] / zoom.sum()),
        ("subtracted ½", lambda zoom, x, n: sampled_by_numpy(zoom, x, n) - 0.5),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom, x, n) + 0.5),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom, x, n).round()),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom, x, n).astype(int)),
        ("plain resizing only", lambda zoom, x, n: x * n / len(zoom)),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom, x, 1)),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom.flip(0), x, n)),
        ("", lambda zoom, x, n: sampled_by_numpy(zoom, x.sort().values, n)),
        ("", lambda zoom, x, n: np.interp(x.numpy(), np.arange(len(zoom)), zoom.cumsum(0)) * n / len(zoom)),
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
