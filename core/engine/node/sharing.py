"""How living nodes share the shards out: which node a shard prefers, and how one moves there (reliability.md R4)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from core.engine.node.hot import HotTable
from core.engine.node.intake import Intake
from core.engine.node.places import Places
from core.ports.clock import Clock

MOVES_MAX = 8  # shards on their way at once: the others of a node start attempts meanwhile
MOVE_S = 5.0  # so long no attempt of a moving shard starts; most end within it
MOVE_AGAIN_S = 60.0  # until a shard that did not move, or that came back, is tried again
SPARE_RENEWALS = 2  # a shard that its preferred node left free for so long is taken by any other


def preferred(nodes: Iterable[str], shard: int) -> str:
    """Give the node that a shard prefers: rendezvous hashing, so that a node that comes or goes moves only its own.

    Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996).

    Raises:
        ValueError: there is no node.
    """
    return max(nodes, key=lambda node: (hashlib.blake2b(f"{node}/{shard}".encode(), digest_size=8).digest(), node))


class Sharing:
    """The nodes that lived when the store was asked last, and the shards that this node hands to another.

    A shard moves without losing an attempt: for MOVE_S none is started in it, and it is handed over at a moment when
    nothing of it is under way. If there is no such moment it stays, and is tried again after MOVE_AGAIN_S.
    """

    def __init__(self, *, table: HotTable, intake: Intake, places: Places, clock: Clock, renew_s: float) -> None:
        self._table = table
        self._intake = intake
        self._places = places
        self._clock = clock
        self._spare_s = SPARE_RENEWALS * renew_s
        self._own = ""
        self._nodes: Collection[str] = ()
        self._free_since: dict[int, float] = {}
        self._moving: dict[int, float] = {}
        self._not_before: dict[int, float] = {}

    def meet(self, own: str, living: Collection[str], former: Collection[str]) -> None:
        """Take the living nodes in; leases that this process held before are no nodes of their own."""
        self._own = own
        self._nodes = {own, *living} - set(former)

    def may_take(self, shard: int) -> bool:
        """Say whether this node should ask for a free shard: it is preferred, or whoever is did not come for it."""
        now = self._clock.monotonic()
        since = self._free_since.setdefault(shard, now)
        if self._is_own(shard):
            return True
        # Whoever did not come for it now would not come at once for one that is handed over, either.
        self._not_before[shard] = now + MOVE_AGAIN_S
        return now - since >= self._spare_s

    def note_owned(self, shard: int) -> None:
        """Hear that a shard is not free."""
        self._free_since.pop(shard, None)

    def is_moving(self, shard: int) -> bool:
        """Say whether no attempt of this shard may start: it is about to leave."""
        return shard in self._moving

    def begin(self, owned: Iterable[int]) -> None:
        """Let shards that prefer another living node get ready to move."""
        if len(self._nodes) < 2:
            return
        now = self._clock.monotonic()
        for shard in sorted(owned):
            if len(self._moving) >= MOVES_MAX:
                return
            is_due = now >= self._not_before.get(shard, now)
            if is_due and shard not in self._moving and not self._is_own(shard):
                self._moving[shard] = now + MOVE_S
                self._not_before[shard] = now + MOVE_AGAIN_S

    def ready(self, owned: Collection[int]) -> list[int]:
        """Give the shards that may leave now; those whose time is over stay."""
        now = self._clock.monotonic()
        leaving: list[int] = []
        for shard, until in tuple(self._moving.items()):
            if shard not in owned:
                del self._moving[shard]
            elif self._is_quiet(shard):
                del self._moving[shard]
                leaving.append(shard)
            elif now >= until:
                self._stay(shard)
        return leaving

    def _stay(self, shard: int) -> None:
        del self._moving[shard]
        for hot in self._table.of_shards((shard,)):
            if hot.ready:
                self._places.want(hot)
        self._intake.arrived.set()  # wakes the decider, which offers the places

    def _is_own(self, shard: int) -> bool:
        return preferred(self._nodes, shard) == self._own

    def _is_quiet(self, shard: int) -> bool:
        """Say whether nothing of a shard is under way that would be lost: no attempt, and no commit."""
        return not any(
            hot.running or hot.committing or hot.gathering or hot.is_settling for hot in self._table.of_shards((shard,))
        )
