"""The composition: opened adapters in, services out. Everything here is synchronous; resources.py opens and closes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import structlog
from dependency_injector import containers, providers

from core.access.dag_access import DagAccess
from core.access.dag_batch import DagBatch
from core.access.kept_answers import KeptAnswers
from core.access.request_rates import RequestLimits, RequestRates
from core.access.service import AccessService
from core.access.version_access import VersionAccess
from core.dag.callee import Callees
from core.dag.catalog import Catalog
from core.dag.compile import Computations, compile_dag
from core.dag.history import DagHistory
from core.dag.language import language_catalog
from core.dag.service import DagService, PlanCache
from core.engine.answering import Answering
from core.engine.approving import Approving
from core.engine.audit_reading import Audit
from core.engine.audit_sealing import AuditSealer
from core.engine.dag_cancel import DagInstances
from core.engine.dry_run.past_runs import PastRuns
from core.engine.dry_run.service import DryRuns, Rehearsing
from core.engine.explaining import Explainer
from core.engine.instance_batch import InstanceBatches
from core.engine.node import EngineNode
from core.engine.node.terms import NodeObserver, NodeSettings
from core.engine.reading import InstanceReader
from core.engine.rerun import InstanceReruns
from core.engine.retention import Retention
from core.engine.service import InstanceService
from core.engine.trace.service import Traces
from core.engine.verify import Verifier
from core.engine.why import Places
from core.executor.operator import Call
from core.executor.pipeline import AttemptPipeline
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorPorts, OperatorRegistry, load_operators
from core.file.files import FILE_BYTES_MAX_DEFAULT, Files
from core.file.service import FileService
from core.ports.access_store import AccessStore
from core.ports.audit_log import AuditLog
from core.ports.batch_store import BatchStore
from core.ports.clock import Clock, Dice, IdSource
from core.ports.definition_store import DefinitionHistory, DefinitionStore
from core.ports.file_store import FileStore
from core.ports.http_client import HttpClient
from core.ports.instance_store import InstanceStore
from core.ports.instance_views import InstanceViews
from core.ports.key_store import KeyStore
from core.ports.object_notes import ObjectNotes
from core.ports.object_store import ObjectStore
from core.ports.output_cache import OutputCache
from core.ports.permits import PermitStore
from core.ports.rate_limiter import RateLimiter
from core.ports.shard_store import ShardStore
from core.ports.store_audit import StoreAudit
from core.ports.task_log import TaskLog, TaskLogLine
from core.ports.task_runner import TaskRunner
from driven_adapters.operators import SCRATCH, built_in_operators
from driver_adapters.http.dag_operations import DagServices
from driver_adapters.http.explain_operations import Explained
from module.instruments import Instruments
from module.resources import Resources

_task_log = structlog.get_logger("task")
_NO_INSTRUMENTS = Instruments()
_DEFAULT_LIMITS = RequestLimits()


def write_task_log(line: TaskLogLine) -> None:
    """Write a task's line into the process's log, with where it came from."""
    _task_log.log(
        _LEVELS[line.level],
        line.message,
        instance=line.instance_id,
        domain=line.domain_id,
        task=line.task_path,
        attempt=line.attempt,
    )


def write_surprise(call: Call, surprise: BaseException) -> None:
    """Write into the process's log what left an operator: its bug, of which the task's error shows the class only."""
    _task_log.error(
        "operator raised",
        instance=call.instance_id,
        domain=call.domain_id,
        task=call.task_path,
        attempt=call.attempt,
        exc_info=surprise,
    )


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}  # logging's numbers


def _keeping_log(task_log: TaskLog, mask: Callable[[str], str]) -> Callable[[TaskLogLine], None]:
    """Give what writes a task's line where people read it, known secrets masked, and into the process's log."""

    def write(line: TaskLogLine) -> None:
        if not line.instance_id:
            return  # of a dry run, which has no instance that anybody could look at
        message = mask(line.message)
        task_log.write(line if message == line.message else msgspec.structs.replace(line, message=message))
        write_task_log(line)

    return write


def _registry(
    http: HttpClient,
    clock: Clock,
    entry_points: Iterable[EntryPoint],
    task_log: TaskLog,
    task_runner: TaskRunner,
    files: Files,
    scratch: Path,
    instruments: Instruments,
) -> OperatorRegistry:
    ports = OperatorPorts(http, clock)
    built_in = built_in_operators(ports, _keeping_log(task_log, instruments.mask), task_runner, files, scratch)
    return OperatorRegistry([*PURE_OPERATORS, *built_in, *load_operators(entry_points, ports)])


def _catalog(registry: OperatorRegistry) -> Catalog:
    return language_catalog(registry.catalog.values())


def _plan_cache(store: DefinitionStore, catalog: Catalog, computations: Computations, callback_url: str) -> PlanCache:
    return PlanCache(store, catalog, computations, compiled=functools.partial(compile_dag, callback_url=callback_url))


def _rehearsing(clock: Clock, attempts: AttemptPipeline, settings: NodeSettings) -> Rehearsing:
    return Rehearsing(clock, attempts=attempts, attempts_max=settings.attempts_max)


def _places_of(node: EngineNode, settings: NodeSettings) -> Callable[[], Places]:
    return lambda: Places(node.stats().open_attempts, settings.attempts_max)


def _around(wrap: Callable[[Any], Any], inner: Any) -> Any:
    return wrap(inner)


def _port(protocol: Any) -> providers.Dependency[Any]:
    """Declare an input; `Any`, since the library's type knows classes only and a Protocol is checked all the same."""
    return providers.Dependency(instance_of=protocol)


