"""What commands do in this process: serve, check documents, look after the store.

Apart from main.py, since it brings the engine, the store and both servers with it: a command that only calls a server
need not wait a second for them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import uvloop

from core.dag.compile import compile_dag
from core.dag.language import language_catalog
from core.dag.plan import Plan
from core.dag.service import DagService
from core.dag.version import FIRST, content_hash
from core.engine.dry_run.past_runs import NO_SERVER, Past
from core.engine.dry_run.rehearsal import Given, GivenError
from core.engine.dry_run.service import Rehearsing
from core.errors import FlowError
from core.executor.pipeline import AttemptPipeline
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import ENTRY_POINT_GROUP, OperatorPorts, OperatorRegistry, load_operators
from driven_adapters.http import EgressClient
from driven_adapters.memory import MemoryDefinitionStore, MemoryStore
from driven_adapters.operators import built_in_operators
from driven_adapters.operators.debug import DebugFail, DebugLog, DebugNoop
from driven_adapters.sqlite.maintenance import read_migrations
from driven_adapters.system import SystemClock, UlidSource
from driver_adapters.cli.commands import Check, Local
from driver_adapters.cli.exits import INSTANCE_FAILED, OK
from driver_adapters.cli.plan_command import PlanAsked
from driver_adapters.cli.plan_view import plan_value
from driver_adapters.cli.sim_command import SimulationAsked
from module.container import write_task_log
from module.doctor import examine
from module.example import greet, run_example
from module.process import DAG_SCHEMA_FILE, Running, serve
from module.replaying import PlayedTrace
from module.resources import STORE_FILE, open_database
from module.settings import Settings, read_settings, secrets_of
from pkg.log import set_up_logging
from pkg.redaction import Redactor

T = TypeVar("T")
# Of the cycle collector: objects made, then collections of one generation before the next is looked at.
COLLECTOR_THRESHOLDS = (50_000, 20, 100)


def wire_local_work() -> Local:
    """Give what commands do in this process; nothing is run, read or opened."""
    return Local(
        serve=_serve,
        example=_example,
        validate=_validate,
        plan=_plan,
        dag_schema=DAG_SCHEMA_FILE.read_bytes,
        doctor=_doctor,
        migrate=_migrate,
        migrations=_migrations,
        play=_play,
        simulate=_simulate,
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
    settings, redactor = _started()

    def announce(running: Running) -> None:
        greet(running, settings, _say)
        _leave_what_stays()

    _run(serve(settings, announce=announce, redactor=redactor))
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
    settings, redactor = _started()
    return OK if _run(run_example(settings, is_once=is_once, say=_say, redactor=redactor)) else INSTANCE_FAILED


def _doctor() -> Sequence[Check]:
    return _run(examine(_settings(), SystemClock()))


def _validate(data: bytes, form: Literal["yaml", "json"] | None) -> Sequence[Mapping[str, Any]]:
    """Validate without a store: the operators of this installation decide what is available."""
    return _definitions(_operators()).validate(data, form)


def _plan(data: bytes, form: Literal["yaml", "json"] | None, asked: PlanAsked) -> Mapping[str, Any]:
    """Compile a document without a store, as a first publication would, and rehearse it when its inputs are known."""
    operators = _operators()
    draft = _definitions(operators).read(data, form)
    plan = compile_dag(
        draft.dag,
        dag_id="",
        version=draft.dag.version or FIRST,
        content_hash=content_hash(draft.document.value),
        catalog=language_catalog(operators.catalog.values()),
        computations=operators.computations,
    )
    value = plan_value(draft.dag, plan)
    if asked.inputs is None and plan.inputs_complete({})[1]:
        return {**value, "dry_run": None}
    return {**value, "dry_run": _run(_rehearse(plan, asked, draft.dag.status))}


async def _rehearse(plan: Plan, asked: PlanAsked, status: str) -> Any:
    clock = SystemClock()
    # Of the operators that may be called in a dry run, those that need nothing of a server.
    harmless = OperatorRegistry([DebugNoop(), DebugFail(), DebugLog(lambda _line: None)])
    rehearsing = Rehearsing(clock, attempts=AttemptPipeline(harmless, clock))
    given = Given(asked.outputs, {name: GivenError(kind) for name, kind in asked.errors.items()})
    past = Past(None, {}, NO_SERVER)
    answer = await rehearsing.run(plan, asked.inputs or {}, given, past, status=status, priority=asked.priority)
    return msgspec.json.decode(msgspec.json.encode(answer))


def _play(data: bytes) -> PlayedTrace:
    return PlayedTrace(data, _operators)


def _simulate(data: bytes, form: Literal["yaml", "json"] | None, asked: SimulationAsked) -> Iterator[Mapping[str, Any]]:
    from module.simulating import simulate  # noqa: PLC0415 - no other command needs the test kit

    ports = OperatorPorts(EgressClient(), SystemClock())
    return simulate(data, form, asked, load_operators(entry_points(group=ENTRY_POINT_GROUP), ports))


def _operators() -> OperatorRegistry:
    ports = OperatorPorts(EgressClient(), SystemClock())
    third = load_operators(entry_points(group=ENTRY_POINT_GROUP), ports)
    return OperatorRegistry([*PURE_OPERATORS, *built_in_operators(ports, write_task_log), *third])


def _definitions(operators: OperatorRegistry) -> DagService:
    clock = SystemClock()
    store = MemoryDefinitionStore(MemoryStore(clock))
    return DagService(store, clock, UlidSource(), language_catalog(operators.catalog.values()))


def _started() -> tuple[Settings, Redactor]:
    """Read the settings and set up what a long-running process needs; give what masks its log, too."""
    settings = _settings()
    form: Literal["json", "text"] = "json" if settings.env == "production" else "text"
    redactor = Redactor(secrets_of(settings))
    set_up_logging(settings.log_level, form, redactor)
    return settings, redactor


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
