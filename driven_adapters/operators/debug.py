"""Operators for trying out DAGs: they do nothing, write a line, or fail as told."""

from __future__ import annotations

from collections.abc import Callable

from core.dag.catalog import OperatorSpec
from core.executor.error_kind import ERROR_KINDS
from core.executor.operator import Call, Failed, Outcome, Succeeded
from core.ports.task_log import TaskLogLine

MESSAGE_CHARS_MAX = 8192  # a log line is read by a person


class DebugNoop:
    """`@debug/noop`: gives its rendered parameters back. Declared with side effects, so that it is called as one."""

    spec = OperatorSpec(
        name="@debug/noop",
        title="Do nothing",
        kind="attempt",
        parameters={"type": "object"},
        output={"type": "object"},
        has_side_effects=True,
        dry_run="runs",
    )

    async def execute(self, call: Call) -> Outcome:
        """Give the parameters."""
        return Succeeded(call.parameters)


class DebugLog:
    """`@debug/log`: writes one line to the task's log."""

    spec = OperatorSpec(
        name="@debug/log",
        title="Write a log line",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                "message": {"type": "string", "maxLength": MESSAGE_CHARS_MAX},
                "level": {"enum": ["debug", "info", "warning", "error"], "default": "info"},
            },
            "required": ["message"],
            "additionalProperties": False,
        },
        output={"type": "object", "properties": {}},
        has_side_effects=True,
        dry_run="runs",
    )

    def __init__(self, write: Callable[[TaskLogLine], None]) -> None:
        """Take where lines go; `write` must not block."""
        self._write = write

    async def execute(self, call: Call) -> Outcome:
        """Write the line; an attempt that is repeated writes it again, with its own number."""
        self._write(
            TaskLogLine(
                instance_id=call.instance_id,
                domain_id=call.domain_id,
                task_path=call.task_path,
                attempt=call.attempt,
                level=call.parameters.get("level", "info"),
                message=call.parameters["message"],
            )
        )
        return Succeeded({})


class DebugFail:
    """`@debug/fail`: fails in its first `times` attempts (always without `times`), then gives `output`.

    Decided by the attempt's number alone, so that it does the same wherever and whenever it is called.
    """

    spec = OperatorSpec(
        name="@debug/fail",
        title="Fail as told",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                "times": {"type": "integer", "minimum": 0},
                "kind": {"enum": sorted(ERROR_KINDS), "default": "failed"},
                "message": {"type": "string", "maxLength": MESSAGE_CHARS_MAX},
                "output": {},
            },
            "additionalProperties": False,
        },
        output={},
        has_side_effects=False,
        dry_run="runs",
    )

    async def execute(self, call: Call) -> Outcome:
        """Fail or give the output, by the number of the attempt."""
        times = call.parameters.get("times")
        if times is not None and call.attempt > times:
            return Succeeded(call.parameters.get("output", {}))
        kind = call.parameters.get("kind", "failed")
        message = call.parameters.get("message", f"attempt {call.attempt} fails as told")
        return Failed(error_kind=kind, message=message)
