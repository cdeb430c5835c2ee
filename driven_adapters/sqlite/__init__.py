"""Stores in one SQLite file: one writer thread with group commits, two readers, numbered migrations."""

from driven_adapters.sqlite.access_store import SqliteAccessStore
from driven_adapters.sqlite.audit_log import SqliteAuditLog
from driven_adapters.sqlite.batch_store import SqliteBatchStore
from driven_adapters.sqlite.database import Database, renew_incarnation
from driven_adapters.sqlite.definition_history import SqliteDefinitionHistory
from driven_adapters.sqlite.definition_store import SqliteDefinitionStore
from driven_adapters.sqlite.file_store import SqliteFileStore
from driven_adapters.sqlite.instance_store import SqliteInstanceStore
from driven_adapters.sqlite.instance_views import SqliteInstanceViews
from driven_adapters.sqlite.key_store import SqliteKeyStore
from driven_adapters.sqlite.migration import MigrationStatus, migrate, rollback, status
from driven_adapters.sqlite.object_notes import SqliteObjectNotes
from driven_adapters.sqlite.output_cache import SqliteOutputCache
from driven_adapters.sqlite.permits import SqlitePermitStore
from driven_adapters.sqlite.shard_store import SqliteShardStore
from driven_adapters.sqlite.store_audit import SqliteStoreAudit
from driven_adapters.sqlite.task_log import SqliteTaskLog

__all__ = [
    "Database",
    "MigrationStatus",
    "SqliteAccessStore",
    "SqliteAuditLog",
    "SqliteBatchStore",
    "SqliteDefinitionHistory",
    "SqliteDefinitionStore",
    "SqliteFileStore",
    "SqliteInstanceStore",
    "SqliteInstanceViews",
    "SqliteKeyStore",
    "SqliteObjectNotes",
    "SqliteOutputCache",
    "SqlitePermitStore",
    "SqliteShardStore",
    "SqliteStoreAudit",
    "SqliteTaskLog",
    "migrate",
    "renew_incarnation",
    "rollback",
    "status",
]
