"""Section 3 of DESIGN.md once more: one image at a time, plain loops over pixels and channels, float64, no tensors.

Written from the definitions alone, to be compared with the library. Maps are lists of rows, images lists of such maps,
features lists of channels; `tensor.tolist()` makes all of them.
"""

import math
from itertools import pairwise


def softmax(values):
    largest = max(values)
    powers = [math.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def bilinear_attention(features, scale):
    """R, for features that are a list of channels, each a flat list of places."""
    relation = []
    for channel in features:
        where = softmax([scale * value for value in channel])
        together = []
        for other in features:
            together.append(sum(weight * value for weight, value in zip(where, other, strict=True)))
        relation.append(softmax(together))
    return relation


def trilinear_attention(features, scale):
    """M = R X, as a list of channels, each a flat list of places."""
    maps = []
    for row in bilinear_attention(features, scale):
        place_by_place = []
        for place in range(len(features[0])):
            place_by_place.append(sum(weight * channel[place] for weight, channel in zip(row, features, strict=True)))
        maps.append(place_by_place)
    return maps


def read_line(values, position):
    """Linear reading at a position in pixel-edge units; one pixel is repeated beyond either border."""
    total = 0.0
    for j in range(-1, len(values) + 1):
        weight = max(0.0, 1.0 - abs(position - (j + 0.5)))
        total += weight * values[min(max(j, 0), len(values) - 1)]
    return total


def unlimited_zoom(attention, size):
    """Step 1: every row interpolated to `size` values, their maximum, mean 1; nothing to see means uniform."""
    profile = [0.0] * size
    for row in attention:
        for j in range(size):
            profile[j] = max(profile[j], read_line(row, (j + 0.5) * len(row) / size))
    mean = sum(profile) / size
    return [value / mean for value in profile] if mean > 0 else [1.0] * size


def limited_zoom(zoom, cap):
    """Step 2: min(u + d, cap), the d that makes the mean 1 found by halving the interval it lies in."""
    low, high = 0.0, cap
    for _ in range(100):
        d = (low + high) / 2
        if sum(min(u + d, cap) for u in zoom) < len(zoom):
            low = d
        else:
            high = d
    return [min(u + low, cap) for u in zoom]


def zoom_and_cap(attention, image_size, max_zoom):
    """(zoom of every column, zoom of every row, the cap of both)."""
    height, width = image_size
    zoom_x = unlimited_zoom(attention, width)
    zoom_y = unlimited_zoom([list(column) for column in zip(*attention, strict=True)], height)
    cap = min(max_zoom, max(zoom_x), max(zoom_y))
    return limited_zoom(zoom_x, cap), limited_zoom(zoom_y, cap), cap


def integral(zoom, position):
    """F: the integral of the zoom from 0 to a position."""
    return sum(u * min(max(position - j, 0.0), 1.0) for j, u in enumerate(zoom))


def invert(zoom, target):
    """F⁻¹, for a zoom that is positive everywhere: walk over the pixels until the target is used up."""
    for j, u in enumerate(zoom):
        if target <= u:
            return j + target / u
        target -= u
    return float(len(zoom))


def positions(zoom, n):
    """Step 3."""
    return [invert(zoom, (i + 0.5) / n * sum(zoom)) for i in range(n)]


def cells(zoom, n):
    """The cell of every output pixel, [F⁻¹(i/n), F⁻¹((i+1)/n)]."""
    edges = [invert(zoom, i / n * sum(zoom)) for i in range(n + 1)]
    return list(pairwise(edges))


def read_at(image, x, y):
    """Step 4: one channel (a list of rows) read at all (x, y)."""
    return [[read_line([read_line(row, column) for row in image], line) for column in x] for line in y]


def average_over(image, cells_x, cells_y):
    """One channel averaged over rectangles, pixel by pixel, each weighing as much as it shares with the rectangle."""
    averages = []
    for top, bottom in cells_y:
        averages.append([])
        for left, right in cells_x:
            total = 0.0
            for k, row in enumerate(image):
                for l, value in enumerate(row):
                    high = max(0.0, min(bottom, k + 1) - max(top, k))
                    wide = max(0.0, min(right, l + 1) - max(left, l))
                    total += high * wide * value
            averages[-1].append(total / ((bottom - top) * (right - left)))
    return averages


def attention_sample(image, attention, out_size, max_zoom, antialias):
    """Steps 1 to 4 for one image, a list of channels."""
    zoom_x, zoom_y, _ = zoom_and_cap(attention, (len(image[0]), len(image[0][0])), max_zoom)
    n_h, n_w = out_size
    if antialias:
        return [average_over(channel, cells(zoom_x, n_w), cells(zoom_y, n_h)) for channel in image]
    return [read_at(channel, positions(zoom_x, n_w), positions(zoom_y, n_h)) for channel in image]


def soft_target_cross_entropy(student, teacher, temperature):
    """-Σ q_teacher log q_student, mean over the rows."""
    total = 0.0
    for student_row, teacher_row in zip(student, teacher, strict=True):
        predictions = softmax([logit / temperature for logit in student_row])
        targets = softmax([logit / temperature for logit in teacher_row])
        for target, prediction in zip(targets, predictions, strict=True):
            total -= target * math.log(prediction)
    return total / len(student)
