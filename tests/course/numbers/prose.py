"""What a notebook states in numbers: those in its sentences, and those that its cells print."""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parent.parent.parent.parent / "notebooks"
LIST = r"\d+(?:(?:,|\ and|,\ and|\ to|\ or)\ \d+(?!\d|\ %))*"  # 1, 2 and 3
# What measures nothing.
LEFT_OUT = re.compile(
    rf"""```.*?``` | `[^`]*`(?:\ at)?(?:\ {LIST})?  # code; a parameter and its setting
    | \$\$.*?\$\$ | \$[^$]+\$ | \b[sTvλ]\ =\ \d+  # formulas
    | ^\#.*?$ | ^\|\ It\ takes.*?$ | ^>?\s*\d+\.\s | \]\([^)]*\)  # headings, minutes, numbers of a list, links
    | \b(?:[Ss]ection|[Nn]otebook|[Ee]xercise)s?\ \[?{LIST} | \(0\d(?:,\ 0\d)*\) | \((?:\w[^()]*,\ )?(?:19|20)\d\d\)
    | \b(?:[Cc]hannel|[Rr]ow|stage)s?\ {LIST} | \bbird\ \d+ | \bResNet-\d+ | \bCUB-200-2011  # names""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
SHARES = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "sixth": 1 / 6, "eighth": 1 / 8}
SHARES |= {
    "tenth": 1 / 10,
    "twentieth": 1 / 20,
    "hundredth": 1 / 100,
    "five-hundredth": 1 / 500,
    "three quarters": 0.75,
}
SHARES |= {"twice": 2, "twelve": 12, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60, "eighty": 80, "hundred": 100}
COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
# A number in letters counts where it measures: a share, or so many times, points, of or in so many.
NUMBER = re.compile(
    rf"""(?<![\w.])[+−-]?\d+(?:,\d\d\d)*(?:\.\d+)?(?!\w)
    | (?<![\w-])(?:half|twice|three\ quarters)(?![\w-]) | (?<=\ba\ )(?:{"|".join(SHARES)})(?![\w-])
    | (?<![\w-])(?:{"|".join([*COUNTS, *SHARES])})(?=\ (?:(?:birds\ )?(?:times|points|of|in)|kinds|epochs)\b)""",
    re.VERBOSE | re.IGNORECASE,
)
# 0 and 1 are the ends of a scale or the number of a channel; in percent, or with decimals, they measure.
END_OF_SCALE = re.compile(r"[01](?![.,]?\d|(?: to \d+)? (?:%|million))")


class Number(NamedTuple):
    """A number as it is written, and where in its text it begins."""

    written: str
    start: int

    def agrees(self, value: float) -> bool:
        """Is this `value`, rounded to the digits that are written? Shares in letters are round: within 15 %."""
        word = self.written.lower()
        if word in SHARES:
            return abs(value - SHARES[word]) <= 0.15 * SHARES[word]
        if word in COUNTS:
            return round(value) == COUNTS[word]
        stated, decimals = float(word.replace(",", "").replace("−", "-")), len(word.partition(".")[2])
        return abs(value - stated) <= 0.5 * 10**-decimals + 1e-9


def numbers(text: str) -> list[Number]:
    """All that state something, in the order of the text."""
    prose = LEFT_OUT.sub(lambda match: re.sub(r"\S", " ", match[0]), text)
    found = [Number(match[0], match.start()) for match in NUMBER.finditer(prose)]
    return [number for number in found if not END_OF_SCALE.match(prose, number.start)]


class Passage(NamedTuple):
    """A text cell, with what the code cells before and after it print, up to the next text cells."""

    text: str
    printed: list[float]


def printed(cell: NotebookNode) -> list[float]:
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    kept = " ".join(text for text in texts if not text.startswith("[picture"))  # its words are the author's
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", kept.replace(",", ""))]


def passages(book: NotebookNode) -> list[Passage]:
    """All text of a notebook but its exercises, whose numbers belong to the tasks."""
    found, exercises, cells = [], False, book.cells
    for place, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        before, _, after = re.sub(r"[^\S\n]+", " ", cell.source).partition("Exercises\n")
        exercises = exercises or bool(after)
        summary = re.search(r"^## Summary.*", cell.source, re.DOTALL | re.MULTILINE)
        text = (before if after else "") + (summary[0] if summary else "") if exercises else before
        exercises = exercises and not summary
        near: list[float] = []
        for neighbours in (reversed(cells[:place]), cells[place + 1 :]):
            for neighbour in neighbours:
                if neighbour.cell_type == "markdown":
                    break
                near += printed(neighbour)
        found.append(Passage(text, near))
    return found


def read(name: str) -> NotebookNode:
    """The notebook whose name begins so."""
    (path,) = NOTEBOOKS.glob(f"{name}_*.ipynb")
    return nbformat.read(path, as_version=4)
