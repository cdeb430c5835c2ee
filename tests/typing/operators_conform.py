"""Proof by the type checker that the guarded client and the operators fit what the core asks; `mypy` is the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.executor.operator import Operator
    from core.ports.http_client import HttpClient
    from driven_adapters.http import EgressClient
    from driven_adapters.operators.debug import DebugFail, DebugLog, DebugNoop
    from driven_adapters.operators.http_request import HttpRequestOperator
    from driven_adapters.operators.python_run import PythonRunOperator


def http_clients(egress: EgressClient) -> tuple[HttpClient, ...]:
    return (egress,)


def operators(
    noop: DebugNoop, log: DebugLog, fail: DebugFail, http: HttpRequestOperator, python: PythonRunOperator
) -> tuple[Operator, ...]:
    return noop, log, fail, http, python
