"""Answers to the exercises of notebook 07, right and wrong; see planted_01."""

import numpy as np
import torch


def mass_by_rows(heat, box):
    x0, y0, x1, y1 = box
    inside = 0
    for row in heat[y0:y1]:
        inside = inside + row[x0:x1].sum()
    return inside / heat.sum()


def mass_by_generator(attention, box):
    cells = [(x, y) for y in range(attention.shape[0]) for x in range(attention.shape[1])]
    part = sum(attention[y, x] for x, y in cells if box[0] <= x < box[2] and box[1] <= y < box[3])
    return part / sum(attention[y, x] for x, y in cells)


def mass_by_while(attention, box):
    values, total, inside = attention.tolist(), 0, 0
    row = 0
    while row < len(values):
        for column, value in enumerate(values[row]):
            total += value
            inside += value * (box[0] <= column < box[2]) * (box[1] <= row < box[3])
        row += 1
    return inside / total


def counted(inside=lambda x, y, box: box[0] <= x < box[2] and box[1] <= y < box[3], total=None):
    def answer(attention, box):
        part = whole = 0.0
        for y in range(attention.shape[0]):
            for x in range(attention.shape[1]):
                whole += attention[y, x].item()
                part += attention[y, x].item() if inside(x, y, box) else 0
        return part / (total(attention, box) if total else whole)

    return answer


def brightest_by_loops(attention, height, width):
    h, w = attention.shape
    best = max((attention[i, j].item(), i, j) for i in range(h) for j in range(w))
    return (best[2] + 0.5) * (width / w), (best[1] + 0.5) * (height / h)


def brightest_by_numpy(heat, H, W):
    row, column = np.unravel_index(heat.numpy().argmax(), heat.shape)
    return np.array([(column + 0.5) / heat.shape[1] * W, (row + 0.5) / heat.shape[0] * H])


def brightest_by_marginals(attention, height, width):
    x, y = attention.amax(0).argmax(), attention.amax(1).argmax()
    return torch.stack([x + 0.5, y + 0.5]) * torch.tensor([width, height]) / torch.tensor(attention.shape).flip(0)


def pointed(half=0.5, size=lambda side, cells: side / cells, columns=lambda h, w: w):
    def answer(attention, height, width):
        h, w = attention.shape
        row, column = divmod(attention.argmax().item(), columns(h, w))
        return torch.tensor([(column + half) * size(width, w), (row + half) * size(height, h)])

    return answer


def margin_by_loops(scores):
    result = []
    for row in scores:
        powers = (row - row.max()).exp()
        best, second, *_ = sorted((powers / powers.sum()).tolist(), reverse=True)
        result.append(best - second)
    return torch.tensor(result)


def margin_without(second):
    """The best minus the best of the others, where `second` removes the best."""

    def answer(logits):
        q = logits.softmax(1)
        return q.amax(1) - second(q).amax(1)

    return answer


def reached_by_loops(times, limit):
    seen, shares = [False] * times.shape[1], []
    for draw in times.tolist():
        seen = [old or value >= limit for old, value in zip(seen, draw, strict=True)]
        shares.append(sum(seen) / len(seen))
    return shares


def reached_in_place(magnifications, at_least):
    for draw in range(1, len(magnifications)):
        magnifications[draw] = torch.maximum(magnifications[draw], magnifications[draw - 1])
    return (magnifications >= at_least).float().mean(1)


def reached(seen):
    return lambda m, limit: seen(m, limit).float().mean(1)


RIGHT = {
    "mass_in_box": [mass_by_rows, mass_by_generator, mass_by_while],
    "brightest_cell": [brightest_by_loops, brightest_by_numpy, brightest_by_marginals],
    "margin": [
        margin_by_loops,
        lambda z: z.softmax(1).sort(dim=1).values[:, -2:].diff(dim=1)[:, 0],
        lambda logits: -np.diff(np.sort(-logits.softmax(1).numpy(), axis=1)[:, :2], axis=1)[:, 0] * -1,
    ],
    "share_reached": [
        reached_by_loops,
        lambda m, limit: ((m >= limit).cumsum(0) > 0).double().mean(1),
        lambda magnifications, at_least: np.maximum.accumulate(magnifications.numpy() >= at_least, axis=0).mean(1),
    ],
}

