"""Entry point of the process: `flow`, or `python -m module.main`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar

import uvloop

from core.dag.language import language_catalog
from core.dag.service import DagService
from core.errors import ErrorKind, FlowError
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import ENTRY_POINT_GROUP, OperatorPorts, OperatorRegistry, load_operators
from driven_adapters.http import EgressClient
from driven_adapters.memory import MemoryDefinitionStore, MemoryStore
from driven_adapters.operators import built_in_operators
from driven_adapters.sqlite.maintenance import read_migrations
from driven_adapters.system import SystemClock, UlidSource
from driver_adapters.cli.api_client import ApiClient
from driver_adapters.cli.commands import Check, Local, build_cli, run_arguments
from driver_adapters.cli.exits import DENIED, INSTANCE_FAILED, OK, UNREACHABLE, USAGE, CommandFailed
from driver_adapters.cli.output import print_lines
from driver_adapters.http.openapi import API_VERSION
from module.container import write_task_log
from module.doctor import examine
from module.example import greet, run_example
from module.process import Running, serve
from module.resources import STORE_FILE, open_database
from module.settings import Settings, read_settings, shown_settings
from pkg.log import set_up_logging
from pkg.redaction import Redactor

T = TypeVar("T")
# Of the cycle collector: objects made, then collections of one generation before the next is looked at.
COLLECTOR_THRESHOLDS = (50_000, 20, 100)

_STATUSES = {
    ErrorKind.UNAVAILABLE: UNREACHABLE,
    ErrorKind.UNAUTHENTICATED: DENIED,
    ErrorKind.FORBIDDEN: DENIED,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its status."""
    sys.exit(run_command(sys.argv[1:] if arguments is None else list(arguments)))


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status. Errors are told in lines, never as a trace."""
    try:
        return run_arguments(build_cli(_local(), API_VERSION), arguments)
    except CommandFailed as failure:
        print_lines(failure.lines)
        return failure.status
    except FlowError as error:
        print_lines([f"{error.title}: {error.detail}", *(f"  {_told(fault)}" for fault in error.faults)])
        return _STATUSES.get(error.kind, USAGE)


def _local() -> Local:
    return Local(
        serve=_serve,
        example=_example,
        validate=_validate,
        doctor=_doctor,
        settings=lambda: shown_settings(_settings()),
        migrate=_migrate,
        migrations=_migrations,
        client=_client,
    )


def _settings() -> Settings:
    return read_settings(os.environ, Path.cwd())


def _migrations() -> Mapping[str, bool]:
    found = read_migrations(_settings().data_dir / STORE_FILE)
    return {migration.name: migration.is_applied for migration in found}


def _migrate() -> Sequence[str]:
    async def migrate() -> None:
        async with open_database(_settings(), SystemClock()):
            """Opening applies what is due."""

    due = [name for name, is_applied in _migrations().items() if not is_applied]
    _run(migrate())
    return due


def _serve() -> int:
    settings = _started()

    def announce(running: Running) -> None:
        greet(running, settings, _say)
        _leave_what_stays()

    _run(serve(settings, announce=announce))
    return OK


def _leave_what_stays() -> None:
    """Keep the cycle collector off what lives as long as the process, and let it look at the rest less often.

    A decision makes some dozens of objects, nearly all free of cycles: at the usual thresholds the collector took 7 %
    of the engine's processor time (bench/NOTES.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def _example(is_once: bool) -> int:
    settings = _started()
    return OK if _run(run_example(settings, is_once=is_once, say=_say)) else INSTANCE_FAILED


def _doctor() -> Sequence[Check]:
    return _run(examine(_settings(), SystemClock()))


def _client() -> ApiClient:
    settings = _settings()
    return ApiClient(settings.url, settings.http_prefix, settings.api_key)


def _validate(data: bytes, form: Literal["yaml", "json"] | None) -> Sequence[Mapping[str, Any]]:
    """Validate without a store: the operators of this installation decide what is available."""
    clock = SystemClock()
    ports = OperatorPorts(EgressClient(), clock)
    third = load_operators(entry_points(group=ENTRY_POINT_GROUP), ports)
    registry = OperatorRegistry([*PURE_OPERATORS, *built_in_operators(ports, write_task_log), *third])
    catalog = language_catalog(registry.catalog.values())
    store = MemoryDefinitionStore(MemoryStore(clock))
    return DagService(store, clock, UlidSource(), catalog).validate(data, form)


def _started() -> Settings:
    """Read the settings and set up what a long-running process needs."""
    settings = _settings()
    form: Literal["json", "text"] = "json" if settings.env == "production" else "text"
    set_up_logging(settings.log_level, form, Redactor([settings.api_key] if settings.api_key else []))
    return settings


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop. Errors of a TaskGroup that are all expected are told as the first of them."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except* FlowError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _told(fault: Mapping[str, object]) -> str:
    return f"{fault.get('name', fault.get('pointer', ''))}: {fault.get('message', '')}"


if __name__ == "__main__":
    main()
