"""Operators that ship with the program and are called as attempts."""

from __future__ import annotations

from collections.abc import Callable

from core.executor.operator import Operator
from core.executor.registry import OperatorPorts
from core.ports.task_log import TaskLogLine
from driven_adapters.operators.debug import DebugFail, DebugLog, DebugNoop
from driven_adapters.operators.http_request import HttpRequestOperator

__all__ = ["built_in_operators"]


def built_in_operators(ports: OperatorPorts, write_log: Callable[[TaskLogLine], None]) -> tuple[Operator, ...]:
    """Make the built-in attempt operators; the pure ones are `core.executor.pure.PURE_OPERATORS`."""
    return DebugNoop(), DebugLog(write_log), DebugFail(), HttpRequestOperator(ports.http, ports.clock)
