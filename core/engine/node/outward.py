"""What decisions of one batch do beyond their instance, until it becomes rows of the commit."""

from __future__ import annotations

from datetime import datetime

from core.engine.effects import ApprovalSet, KeepOutput, Outward
from core.engine.journal import encode_value
from core.engine.node.hot import HotInstance
from core.engine.node.item_rows import approval_rows, audit_entries
from core.engine.node.passed_on import ROWS_COUNT, bytes_of
from core.engine.sure import sure
from core.ports.instance_store import NewCommand, NewStart, OutwardRows
from core.ports.output_cache import CachedOutput, OutputKey
from core.ports.permits import PermitAct

APPROVAL_BYTES = 512  # the row of one that is asked, by estimate
PERMIT_BYTES = 256  # the row of a holder, by estimate
Size = tuple[int, int]  # bytes and writes, by estimate


class ItemOutward:
    """Gathers it, made when the first of it comes. Each part says how many bytes and writes it adds to the batch.

    Attributes:
        permits: acts at gates, in order.
    """

    __slots__ = ("_acts", "_approvals_removed", "_approvals_set", "_cached", "_hot", "_passed", "permits")

    def __init__(self, hot: HotInstance) -> None:
        """Begin with nothing."""
        self.permits: list[PermitAct] = []
        self._hot = hot
        self._acts: list[bytes] = []
        self._approvals_set: dict[str, ApprovalSet] = {}
        self._approvals_removed: list[str] = []
        self._cached: dict[OutputKey, CachedOutput] = {}
        self._passed: list[NewStart | NewCommand] = []

    def take(self, decided: Outward) -> Size:
        """Take what one decision does there, but for what it passes on."""
        for id_ in decided.approvals_removed:
            # Asked and answered within one batch: nobody sees it.
            if self._approvals_set.pop(id_, None) is None:
                self._approvals_removed.append(id_)
        self._approvals_set |= decided.approvals_set
        self.permits += decided.permits
        asked, acts = len(decided.approvals_set), len(decided.permits)
        return asked * APPROVAL_BYTES + acts * PERMIT_BYTES, asked + acts + len(decided.approvals_removed)

    def pass_on(self, rows: list[NewStart | NewCommand]) -> Size:
        """Take what other instances begin or hear with this commit."""
        self._passed += rows
        return sum(map(bytes_of, rows)), len(rows) * ROWS_COUNT

    def tell(self, acts: list[bytes]) -> Size:
        """Take what people did, for the audit."""
        self._acts += acts
        return sum(map(len, acts)), len(acts)

    def keep(self, effect: KeepOutput) -> Size:
        """Note an output that is kept; of two under one key the later one."""
        hot = self._hot
        place = OutputKey(hot.domain_id, sure(hot.state).header.dag_id, effect.step, effect.version, effect.key)
        body = encode_value(effect.output)
        self._cached[place] = CachedOutput(place, hot.id, body, effect.expires_at)
        return len(body), 1

    def rows(self, now: datetime) -> OutwardRows:
        """Give the rows of the commit."""
        hot = self._hot
        return OutwardRows(
            cached=tuple(self._cached.values()),
            audit=audit_entries(hot, now, self._acts),
            approvals_set=approval_rows(hot, self._approvals_set.values()),
            approvals_removed=tuple(self._approvals_removed),
            passed=tuple(self._passed),
            permits=tuple(self.permits),
        )
