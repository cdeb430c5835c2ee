"""A trace decided anew from where a step gave another output: same engine, recorded outcomes, nothing called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from core.dag.plan import Plan
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.dry_run.rehearsal import Given, Rehearsal, finished
from core.engine.entered import find_entered
from core.engine.fold import has_marks
from core.engine.frame_events import apply_frame, open_frame
from core.engine.state import Attempt, CallState, Closing, Frame, State, Timer
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_FAILED, INSTANCE_SUCCEEDED, TASK_RUNNING
from core.engine.sure import sure, sure_of
from core.engine.trace.facts import Divergence, Fact, first_divergence, told
from core.engine.trace.playback import Playback, path_at
from core.errors import TraceInvalid
from core.executor.operator import Failed

_BY_TIMER = re.compile(r"(queue|total)_s of ")
_ENDS = (e.TaskSucceeded, e.TaskFailed, e.AttemptFailed)


class Edit(msgspec.Struct, frozen=True):
    """Another output of a step's attempts, by step id or task path."""

    step: str
    output: Any


class Retold(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an edit.

    Attributes:
        from_seq: the row whose outcome was replaced. divergence: the first difference, None = the edit changes nothing.
        status: of the instance as far as it is known; is_open: it waits for outcomes that nobody recorded.
        open_tasks: paths of tasks whose outcome is not known then.
    """

    from_seq: int
    divergence: Divergence | None
    status: str
    is_open: bool
    open_tasks: tuple[str, ...]


class _Recorded(msgspec.Struct):
    """Something that came from outside, in its order.

    The outcome of attempt `number` of a task: `result`, or None = it was ended by the task's `timer`. With `number` 0 a
    person's command, or the `timer` of a container (of the instance when `path` is empty).
    """

    seq: int
    at: datetime | None
    path: str
    number: int
    result: s.Finished | Failed | None = None
    timer: str = ""
    stimulus: s.Command | None = None

    @property
    def is_outcome(self) -> bool:
        """Say whether it ends an attempt."""
        return self.number > 0


def redecide(playback: Playback, plan: Plan, edit: Edit) -> Retold:
    """Decide the rest of a trace twice, once as it was recorded and once with the edit, and compare.

    Both go the same way, so what differs comes of the edit alone.

    Args:
        playback: of the trace.
        plan: compiled from its document by this release.
        edit: an output that the step's schema takes, else its attempts fail as in a run.

    Raises:
        TraceInvalid: no attempt of that step has an outcome in the trace, or the document is another one.
    """
    if [node.id for node in plan.nodes] != [node.id for node in playback.plan.nodes]:
        raise TraceInvalid("the document in the file has other steps than its plan")
    recorded = _recorded(playback)
    # The outcome that counted is a task's last one; attempts that failed before it go on doing so.
    last = {one.path: one for one in recorded if one.is_outcome and _names(edit.step, one.path)}
    if not last:
        raise TraceInvalid(f"no attempt of {edit.step!r} has an outcome in this trace")
    from_seq = min(one.seq for one in last.values())
    rest = [one for one in recorded if one.seq >= from_seq]
    as_it_was = _Retelling(playback, plan, from_seq, rest, {})
    outputs = {(path, one.number): edit.output for path, one in last.items()}
    as_edited = _Retelling(playback, plan, from_seq, rest, outputs)
    return Retold(
        from_seq=from_seq,
        divergence=first_divergence(as_it_was.facts, as_edited.facts),
        status=as_edited.state.header.status.value,
        is_open=not as_edited.state.header.status.is_terminal,
        open_tasks=as_edited.open_tasks,
    )


def _names(step: str, path: str) -> bool:
    return step in (path, path.rpartition(".")[2])


def _recorded(playback: Playback) -> list[_Recorded]:
    """List what came from outside, in the order of the journal."""
    found: list[_Recorded] = []
    plan, frames = playback.plan, dict[str, Frame]()
    for row in playback.trace.rows:
        acted: _Recorded | None = None
        for event in row.events():
            if isinstance(event, e.InstanceClosing):
                timer, stimulus = _came_of(event.closing, "timeout")
                if timer or stimulus is not None:
                    found.append(_Recorded(row.seq, row.at, "", 0, timer=timer, stimulus=stimulus))
            elif isinstance(event, e.TaskClosing):
                timer, _ = _came_of(event.closing, "total")
                if timer:
                    path = path_at(plan, frames[event.frame], event.index)
                    found.append(_Recorded(row.seq, row.at, path, 0, timer=timer))
            elif isinstance(event, e.FrameOpened):
                frames[event.frame] = open_frame(plan, event)
            elif isinstance(event, e.TaskActed):
                path = path_at(plan, frames[event.frame], event.index)
                act = s.Act(act=_word(event.act), path=path, by=event.by, reason=event.reason)
                acted = _Recorded(row.seq, row.at, "", 0, stimulus=act)
                found.append(acted)
            elif acted is None and (ended := _child_end(playback, frames, event)) is not None:
                found.append(_Recorded(row.seq, row.at, "", 0, stimulus=ended))
            elif isinstance(event, _ENDS) or (isinstance(event, e.TaskSkipped) and acted is not None):
                frame = frames[event.frame]
                outcome = None if isinstance(event, e.TaskSkipped) else _outcome(playback, frame, event)
                if acted is not None:
                    acted.stimulus = _completed(playback, sure_of(s.Act, acted.stimulus), event)
                elif outcome is not None:
                    found.append(_Recorded(row.seq, row.at, *outcome))
                acted = None
            if getattr(event, "frame", None) in frames and not isinstance(event, e.FrameOpened):
                apply_frame(plan, frames[event.frame], event)  # type: ignore[union-attr] # it has one
    return found


def _came_of(closing: Closing, own_timer: str) -> tuple[str, s.Command | None]:
    """Say which timer, or which command, a mark came of; neither of one that follows from what is inside."""
    if closing.is_grace_over:
        return "cleanup" if closing.is_cleanup_over else "grace", None
    match closing.cause:
        case "timeout":
            return own_timer, None
        case "cancel":
            return "", s.Cancel(closing.reason or "")
        case "terminate":
            return "", s.Terminate(closing.reason or "")
        case _:
            return "", None


def _word(act: str) -> Any:
    return act  # one of the four, as it was written


def _completed(playback: Playback, act: s.Act, event: Any) -> s.Act:
    """Give an act with what it came to, which stands in the event after it."""
    output = getattr(event, "output", None)
    error = getattr(event, "error", None)
    if error is not None:
        shown = playback.shown(error)
        return msgspec.structs.replace(act, error_kind=str(shown.get("kind")), message=str(shown.get("message")))
    if output is None:
        return act
    return msgspec.structs.replace(act, output=msgspec.json.encode(playback.shown(output)))


def _child_end(playback: Playback, frames: Mapping[str, Frame], event: e.Event) -> s.ChildEnded | None:
    """Give the end of a child that this event takes; None when it takes none."""
    if not isinstance(event, e.TaskSucceeded | e.TaskFailed | e.TaskCancelled):
        return None
    frame = frames[event.frame]
    held = sure(frame.tasks[event.index]).detail
    if not isinstance(held, CallState):
        return None
    path, status = path_at(playback.plan, frame, event.index), INSTANCE_CANCELLED
    outputs = error = None
    if isinstance(event, e.TaskSucceeded):
        status = INSTANCE_SUCCEEDED
        outputs = None if event.output is None else msgspec.json.encode(playback.shown(event.output))
    elif isinstance(event, e.TaskFailed):
        shown = playback.shown(event.error)
        if isinstance(shown, dict) and "cause" in shown:
            status, error = INSTANCE_FAILED, msgspec.json.encode(shown["cause"])
    return s.ChildEnded(path=path, instance_id=held.instance_id, status=status, outputs=outputs, error=error)


def _outcome(
    playback: Playback, frame: Frame, event: e.TaskSucceeded | e.TaskFailed | e.AttemptFailed
) -> tuple[str, int, s.Finished | Failed | None, str] | None:
    """Give (path, number, result, timer) of the attempt that this event ends; None when it ends none."""
    task = frame.tasks[event.index]
    held = None if task is None else task.detail
    if task is None or not isinstance(held, Attempt):
        return None
    path = path_at(playback.plan, frame, event.index)
    if isinstance(event, e.TaskSucceeded):
        output = None if event.output is None else playback.shown(event.output)
        return path, held.number, s.Finished(msgspec.json.encode(output), output), ""
    error = playback.shown(event.error)
    fields = error if isinstance(error, dict) else {}
    message = str(fields.get("message", ""))
    timer = _BY_TIMER.match(message)
    if timer is not None and fields.get("kind") == "timeout":
        return path, held.number, None, timer[1]
    is_called = getattr(event, "is_called", True)
    failed = Failed(error_kind=str(fields.get("kind", "failed")), message=message, data=fields.get("data"))
    return path, held.number, failed if is_called else msgspec.structs.replace(failed, called=False), ""


class _Retelling(Rehearsal):
    """The rest of a trace from a row on: attempts end as recorded, those of the edited step with its output.

    Attributes:
        facts: what happened from there on.
    """

    def __init__(
        self, playback: Playback, plan: Plan, seq: int, recorded: Sequence[_Recorded],
        outputs: Mapping[tuple[str, int], Any],
    ) -> None:  # fmt: skip
        """Go to row `seq` - 1 and decide what followed."""
        folded = playback.folded(seq - 1).copy()
        header = sure(folded.header)
        super().__init__(plan, Given(), inputs={}, now=header.created_at, domain_id=header.domain_id)
        self._waiting.clear()
        self._values.update(playback.values)
        self._recorded = list(recorded)
        self._outputs = outputs
        self._until: datetime | None = None
        self.facts: list[Fact] = []
        self._seq = seq
        self.frames = folded.frames
        kept = {path: frame for path, frame in folded.frames.items() if frame.is_open or path == ""}
        # Far behind what the trace holds: what is stored from here on lies where nothing of the trace does.
        self.state = State(header, kept, epoch=_epoch(folded.frames), seq=playback.seq + seq, values=self._values)
        self.state.has_marks = has_marks(self.state)
        self.state.gates = self._gates
        self._take_up()
        self._run()

    @property
    def open_tasks(self) -> tuple[str, ...]:
        """Paths of the tasks whose outcome nobody knows."""
        return tuple(sorted(attempt.task_path for attempt in self._open.values()))

    def _take_up(self) -> None:
        """Take up attempts and timers that are open in the folded state."""
        for frame in self.state.frames.values():
            for index, task in enumerate(frame.tasks):
                if task is None:
                    continue
                held = task.detail
                for timer in (*task.timers, *_timers(getattr(held, "closing", None))):
                    self._timers[timer.n] = x.TimerSet(timer, frame.path, index)
                if isinstance(held, Attempt) and held.permit is not None and not held.permit.is_held:
                    self._waiting.append(s.Granted(path_at(self.plan, frame, index)))
                if isinstance(held, Attempt) and task.status is TASK_RUNNING:
                    region = self.plan.regions[frame.region]
                    node = region.nodes[index % region.size]
                    path = path_at(self.plan, frame, index)
                    self._open[frame.path, index] = x.StartAttempt(
                        frame.path, index, held.number, held.token, node, path, held.parameters
                    )
        header = self.state.header
        timers = (*_timers(header.closing), *([] if header.timer is None else [header.timer]))
        self._timers |= {timer.n: x.TimerSet(timer, "", -1) for timer in timers}

    def _run(self) -> None:
        while not self.is_cut:
            if self._waiting or self._started:
                self.step()
            elif not (self._settle_next() or self._pass_time_before_act() or self._act_next()):
                return

    def _settle_next(self) -> bool:
        """Settle the first recorded outcome whose attempt is open, up to the next act of a person."""
        for place, one in enumerate(self._recorded):
            if not one.is_outcome:
                return False
            attempt = self._attempt_of(one)
            if attempt is None:
                continue
            if self._fires_before(one.at):
                return True
            del self._recorded[place]
            self.now = max(self.now, one.at or self.now)
            self._end(attempt, one)
            return True
        return False

    def _end(self, attempt: x.StartAttempt, one: _Recorded) -> None:
        key = (one.path, one.number)
        if key in self._outputs:
            self.settle(attempt, finished(self.node_of(attempt), self._outputs[key]))
        elif one.result is not None:
            self.settle(attempt, one.result)
        else:
            self._fire(one)

    def _fire(self, one: _Recorded) -> None:
        """Let a timer fire, if its holder still has it."""
        for timer in self._timers.values():
            holder = "" if timer.index < 0 else path_at(self.plan, self.frames[timer.frame], timer.index)
            if (timer.timer.kind, holder) == (one.timer, one.path):
                del self._timers[timer.timer.n]
                self._open.pop((timer.frame, timer.index), None)
                self._decide(s.TimerFired(timer.timer.n, timer.frame, timer.index))
                return

    def _attempt_of(self, one: _Recorded) -> x.StartAttempt | None:
        found = (open_ for open_ in self._open.values() if (open_.task_path, open_.number) == (one.path, one.number))
        return next(found, None)

    def _fires_before(self, at: datetime | None) -> bool:
        self._until = at
        return at is not None and self._pass_time()

    def _pass_time_before_act(self) -> bool:
        act = next((one for one in self._recorded if not one.is_outcome), None)
        self._until = None if act is None else act.at
        return self._pass_time()

    def _act_next(self) -> bool:
        place = next((place for place, one in enumerate(self._recorded) if not one.is_outcome), None)
        if place is None:
            return False
        act = self._recorded[place]
        self._recorded = self._recorded[:place] + self._recorded[place + 1 :]
        self.now = max(self.now, act.at or self.now)
        if act.stimulus is None:
            self._fire(act)
        elif isinstance(act.stimulus, s.ChildEnded):
            self._decide(self._of_this_child(act.stimulus))
        else:
            self._decide(act.stimulus)
        return True

    def _of_this_child(self, ended: s.ChildEnded) -> s.ChildEnded:
        """Let the end be that of whichever child the call has here: a call that began behind the edit has none."""
        found = find_entered(self.view(), ended.path)
        held = None if found is None else sure(self.state.frames[found[0]].tasks[found[1]]).detail
        known = held.instance_id if isinstance(held, CallState) else ended.instance_id
        return msgspec.structs.replace(ended, instance_id=known)

    def _is_due(self, timer: x.TimerSet) -> bool:
        return super()._is_due(timer) and (self._until is None or timer.timer.due_at <= self._until)

    def _look_at(self, attempt: x.StartAttempt) -> None:
        """Leave it open: its outcome is recorded, or nobody knows it."""
        del attempt

    def _made(self, decided: x.Decision | x.Need) -> x.Decision:
        if isinstance(decided, x.Need):
            raise TraceInvalid("a value is read here that was left out of the file, since it is too large")
        return decided

    def _take(self, decision: x.Decision) -> None:
        super()._take(decision)
        if not decision.events:
            return
        for event in decision.events:
            fact = told(event, self._values)
            if fact is not None:
                frame = getattr(event, "frame", None)
                path = "" if frame is None else path_at(self.plan, self.frames[frame], event.index)  # type: ignore[union-attr] # what has a frame and is a fact has an index
                self.facts.append(Fact(self._seq, path, *fact))
        # Each decision is a row of its own here, so that no value lies where another one does.
        self.state.seq += 1
        self.state.appended_bytes = self.state.timers_made = 0


def _timers(closing: Closing | None) -> tuple[Timer, ...]:
    return () if closing is None else tuple(timer for timer in (closing.grace, closing.cleanup) if timer is not None)


def _epoch(frames: Mapping[str, Frame]) -> int:
    details = (task.detail for frame in frames.values() for task in frame.tasks if task is not None)
    return max((held.epoch for held in details if isinstance(held, Attempt)), default=1)