class Container(containers.DeclarativeContainer):
    """Ports and settings are declared inputs; a wrong adapter is refused when it is resolved."""

    clock = _port(Clock)
    ids = _port(IdSource)
    dice = _port(Dice)
    rate_limiter = _port(RateLimiter)
    http_client = _port(HttpClient)
    shard_store = _port(ShardStore)
    instance_store = _port(InstanceStore)
    instance_views = _port(InstanceViews)
    store_audit = _port(StoreAudit)
    definition_store = _port(DefinitionStore)
    definition_history = _port(DefinitionHistory)
    access_store = _port(AccessStore)
    key_store = _port(KeyStore)
    batch_store = _port(BatchStore)
    audit_log = _port(AuditLog)
    file_store = _port(FileStore)
    object_notes = _port(ObjectNotes)
    output_cache = _port(OutputCache)
    permits = _port(PermitStore)
    object_store = _port(ObjectStore)
    file_bytes_max = _port(int)
    request_limits = _port(RequestLimits)
    callback_url = _port(str)
    scratch = _port(Path)
    task_log = _port(TaskLog)
    task_runner = _port(TaskRunner)
    entry_points = _port(tuple)
    node_settings = _port(NodeSettings)
    observer = _port(object)
    instruments = _port(Instruments)
    on_fatal = _port(object)

    files = providers.Singleton(
        Files, file_store, object_notes, object_store, clock, ids, file_bytes_max=file_bytes_max
    )
    registry = providers.Singleton(
        _registry,
        http=http_client,
        clock=clock,
        entry_points=entry_points,
        task_log=task_log,
        task_runner=task_runner,
        files=files,
        scratch=scratch,
        instruments=instruments,
    )
    catalog = providers.Singleton(_catalog, registry)
    pipeline = providers.Singleton(AttemptPipeline, registry, clock, on_surprise=write_surprise)
    definitions = providers.Singleton(DagService, store=definition_store, clock=clock, ids=ids, catalog=catalog)
    plans = providers.Singleton(
        _plan_cache,
        store=definition_store,
        catalog=catalog,
        computations=registry.provided.computations,
        callback_url=callback_url,
    )
    answers = providers.Singleton(KeptAnswers, key_store, clock)
    file_service = providers.Singleton(FileService, files, answers)
    dag_access = providers.Singleton(DagAccess, definitions, plans, clock, answers)
    request_rates = providers.Singleton(RequestRates, rate_limiter, request_limits, clock)
    access_service = providers.Singleton(AccessService, access_store, clock, ids, dice)
    attempts = providers.Singleton(_around, instruments.provided.attempts, pipeline)
    audit_sealer = providers.Singleton(AuditSealer, audit_log, clock, on_fatal=on_fatal)
    engine_node = providers.Singleton(
        EngineNode,
        shards=shard_store,
        store=instance_store,
        notes=object_notes,
        objects=object_store,
        outputs=output_cache,
        permits=permits,
        plans=plans,
        callees=providers.Singleton(Callees, definition_store, plans),
        attempts=attempts,
        clock=clock,
        ids=ids,
        dice=dice,
        settings=node_settings,
        observer=observer,
        on_fatal=on_fatal,
        on_acts=audit_sealer.provided.hint,
    )
    engine = providers.Singleton(_around, instruments.provided.engine, engine_node)
    explainer = providers.Singleton(
        Explainer,
        views=instance_views,
        store=instance_store,
        plans=plans,
        clock=clock,
        permits=permits,
        places=providers.Singleton(_places_of, engine_node, node_settings),
    )
    instance_service = providers.Singleton(
        InstanceService,
        engine=engine,
        views=instance_views,
        objects=object_store,
        dags=dag_access,
        plans=plans,
        clock=clock,
        ids=ids,
        explainer=explainer,
    )
    answering = providers.Singleton(Answering, engine=engine, ids=ids)
    instance_reruns = providers.Singleton(
        InstanceReruns,
        engine=engine,
        views=instance_views,
        objects=object_store,
        dags=dag_access,
        plans=plans,
        clock=clock,
        ids=ids,
        explainer=explainer,
    )
    audit = providers.Singleton(Audit, audit_log, clock)
    instance_batches = providers.Singleton(
        InstanceBatches,
        batch_store,
        instance_service,
        answers,
        clock,
        ids,
        on_fatal=on_fatal,
        on_acts=audit_sealer.provided.hint,
    )
    approving = providers.Singleton(Approving, engine=engine, views=instance_views, plans=plans)
    instance_reader = providers.Singleton(
        InstanceReader,
        views=instance_views,
        objects=object_store,
        log=task_log,
        plans=plans,
        follow=engine_node.provided.followers.follow,
    )
    traces = providers.Singleton(
        Traces,
        views=instance_views,
        objects=object_store,
        plans=plans,
        definitions=definition_store,
        mask_text=instruments.provided.mask,
    )
    verifier = providers.Singleton(
        Verifier,
        store=instance_store,
        audit=store_audit,
        permits=permits,
        plans=plans,
        clock=clock,
        on_violation=instruments.provided.on_violation,
        on_fatal=on_fatal,
    )
    explained = providers.Singleton(Explained, traces, explainer, verifier)
    history = providers.Singleton(DagHistory, definitions, definition_history, clock)
    version_access = providers.Singleton(VersionAccess, dag_access, definitions, history, catalog, ids)
    dag_services = providers.Singleton(
        DagServices,
        versions=version_access,
        batch=providers.Singleton(DagBatch, dag_access, version_access),
        of_dag=providers.Singleton(DagInstances, dag_access, instance_service),
        dry_runs=providers.Singleton(
            DryRuns,
            dag_access,
            providers.Singleton(PastRuns, instance_views, plans),
            providers.Singleton(_rehearsing, clock, pipeline, node_settings),
        ),
    )
    retention = providers.Singleton(Retention, key_store, clock, on_fatal=on_fatal)


def build_container(
    resources: Resources,
    *,
    node_settings: NodeSettings,
    observer: NodeObserver,
    on_fatal: Callable[[BaseException], None],
    entry_points: Iterable[EntryPoint] = (),
    file_bytes_max: int = FILE_BYTES_MAX_DEFAULT,
    request_limits: RequestLimits = _DEFAULT_LIMITS,
    callback_url: str = "/callbacks/",
    scratch: Path = SCRATCH,
    instruments: Instruments = _NO_INSTRUMENTS,
) -> Container:
    """Wire everything and resolve every provider once: what does not fit is found now, not at the first request."""
    box = Container(
        **{name: providers.Object(getattr(resources, name)) for name in resources.__struct_fields__},
        entry_points=providers.Object(tuple(entry_points)),
        file_bytes_max=providers.Object(file_bytes_max),
        request_limits=providers.Object(request_limits),
        callback_url=providers.Object(callback_url),
        scratch=providers.Object(scratch),
        node_settings=providers.Object(node_settings),
        observer=providers.Object(observer),
        instruments=providers.Object(instruments),
        on_fatal=providers.Object(on_fatal),
    )
    box.check_dependencies()
    for provider in box.providers.values():
        provider()
    return box
