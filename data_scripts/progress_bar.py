"""The scripts' progress bars."""

import sys

from tqdm import tqdm


def bar(desc: str, total: int | None, unit: str, initial: int = 0, delay: float = 0) -> tqdm:
    """On stdout, because stderr is for errors only; bytes as kB, MB and so on. Appears after `delay` seconds."""
    return tqdm(
        desc=desc, total=total, unit=unit, unit_scale=unit == "B", initial=initial, delay=delay, mininterval=0.5,
        file=sys.stdout,
    )  # fmt: skip
