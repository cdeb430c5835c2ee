"""What no file of the repository may hold: paths of one machine, registries, open ends, silent exemptions."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import PurePosixPath

import pytest

from tests.arch.source import PRODUCT, PYTHON, ROOT, modules, texts, tracked
from tests.planted import planting
from tests.planted.replant import BUGS

# In two parts each, since this file is read as well.
REGISTRIES = ("py" + "pi", "npm" + "js", "python" + "hosted", "deb" + ".debian", "proxy" + ".golang", "crates" + ".io")
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:(?:work|farm|root)/[a-z.]|(?:home|Users)/\w+/)")
REGISTRY = re.compile(r"//[\w.-]*(?:" + "|".join(map(re.escape, REGISTRIES)) + ")")
OPEN_END = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
EXEMPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b.*")
CODED = re.compile(r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w-]+(?:,\s*[\w-]+)*\])(?P<reason>.*)")
QUERY = re.compile(r"\s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+(?:TABLE|INDEX|UNIQUE))\s", re.IGNORECASE)
TOP_LEVEL_FOLDERS = frozenset(
    {".ci", "bench", "core", "docs", "driven_adapters", "driver_adapters", "examples", "helm", "mock_server", "module"}
    | {"pkg", "schema", "tests"}
)
TOP_LEVEL_FILES = frozenset(
    {".env", ".gitignore", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile"}
    | {"README.md", "README.zh.md", "compose.yaml", "pyproject.toml", "requirements-dev.lock", "requirements.lock"}
)


def found(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """List each line of a tracked file where the pattern stands; without suffixes in every file."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        if not suffixes or PurePosixPath(name).suffix in suffixes
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [] == found(MACHINE_PATH)


def test_no_file_names_the_address_of_a_registry() -> None:
    assert [] == found(REGISTRY)


def test_no_source_is_left_open() -> None:
    assert [] == found(OPEN_END, ".py", ".sql", ".sh", ".toml", ".yaml")


def test_top_level_is_the_fixed_one() -> None:
    assert set() == {name.split("/")[0] for name in tracked()} - TOP_LEVEL_FOLDERS - TOP_LEVEL_FILES


def unexplained(line: str, line_before: str) -> bool:
    """Tell an exemption without a code, or without a reason behind it or in a comment on the line before."""
    exemption = EXEMPTION.search(line)
    if exemption is None:
        return False
    coded = CODED.match(exemption.group())
    if coded is None:
        return True
    has_reason = re.search(r"\w{3,}", coded["reason"]) is not None
    return not has_reason and not line_before.strip().startswith("#")


def test_every_exemption_has_a_code_and_a_reason() -> None:
    silent = []
    for module in modules(*PYTHON):
        lines = module.text.splitlines()
        for number, (before, line) in enumerate(zip(["", *lines], lines, strict=False), 1):
            if module.path != "tests/arch/test_repository.py" and unexplained(line, before):
                silent.append(f"{module.path}:{number}: {line.strip()[:100]}")

    assert [] == silent


@pytest.mark.parametrize(
    ("line", "line_before", "expected"),
    [
        ("x = 1  # noqa", "", True),
        ("x = 1  # noqa: S101", "", True),
        ("x = 1  # noqa: S101 - the value is ours", "", False),
        ("x = 1  # noqa: S101,TID251  the value is ours", "", False),
        ("x = 1  # noqa: S101", "# The value is ours.", False),
        ("x = 1  # type: ignore", "# The stub is wrong.", True),
        ("x = 1  # type: ignore[arg-type]", "# The stub is wrong.", False),
        ("x = 1", "", False),
    ],
    ids=["bare", "no-reason", "reason", "two-codes", "comment-above", "ignore-bare", "ignore-coded", "none"],
)
def test_check_of_exemptions_asks_for_code_and_reason(line: str, line_before: str, expected: bool) -> None:
    assert expected == unexplained(line, line_before)


def test_no_module_is_exempt_from_coverage() -> None:
    assert [] == found(re.compile(r"#\s*pragma:\s*no" + r"\s+(?:cover|branch)"), ".py")


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert [] == found(re.compile(r"\bpytest\.(?:mark\.)?(?:skip|skipif|xfail|importor" + r"skip)\b"), ".py")


def test_product_holds_no_query_text() -> None:
    queries = [
        f"{module.path}:{node.lineno}: {node.value.strip()[:60]}"
        for module in modules(*PRODUCT)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and QUERY.match(node.value)
        if "\n" in node.value or re.search(r"\b(?:FROM|INTO|SET|ON)\b", node.value)
    ]

    assert [] == queries


def test_every_migration_has_its_rollback() -> None:
    scripts = {name for name in tracked() if name.startswith("schema/") and name.endswith(".sql")}
    forward = {name for name in scripts if not name.endswith(".rollback.sql")}

    assert {name.removesuffix(".sql") + ".rollback.sql" for name in forward} == scripts - forward


def test_development_settings_stand_once_with_a_comment_each() -> None:
    lines = (ROOT / ".env").read_text("utf-8").splitlines()
    settings = [(number, line.split("=")[0]) for number, line in enumerate(lines) if line and not line.startswith("#")]
    names = [name for _, name in settings]

    assert sorted(set(names)) == sorted(names)
    assert [] == [name for number, name in settings if not lines[number - 1].startswith("#")]


def test_every_planted_bug_still_applies() -> None:
    for patch in planting.read_patches():
        planting.check_applies(patch, ROOT)


def test_every_planted_bug_has_a_row_that_still_makes_its_patch_and_a_number_of_its_own() -> None:
    made = {bug.file_name: bug.patch() for bug in BUGS}  # raises where a right text is gone
    kept = {patch.path.name: patch for patch in planting.read_patches()}

    assert sorted(made) == sorted(kept)
    assert len(BUGS) == len({bug.number for bug in BUGS})
    assert {} == {name: patch.fails for name, patch in kept.items() if fails_of(made[name]) != patch.fails}


def fails_of(text: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if line.startswith(planting.FAILS_PREFIX)]
    return tuple(line.removeprefix(planting.FAILS_PREFIX).strip() for line in lines)


def test_budget_gives_every_length_for_both_columns() -> None:
    table = tomllib.loads((ROOT / "tests" / "budget.toml").read_text("utf-8"))

    assert [] == [
        name for name, row in table.items() if set(row) != {"test", "figures"} or row["test"] > row["figures"]
    ]
