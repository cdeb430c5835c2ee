"""An instance that is decided in memory: attempts end as they were given to end, or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from core.dag.plan import Node, Plan
from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.decide import decide
from core.engine.draft import Draft
from core.engine.dry_run.hindsight import Hindsight
from core.engine.fold import queued_state
from core.engine.kinship import REHEARSED, Asked
from core.engine.state import (
    VALUE_BYTES_MAX,
    CallState,
    Frame,
    LoopState,
    MapState,
    Reference,
    State,
    Value,
)
from core.engine.statuses import INSTANCE_FAILED, INSTANCE_SUCCEEDED, TASK_WAITING
from core.engine.stored import GONE, GateAsked, Looked
from core.engine.sure import sure, sure_of
from core.engine.values import encode_json
from core.engine.waking import is_asking
from core.executor.error_kind import ERROR_KINDS
from core.executor.operator import Failed
from core.ports.permits import Gate, GateView

EVENTS_MAX = 10_000  # of the journal that a run would have so far: some thousand items, half a second of work
DECISIONS_MAX = 2_000  # two attempts of each of the 1 000 steps that a document may have
ROOM = 1_000_000  # places for attempts: nothing is called, so nothing waits for one
TRIGGER = b'{"kind":"manual","data":null,"event":null,"scheduled_at":null}'


class GivenError(msgspec.Struct, frozen=True):
    """How every attempt of a step or task is to fail: a kind of semantics.md S13, and a sentence."""

    kind: str
    message: str = ""


class Given(msgspec.Struct, frozen=True):
    """How attempts are to end, by step id or task path; a path counts before the id."""

    outputs: Mapping[str, Any] = {}
    errors: Mapping[str, GivenError] = {}

    def faults(self, plan: Plan) -> list[dict[str, str]]:
        """List what names no step that calls an operator, is named twice, or is no kind of error."""
        found = [
            _fault(field, name, "no step of this id, nor a task of this path, calls an operator or a DAG")
            for field, given in (("outputs", self.outputs), ("errors", self.errors))
            for name in given
            if not _calls(plan, name)
        ]
        found += [_fault("errors", name, "has an output, too") for name in self.errors if name in self.outputs]
        return found + [
            _fault("errors", name, f"{error.kind!r} is no kind of error")
            for name, error in self.errors.items()
            if error.kind not in ERROR_KINDS
        ]


def _fault(field: str, name: str, message: str) -> dict[str, str]:
    pointer = name.replace("~", "~0").replace("/", "~1")
    return {"code": "request.schema", "pointer": f"/{field}/{pointer}", "message": message}


def _calls(plan: Plan, name: str) -> bool:
    index = plan.by_id.get(name.rpartition(".")[2])
    return index is not None and plan.nodes[index].kind in ("attempt", "call")


class Rehearsal:
    """One dry run. Time stands still but for retries and waits, which end at once, at the time when they would be due.

    Attributes:
        state: what was decided so far; `frames` are all frames it ever had, in the order in which they were opened.
        parameters, items: rendered parameters of the first attempt of each node, item counts of each map and counts of
            each loop that has one, by node.
        is_cut: True when a bound ended it before everything known was decided.
    """

    def __init__(
        self, plan: Plan, given: Given, *, inputs: Any, now: datetime, domain_id: str, priority: int | None = None
    ) -> None:  # fmt: skip
        """Begin before the start; `inputs` are complete and checked, `priority` is the start's own."""
        start = s.Start(
            id="",  # there is no instance
            domain_id=domain_id,
            dag_id=plan.dag_id,
            dag_hash=plan.content_hash,
            dag_version=plan.version,
            created_at=now,
            inputs=inputs,
            trigger=TRIGGER,
            priority=priority,
        )
        self.plan = plan
        self.now = now
        self.state: State = queued_state(start, epoch=1)
        self.frames: dict[str, Frame] = {}
        self.hindsight = Hindsight()
        self.parameters: dict[int, tuple[str, Value]] = {}
        self.items: dict[int, int] = {}
        self.is_cut = False
        self._given = given
        self._values: dict[Reference, Any] = {}
        self.state.values = self._values
        self._waiting: deque[s.Stimulus] = deque([start])
        self._started: deque[x.StartAttempt] = deque()
        self._unanswered: deque[x.StartAttempt] = deque()
        self._open: dict[tuple[str, int], x.StartAttempt] = {}
        self._timers: dict[int, x.TimerSet] = {}
        self._gates: dict[Gate, GateView] = {}
        self.state.gates = self._gates
        self._decision_count = 0
        self._event_count = 0

    @property
    def open_attempts_count(self) -> int:
        """Count attempts whose outcome is not known."""
        return len(self._open)

    def node_of(self, attempt: x.StartAttempt) -> Node:
        """Give the step that an attempt belongs to."""
        return self.plan.nodes[attempt.node]

    def load(self, value: Value) -> Any:
        """Give a stored value as JSON."""
        return self.view().load(value)

    def view(self) -> Draft:
        """Give what reads the state as a decision would, frames that have ended included."""
        seen = State(self.state.header, self.frames, epoch=1, seq=self.state.seq, values=self._values)
        return Draft(self.plan, seen, now=self.now, seed=b"", room=0)

    def next_unanswered(self) -> x.StartAttempt | None:
        """Give an attempt that no outcome was given for; without `settle` its outcome stays unknown."""
        return self._unanswered.popleft() if self._unanswered else None

    def settle(self, attempt: x.StartAttempt, result: s.Finished | Failed) -> None:
        """Take the outcome of an attempt."""
        del self._open[attempt.frame, attempt.index]
        self._decide(s.AttemptEnded(attempt.frame, attempt.index, attempt.number, attempt.token, result))

    def step(self) -> bool:
        """Decide what comes next; False when nothing is known that would change anything, or a bound is reached."""
        spent = self.state.appended_bytes > VALUE_BYTES_MAX or self._event_count > EVENTS_MAX
        if spent or self._decision_count > DECISIONS_MAX:
            self.is_cut = True
            return False
        if self._waiting:
            self._decide(self._waiting.popleft())
        elif self._started:
            self._look_at(self._started.popleft())
        else:
            return self._pass_time()
        return True

    def _look_at(self, attempt: x.StartAttempt) -> None:
        if self._open.get((attempt.frame, attempt.index)) is not attempt:
            return  # it was cancelled meanwhile
        result = self._result(attempt)
        if result is None:
            self._unanswered.append(attempt)
        else:
            self.settle(attempt, result)

    def _result(self, attempt: x.StartAttempt) -> s.Finished | Failed | None:
        node = self.node_of(attempt)
        for name in (attempt.task_path, node.id):
            if name in self._given.errors:
                error = self._given.errors[name]
                return Failed(error_kind=error.kind, message=error.message or "given to the dry run")
            if name in self._given.outputs:
                return finished(node, self._given.outputs[name])
        return None

    def _pass_time(self) -> bool:
        """Fire the next timer; while outcomes are unknown only those that no attempt can be faster than."""
        due = [timer for timer in self._timers.values() if self._is_due(timer)]
        if not due:
            return False
        fired = min(due, key=lambda timer: (timer.timer.due_at, timer.timer.n))
        self.now = max(self.now, fired.timer.due_at)
        del self._timers[fired.timer.n]
        self._decide(s.TimerFired(fired.timer.n, fired.frame, fired.index))
        return True

    def _is_due(self, timer: x.TimerSet) -> bool:
        """Say whether a timer may fire: nobody knows how long attempts take, but a wait, or one for a retry, ends.

        Nor whether what comes from outside comes in time.
        """
        kind = timer.timer.kind
        if kind in ("retry", "put_off", "wait"):
            return True
        if kind in ("cleanup", "expiry"):  # the end of clean-up says nothing of what a run does
            return False
        return not (self._open or self._is_asking()) or (kind == "total" and self._is_waiting(timer))

    def _is_waiting(self, timer: x.TimerSet) -> bool:
        task = sure(self.frames[timer.frame].tasks[timer.index])
        return task.status is TASK_WAITING and not is_asking(task)

    def _is_asking(self) -> bool:
        waiting = [frame for frame in self.state.frames.values() if frame.waiting]
        return any(task is not None and is_asking(task) for frame in waiting for task in frame.tasks)

    def _decide(self, stimulus: s.Stimulus) -> None:
        self._decision_count += 1
        seed = self._decision_count.to_bytes(16, "big")
        decided = decide(self.plan, self.state, stimulus, self.now, seed, ROOM)
        while isinstance(decided, x.Need) and self._supply(decided.references):
            decided = decide(self.plan, self.state, stimulus, self.now, seed, ROOM)
        self._take(self._made(decided))

    def _supply(self, asked: Sequence[Reference]) -> bool:
        """Answer what is asked of others: no output is kept, nobody else is at a gate, and no call starts anything."""
        for one in asked:
            if isinstance(one, GateAsked):
                self._gates[Gate(one.domain_id, one.limit, one.key)] = GateView(0, None)
            elif isinstance(one, Looked):
                self._values[one] = GONE
            elif isinstance(one, Asked):
                self._values[one] = REHEARSED
        return all(isinstance(one, Asked | GateAsked | Looked) for one in asked)

    def _made(self, decided: x.Decision | x.Need) -> x.Decision:
        """Give the decision; every value is at hand, so there is never a `Need`."""
        return sure_of(x.Decision, decided)

    def _take(self, decision: x.Decision) -> None:
        state = self.state
        state.header = decision.header
        for frame in decision.frames:
            self.frames[frame.path] = frame
            if frame.is_open or frame.path == "":
                state.frames[frame.path] = frame
            else:
                state.frames.pop(frame.path, None)
        state.appended_bytes = decision.appended_bytes
        state.timers_made = decision.timers_made
        state.has_marks = decision.has_marks
        self._values.update(decision.fresh)
        self._event_count += len(decision.events)
        self._note(decision)
        self._follow(decision)

    def _note(self, decision: x.Decision) -> None:
        for event in decision.events:
            self.hindsight.note(event)
            if isinstance(event, e.ContainerEntered) and isinstance(event.detail, MapState | LoopState):
                count = event.detail.count
                if count is not None:
                    self.items.setdefault(self._node_at(event.frame, event.index), count)
            elif isinstance(event, e.WaitBegun) and isinstance(event.detail, CallState):
                self._end_child(self.view().task_path(self.frames[event.frame], event.index))

    def _end_child(self, path: str) -> None:
        """Let the child of a call come to what was given for it; else nobody knows."""
        for name in (path, path.rpartition(".")[2]):
            if name in self._given.errors:
                error = self._given.errors[name]
                told = encode_json({"kind": error.kind, "message": error.message or "given to the dry run"})
                ended = s.ChildEnded(path=path, instance_id="", status=INSTANCE_FAILED, error=told)
            elif name in self._given.outputs:
                told = encode_json(self._given.outputs[name])
                ended = s.ChildEnded(path=path, instance_id="", status=INSTANCE_SUCCEEDED, outputs=told)
            else:
                continue
            self._waiting.append(ended)
            return

    def _node_at(self, path: str, index: int) -> int:
        region = self.plan.regions[self.frames[path].region]
        return region.nodes[index % region.size]

    def _follow(self, decision: x.Decision) -> None:
        for _, n in decision.timers_removed:
            self._timers.pop(n, None)
        self._timers |= {timer.timer.n: timer for timer in decision.timers_set}
        # Nobody knows how long one stands in line; that it comes to its turn is known.
        permits = () if decision.outward is None else decision.outward.permits
        self._waiting += [s.Granted(act.task_path) for act in permits if act.kind in ("wait", "displace")]
        for effect in decision.effects:
            match effect:
                case x.StartAttempt():
                    self._open[effect.frame, effect.index] = effect
                    self._started.append(effect)
                    self.parameters.setdefault(effect.node, (effect.task_path, effect.parameters))
                case x.CancelAttempt():
                    self._open.pop((effect.frame, effect.index), None)
                case x.Sweep():
                    self._waiting += [s.SweepFrame(path) for path in effect.frames]
                case x.ContinueLater():
                    self._waiting.append(s.Continue(effect.frame))
                case _:  # InstanceDone: the header says the same; KeepOutput: nothing is kept
                    pass


def finished(node: Node, output: Any) -> s.Finished | Failed:
    """Make the outcome of an attempt that gave `output`, which must meet the step's schema as in a run."""
    faults = [] if node.output_faults is None else node.output_faults(output)
    if faults:
        return Failed(error_kind="invalid", message="output: " + "; ".join(faults[:5]))
    return s.Finished(encode_json(output), output)
