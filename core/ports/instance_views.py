"""What people and their programs read of instances. Never used by a decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from core.ports.instance_store import InstanceRow, JournalRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.instance_store import ApprovalRow, FrameRow, Loaded, ObjectRange, PayloadRange
    from core.ports.scope import Scope

# What one page looks at when several conditions must hold, of which an index serves one: some 10 ms of a reader, which
# has 50 ms (engine.md 4).
LIST_WALK_ROWS_MAX = 10_000


class InstanceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances to list, newest first; None = any. All that is said must hold.

    `version` only with `dag_id`. `trigger` is a kind of trigger; `parent` the instance that called; `labels` are by
    name, each with its value. `before` is an exclusive upper bound of ids: where a page goes on, or a time's end;
    `since` is an inclusive lower bound. Ids are ULIDs, so a range of them is a range of times.
    """

    dag_id: str | None = None
    version: str | None = None
    status: str | None = None
    trigger: str | None = None
    parent: str | None = None
    labels: Mapping[str, str] = {}
    before: str | None = None
    since: str | None = None


class InstanceList(msgspec.Struct, frozen=True):
    """Instances, newest first. `next` is the `before` of the page that follows, None = nothing follows.

    A page may have fewer rows than asked for, and `next` all the same: it had looked at as many as it may.
    """

    rows: tuple[InstanceRow, ...]
    next: str | None


class StampedRow(msgspec.Struct, frozen=True):
    """A journal row and when its commit was made; `at` None = by a release that did not write it down."""

    row: JournalRow
    at: datetime | None


@runtime_checkable
class InstanceViews(Protocol):
    """Reads within one business domain; another domain's instance answers like a missing one (None, empty).

    Every `limit` is 1..READ_ROWS_MAX, ValueError else.
    """

    async def get(self, scope: Scope, instance_id: str, *, paths: Sequence[str] = ("",)) -> Loaded | None:
        """Read an instance with the frames of these paths and its newest 64 journal rows, in one read transaction."""
        ...

    async def list(self, scope: Scope, chosen: InstanceFilter, *, limit: int) -> InstanceList:
        """Page instances, newest first (ids descending); looks at LIST_WALK_ROWS_MAX rows at most."""
        ...

    async def journal(self, scope: Scope, instance_id: str, *, after_seq: int, limit: int) -> Sequence[StampedRow]:
        """Page the journal, ascending, rows with a seq greater than `after_seq`."""
        ...

    async def frames(self, scope: Scope, instance_id: str, *, after_path: str | None, limit: int) -> Sequence[FrameRow]:
        """Page the frames, ascending by path, paths greater than `after_path` (None = from the start)."""
        ...

    async def read_payloads(
        self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]
    ) -> Sequence[bytes | ObjectRange]:
        """Read byte ranges of an instance's values, in the order asked; what lies in an object is only named.

        Raises:
            PayloadMissing: a part is not there, or the instance is another domain's.
        """
        ...

    async def approvals(self, scope: Scope, *, from_id: str, limit: int) -> Sequence[ApprovalRow]:
        """Page the decisions that people are asked for, oldest first (ids ascending), from `from_id` on."""
        ...

    async def counts(self, scope: Scope) -> dict[str, int]:
        """Count instances by status."""
        ...
