"""Ports are small, and adapters are proved to fit them instead of inheriting from them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.arch.source import Function, modules

PORT_METHODS_MAX = 7


def protocols() -> Iterator[tuple[str, ast.ClassDef]]:
    """Give every Protocol of core.ports with the path it stands in."""
    for module in modules("core"):
        if not module.path.startswith("core/ports/"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                yield module.path, node


def test_port_has_at_most_seven_methods() -> None:
    large = [
        f"{path} {port.name}"
        for path, port in protocols()
        if sum(isinstance(part, Function) for part in port.body) > PORT_METHODS_MAX
    ]

    assert [] == large


def test_adapter_does_not_inherit_from_a_port() -> None:
    # A class that inherits from a Protocol and forgets a method still comes to life, and the method gives None.
    ports = {port.name for _, port in protocols()}
    heirs = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules("driven_adapters", "tests")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and ports & {ast.unparse(base).split(".")[-1] for base in node.bases}
    ]

    assert {"ShardStore", "InstanceStore", "InstanceViews", "DefinitionStore", "AccessStore", "Clock"} <= ports
    assert [] == heirs