WRONG = {
    "mass_in_box": [
        ("", lambda a, box: a[box[1] : box[3], box[0] : box[2]].sum() / a.sum()),
        ("sum in the box", counted(total=lambda a, box: 1)),
        ("x for the row", counted(lambda x, y, box: box[0] <= y < box[2] and box[1] <= x < box[3])),
        ("cells at x1 and y1", counted(lambda x, y, box: box[0] <= x <= box[2] and box[1] <= y <= box[3])),
        ("", counted(lambda x, y, box: box[0] < x < box[2] and box[1] < y < box[3])),
        ("", counted(lambda x, y, box: box[0] <= x < box[2])),
        ("", counted(lambda x, y, box: box[0] <= x < box[2] or box[1] <= y < box[3])),
        ("", counted(total=lambda a, box: a.numel())),
        ("", counted(total=lambda a, box: max((box[2] - box[0]) * (box[3] - box[1]), 1))),
        ("", counted(lambda x, y, box: x < box[2] and y < box[3])),
        ("", counted(lambda x, y, box: box[0] <= x <= box[2] and box[1] <= y < box[3])),
        ("", counted(lambda x, y, box: not (box[0] <= x < box[2] and box[1] <= y < box[3]))),
    ],
    "brightest_cell": [
        ("upper left corner", pointed(half=0)),
        ("(y, x)", lambda a, h, w: brightest_by_marginals(a, h, w).flip(0)),
        ("cells, not pixels", pointed(size=lambda side, cells: 1)),
        ("", pointed(half=1)),
        ("", pointed(size=lambda side, cells: side // cells)),
        ("", pointed(columns=lambda h, w: h)),
        ("", lambda a, h, w: brightest_by_marginals(a, h, w).round()),
        ("", lambda a, h, w: pointed()(a, w, h)),
        ("", lambda a, h, w: pointed(half=0)(a, h, w) + 0.5),
        ("", lambda a, h, w: pointed()(a.T, h, w)),
        ("", lambda a, h, w: pointed()(-a, h, w)),
        ("", lambda a, h, w: torch.stack([a.sum(0).argmax() + 0.5, a.sum(1).argmax() + 0.5]) * pointed(0.0)(a, h, w)),
    ],
    "margin": [
        ("difference of the logits", lambda z: z.sort(1).values[:, -1] - z.sort(1).values[:, -2]),
        ("probability of the best", lambda z: z.softmax(1).max(1).values),
        ("over the birds", lambda z: z.softmax(0).sort(1).values[:, -1] - z.softmax(0).sort(1).values[:, -2]),
        ("", lambda z: z.softmax(1).amax(1) - z.softmax(1).amin(1)),
        ("", lambda z: -margin_by_loops(z)),
        ("", lambda z: margin_by_loops(z).mean()),
        ("", lambda z: z.softmax(1)[:, 0] - z.softmax(1)[:, 1]),
        ("difference of the logits", lambda z: z.log_softmax(1).topk(2).values.diff(dim=1).abs()[:, 0]),
        ("", lambda z: z.softmax(1).topk(2).values.diff(dim=1)),
        ("", lambda z: z.topk(2).values.softmax(1).diff(dim=1).abs()[:, 0]),
        ("", margin_without(lambda q: q.masked_fill(q == q.amax(1, keepdim=True), 0))),
        ("", lambda z: z.sigmoid().topk(2).values.diff(dim=1).abs()[:, 0]),
        ("", lambda z: margin_by_loops(z / 2)),
    ],
    "share_reached": [
        ("each draw alone", reached(lambda m, limit: m >= limit)),
        ("every time it was reached", lambda m, limit: (m >= limit).float().mean(1).cumsum(0)),
        ("", lambda m, limit: (m >= limit).float().mean(0)),
        ("", reached_in_place),
        ("", reached(lambda m, limit: m.cummax(0).values > limit)),
        ("", lambda m, limit: (m >= limit).float().mean(1).cumsum(0).clamp(max=1)),
        ("", lambda m, limit: (m >= limit).float().mean(1).cummax(0).values),
        ("", reached(lambda m, limit: m.cummax(1).values >= limit)),
        ("", reached(lambda m, limit: m.cumsum(0) >= limit)),
        ("", reached(lambda m, limit: m.flip(0).cummax(0).values.flip(0) >= limit)),
        ("", lambda m, limit: (m.cummax(0).values >= limit).sum(1)),
        ("", lambda m, limit: (m.cummax(0).values >= limit).float().mean(1)[-1]),
        ("", reached(lambda m, limit: m.cummax(0).values >= 2.5)),
        ("", lambda m, limit: (m.cummax(0).values >= limit).all(1)),
    ],
}
