"""The catalog of the operators that ship with the project."""

from __future__ import annotations

from typing import Any

from core.dag.catalog import Catalog
from core.dag.language import language_catalog
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorPorts
from driven_adapters.operators import built_in_operators


class NoPort:
    """Stands for ports that a declaration never asks."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a declaration asked its port for {name}")


def built_in_catalog() -> Catalog:
    no_port: Any = NoPort()
    specs = [operator.spec for operator in PURE_OPERATORS]
    specs += [operator.spec for operator in built_in_operators(OperatorPorts(no_port, no_port), lambda _: None)]
    return language_catalog(specs)
