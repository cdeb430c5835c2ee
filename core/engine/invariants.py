"""The invariants of one instance (reliability.md 1.4), read off its journal alone.

The audit keeps a state of its own, smaller than the engine's and built by other rules: what `fold` and `decide` share
cannot hide here. It reads every journal row once, in order, and says what must never have happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from core.dag.plan import Node, Plan
from core.engine import events as e
from core.engine.audited import (
    ARROWS,
    BY_THEMSELVES,
    PAUSED,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    UNKNOWN,
    WAITING,
    FrameAudit,
    TaskAudit,
    counts_of,
    is_attempt,
    is_joined,
    may_follow,
)
from core.engine.kinship import Parent
from core.engine.permit_audit import PermitAudit
from core.engine.permit_events import InstanceAdmitted, InstanceGated
from core.engine.rerun_events import FailureReused, TaskReused
from core.engine.signal_audit import SignalAudit
from core.engine.statuses import INSTANCE_QUEUED, INSTANCE_RUNNING, INSTANCE_WAITING
from core.engine.violation import Violation as Violation  # noqa: PLC0414 - whoever asks an audit reads them
from core.engine.violation import sentences as sentences  # noqa: PLC0414 - the same
from core.ports.instance_store import InstanceRow

STARTS = (e.TaskReadied, e.ContainerEntered, e.WaitBegun, e.TaskSucceeded)  # what only a task whose join is met may do


class InstanceAudit:
    """Reads one instance's journal and collects violations; give it every row once, ascending.

    Attributes:
        seq: of the newest row read. epoch: of the newest attempt. status: as the events say.
        is_closing, is_concluded: a mark on the whole instance holds; its outcome is decided, and hooks run.
        started: task path -> number of the newest attempt that was committed, for I14; empty without `keeps_closed`.
    """

    def __init__(self, plan: Plan, instance_id: str, *, keeps_closed: bool = True) -> None:
        """Begin before row 1. Without `keeps_closed` the tasks of a frame are forgotten when it closes."""
        self.plan = plan
        self.instance_id = instance_id
        self.seq = 0
        self.epoch = 0
        self.status = INSTANCE_QUEUED
        self.is_closing = False
        self.is_concluded = self.is_resuming = False
        self.marks = 0
        self.frames: dict[str, FrameAudit] = {}
        self.started: dict[str, int] = {}
        self.transitions = 0
        self.signals = SignalAudit()
        self.parent: Parent | None = None
        self.permits = PermitAudit()
        self._keeps_closed = keeps_closed
        self._is_epoch_known = False
        self._found: list[Violation] = []

    def read(self, seq: int, events: Sequence[e.Event], *, epoch: int | None = None) -> list[Violation]:
        """Read one journal row.

        Args:
            seq: the row's number; 1 follows nothing.
            events: what the row holds, in order.
            epoch: of the shard when the row was committed; None = not known, then a lost attempt is believed.

        Returns:
            What does not hold: I2 (rows dense), I3 (nothing after the end), I5 (epochs), I6 (one result per task),
            I7 (upstream first), I13 (one attempt at a time), I14 (a result of an attempt that was begun), and
            `table` for an arrow outside the transition table.
        """
        self._found = []
        if seq != self.seq + 1:
            gap = f"row {seq} follows row {self.seq}"
            self.seq = seq
            self._say("I2", gap)
        self.seq = seq
        self._is_epoch_known = epoch is not None
        if epoch is not None:
            if epoch < self.epoch:
                self._say("I5", f"epoch {epoch} follows {self.epoch}")
            self.epoch = max(self.epoch, epoch)
        for event in events:
            self._apply(event)
            if self.plan.has_limits:
                self._found += self.permits.read(self, event)
        return self._found

    def check(self, row: InstanceRow, *, timer_count: int, inbox_count: int) -> list[Violation]:
        """Compare with the rows beside the journal, as they are after the same commit.

        Args:
            row: the instance's.
            timer_count: its timer rows.
            inbox_count: commands that wait for it.

        Returns:
            I2 (seq), I3 (status, and nothing left behind by the ended), I4 (no orphan), `counters` of the row.
        """
        self._found = []
        if row.seq != self.seq:
            self._say("I2", f"the row says seq {row.seq}, the journal has {self.seq}")
        if row.seq and row.status != self.status:
            self._say("I3", f"the row says {row.status}, the journal {self.status}")
        if self.status.is_terminal:
            if timer_count:
                self._say("I3", f"{timer_count} timers outlive it")
            self._check_all_ended()
        elif not (timer_count or inbox_count or self.is_closing or self.status is PAUSED or self._has_work()):
            self._say("I4", "nothing will ever touch it")
        elif not (self.is_closing or self.marks):
            for sentence in self.signals.overlooked(self.plan, self.frames.values()):
                self._say("I4", sentence)
        self._check_counters(row)
        return self._found

    def tasks(self) -> Iterator[tuple[str, TaskAudit]]:
        """Give (task path, task) of every task that was entered and is not forgotten."""
        for frame in self.frames.values():
            for index, task in frame.tasks.items():
                yield self.path_of(frame, index), task

    def path_of(self, frame: FrameAudit, index: int) -> str:
        """Give the path of a task (S2)."""
        region = self.plan.regions[frame.region]
        cell, slot = divmod(index, region.size)
        node = self.plan.nodes[region.nodes[slot]]
        if region.map_node is None:
            return f"{frame.prefix}{node.id}"
        return f"{frame.prefix}{frame.first + cell}.{node.id}"

    def _say(self, invariant: str, sentence: str) -> None:
        self._found.append(Violation(invariant, self.instance_id, self.seq, sentence))

    def _apply(self, event: e.Event) -> None:
        self.transitions += 1
        if self.status.is_terminal:
            self._say("I3", f"{type(event).__name__} after the end")
        if not may_follow(event, self.status):
            self._say("S42", f"{type(event).__name__} while it is {self.status}")
        match event:
            case e.InstanceStarted():
                self._start()
            case e.InstanceClosing(status=status):
                self.is_closing = True
                self.status = status
            case e.InstanceWaiting():
                self._wait()
            case InstanceGated(permit=permit) if not permit.is_held:
                self.status = INSTANCE_QUEUED
            case e.InstanceWoken() | e.InstanceResumed() | InstanceAdmitted():
                self.status = INSTANCE_RUNNING
                self.is_resuming = isinstance(event, e.InstanceResumed)  # what fell due is carried into its frames
            case e.ChildBegun():
                self.parent = event.parent
            case e.SignalReceived() | e.SignalTaken():
                for sentence in self.signals.read(event):
                    self._say("I6", sentence)
            case e.InstancePaused():
                self.status = PAUSED
            case e.InstanceConcluded():
                self.is_concluded = True
                self.is_closing = False  # what closed has ended; hooks follow
            case e.InstanceEnded(status=status):
                self.status = status
                self.is_closing = False
            case e.FrameOpened():
                self._open(event)
            case e.ItemsBegun() | e.ListEntered() | e.FrameClosed() | e.ItemEnded() | e.ItemClosing() | e.ListEnded():
                self._apply_to_frame(event)
            case e.TaskClosing():
                self.marks += 1
            case e.IterationBegun() | e.IterationEnded() | e.MapAdvanced():
                self._advance(event)
            case _ if type(event) in ARROWS or type(event) is e.TaskActed:
                self._move(event)

    def _start(self) -> None:
        if self.status is not INSTANCE_QUEUED or self.seq != 1:
            self._say("table", f"started from {self.status} by row {self.seq}")
        self.status = INSTANCE_RUNNING

    def _wait(self) -> None:
        """Hold `waiting` against the tasks: it says that nothing is under way but waits."""
        tasks = [task for frame in self.frames.values() if frame.is_open for task in frame.tasks.values()]
        is_waiting = any(task.status in {WAITING, UNKNOWN} for task in tasks)
        if not is_waiting or any(task.status in {READY, RETRYING} for task in tasks):
            self._say("table", "waits, though something else is under way")
        self.status = INSTANCE_WAITING

    def _open(self, opened: e.FrameOpened) -> None:
        if opened.frame in self.frames:
            self._say("I6", f"frame {opened.frame!r} is entered twice")
        frame = self.frames[opened.frame] = FrameAudit(opened)
        region = self.plan.regions[opened.region]
        if region.map_node is None:
            frame.begun = opened.cells
            self._enter_list(frame, 0, region.root)

    def _enter_list(self, frame: FrameAudit, cell: int, list_index: int) -> None:
        region = self.plan.regions[frame.region]
        entered = self.plan.lists[list_index]
        if entered.region != region.index:
            self._say("table", f"list {list_index} does not stand in region {region.index}")
            return
        for node_index in entered.nodes:
            index = cell * region.size + self.plan.nodes[node_index].slot
            if index in frame.tasks:
                self._say("I6", f"task {self.path_of(frame, index)} is entered twice")
            frame.tasks[index] = TaskAudit()

    def _apply_to_frame(
        self, event: e.ItemsBegun | e.ListEntered | e.FrameClosed | e.ItemEnded | e.ItemClosing | e.ListEnded
    ) -> None:
        frame = self.frames.get(event.frame)
        if frame is None or not frame.is_open:
            self._say("table", f"{type(event).__name__} in frame {event.frame!r}, which is not open")
            return
        match event:
            case e.ItemsBegun(count=count):
                self._begin_items(frame, count)
            case e.ListEntered(cell=cell, list=entered):
                self._enter_list(frame, cell, entered)
            case e.ItemEnded(cell=cell):
                if cell in frame.ended:
                    self._say("I6", f"item {frame.first + cell} of {event.frame!r} ended twice")
                frame.ended.add(cell)
            case e.ItemClosing():
                self.marks += 1
            case e.ListEnded(index=index, list=ended):
                self._end_list(frame, index, ended)
            case _:
                frame.is_open = False
                self._check_ended(frame)
                if not self._keeps_closed:
                    frame.tasks, frame.ended = {}, set()

    def _begin_items(self, frame: FrameAudit, count: int) -> None:
        begun = frame.begun + count
        if begun > frame.cells:
            self._say("table", f"{begun} of {frame.cells} items begun")
            return
        root = self.plan.regions[frame.region].root
        for cell in range(frame.begun, begun):
            self._enter_list(frame, cell, root)
        frame.begun = begun

    def _end_list(self, frame: FrameAudit, index: int, ended: int) -> None:
        task = frame.tasks.get(index)
        if task is None or ended not in task.lists:
            self._say("I6", f"list {ended} of task {index} ended, and it was not open")
            return
        task.lists.discard(ended)

    def _advance(self, event: e.IterationBegun | e.IterationEnded | e.MapAdvanced) -> None:
        frame = self.frames.get(event.frame)
        task = None if frame is None else frame.tasks.get(event.index)
        if task is None or not task.advance(event):
            self._say("table", f"{type(event).__name__} of task {event.index} in {event.frame!r}, which is not so far")

    def _move(self, event: Any) -> None:
        self.is_resuming = False
        frame = self.frames.get(event.frame)
        task = None if frame is None else frame.tasks.get(event.index)
        if frame is None or task is None:
            self._say(
                "table", f"{type(event).__name__} of task {event.index} in {event.frame!r}, which was not entered"
            )
            return
        kind, path = type(event), self.path_of(frame, event.index)
        if not frame.is_open:
            self._say("table", f"{kind.__name__} of {path} in a closed frame")
        if kind is e.TaskActed:
            task.is_acted = True
            return
        sources, target = ARROWS[kind]
        if task.status not in (sources if task.is_acted else BY_THEMSELVES.get(kind, sources)):
            self._say(
                "I6" if task.status.is_terminal else "table", f"{kind.__name__} of {path} from {task.status.name}"
            )
        if task.status is PENDING and not task.is_acted:
            self._check_join(event, frame, path)
        self._note(event, task, path)
        task.status = target
        task.is_acted = False

    def _check_join(self, event: Any, frame: FrameAudit, path: str) -> None:
        """Hold what a pending task does against its upstream (S6)."""
        is_skip = isinstance(event, e.TaskSkipped) and event.reason == "join"
        if not (is_skip or isinstance(event, STARTS)):
            return
        region = self.plan.regions[frame.region]
        cell, slot = divmod(event.index, region.size)
        node = self.plan.nodes[region.nodes[slot]]
        upstream = [frame.tasks.get(cell * region.size + self.plan.nodes[other].slot) for other in node.upstream]
        if not all(task is not None and task.has_ended for task in upstream):
            self._say("I7", f"{path} is looked at before its upstream has ended")
        elif is_skip is is_joined(node, [task for task in upstream if task is not None], self._handled(node)):
            self._say("S6", f"{path} {'is skipped' if is_skip else 'starts'} against its join {node.join}")

    def _handled(self, node: Node) -> set[int]:
        """Give the places in `node.upstream` of steps with `on_error: continue`: their failure is handled."""
        nodes = self.plan.nodes
        return {place for place, other in enumerate(node.upstream) if nodes[other].on_error == "continue"}

    def _note(self, event: Any, task: TaskAudit, path: str) -> None:
        match event:
            case e.AttemptStarted():
                self._note_attempt(event, task, path)
            case e.AttemptLost():
                task.lost += 1
                if self._is_epoch_known and task.epoch >= self.epoch:
                    self._say("I13", f"attempt {task.number} of {path} is lost in its own epoch {task.epoch}")
            case e.AttemptFailed() if task.number - task.lost >= self._attempts_max(event):
                self._say("S14", f"{path} is tried again after {task.number} attempts, {task.lost} of them lost")
            case FailureReused(handling=handling):
                task.is_handling, task.is_handled = handling == "running", handling == "handled"
            case e.TaskSucceeded() | TaskReused():
                task.results += 1
                if task.results > 1:
                    self._say("I6", f"{path} has {task.results} results")
                if task.has_inside:
                    self._say("I7", f"{path} ends before its lists")
            case e.ContainerEntered():
                task.enter(event)
            case e.WaitBegun(detail=held):
                task.wait(held)
            case e.TaskFailed(handling=handling):
                task.is_handling = handling == "running"
            case e.HandlingEnded():
                if not task.is_handling:
                    self._say("table", f"the handling of {path} ended, and there was none")
                task.is_handling = False
                task.is_handled = event.error is None

    def _note_attempt(self, event: e.AttemptStarted, task: TaskAudit, path: str) -> None:
        for invariant, sentence in task.attempt(event, path):
            self._say(invariant, sentence)
        self.epoch = max(self.epoch, event.epoch)
        if self._keeps_closed:
            self.started[path] = event.number

    def _attempts_max(self, event: e.AttemptFailed) -> int:
        region = self.plan.regions[self.frames[event.frame].region]
        return self.plan.nodes[region.nodes[event.index % region.size]].retry.max_attempts

    def _has_upstream_ended(self, frame: FrameAudit, index: int) -> bool:
        region = self.plan.regions[frame.region]
        cell, slot = divmod(index, region.size)
        node = self.plan.nodes[region.nodes[slot]]
        return all(self._is_ended(frame, cell * region.size + self.plan.nodes[other].slot) for other in node.upstream)

    def _is_ended(self, frame: FrameAudit, index: int) -> bool:
        task = frame.tasks.get(index)
        return task is not None and task.has_ended

    def _check_ended(self, frame: FrameAudit) -> None:
        open_paths = [self.path_of(frame, index) for index, task in frame.tasks.items() if not task.has_ended]
        if open_paths:
            self._say("I3", f"a frame closes over {len(open_paths)} open tasks, {open_paths[0]} first")

    def _check_all_ended(self) -> None:
        for path, frame in self.frames.items():
            if frame.is_open:
                self._say("I3", f"frame {path!r} outlives it")
            self._check_ended(frame)

    def _has_work(self) -> bool:
        return self.is_resuming or any(self._has_work_in(frame) for frame in self.frames.values() if frame.is_open)

    def _has_work_in(self, frame: FrameAudit) -> bool:
        nodes, region = self.plan.nodes, self.plan.regions[frame.region]
        for index, task in frame.tasks.items():
            is_running = task.status is RUNNING and (task.is_between or is_attempt(nodes, region.nodes, index))
            if task.status in {READY, RETRYING, UNKNOWN} or is_running or task.is_asking:
                return True
            if task.status is PENDING and self._has_upstream_ended(frame, index):
                return True
        return all(task.has_ended for task in frame.tasks.values())  # its end is still to be carried upwards

    def _check_counters(self, row: InstanceRow) -> None:
        found = counts_of(self.plan, self.frames.values())
        told = (row.open_attempts, row.ready, row.open_frames)
        if row.seq and told != found:
            self._say("counters", f"the row says {told}, the journal {found}")
