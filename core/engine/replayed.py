"""Replay of an instance's whole journal beside its stored rows (reliability.md I16): both must give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from core.dag.plan import Plan
from core.engine.events import Event, FrameClosed
from core.engine.fold import replay, restore
from core.engine.invariants import Violation
from core.engine.journal import encode_frame
from core.engine.state import Closing, Frame, Header, Holding, Task, Timer
from core.ports.instance_store import Loaded, TimerRow


class Replayed:
    """An instance folded from nothing; give it every journal row once, ascending."""

    def __init__(self, plan: Plan, instance_id: str) -> None:
        """Begin before row 1."""
        self.plan = plan
        self.instance_id = instance_id
        self.seq = 0
        self.header: Header | None = None
        self.frames: dict[str, Frame] = {}

    def read(self, seq: int, events: Sequence[Event]) -> None:
        """Fold one journal row. A frame that closed is forgotten, but for the top one: nothing is held against it."""
        self.header = replay(self.plan, self.header, self.frames, seq, events, {})
        for event in events:
            if type(event) is FrameClosed and event.frame:
                self.frames.pop(event.frame, None)
        self.seq = seq

    def compare(self, loaded: Loaded) -> list[Violation]:
        """Hold it against the rows that `InstanceStore.load` gives: the state made of them must be the same, in bytes.

        Raises:
            StateInconsistent, JournalUnreadable: the rows make no state at all.
        """
        state = restore(self.plan, loaded, epoch=loaded.row.epoch)
        wanted = self.frames
        found = [
            f"frame {path!r} is {'only in the rows' if path in state.frames else 'missing in the rows'}"
            for path in sorted(set(wanted) ^ set(state.frames))
        ]
        found += [
            f"frame {path!r} differs"
            for path in sorted(set(wanted) & set(state.frames))
            if encode_frame(None, wanted[path]) != encode_frame(None, state.frames[path])
        ]
        if state.header != self.header:
            found.append("the header differs")
        if self.header is not None and self.header.labels != loaded.row.labels:
            found.append("the labels of the row differ")
        if self.header is not None and self.header.priority != loaded.row.priority:
            found.append("the priority of the row differs")
        return [Violation("I16", self.instance_id, self.seq, sentence) for sentence in found]

    def compare_timers(self, rows: Iterable[TimerRow]) -> list[Violation]:
        """Hold the timers that tasks and marks know against the timer rows (I3, I4).

        Every row is known to a holder, and every timer that its holder waits for has a row. A closing holder no longer
        waits for its own timer, whether it has a row or not. One that fires while the instance is paused loses its row
        and is kept by its holder, until the resume has been carried into its frame (S42).
        """
        known = {
            (timer.n, timer.due_at, timer.kind): is_awaited and not self._may_have_fired(timer)
            for timer, is_awaited in self._timers()
        }
        stored = {(row.n, row.due_at, row.kind) for row in rows}
        lacking = sorted(timer for timer, is_awaited in known.items() if is_awaited and timer not in stored)
        spare = sorted(stored - known.keys())
        if not (lacking or spare):
            return []
        sentence = f"timers without a row: {lacking[:3]}; rows that nobody knows: {spare[:3]}"
        return [Violation("timers", self.instance_id, self.seq, sentence)]

    def _may_have_fired(self, timer: Timer) -> bool:
        header = self.header
        if header is None or (header.paused_at is None and not header.pauses):
            return False
        return header.paused_at is not None or timer.n < header.pauses[-1].n

    def awaited_timers(self) -> list[Timer]:
        """List the timers that something in the instance still waits for: each has a row."""
        return [timer for timer, is_awaited in self._timers() if is_awaited and not self._may_have_fired(timer)]

    def _timers(self) -> Iterator[tuple[Timer, bool]]:
        """Give every timer that something in the instance holds, and whether it is still waited for."""
        header = self.header
        if header is None:
            return
        if header.timer is not None:
            yield header.timer, header.closing is None
        yield from _marked(header.closing)
        for frame in self.frames.values():
            if not frame.is_open:
                continue
            for closing in frame.closing.values():
                yield from _marked(closing)
            for task in frame.tasks:
                if task is not None:
                    yield from _timers_of(task)


def _timers_of(task: Task) -> Iterator[tuple[Timer, bool]]:
    closing = task.detail.closing if isinstance(task.detail, Holding) else None
    for timer in task.timers:
        yield timer, closing is None
    yield from _marked(closing)


def _marked(closing: Closing | None) -> Iterator[tuple[Timer, bool]]:
    if closing is not None:
        yield from ((timer, True) for timer in (closing.grace, closing.cleanup) if timer is not None)
