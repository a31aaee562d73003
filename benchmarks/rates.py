"""The two rates of the device that all limits are computed from."""

from dataclasses import replace

from benchmarks.report import Figure
from benchmarks.setting import Setting
from benchmarks.timing import compare


def measure(setting: Setting) -> list[Figure]:
    """The matrix rate, beside that of full precision, and the copy rate. They are the limits themselves."""
    _, rates = compare({}, setting, "rates")
    full = replace(setting, precision="float32")
    _, plain = (None, rates) if full == setting else compare({}, full, "rates, float32")
    matrix = rates.matrix / 1e9
    return [
        Figure(
            *("rates", f"matrix product, {setting.precision}", matrix, "G multiply-adds/s"),
            *("float32", plain.matrix / 1e9, "itself", matrix),
        ),
        Figure("rates", "copy, read and written", rates.copy / 1e9, "GB/s", "", None, "itself", rates.copy / 1e9),
    ]
