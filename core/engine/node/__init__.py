"""The engine node: the running half of the engine. It owns the event loop's tasks; what it asks `decide` is pure."""

from core.engine.node.engine_node import EngineNode
from core.engine.node.ownership import shard_of
from core.engine.node.terms import (
    AttemptRunner,
    Ended,
    NodeObserver,
    NodeSettings,
    NodeStats,
    PlanSource,
    SilentObserver,
    Started,
    StartRequest,
)

__all__ = [
    "AttemptRunner",
    "Ended",
    "EngineNode",
    "NodeObserver",
    "NodeSettings",
    "NodeStats",
    "PlanSource",
    "SilentObserver",
    "StartRequest",
    "Started",
    "shard_of",
]
