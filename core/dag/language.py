"""Every operator name of the language: those given, the engine's own, and those that a later release runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.dag.catalog import Catalog, OperatorSpec
from core.dag.control import control_specs

# dag-language.md 5. What is here and not registered is known, checked as far as the language goes, and refused.
_NAMED_LATER = (
    "@data/query",
    "@email/send",
    "@file/list",
    "@file/read",
    "@file/write",
    "@kafka/publish",
    "@llm/chat",
    "@llm/embed",
    "@python/run",
    "@sql/execute",
    "@sql/query",
    "@sql/write",
)
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
# Names that users make: actions of executors, registered operators, jobs of endpoints.
_FAMILIES = re.compile(rf"@executor/{_PART}/{_PART}|@operator/{_PART}|@endpoint/{_PART}/{_PART}")


def _later(name: str) -> OperatorSpec:
    return OperatorSpec(
        name=name, kind="attempt", parameters={"type": "object"}, output={}, is_available=False, secrets_in=("",)
    )


def language_catalog(specs: Iterable[OperatorSpec]) -> Catalog:
    """Add the control operators and the names of the language that nobody registered; given ones win over those."""
    declared = {name: _later(name) for name in _NAMED_LATER}
    declared |= {spec.name: spec for spec in specs}
    declared |= {spec.name: spec for spec in control_specs()}
    return declared


def find_operator(catalog: Catalog, name: str) -> OperatorSpec | None:
    """Give the declaration of an operator, None when the language does not know the name."""
    spec = catalog.get(name)
    if spec is None and _FAMILIES.fullmatch(name):
        return _later(name)
    return spec
