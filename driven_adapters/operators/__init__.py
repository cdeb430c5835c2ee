"""Operators that ship with the program and are called as attempts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.executor.no_runner import NoRunner
from core.executor.operator import Operator
from core.executor.registry import OperatorPorts
from core.file.files import Files
from core.ports.task_log import TaskLogLine
from core.ports.task_runner import TaskRunner
from driven_adapters.operators.debug import DebugFail, DebugLog, DebugNoop
from driven_adapters.operators.file import FileList, FileRead, FileWrite
from driven_adapters.operators.http_request import HttpRequestOperator
from driven_adapters.operators.python_run import PythonRunOperator
from driven_adapters.operators.query import QueryOperator

__all__ = ["SCRATCH", "built_in_operators"]

_NO_RUNNER = NoRunner()
SCRATCH = Path("./data/scratch")  # for what lies on disk during a step; made when a step needs it


def built_in_operators(
    ports: OperatorPorts,
    write_log: Callable[[TaskLogLine], None],
    runner: TaskRunner = _NO_RUNNER,
    files: Files | None = None,
    scratch: Path = SCRATCH,
) -> tuple[Operator, ...]:
    """Make the built-in attempt operators; the pure ones are `core.executor.pure.PURE_OPERATORS`.

    `runner` and `files` stay away in processes that check DAGs and run none.
    """
    return (
        DebugNoop(),
        DebugLog(write_log),
        DebugFail(),
        HttpRequestOperator(ports.http, ports.clock),
        PythonRunOperator(runner, write_log),
        FileRead(files),
        FileWrite(files),
        FileList(files),
        QueryOperator(runner, files, scratch),
    )
