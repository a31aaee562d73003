"""pyproject.toml, the pins, environment.yml and the installed versions agree."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = [
    Requirement(text)
    for text in [
        *PROJECT["project"]["dependencies"],
        # Not the extra "track": TensorBoard is among the packages for development, which have a test of it.
        *(
            text
            for extra in ("train", "notebooks", "course")
            for text in PROJECT["project"]["optional-dependencies"][extra]
        ),
        *PROJECT["dependency-groups"]["dev"],
    ]
    if not text.startswith("tasnlib[")  # the extra course brings train
]
CONDA_NAMES = {"torch": "pytorch", "huggingface-hub": "huggingface_hub"}


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if re.match(r"[a-z0-9]", line, re.I):
            requirement = Requirement(line.rstrip("\\ ").strip())
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_conda_environment_names_the_same_packages_and_bounds():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = {re.match(r"[a-z0-9_-]+", text)[0]: text for text in environment["dependencies"]}
    expected = {"python": "python" + PROJECT["project"]["requires-python"]}
    for requirement in DECLARED:
        if requirement.marker is None:
            name = CONDA_NAMES.get(requirement.name, requirement.name)
            expected[name] = f"{name}{requirement.specifier}"
    assert conda == expected


def test_every_declared_package_is_pinned_within_its_bounds():
    for requirement in DECLARED:
        for pin in pins()[canonicalize_name(requirement.name)]:
            assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_gets_exactly_one_pin(version):
    here = {"python_version": version, "python_full_version": f"{version}.1", "sys_platform": "linux"}
    found = pins()
    for requirement in DECLARED:
        if requirement.marker is None or requirement.marker.evaluate(here):
            candidates = found[canonicalize_name(requirement.name)]
            assert len([pin for pin in candidates if pin.marker is None or pin.marker.evaluate(here)]) == 1


def test_pins_have_no_addresses():
    assert "://" not in (ROOT / "requirements.txt").read_text()


def test_installed_versions_are_within_the_bounds():
    for requirement in DECLARED:
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
