"""What people and their programs read of instances. Never used by a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import FrameRow, InstanceRow, JournalRow, Loaded, PayloadRange
    from core.ports.scope import Scope


class InstanceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to list; None = any. `before` is the id after which the page goes on, newest first."""

    dag_id: str | None = None
    status: str | None = None
    before: str | None = None


@runtime_checkable
class InstanceViews(Protocol):
    """Reads within one business domain; another domain's instance answers like a missing one (None, empty).

    Every `limit` is 1..READ_ROWS_MAX, ValueError else.
    """

    async def get(self, scope: Scope, instance_id: str) -> Loaded | None:
        """Read an instance with its top frame and newest 64 journal rows, in one read transaction."""
        ...

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> Sequence[InstanceRow]:
        """Page instances, newest first (ids descending)."""
        ...

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[JournalRow]:
        """Page the journal, ascending, rows with a seq greater than `after_seq`."""
        ...

    async def frames(self, scope: Scope, instance_id: str, *, after_path: str | None, limit: int) -> Sequence[FrameRow]:
        """Page the frames, ascending by path, paths greater than `after_path` (None = from the start)."""
        ...

    async def read_payloads(self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]) -> Sequence[bytes]:
        """Read byte ranges of an instance's values, in the order asked.

        Raises:
            PayloadMissing: a part is not there, or the instance is another domain's.
        """
        ...

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Count instances by status."""
        ...
