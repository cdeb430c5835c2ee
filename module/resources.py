"""What is opened for the life of a process: in written order, each asked for a sign of life, closed in reverse."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import msgspec

from core.errors import ErrorKind, FlowError
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
from core.ports.scope import Principal, Scope
from core.ports.shard_store import ShardStore
from core.ports.store_audit import StoreAudit
from core.ports.task_log import TaskLog
from core.ports.task_runner import TaskRunner
from driven_adapters.http import EgressClient, EgressPolicy, parse_allow_list
from driven_adapters.memory import MemoryRateLimiter
from driven_adapters.object_store import LocalObjectStore
from driven_adapters.sandbox import LocalRunner
from driven_adapters.sqlite import (
    Database,
    SqliteAccessStore,
    SqliteAuditLog,
    SqliteBatchStore,
    SqliteDefinitionHistory,
    SqliteDefinitionStore,
    SqliteFileStore,
    SqliteInstanceStore,
    SqliteInstanceViews,
    SqliteKeyStore,
    SqliteObjectNotes,
    SqliteOutputCache,
    SqlitePermitStore,
    SqliteShardStore,
    SqliteStoreAudit,
    SqliteTaskLog,
)
from driven_adapters.system import SystemClock, SystemDice, UlidSource
from driven_adapters.telemetry import StoreCounts
from module.crash_points import crash_point
from module.health import Check
from module.settings import Settings

STORE_FILE = "flow.db"
OBJECT_FOLDER = "objects"
SCRATCH_FOLDER = "scratch"
FOLDER_MODE = 0o700  # inputs and outputs of everybody's instances lie there
_NOBODY = Scope("", Principal(id="", kind="system", name="ping"))

OpenStore = Callable[[Settings, Clock], AbstractAsyncContextManager[Database]]


class DataFolderUnusable(FlowError):
    """The data folder cannot be made or written; FLOW_DATA_DIR names it."""

    kind, slug, title = ErrorKind.UNAVAILABLE, "data-folder-unusable", "Data folder cannot be used"


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Opened adapters, by the port that each stands for."""

    clock: Clock
    ids: IdSource
    dice: Dice
    rate_limiter: RateLimiter
    http_client: HttpClient
    shard_store: ShardStore
    instance_store: InstanceStore
    instance_views: InstanceViews
    store_audit: StoreAudit
    definition_store: DefinitionStore
    definition_history: DefinitionHistory
    access_store: AccessStore
    key_store: KeyStore
    batch_store: BatchStore
    audit_log: AuditLog
    file_store: FileStore
    object_notes: ObjectNotes
    object_store: ObjectStore
    output_cache: OutputCache
    permits: PermitStore
    task_log: TaskLog
    task_runner: TaskRunner

    def checks(self) -> Mapping[str, Check]:
        """Give what asks each resource for a sign of life: for what does not exist, and the writer for nothing."""
        return {
            "store": lambda: self.definition_store.get(_NOBODY, ""),
            "journal": lambda: self.shard_store.settle(()),
            "objects": lambda: self.object_store.stat(_NOBODY.domain_id, "ready"),
        }


@asynccontextmanager
async def open_resources(
    settings: Settings,
    *,
    watch_store: Callable[[StoreCounts], None] = lambda _: None,
    open_store: OpenStore | None = None,
) -> AsyncIterator[Resources]:
    """Open everything; what opened is closed again when a later part fails. `watch_store` gets the store's counts.

    `open_store` opens the store file; None = `open_database`.

    Raises:
        DataFolderUnusable: no place for the store. StoreUnavailable: another process has the store.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context((open_store or open_database)(settings, clock))
        watch_store(database.stats)
        task_log = await stack.enter_async_context(SqliteTaskLog(database, clock))
        objects = await stack.enter_async_context(LocalObjectStore(settings.data_dir / OBJECT_FOLDER))
        shutil.rmtree(settings.data_dir / SCRATCH_FOLDER, ignore_errors=True)  # of steps that a kill ended
        policy = EgressPolicy(allowed=parse_allow_list(",".join(settings.egress_allow)))
        http_client = await stack.enter_async_context(EgressClient(policy))
        task_runner = await stack.enter_async_context(LocalRunner())
        yield Resources(
            clock=clock,
            ids=UlidSource(),
            dice=SystemDice(),
            rate_limiter=MemoryRateLimiter(clock),
            http_client=http_client,
            shard_store=SqliteShardStore(database),
            instance_store=SqliteInstanceStore(database),
            instance_views=SqliteInstanceViews(database),
            store_audit=SqliteStoreAudit(database),
            definition_store=SqliteDefinitionStore(database),
            definition_history=SqliteDefinitionHistory(database),
            access_store=SqliteAccessStore(database),
            key_store=SqliteKeyStore(database),
            batch_store=SqliteBatchStore(database),
            audit_log=SqliteAuditLog(database),
            file_store=SqliteFileStore(database),
            object_notes=SqliteObjectNotes(database),
            object_store=objects,
            output_cache=SqliteOutputCache(database),
            permits=SqlitePermitStore(database),
            task_log=task_log,
            task_runner=task_runner,
        )


@asynccontextmanager
async def open_database(settings: Settings, clock: Clock) -> AsyncIterator[Database]:
    """Open the store file of the data folder, made and migrated when that is due.

    Raises:
        DataFolderUnusable: the folder cannot be made. StoreUnavailable: another process has the store.
    """
    try:
        settings.data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise DataFolderUnusable(f"{settings.data_dir} cannot be made: {error.strerror}") from error
    database = Database(
        settings.data_dir / STORE_FILE,
        clock,
        shard_count=settings.shard_count,
        on_point=crash_point(settings.crash_at),
    )
    async with database:
        yield database
