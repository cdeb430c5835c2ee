"""Runs one instance on `decide` alone: no loop, no store; after every decision the journal is replayed and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from core.dag.callee import Callee
from core.dag.plan import Plan
from core.engine import effects as x
from core.engine import stimuli as s
from core.engine.decide import decide
from core.engine.events import Event
from core.engine.fold import queued_state, replay
from core.engine.former import former_list, former_path
from core.engine.journal import decode_events, encode_events, encode_frame
from core.engine.kinship import Asked
from core.engine.lending import Rerun
from core.engine.names import STATUS_TEXT
from core.engine.state import Frame, Header, Reference, State, Task
from core.engine.stored import GONE, Borrowed, Former, Found, GateAsked, Looked
from core.engine.values import decode_payload, resolve
from core.executor.operator import Failed
from core.executor.retry_budget import RetryBudget
from core.ports.permits import Gate, GateView, PermitAct

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class InstanceRun:
    """One instance; `attempts` are the open ones by task path, `timers` the set ones by number."""

    plan: Plan
    room: int = 512
    epoch: int = 1
    now: datetime = NOW
    attempts: dict[str, x.StartAttempt] = field(default_factory=dict)
    cancelled: list[x.CancelAttempt] = field(default_factory=list)
    timers: dict[int, x.TimerSet] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    rounds: int = 0
    forgets: bool = False  # values are dropped before each decision: every one that is read must be asked for
    answer: x.Answer | None = None
    lender: InstanceRun | None = None  # what this is a rerun of, or has kept outputs; None = it was removed
    kept: dict[tuple[str, str, bytes], Found] = field(default_factory=dict)  # outputs of steps with `cache`
    approvals: dict[str, x.ApprovalSet] = field(default_factory=dict)
    has_asked: bool = False
    callees: dict[tuple[str, str | None], Callee] = field(default_factory=dict)  # DAGs that calls find
    children: list[s.Start] = field(default_factory=list)
    told: list[x.Told] = field(default_factory=list)
    id: str = "01J"
    gates: dict[Gate, GateView] = field(default_factory=dict)  # as they stand; others are free
    permits: list[PermitAct] = field(default_factory=list)
    in_line: dict[str, None] = field(default_factory=dict)  # task paths ("" = the instance) that wait for a permit
    is_crowded: bool = False  # gates that are not known are full
    retries: RetryBudget | None = None  # of the domain; None = retries begin when they are due
    priority: int | None = None  # the start's own

    def __post_init__(self) -> None:
        self.payloads: dict[int, bytes] = {}
        self.loaded: dict[Reference, Any] = {}
        self.waiting: list[s.Stimulus] = []
        self.closed: dict[str, Frame] = {}
        self.rows: list[tuple[int, bytes]] = []
        self.draws = 0
        self.replayed: Header | None = None
        self.folded: dict[str, Frame] = {}
        self.start_facts = s.Start(
            id=self.id, domain_id="d", dag_id="dag", dag_hash="h", dag_version="v1.0.0", created_at=NOW,
            inputs={}, trigger=b'{"kind":"manual"}', priority=self.priority,
        )  # fmt: skip
        self.state = queued_state(self.start_facts, epoch=self.epoch)
        self.state.values = self.loaded
        self.state.gates = self.gates
        self.state.retries = self.retries

    # Driving

    def start(
        self, inputs: Any = None, *, cancelled: str | None = None, rerun: Rerun | None = None
    ) -> InstanceRun:  # fmt: skip
        complete, faults = self.plan.inputs_complete({} if inputs is None else inputs)
        assert [] == faults
        self.start_facts = msgspec.structs.replace(self.start_facts, inputs=complete, cancelled=cancelled, rerun=rerun)
        return self.feed(self.start_facts)

    def begin(self, start: s.Start) -> InstanceRun:
        """Begin with a start that somebody else made, as that of a child."""
        self.start_facts = start
        self.state = queued_state(start, epoch=self.epoch)
        self.state.values = self.loaded
        return self.feed(start)

    def feed(self, stimulus: s.Stimulus, *, settle: bool = True) -> InstanceRun:
        if isinstance(stimulus, s.Granted):
            self.in_line.pop(stimulus.path, None)
        self._decide(stimulus)
        while settle and self.waiting:
            self._decide(self.waiting.pop(0))
        return self

    def succeed(self, path: str, output: Any = None) -> InstanceRun:
        attempt = self.attempts.pop(path)
        return self.feed(self.outcome(attempt, s.Finished(msgspec.json.encode(output), output)))

    def fail(self, path: str, kind: str = "failed", **more: Any) -> InstanceRun:
        attempt = self.attempts.pop(path)
        return self.feed(self.outcome(attempt, Failed(error_kind=kind, message=f"{path} broke", **more)))

    def outcome(self, attempt: x.StartAttempt, result: Any) -> s.AttemptEnded:
        return s.AttemptEnded(attempt.frame, attempt.index, attempt.number, attempt.token, result)

    def pass_time(self, seconds: float) -> InstanceRun:
        until = self.now + timedelta(seconds=seconds)
        while due := sorted((t for t in self.timers.values() if t.timer.due_at <= until), key=lambda t: t.timer.due_at):
            self.now = max(self.now, due[0].timer.due_at)
            self.fire(due[0])
        self.now = until
        return self

    def fire(self, timer: x.TimerSet) -> InstanceRun:
        self.timers.pop(timer.timer.n, None)
        return self.feed(s.TimerFired(timer.timer.n, timer.frame, timer.index))

    def take_over(self) -> InstanceRun:
        """Another node loads the instance: new epoch, every open frame is looked at again."""
        self.epoch += 1
        self.state.epoch = self.epoch
        self.attempts.clear()
        for path in sorted(self.state.frames, key=lambda path: -path.count("/")):
            if path in self.state.frames and self.state.frames[path].is_open:
                self.feed(s.Continue(path))
        return self.feed(s.Dispatch())

    def finish(self, output: Any = None) -> InstanceRun:
        """Let every open attempt succeed until nothing is open."""
        while self.attempts:
            self.succeed(next(iter(self.attempts)), output)
        return self

    # Looking

    @property
    def status(self) -> str:
        return str(self.state.header.status)

    @property
    def started_at(self) -> datetime | None:
        return self.state.header.started_at

    @property
    def outputs(self) -> Any:
        return self.value(self.state.header.outputs)

    @property
    def error(self) -> Any:
        return self.value(self.state.header.error)

    def value(self, value: Any) -> Any:
        if value is None:
            return None
        missing: list[Reference] = []
        result = resolve(value, self._everything(), missing)
        assert [] == missing
        return result

    def tasks(self) -> dict[str, str]:
        """Status by task path, with the reason: `skipped/when`."""
        return {
            path: STATUS_TEXT[task.status] + (f"/{task.reason}" if task.reason else "")
            for path, task in self.all_tasks().items()
        }

    def all_tasks(self) -> dict[str, Task]:
        found = {}
        for frame in {**self.closed, **self.state.frames}.values():
            region = self.plan.regions[frame.region]
            for index, task in enumerate(frame.tasks):
                if task is not None:
                    number = "" if region.map_node is None else f"{frame.first + index // region.size}."
                    node = self.plan.nodes[region.nodes[index % region.size]]
                    found[f"{frame.prefix}{number}{node.id}"] = task
        return found

    def parameters(self, path: str) -> Any:
        return self.value(self.attempts[path].parameters)

    # Inside

    def _decide(self, stimulus: s.Stimulus) -> None:
        self.draws += 1
        if self.forgets:
            self.loaded.clear()
        seed = self.draws.to_bytes(16, "big")
        running = sum(frame.running for frame in self.state.frames.values())
        for _round in range(8):
            decision = decide(self.plan, self.state, stimulus, self.now, seed, max(0, self.room - running))
            if isinstance(decision, x.Decision):
                self._take(decision)
                return
            self.rounds += 1
            for reference in decision.references:
                if isinstance(reference, GateAsked):
                    gate = Gate(reference.domain_id, reference.limit, reference.key)
                    self.gates.setdefault(gate, GateView(1_000_000 if self.is_crowded else 0, None))
                    continue
                self.loaded[reference] = self._read(reference)
        message = "more than 8 rounds of Need"
        raise AssertionError(message)

    def _read(self, reference: Reference) -> Any:
        if isinstance(reference, Looked):
            return self.kept.get((reference.step, reference.version, reference.key), GONE)
        if isinstance(reference, Asked):
            return self.callees.get((reference.dag, reference.version), GONE)
        if isinstance(reference, Borrowed):
            own = Reference(reference.seq, reference.offset, reference.length, reference.hash)
            lender = self._lender(reference.instance_id)
            return GONE if lender is None else lender._read(own)
        if isinstance(reference, Former):
            lender = self._lender(reference.instance_id)
            path = None if lender is None else former_path(lender.plan, reference)
            frame = None if lender is None or path is None else lender.closed.get(path)
            return None if lender is None else former_list(lender.plan, reference, frame)
        data = self.payloads[reference.seq][reference.offset : reference.offset + reference.length]
        return decode_payload(reference, data)

    def _lender(self, instance_id: str) -> InstanceRun | None:
        """Give the instance among those that this one is a rerun of, however often."""
        lender = self.lender
        while lender is not None and lender.start_facts.id != instance_id:
            lender = lender.lender
        return lender

    def _everything(self) -> Any:
        run = self

        class Reader(dict[Reference, Any]):
            def __contains__(self, _key: object) -> bool:
                return True

            def __getitem__(self, key: Reference) -> Any:
                return run._read(key)

        return Reader()

    def _take(self, decision: x.Decision) -> None:
        self.answer = decision.answer or self.answer
        seq = self.state.seq
        if decision.events:
            self.rows.append((seq, encode_events(decision.events)))
            self.payloads[seq] = b"".join(decision.payloads)
        frames = {**self.state.frames, **{frame.path: frame for frame in decision.frames}}
        self.closed |= {path: frame for path, frame in frames.items() if not frame.is_open}
        state = State(
            decision.header, {path: frame for path, frame in frames.items() if frame.is_open or path == ""},
            epoch=self.epoch, seq=seq + bool(decision.events), values=self.loaded,
        )  # fmt: skip
        state.has_marks = decision.has_marks
        state.gates = self.gates
        state.retries = self.retries
        if decision.outward is not None:
            self._follow_outward(decision.outward)
        self.state = state
        self.events += decision.events
        self._follow(decision)
        self._check_replay(decision)

    def _follow_outward(self, outward: x.Outward) -> None:
        for id_ in outward.approvals_removed:
            del self.approvals[id_]
        self.approvals |= outward.approvals_set
        self.has_asked = self.has_asked or bool(outward.approvals_set)
        self.children += outward.children
        self.told += outward.told
        self.permits += outward.permits
        if outward.retries is not None:
            assert self.retries is not None
            self.retries.take(self.state.header.domain_id, self.now, outward.retries)
        for act in outward.permits:
            if act.kind in ("wait", "displace"):
                self.in_line[act.task_path] = None
            elif act.kind == "leave":
                self.in_line.pop(act.task_path, None)

    def _follow(self, decision: x.Decision) -> None:
        for due_at, n in decision.timers_removed:
            if n in self.timers:
                assert self.timers.pop(n).timer.due_at == due_at
        self.timers |= {timer.timer.n: timer for timer in decision.timers_set}
        for effect in decision.effects:
            match effect:
                case x.StartAttempt():
                    self.attempts[effect.task_path] = effect
                    self.calls.append(effect.task_path)
                case x.CancelAttempt():
                    self.cancelled.append(effect)
                    for path, attempt in list(self.attempts.items()):
                        if (attempt.frame, attempt.index) == (effect.frame, effect.index):
                            del self.attempts[path]
                case x.Sweep():
                    self.waiting += [s.SweepFrame(path) for path in effect.frames]
                case x.KeepOutput():
                    found = Found(self.state.header.id, effect.output)
                    self.kept[effect.step, effect.version, effect.key] = found
                case x.ContinueLater():
                    self.waiting.append(s.Continue(effect.frame))
                case _:
                    assert effect.status.is_terminal

    def _check_replay(self, decision: x.Decision) -> None:
        """Replay the newest row upon the rows before it; from the start when the instance has ended."""
        if not self.rows:
            return
        if decision.events:
            seq, body = self.rows[-1]
            self.replayed = replay(self.plan, self.replayed, self.folded, seq, decode_events(1, body), {})
        assert self.replayed == self.state.header
        for frame in decision.frames:
            self._compare(self.folded[frame.path], frame)
        if self.state.header.status.is_terminal:
            assert {} == self.timers
            assert {} == self.approvals
            assert all(task.status.is_terminal for task in self.all_tasks().values())
            self._replay_all()

    def _replay_all(self) -> None:
        header: Header | None = None
        frames: dict[str, Frame] = {}
        for seq, body in self.rows:
            header = replay(self.plan, header, frames, seq, decode_events(1, body), {})
        assert header == self.state.header
        for path, frame in {**self.closed, **self.state.frames}.items():
            self._compare(frames[path], frame)

    def _compare(self, folded: Frame, frame: Frame) -> None:
        assert encode_frame(None, folded) == encode_frame(None, frame), frame.path
        assert (folded.ready, folded.running, folded.retrying, folded.waiting, folded.ended, folded.inline_bytes) == (
            frame.ready, frame.running, frame.retrying, frame.waiting, frame.ended, frame.inline_bytes,
        )  # fmt: skip
