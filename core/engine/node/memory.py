"""Decoded values in memory: bounded by the length of their encoding, oldest out first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from core.engine.node.hot import HotInstance
from core.engine.state import Reference

VALUE_BYTES_MAX = (
    16_777_216  # encoded; decoded they take four to five times as much, and 100 MB is what a node may keep
)


class ValueMemory:
    """Counts the values that hot instances hold and that can be read again.

    Values of commits that have not landed are not counted and stay: nobody else has them.
    """

    def __init__(self, bytes_max: int = VALUE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[tuple[str, Reference], HotInstance] = OrderedDict()
        self.bytes_count = 0

    def admit(self, hot: HotInstance, references: Iterable[Reference]) -> None:
        """Count values of `hot.values` that lie in the store from now on; a value admitted again is the newest."""
        for reference in references:
            key = (hot.id, reference)
            if self._held.pop(key, None) is None:
                self.bytes_count += reference.length
            self._held[key] = hot

    def trim(self) -> None:
        """Drop the oldest values above the bound. Never called between a load and the decision that asked for it."""
        while self.bytes_count > self._bytes_max:
            key, hot = self._held.popitem(last=False)
            self.bytes_count -= key[1].length
            hot.values.pop(key[1], None)

    def forget(self, hot: HotInstance) -> None:
        """Drop all values of an instance."""
        for reference in hot.values:
            if self._held.pop((hot.id, reference), None) is not None:
                self.bytes_count -= reference.length
        hot.values = {}
