"""Signals as the audit of invariants sees them: none taken twice, none left unread beside a wait that takes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from core.dag.plan import Plan
from core.engine.audited import WAITING, FrameAudit
from core.engine.events import SignalReceived, SignalTaken


class SignalAudit:
    """The unread signals of one instance by number, as their events tell; `ids` counts all by their sender's id."""

    def __init__(self) -> None:
        """Begin with none."""
        self.unread: dict[int, str] = {}
        self.ids: Counter[str] = Counter()
        self._count = 0

    def read(self, event: SignalReceived | SignalTaken) -> Iterator[str]:
        """Take one event; gives what does not hold."""
        if isinstance(event, SignalTaken):
            if self.unread.pop(event.number, None) is None:
                yield f"signal {event.number} is taken by {event.by}, and is not unread"
            return
        signal = event.signal
        if signal.number != self._count + 1:
            yield f"signal {signal.number} follows {self._count}"
        self._count = signal.number
        self.unread[signal.number] = signal.name
        self.ids[signal.id] += 1

    def overlooked(self, plan: Plan, frames: Iterable[FrameAudit]) -> Iterator[str]:
        """Give the names of which a signal is unread and a wait takes any: one of both is lost for the other."""
        names = Counter(self.unread.values())
        for frame in frames if names else ():
            nodes = plan.regions[frame.region].nodes
            for index, task in frame.tasks.items():
                wait = plan.nodes[nodes[index % len(nodes)]].wait
                takes_any = wait is not None and wait.event is not None and wait.event.filter is None
                if task.status is WAITING and takes_any and task.asks is not None and task.asks in names:
                    yield f"{names[task.asks]} signals {task.asks} are unread beside a wait for them"
