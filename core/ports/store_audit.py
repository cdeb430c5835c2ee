"""What proving a store needs to read: instances in order, their journals, the rows beside them. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from core.ports.instance_store import InstanceRow, JournalRow, StartKey, TimerRow
from core.ports.permits import PermitRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Rows beside one instance's journal, as they were at one moment.

    `seq` is its row's; `journal_count` rows of its journal there are; `timers` are the numbers of those asked for that
    exist; `inbox_count` commands wait for it, `foreign_count` of them under another business domain. `permits` are its
    rows and its tasks' at gates, `granted` the task paths that an inbox row tells a grant of.
    """

    seq: int
    journal_count: int
    timers: frozenset[int]
    inbox_count: int
    foreign_count: int
    permits: tuple[PermitRow, ...] = ()
    granted: frozenset[str] = frozenset()


class HeldTimer(msgspec.Struct, frozen=True):
    """A timer, and the status of its instance; None = there is no such instance."""

    row: TimerRow
    status: str | None


class HeldPermit(msgspec.Struct, frozen=True):
    """A row at a gate, and the status of its instance; None = there is no such instance."""

    row: PermitRow
    status: str | None


class HeldKey(msgspec.Struct, frozen=True):
    """A start key, and the business domain of the instance that it names; None = there is no such instance."""

    key: StartKey
    domain_id: str | None


@runtime_checkable
class StoreAudit(Protocol):
    """Reads across business domains; each read is short. Every `limit` is 1..READ_ROWS_MAX, ValueError else."""

    async def instances(self, *, domain_id: str | None, after: str, limit: int) -> Sequence[InstanceRow]:
        """Page instances, ascending by id, ids greater than `after`; of one business domain, or of all (None)."""
        ...

    async def journal(self, instance_id: str, *, after_seq: int, limit: int) -> Sequence[JournalRow]:
        """Page an instance's journal, ascending, rows with a seq greater than `after_seq`."""
        ...

    async def beside(self, instance_id: str, timers: Sequence[tuple[datetime, int]]) -> Beside | None:
        """Read what stands beside an instance, timers (due_at, n) looked for by their keys, in one read transaction."""
        ...

    async def timers(self, *, after: TimerRow | None, limit: int) -> Sequence[HeldTimer]:
        """Page all timers, ascending by (due_at, shard, instance, n); the order of instances is the store's own."""
        ...

    async def start_keys(self, *, after: StartKey | None, limit: int) -> Sequence[HeldKey]:
        """Page all start keys, ascending by (domain, trigger, key)."""
        ...

    async def permits(self, *, after: PermitRow | None, limit: int) -> Sequence[HeldPermit]:
        """Page all rows at gates, ascending by (gate, instance, task path)."""
        ...
