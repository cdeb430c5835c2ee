"""Proof by the type checker that every adapter fits its port; `mypy --strict` is the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.executor.no_runner import NoRunner
    from core.ports.access_store import AccessStore
    from core.ports.audit_log import AuditLog
    from core.ports.batch_store import BatchStore
    from core.ports.definition_store import DefinitionHistory, DefinitionStore
    from core.ports.file_store import FileStore
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
    from core.ports.task_log import TaskLog
    from core.ports.task_runner import TaskRunner
    from driven_adapters.memory import (
        MemoryAccessStore,
        MemoryAuditLog,
        MemoryBatchStore,
        MemoryDefinitionHistory,
        MemoryDefinitionStore,
        MemoryFileStore,
        MemoryInstanceStore,
        MemoryInstanceViews,
        MemoryKeyStore,
        MemoryObjectNotes,
        MemoryOutputCache,
        MemoryPermitStore,
        MemoryRateLimiter,
        MemoryShardStore,
        MemoryStoreAudit,
        MemoryTaskLog,
    )
    from driven_adapters.object_store import LocalObjectStore, MemoryObjectStore
    from driven_adapters.sandbox import LocalRunner
    from driven_adapters.sqlite import (
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
    from module.observed import ObservedRateLimiter


def memory_stores(
    shards: MemoryShardStore,
    instances: MemoryInstanceStore,
    views: MemoryInstanceViews,
    definitions: MemoryDefinitionStore,
    access: MemoryAccessStore,
    keys: MemoryKeyStore,
) -> tuple[ShardStore, InstanceStore, InstanceViews, DefinitionStore, AccessStore, KeyStore]:
    return shards, instances, views, definitions, access, keys


def sqlite_stores(
    shards: SqliteShardStore,
    instances: SqliteInstanceStore,
    views: SqliteInstanceViews,
    definitions: SqliteDefinitionStore,
    access: SqliteAccessStore,
    keys: SqliteKeyStore,
) -> tuple[ShardStore, InstanceStore, InstanceViews, DefinitionStore, AccessStore, KeyStore]:
    return shards, instances, views, definitions, access, keys


def histories(
    memory: MemoryDefinitionHistory, sqlite: SqliteDefinitionHistory
) -> tuple[DefinitionHistory, DefinitionHistory]:
    return memory, sqlite


def task_logs(memory: MemoryTaskLog, sqlite: SqliteTaskLog) -> tuple[TaskLog, ...]:
    return memory, sqlite


def file_stores(memory: MemoryFileStore, sqlite: SqliteFileStore) -> tuple[FileStore, ...]:
    return memory, sqlite


def audit_logs(memory: MemoryAuditLog, sqlite: SqliteAuditLog) -> tuple[AuditLog, ...]:
    return memory, sqlite


def batch_stores(memory: MemoryBatchStore, sqlite: SqliteBatchStore) -> tuple[BatchStore, ...]:
    return memory, sqlite


def object_notes(memory: MemoryObjectNotes, sqlite: SqliteObjectNotes) -> tuple[ObjectNotes, ...]:
    return memory, sqlite


def output_caches(memory: MemoryOutputCache, sqlite: SqliteOutputCache) -> tuple[OutputCache, ...]:
    return memory, sqlite


def permit_stores(memory: MemoryPermitStore, sqlite: SqlitePermitStore) -> tuple[PermitStore, ...]:
    return memory, sqlite


def task_runners(local: LocalRunner, none: NoRunner) -> tuple[TaskRunner, ...]:
    return local, none


def object_stores(memory: MemoryObjectStore, local: LocalObjectStore) -> tuple[ObjectStore, ...]:
    return memory, local


def store_audits(memory: MemoryStoreAudit, sqlite: SqliteStoreAudit) -> tuple[StoreAudit, ...]:
    return (memory, sqlite)


def rate_limiters(memory: MemoryRateLimiter, observed: ObservedRateLimiter) -> tuple[RateLimiter, ...]:
    return memory, observed
