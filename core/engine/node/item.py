"""What one group commit writes for one instance: several decisions merged into one change (engine.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from core.engine import events as e
from core.engine.acts_told import told_acts
from core.engine.effects import (
    Answer,
    CancelAttempt,
    ContinueLater,
    Decision,
    KeepOutput,
    StartAttempt,
    Sweep,
)
from core.engine.journal import JOURNAL_VERSION, encode_event, encode_frame
from core.engine.node.hot import HotInstance, Input
from core.engine.node.item_rows import instance_row, journal_bodies
from core.engine.node.outward import ItemOutward, Size
from core.engine.node.terms import StartRequest
from core.engine.state import Frame, Reference
from core.engine.sure import sure
from core.ports.instance_store import (
    BODY_BYTES_MAX,
    JOURNAL_TAIL_ROWS,
    NOTHING_OUTWARD,
    FrameRow,
    InstanceChange,
    JournalRow,
    NewCommand,
    NewStart,
    PayloadObject,
    PayloadRow,
    SeenKey,
    SnapshotRow,
    StartKey,
    TimerRow,
)
from core.ports.permits import PermitAct

FRAME_TRANSITIONS_MIN = 64  # a frame's row is written when so many of its transitions passed unwritten (engine.md 1)
# A large frame waits longer, so that a transition costs at most this much of frame rows: the row of a map's frame grows
# with its chunks, and written every 64 transitions it would make long maps quadratic (ADR 0013).
FRAME_BYTES_PER_TRANSITION = 32
SNAPSHOT_ROWS_MIN = 512  # journal rows between two snapshots of a frame (engine.md 1)
LABEL_BYTES = 64  # the keys and the place of a label's row, by estimate
ROW_BYTES = 512  # what an instance's row and the keys of its other rows come to in a batch, by estimate


class Item:
    """Decisions of one instance on their way into one commit.

    Attributes:
        inputs: kept until the fate is known, with the answer of each if a caller waits.
        starts, cancels, sweeps, continues: effects, carried out after the commit.
        outward: what is written beyond the instance; None = nothing.
        first_calls: how many of the starts are a task's first; what retries may take is a share of them (R25).
        fresh: values that this commit appends, which only memory has until it landed.
        is_eviction: all dirty frames are written, then the instance leaves memory.
        change: made when the batch closes.
        values_bytes: of all values that this commit appends, known then. `is_large`: too many for one row, so they lie
            in an object, which the change refers to before it is committed (ADR 0025).
    """

    __slots__ = (
        "bytes_count",
        "cancels",
        "change",
        "continues",
        "encoded",
        "epoch",
        "first_calls",
        "fresh",
        "hot",
        "inbox",
        "inputs",
        "is_eviction",
        "is_large",
        "lost_count",
        "outward",
        "payloads",
        "seen",
        "start_key",
        "starts",
        "sweeps",
        "timers_removed",
        "timers_set",
        "touched",
        "values_bytes",
        "write_count",
    )

    def __init__(self, hot: HotInstance, epoch: int) -> None:
        self.hot = hot
        self.epoch = epoch
        self.inputs: list[tuple[Input, Answer | None]] = []
        self.encoded: list[bytes] = []
        self.payloads: list[bytes] = []
        self.fresh: dict[Reference, Any] = {}
        self.touched: dict[str, Frame] = {}
        self.timers_set: dict[int, TimerRow] = {}
        self.timers_removed: dict[tuple[datetime, int], None] = {}
        self.starts: dict[tuple[str, int, int], StartAttempt] = {}
        self.cancels: list[CancelAttempt] = []
        self.sweeps: list[str] = []
        self.continues: dict[str, None] = {}
        self.inbox: list[int] = []
        self.start_key: StartKey | None = None
        self.seen: list[SeenKey] = []
        self.lost_count = 0
        self.first_calls = 0
        self.outward: ItemOutward | None = None
        self.is_eviction = False
        self.is_large = False
        self.values_bytes = 0
        self.bytes_count = ROW_BYTES
        self.write_count = 2
        self.change: InstanceChange | None = None

    @property
    def permits(self) -> Sequence[PermitAct]:
        """What is done at gates."""
        return () if self.outward is None else self.outward.permits

    def take(self, given: Input, answer: Answer | None) -> None:
        """Keep an input, with the rows that it takes out of the store."""
        self.inputs.append((given, answer))
        if given.inbox is not None:
            self.inbox.append(given.inbox.n)
        if given.timer is not None:
            self.timers_removed[given.timer.due_at, given.timer.n] = None
        if given.seen is not None and answer is not None and answer.result == "accepted":
            self.seen.append(given.seen)
            self.write_count += 1
        if given.request is not None:
            self._take_request(given.request)

    def _take_request(self, request: StartRequest) -> None:
        if request.start_key is not None:
            self.start_key = request.start_key
        for name, value in (request.labels or {}).items():
            self.write_count += 1
            self.bytes_count += LABEL_BYTES + 2 * (len(name) + len(value))  # in the instance's row, and in its own

    def merge(self, decision: Decision) -> None:
        """Take a decision in and make it the instance's state."""
        encoded = [encode_event(event) for event in decision.events]
        self.encoded += encoded
        self.bytes_count += sum(map(len, encoded)) + sum(map(len, decision.payloads))
        self.write_count += len(decision.frames) + len(decision.timers_set) + len(decision.timers_removed)
        self.payloads += decision.payloads
        self._advance_state(decision)
        if decision.timers_set or decision.timers_removed:
            self._merge_timers(decision)
        self._merge_effects(decision)
        if decision.outward is not None:
            self._grow(self._beyond().take(decision.outward))
        if decision.answer is not None:  # only what somebody asked for is an act
            self._merge_acts(decision)

    def pass_on(self, rows: list[NewStart | NewCommand]) -> None:
        """Take what other instances begin or hear with this commit."""
        self._grow(self._beyond().pass_on(rows))

    def _grow(self, size: Size) -> None:
        self.bytes_count += size[0]
        self.write_count += size[1]

    def _beyond(self) -> ItemOutward:
        if self.outward is None:
            self.outward = ItemOutward(self.hot)
        return self.outward

    def _merge_acts(self, decision: Decision) -> None:
        hot = self.hot
        frames = {frame.path: frame for frame in decision.frames}
        acts = told_acts(sure(hot.plan), hot.id, frames, decision.events)
        if acts:
            self._grow(self._beyond().tell(acts))

    def _advance_state(self, decision: Decision) -> None:
        hot = self.hot
        state = hot.state
        if state is None:
            raise AssertionError("an instance without a state decides nothing")
        if decision.header is not state.header:
            state.header = decision.header
            # The header lies in the top frame's row, and must be found in the tail until then.
            hot.dirty.setdefault("", [hot.seq + 1, 0])
        frames = state.frames
        for frame in decision.frames:
            path = frame.path
            before = frames.get(path)
            if before is None:
                hot.snapshots.setdefault(path, hot.seq)
            else:
                hot.ready -= before.ready
                hot.running -= before.running
            hot.ready += frame.ready
            hot.running += frame.running
            self.touched[path] = frame
            if frame.is_open or path == "":
                frames[path] = frame
            else:
                frames.pop(path, None)
        self._count_transitions(decision)
        state.appended_bytes = decision.appended_bytes
        state.timers_made = decision.timers_made
        state.has_marks = decision.has_marks
        if decision.fresh:
            hot.values.update(decision.fresh)
            self.fresh.update(decision.fresh)

    def _count_transitions(self, decision: Decision) -> None:
        dirty, first = self.hot.dirty, self.hot.seq + 1
        frames = decision.frames
        if len(frames) == 1:
            dirty.setdefault(frames[0].path, [first, 0])[1] += len(decision.events)
            return
        for frame in frames:
            dirty.setdefault(frame.path, [first, 0])
        for event in decision.events:
            path = getattr(event, "frame", None)
            if path in dirty:
                dirty[path][1] += 1

    def _merge_timers(self, decision: Decision) -> None:
        hot = self.hot
        for due_at, n in decision.timers_removed:
            # Set and removed within one batch cancel out.
            if self.timers_set.pop(n, None) is None:
                self.timers_removed[due_at, n] = None
        for wanted in decision.timers_set:
            timer = wanted.timer
            path = f"{wanted.frame}@{wanted.index}"
            self.timers_set[timer.n] = TimerRow(hot.shard, timer.due_at, hot.id, timer.n, path, timer.kind)

    def _merge_effects(self, decision: Decision) -> None:
        for effect in decision.effects:
            match effect:
                case StartAttempt():
                    self.starts[effect.frame, effect.index, effect.number] = effect
                    self.first_calls += effect.number == 1
                case CancelAttempt():
                    # An attempt that was not sent needs no word to stop: its outcome would not count anyway.
                    if self.starts.pop((effect.frame, effect.index, effect.number), None) is None:
                        self.cancels.append(effect)
                case Sweep():
                    self.sweeps += effect.frames
                case ContinueLater():
                    self.continues[effect.frame] = None
                case KeepOutput():
                    self._grow(self._beyond().keep(effect))
                case _:  # InstanceDone: the row's status says the same, and is looked at after the commit
                    pass
        for event in decision.events:
            if type(event) is e.AttemptLost:
                self.lost_count += 1

    def close(self, now: datetime) -> InstanceChange:
        """Make the change, with the checkpoints that are due. Later decisions go into a new item."""
        hot = self.hot
        expected = None if hot.row is None and hot.seq == 0 else hot.seq
        first = hot.seq + 1
        if self.payloads:
            self.values_bytes = sum(map(len, self.payloads))
            self.is_large = self.values_bytes > BODY_BYTES_MAX
        journal = tuple(
            JournalRow(hot.id, seq, JOURNAL_VERSION, body)
            for seq, body in enumerate(journal_bodies(self.encoded), first)
        )
        last = hot.seq + len(journal)
        frames, snapshots = self._checkpoints(last)
        self.change = InstanceChange(
            row=instance_row(hot, last, now, self.epoch),
            expected_seq=expected,
            # Only with the instance itself: a start given again is answered by a later commit, without a key (R16).
            start_key=self.start_key if expected is None else None,
            seen=tuple(self.seen),
            journal=journal,
            frames=frames,
            payloads=self._row_of_values(first),
            snapshots=snapshots,
            timers_set=tuple(self.timers_set.values()),
            timers_removed=tuple(self.timers_removed),
            inbox_taken=tuple(self.inbox),
            outward=NOTHING_OUTWARD if self.outward is None else self.outward.rows(now),
        )
        hot.seq = last
        hot.gathering, hot.committing = None, self
        if hot.state is not None:
            hot.state.seq = last + 1
            hot.state.appended_bytes = hot.state.timers_made = 0
        return self.change

    def refer(self, key: str) -> None:
        """Let the change refer to the object that holds its values."""
        if self.change is None or not self.is_large:
            raise AssertionError("only a closed item whose values are too long for a row refers to an object")
        first = self.change.journal[0].seq
        held = PayloadObject(self.hot.id, first, key, self.values_bytes)
        self.change = msgspec.structs.replace(self.change, payload_object=held)

    def _row_of_values(self, first: int) -> tuple[PayloadRow, ...]:
        """Lay the values end to end under the commit's first seq, unless they are too long for a row."""
        if not self.payloads or self.is_large:
            return ()
        return (PayloadRow(self.hot.id, first, 0, b"".join(self.payloads)),)

    def _checkpoints(self, last: int) -> tuple[tuple[FrameRow, ...], tuple[SnapshotRow, ...]]:
        hot = self.hot
        state = hot.state
        if state is None or not hot.dirty:
            return (), ()
        is_over = state.header.status.is_terminal or self.is_eviction
        rows: list[FrameRow] = []
        snapshots: list[SnapshotRow] = []
        for path, (first, transitions) in tuple(hot.dirty.items()):
            frame = self.touched.get(path) or state.frames.get(path)
            if frame is None:
                del hot.dirty[path]  # only a header changed, and there is no top frame to carry it yet
                continue
            enough = max(FRAME_TRANSITIONS_MIN, hot.written_bytes.get(path, 0) // FRAME_BYTES_PER_TRANSITION)
            is_due = transitions >= enough or last - first >= JOURNAL_TAIL_ROWS - 1
            if is_due or is_over or not frame.is_open:
                del hot.dirty[path]
                self._checkpoint(frame, last, rows, snapshots)
        return tuple(rows), tuple(snapshots)

    def _checkpoint(self, frame: Frame, last: int, rows: list[FrameRow], snapshots: list[SnapshotRow]) -> None:
        hot = self.hot
        path = frame.path
        newest = hot.snapshots.get(path, 0)
        is_copied = last - newest >= SNAPSHOT_ROWS_MIN
        if is_copied:
            newest = hot.snapshots[path] = last
        header = hot.state.header if path == "" and hot.state is not None else None
        body = encode_frame(header, frame, newest)
        rows.append(FrameRow(hot.id, path, last, frame.is_open, body))
        hot.written_bytes[path] = len(body)
        if is_copied:
            snapshots.append(SnapshotRow(hot.id, path, last, body))
        if not frame.is_open:
            hot.snapshots.pop(path, None)
            hot.written_bytes.pop(path, None)
