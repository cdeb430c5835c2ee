"""The lock files hold what pyproject.toml asks for, with hashes and without an address; no package takes our names."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from tests.arch.source import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
OUR_NAMES = frozenset(
    {"core", "driver_adapters", "driven_adapters", "module", "pkg", "schema", "helm", "mock_server", "tests", "bench"}
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def locked(name: str) -> dict[NormalizedName, Version]:
    """Read a lock file: canonical name to version."""
    found = (PINNED.match(line) for line in (ROOT / name).read_text("utf-8").splitlines())
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in found if match}


def is_met(requirement: Requirement, versions: dict[NormalizedName, Version]) -> bool:
    """Tell whether a lock holds a package in a version that is asked for."""
    version = versions.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier


def declared(*groups: str) -> list[Requirement]:
    """Read what pyproject.toml asks for: the product's dependencies and those of the named groups."""
    texts = list(PROJECT["project"]["dependencies"])
    for group in groups:
        texts += PROJECT["dependency-groups"][group]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ("build",)), ("requirements-dev.lock", ("build", "dev"))], ids=LOCKS
)
def test_lock_satisfies_everything_that_is_declared(lock: str, groups: tuple[str, ...]) -> None:
    versions = locked(lock)

    unmet = [str(requirement) for requirement in declared(*groups) if not is_met(requirement, versions)]

    assert [] == unmet


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_pins_with_hashes_and_nothing_else(lock: str) -> None:
    lines = (ROOT / lock).read_text("utf-8").splitlines()

    assert [] == [line for line in lines if not PINNED.fullmatch(line) and not HASH.fullmatch(line)]
    pinned_without_hash = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if PINNED.match(line) and not HASH.match(after)
    ]
    assert [] == pinned_without_hash


def test_checks_run_with_the_versions_of_the_product() -> None:
    product, checks = (locked(name) for name in LOCKS)

    assert product == {name: checks.get(name) for name in product}


def test_locked_versions_are_the_installed_ones() -> None:
    versions = locked("requirements-dev.lock")
    installed = {canonicalize_name(dist.metadata["Name"]): Version(dist.version) for dist in metadata.distributions()}

    assert [] == [
        f"{name}: locked {version}, installed {installed[name]}"
        for name, version in versions.items()
        if name in installed and installed[name] != version
    ]


def test_no_dependency_takes_a_top_level_name_of_the_project() -> None:
    own = canonicalize_name(PROJECT["project"]["name"])
    takers = {
        name: set(map(canonicalize_name, owners)) - {own}
        for name, owners in metadata.packages_distributions().items()
        if name in OUR_NAMES
    }

    assert {} == {name: owners for name, owners in takers.items() if owners}
