"""How containers and hooks stood for what has ended in them: the state itself forgets that when they end."""

from __future__ import annotations

import msgspec

from core.engine import events as e
from core.engine.draft import Draft
from core.engine.names import Holder, Place, holder_of, outward, place_of
from core.engine.state import Frame, LoopState, Outcome, TryState
from core.engine.sure import sure

_Key = tuple[str, int]  # frame and index of a task


class Hindsight:
    """Remembers, from the events in their order, what names inside of a list are about.

    Attributes:
        iterations: how many began, by (frame, index) of the loop.
        waits: how tasks began to wait, by (frame, index).
    """

    def __init__(self) -> None:
        """Begin before the first event."""
        self.iterations: dict[_Key, int] = {}
        self.waits: dict[_Key, e.WaitBegun] = {}
        self._loops: dict[_Key, LoopState] = {}
        self._begun: dict[_Key, LoopState] = {}  # whose frame opens next
        self._turns: dict[str, LoopState] = {}
        self._tries: dict[_Key, TryState] = {}
        self._outcome: Outcome | None = None
        self._hooks: dict[str, Outcome] = {}

    def note(self, event: e.Event) -> None:
        """Take one event."""
        match event:
            case e.ContainerEntered(detail=LoopState() as loop):
                self._loops[event.frame, event.index] = loop
            case e.IterationBegun():
                key = event.frame, event.index
                self.iterations[key] = begun = self.iterations.get(key, 0) + 1
                self._begun[key] = self._loops[key] = msgspec.structs.replace(self._loops[key], begun=begun)
            case e.IterationEnded():
                key = event.frame, event.index
                self._loops[key] = msgspec.structs.replace(self._loops[key], last=event.value)
            case e.FrameOpened():
                self._note_frame(event)
            case e.TryAdvanced():  # of several the first: `catch` is about its error, when there is a catch
                self._tries.setdefault((event.frame, event.index), TryState(event.list, error=event.error))
            case e.WaitBegun():
                self.waits[event.frame, event.index] = event
            case e.InstanceConcluded() | e.HookEnded():
                self._outcome = event.outcome
            case _:
                pass

    def _note_frame(self, event: e.FrameOpened) -> None:
        loop = self._begun.pop((event.parent or "", event.parent_index), None)
        if loop is not None:
            self._turns[event.frame] = loop
        elif event.parent is None and event.frame:
            self._hooks[event.frame] = sure(self._outcome)

    def place_of(self, draft: Draft, frame: Frame, index: int) -> Place:
        """Give the place of a task, and make what is around it in `draft` as it was for that task."""
        for at in outward(draft, place_of(draft, frame, index)):
            holder = holder_of(draft, at)
            if holder is not None:
                self._restore(draft, at, holder)
            elif at.list:
                draft.header = msgspec.structs.replace(draft.header, outcome=self._hooks[at.frame.path])
        return place_of(draft, draft.peek(frame.path), index)

    def _restore(self, draft: Draft, at: Place, holder: Holder) -> None:
        detail = self._turns.get(at.frame.path) or self._tries.get((holder.frame.path, holder.at))
        if detail is not None:
            tasks = draft.frame(holder.frame.path).tasks
            tasks[holder.at] = msgspec.structs.replace(sure(tasks[holder.at]), detail=detail)
