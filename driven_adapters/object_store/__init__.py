"""Objects on this machine's disk, and in memory for tests."""

from driven_adapters.object_store.local import FREE_BYTES_MIN, LocalObjectStore
from driven_adapters.object_store.memory import MemoryObjectStore

__all__ = ["FREE_BYTES_MIN", "LocalObjectStore", "MemoryObjectStore"]
