"""What lies in memory only: stores for tests and the simulation, limits of rates. Nothing survives the process."""

from driven_adapters.memory.access_store import MemoryAccessStore
from driven_adapters.memory.audit_log import MemoryAuditLog
from driven_adapters.memory.batch_store import MemoryBatchStore
from driven_adapters.memory.definition_history import MemoryDefinitionHistory
from driven_adapters.memory.definition_store import MemoryDefinitionStore
from driven_adapters.memory.file_store import MemoryFileStore
from driven_adapters.memory.instance_store import MemoryInstanceStore
from driven_adapters.memory.instance_views import MemoryInstanceViews
from driven_adapters.memory.key_store import MemoryKeyStore
from driven_adapters.memory.object_notes import MemoryObjectNotes
from driven_adapters.memory.output_cache import MemoryOutputCache
from driven_adapters.memory.permits import MemoryPermitStore
from driven_adapters.memory.rate_limiter import MemoryRateLimiter
from driven_adapters.memory.shard_store import MemoryShardStore
from driven_adapters.memory.store import MemoryStore
from driven_adapters.memory.store_audit import MemoryStoreAudit
from driven_adapters.memory.tables import Draft, Tables
from driven_adapters.memory.task_log import MemoryTaskLog

__all__ = [
    "Draft",
    "MemoryAccessStore",
    "MemoryAuditLog",
    "MemoryBatchStore",
    "MemoryDefinitionHistory",
    "MemoryDefinitionStore",
    "MemoryFileStore",
    "MemoryInstanceStore",
    "MemoryInstanceViews",
    "MemoryKeyStore",
    "MemoryObjectNotes",
    "MemoryOutputCache",
    "MemoryPermitStore",
    "MemoryRateLimiter",
    "MemoryShardStore",
    "MemoryStore",
    "MemoryStoreAudit",
    "MemoryTaskLog",
    "Tables",
]
