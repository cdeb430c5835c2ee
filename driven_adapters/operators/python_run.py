"""`@python/run`: a Python function, run beside the engine by the task runner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from core.dag.catalog import OperatorSpec, Retry
from core.executor.operator import Call, Failed, Outcome
from core.executor.run_outcome import outcome_of_run
from core.ports.task_log import TaskLogLine
from core.ports.task_runner import (
    CODE_BYTES_MAX,
    CPU_S_MAX,
    INPUT_BYTES_MAX,
    LOG_BYTES_MAX,
    MEMORY_MIB_MAX,
    MEMORY_MIB_MIN,
    OUTPUT_BYTES_MAX,
    THREAD_COUNT_MAX,
    WALL_S_MAX,
    Mode,
    RunLimits,
    RunLine,
    RunRequest,
    TaskRunner,
)

_DEFAULTS = RunLimits()
_MODES: tuple[Mode, ...] = ("pure", "isolated")

_LIMITS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "wall_s": {"type": "number", "exclusiveMinimum": 0, "maximum": WALL_S_MAX, "default": _DEFAULTS.wall_s},
        "cpu_s": {"type": "number", "exclusiveMinimum": 0, "maximum": CPU_S_MAX, "default": _DEFAULTS.cpu_s},
        "memory_mib": {
            "type": "integer",
            "minimum": MEMORY_MIB_MIN,
            "maximum": MEMORY_MIB_MAX,
            "default": _DEFAULTS.memory_mib,
        },
        "output_bytes": {
            "type": "integer",
            "minimum": 1,
            "maximum": OUTPUT_BYTES_MAX,
            "default": _DEFAULTS.output_bytes,
        },
        "log_bytes": {"type": "integer", "minimum": 0, "maximum": LOG_BYTES_MAX, "default": _DEFAULTS.log_bytes},
        "threads": {"type": "integer", "minimum": 1, "maximum": THREAD_COUNT_MAX, "default": _DEFAULTS.threads},
    },
    "additionalProperties": False,
}

PYTHON_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "minLength": 1, "maxLength": CODE_BYTES_MAX},
        "entry": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$", "default": "main"},
        "inputs": {"type": "object", "default": {}},
        "mode": {"enum": list(_MODES), "default": "pure"},
        "limits": _LIMITS,
    },
    "required": ["code"],
    "additionalProperties": False,
}


class PythonRunOperator:
    """Calls one function of the step's code with the step's inputs; its value is the output, its lines are the log.

    The code is never rendered: values of a run come in through `inputs` only.
    """

    def __init__(self, runner: TaskRunner, write: Callable[[TaskLogLine], None]) -> None:
        """Take who runs programs, and where lines go; `write` must not block."""
        self._runner = runner
        self._write = write
        refusals = ((mode, runner.refusal(mode)) for mode in _MODES)
        self.spec = OperatorSpec(
            name="@python/run",
            title="Run a Python function",
            kind="attempt",
            parameters=PYTHON_PARAMETERS,
            output={},
            # Calling again what raised gives the same; what the machine could not start may start a moment later.
            retry=Retry(on=("unavailable",)),
            has_side_effects=False,
            literal_fields=("/code",),
            unavailable_values=tuple(("mode", mode, why) for mode, why in refusals if why is not None),
            dry_run="runs",
        )

    async def execute(self, call: Call) -> Outcome:
        """Run the function; cancelling ends its process and all below it."""
        given = call.parameters
        inputs = given.get("inputs", {})
        size = len(msgspec.json.encode(inputs))
        if size > INPUT_BYTES_MAX:
            return Failed(
                error_kind="limit", message=f"the inputs have {size} bytes, more than {INPUT_BYTES_MAX}", called=False
            )
        if (size := len(given["code"].encode("utf-8", "replace"))) > CODE_BYTES_MAX:
            return Failed(
                error_kind="invalid", message=f"the code has {size} bytes, more than {CODE_BYTES_MAX}", called=False
            )
        request = RunRequest(
            domain_id=call.domain_id,
            mode=given.get("mode", "pure"),
            code=given["code"],
            entry=given.get("entry", "main"),
            inputs=inputs,
            limits=msgspec.convert(given.get("limits", {}), RunLimits),
        )
        return outcome_of_run(await self._runner.run(request, self._writer(call)))

    def _writer(self, call: Call) -> Callable[[RunLine], None]:
        def write(line: RunLine) -> None:
            call.heartbeat()
            self._write(
                TaskLogLine(
                    instance_id=call.instance_id,
                    domain_id=call.domain_id,
                    task_path=call.task_path,
                    attempt=call.attempt,
                    level="info" if line.stream == "stdout" else "warning",
                    message=line.text,
                    stream=line.stream,
                )
            )

        return write
