"""How gates stand, as far as this node knows: what it read, and what it decided since (engine.md 6).

Only a hint: behind the gate the commit looks itself. A view that was wrong is forgotten, and read anew for who asks
next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from core.errors import ConcurrencyReached
from core.ports.permits import Gate, GateView, PermitAct, PermitStore, after_act

GATES_MAX = 4_096  # views kept; one of them is some hundred bytes


class Gates:
    """Views of gates. `views` is what decisions are given; `wait_count` holders had to wait."""

    def __init__(self, permits: PermitStore) -> None:
        self._permits = permits
        self.views: OrderedDict[Gate, GateView] = OrderedDict()
        self.wait_count = 0

    async def read(self, gates: Sequence[Gate]) -> None:
        """Read how gates stand.

        Raises:
            StoreUnavailable, StoreTimeout: they could not be read.
        """
        found = await self._permits.views(gates)
        for gate, view in zip(gates, found, strict=True):
            self.forget([gate])  # the newest stands last
            self.views[gate] = view
        while len(self.views) > GATES_MAX:
            self.views.popitem(last=False)

    def note(self, acts: Iterable[PermitAct]) -> None:
        """Take in what a decision does at gates."""
        for act in acts:
            self.wait_count += act.kind in ("wait", "displace")
            view = self.views.get(act.gate)
            after = None if view is None else after_act(view, act)
            if after is None:
                self.forget([act.gate])
            else:
                self.views[act.gate] = after

    def forget(self, gates: Iterable[Gate]) -> None:
        """Know nothing of these gates any more."""
        for gate in gates:
            self.views.pop(gate, None)


def reached(sought: PermitAct) -> ConcurrencyReached:
    """Make the refusal of a start whose DAG rejects what would have to wait (S46)."""
    told = f"the DAG has {sought.most} running instance{'' if sought.most == 1 else 's'}, as many as may be at once"
    return ConcurrencyReached(told, limit=sought.gate.limit, key=sought.gate.key, most=sought.most)
