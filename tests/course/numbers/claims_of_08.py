"""Every number that a sentence of notebook 08 states: recomputed from the kept results, without the library's tables.
Most are printed beside their sentences."""

import json
from statistics import fmean

from tasnlib.data.grocery import LOOK_ALIKES
from tests.course.numbers.claims import Claims
from tests.course.numbers.prose import NOTEBOOKS, read

BOOK = read("08")
DRAWN = NOTEBOOKS / "ablations" / "laptop"


def kept(split):
    """Results by title, of the 24 classes."""
    found: dict[str, list[dict]] = {}
    for path in sorted((NOTEBOOKS / "ablations" / "photos").glob("grocery_look_alikes-*.json")):
        result = json.loads(path.read_text())
        if result["split"] == split:
            found.setdefault(result["title"], []).append(result)
    return found


TEST, VALIDATION = kept("test"), kept("val")
