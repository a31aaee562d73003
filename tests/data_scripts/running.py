"""Running the scripts, and looking at what they leave behind."""

import json
import sys
from pathlib import Path

from tests.data_scripts.conftest import SCRIPTS


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def images(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.jpg")}


def write_facts(folder: Path, **facts) -> str:
    file = folder / "small.json"
    file.write_text(json.dumps(facts))
    return str(file)


def command(script: str, *arguments) -> list[str]:
    return [sys.executable, str(SCRIPTS / f"download_{script}.py"), *map(str, arguments)]


def is_one_error(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and "Traceback" not in text
