"""Proof by the type checker that every adapter fits its port; `mypy --strict` is the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.ports.access_store import AccessStore
    from core.ports.definition_store import DefinitionStore
    from core.ports.instance_store import InstanceStore
    from core.ports.instance_views import InstanceViews
    from core.ports.key_store import KeyStore
    from core.ports.shard_store import ShardStore
    from driven_adapters.memory import (
        MemoryAccessStore,
        MemoryDefinitionStore,
        MemoryInstanceStore,
        MemoryInstanceViews,
        MemoryKeyStore,
        MemoryShardStore,
    )
    from driven_adapters.sqlite import (
        SqliteAccessStore,
        SqliteDefinitionStore,
        SqliteInstanceStore,
        SqliteInstanceViews,
        SqliteKeyStore,
        SqliteShardStore,
    )


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
