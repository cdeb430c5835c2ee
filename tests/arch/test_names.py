"""One word per concept, units last, and no module named for being of use to others."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

import pytest

from tests.arch.source import PRODUCT, PYTHON, modules, tracked

VAGUE_MODULES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "common", "base", "misc"})
# Words that the glossary replaces, as parts of class names: say Dag, Step, Operator, EngineNode, BusinessDomain.
REPLACED_WORDS = frozenset(
    {"Workflow", "Plugin", "Activity", "Scheduler", "Master", "Workspace", "Manager", "Helper", "Util"}
)
# A number with one of these names leaves the reader to guess its unit: say timeout_s, size_bytes_max, items_count_max.
UNITLESS = frozenset({"timeout", "delay", "interval", "ttl", "duration", "elapsed", "max_size", "size_limit"})
# Modules whose parameters are named by the library that calls them: httpcore2's network backend and its streams.
FOREIGN_SIGNATURES = frozenset({"driven_adapters/http/backend.py", "driven_adapters/http/stream.py"})


def test_module_is_named_for_what_it_holds() -> None:
    vague = [name for name in tracked() if name.endswith(".py") and PurePosixPath(name).stem in VAGUE_MODULES]

    assert [] == vague


def test_class_uses_the_words_of_the_glossary() -> None:
    replaced = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules(*PRODUCT)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and REPLACED_WORDS & set(re.findall(r"[A-Z][a-z0-9]*", node.name))
    ]

    assert [] == replaced


def numbers_without_unit(tree: ast.Module) -> list[str]:
    """Name each parameter and field that is annotated as a number and called only `timeout` or the like."""
    named: list[tuple[str, ast.expr | None, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            named.append((node.arg, node.annotation, node.lineno))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            named.append((node.target.id, node.annotation, node.lineno))
    return [
        f"{line} {name}"
        for name, annotation, line in named
        if name in UNITLESS and annotation is not None and re.search(r"\b(int|float)\b", ast.unparse(annotation))
    ]


def test_number_with_a_dimension_carries_its_unit() -> None:
    unitless = [
        f"{module.path}:{found}"
        for module in modules(*PRODUCT)
        if module.path not in FOREIGN_SIGNATURES
        for found in numbers_without_unit(module.tree)
    ]

    assert [] == unitless


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(timeout: float) -> None: ...", ["1 timeout"]),
        ("class A:\n    ttl: int | None", ["2 ttl"]),
        ("def f(timeout_s: float, delay: Policy) -> None: ...", []),
    ],
    ids=["parameter", "field", "unit-or-not-a-number"],
)
def test_check_of_units_tells_numbers_from_other_values(source: str, expected: list[str]) -> None:
    assert expected == numbers_without_unit(ast.parse(source))


def test_project_has_python_in_every_folder_that_is_checked() -> None:
    found = {module.path.split("/")[0] for module in modules(*PYTHON)}

    assert set(PRODUCT) | {"tests"} <= found
