"""The Korean and Chinese README say what README.md says, line by line: headings, tables, code, numbers and links.

Whether the words are right is for a reader to judge. Comments in code are translated. A number that README.md spells
out, such as "two", may be a digit in a translation.
"""

import posixpath
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
LETTERS = {"docs/README.ko.md": "[가-힣]", "docs/README.zh.md": "[一-鿿]"}
NAMES = {"README.md", *LETTERS}
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "hundred", "thousand"]
DIGITS = dict(zip(WORDS, [*map(str, range(1, 11)), "100", "1000"], strict=True))


class Line(NamedTuple):
    text: str
    kind: str
    prose: str  # without code and link targets; of a line of code, its comment
    command: Counter[str]
    number: Counter[str]
    link: Counter[str]  # except those to the other languages


def link_targets(text: str, name: str) -> list[str]:
    """Where the links and pictures lead, from the project's folder; `name` is the file they are in."""
    found = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [one if "://" in one else posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in found]


def kind_of(text: str) -> str:
    if heading := re.match("#+ ", text):
        return f"heading of level {len(heading[0]) - 1}"
    if text.startswith("|"):
        return f"table row of {text.count('|') - 1} cells"
    kinds = {"![": "picture", "* ": "list item", "": "paragraph" if text else "empty line"}
    return next(kind for start, kind in kinds.items() if text.startswith(start))


def read(text: str, name: str) -> list[Line]:
    found: list[Line] = []
    in_code = False
    for line in text.splitlines():
        kind, links = kind_of(line), Counter(one for one in link_targets(line, name) if one not in NAMES)
        code = re.findall("`([^`]+)`", line)
        prose = re.sub(r"`[^`]+`|(?<=\])\([^)\s]+\)", " ", line)
        if in_code or line.startswith("```"):
            command, prose = re.fullmatch(r"(.*?)(?:(?<!\S)#\s(.*))?", line).groups("")
            kind, code, links = "line of code", [command.rstrip()], Counter()
            in_code ^= line.startswith("```")
        numbers = re.findall(r"\d+(?:,\d{3})*(?:\.\d+)*", unicodedata.normalize("NFKC", prose))
        found.append(Line(line, kind, prose, Counter(code), Counter(one.replace(",", "") for one in numbers), links))
    return found


def differences(original: str, translation: str, name: str) -> list[str]:
    """A sentence for each thing a translation lacks, adds or leaves in English; the last for a line of another kind."""
    found = []
    nothing = Line("", "end", "", Counter(), Counter(), Counter())
    ours, theirs = read(original, "README.md"), read(translation, name)
    for row, (there, here) in enumerate(zip([*ours, nothing], [*theirs, nothing], strict=False), 1):
        place = f"{name}, line {row}: "
        if there.kind != here.kind:
            return [*found, f"{place}the {there.kind} {there.text!r} is missing; here is the {here.kind} {here.text!r}"]
        spelled = Counter(DIGITS[word] for word in re.findall(r"\w+", there.prose.lower()) if word in DIGITS)
        for what in ("command", "number", "link"):
            expected, got = getattr(there, what), getattr(here, what)
            missing = expected - got
            added = got - expected - (spelled if what == "number" else Counter())
            found += [f"{place}the {what} `{one}` of README.md is missing" for one in missing.elements()]
            found += [f"{place}the {what} `{one}` is not in line {row} of README.md" for one in added.elements()]
        texts = [here.prose] if re.search("[a-z]{2}", there.prose) else []
        for text in [*texts, *re.findall(r"!\[(.*?)\]", here.text)]:
            if not re.search(LETTERS[name], text):
                found.append(f"{place}{text.strip()!r} is not translated")
    return found


@pytest.mark.parametrize("name", LETTERS)
def test_a_translation_says_what_readme_says(name):
    found = differences(TEXTS["README.md"], TEXTS[name], name)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_links_lead_to_files_and_to_the_other_languages(name):
    targets = set(link_targets(TEXTS[name], name))
    assert targets & NAMES == NAMES - {name}
    assert [one for one in targets if "://" not in one and not (ROOT / one).exists()] == []


ENGLISH = """# Birds

`make train` takes 3 minutes on two cores, for 1,000 images ([status](docs/status.md)).

![A bird](docs/overview.png)

## More
```
make test   # in 2 minutes
```
| a | `b` |"""
KOREAN = """# 새

이미지 1000장에 `make train`은 코어 2개로 3분이 걸립니다([상태](status.md)).

![새 한 마리](overview.png)

## 더 보기
```
make test   # 2분 안에
```
| 가 | `b` |"""


def test_a_faithful_translation_passes():
    assert differences(ENGLISH, KOREAN, "docs/README.ko.md") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("3분", "4분", ["3: the number `3` of README.md is missing", "3: the number `4` is not in line 3"]),
        ("코어 2개", "코어 4개", ["3: the number `4` is not"]),
        ("`make train`은", "학습은", ["3: the command `make train` of README.md is missing"]),
        ("make test ", "make lint ", ["9: the command `make test` of", "9: the command `make lint` is"]),
        ("# 2분", "# 5분", ["9: the number `2` of README.md is missing", "9: the number `5` is not"]),
        ("(status.md)", "(x.md)", ["3: the link `docs/status.md` of README.md is", "3: the link `docs/x.md` is"]),
        ("## 더 보기\n", "", ["7: the heading of level 2 '## More' is missing; here is the line of code '```'"]),
        ("| 가 | `b` |", "| `b` |", ["11: the table row of 2 cells '| a | `b` |' is missing"]),
        ("\n| 가 | `b` |", "", ["11: the table row of 2 cells '| a | `b` |' is missing; here is the end"]),
        ("# 2분 안에", "# in 2 minutes", ["9: 'in 2 minutes' is not translated"]),
        ("새 한 마리", "A bird", ["5: '![A bird]' is not translated", "5: 'A bird' is not translated"]),
    ],
)
def test_what_a_translation_lacks_is_said(old, new, expected):
    assert old in KOREAN
    found = differences(ENGLISH, KOREAN.replace(old, new), "docs/README.ko.md")
    assert len(found) == len(expected)
    for sentence, part in zip(found, expected, strict=True):
        assert sentence.startswith(f"docs/README.ko.md, line {part}")
