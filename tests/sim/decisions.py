"""Decisions alone, at random: outcomes in any order, stale and doubled ones, timers, take-overs, cancels, pauses.

No node and no store stand between: what fails here is `decide`, `fold`, the codec or the audit. `InstanceRun` replays
the journal after every decision.
"""

from __future__ import annotations

from typing import Any

from core.dag.callee import Callee
from core.dag.plan import Plan
from core.engine import stimuli as s
from core.engine.callback_token import read_token, token_of
from core.engine.former import Assignments, Past, shared
from core.engine.invariants import InstanceAudit, sentences
from core.engine.journal import decode_events
from core.engine.lending import Rerun
from core.engine.state import CallState, InstanceStatus
from core.executor.operator import Failed
from tests.sim.chance import Random, derived
from tests.sim.plans import CALLING_COUNT, callee_of, calling, pooled
from tests.sim.reruns import drawn_step
from tests.unit.engine.instance_run import InstanceRun

DAG_COUNT = 400
STIMULI_MAX = 400  # then the run is brought to its end without further faults
QUIET_STIMULI_MAX = 500
CALLING_EVERY = 4  # of these runs one is of a DAG that calls others
RERUN_SHARE = 0.3  # of ended instances that are run again
OUTPUT = (b'{"attempt":1}', {"attempt": 1})


class OrphanError(Exception):
    """Nothing is open and nothing is due, and the instance has not ended (I4)."""


class _Callees(dict[tuple[str, str | None], Callee]):
    """DAGs as calls find them, compiled when they are looked for."""

    def get(self, key: Any, default: Any = None) -> Any:
        """Find a DAG by its title."""
        return callee_of(key[0]) or default


class _Chance:
    """One run and what may happen to it next."""

    def __init__(self, rng: Random, plan: Plan, lender: InstanceRun | None = None, id_: str = "01J") -> None:
        self.rng = rng
        self.plan = plan
        self.run = InstanceRun(plan, room=rng.choice((1, 3, 512)), lender=lender, id=id_, is_crowded=rng.random() < 0.3)
        self.run.callees = _Callees()
        self.audit = InstanceAudit(self.plan, id_)
        self._rows_read = 0
        self._signals = 0
        self._past: list[s.AttemptEnded] = []

    @property
    def has_ended(self) -> bool:
        return self.run.state.header.status.is_terminal

    def check(self) -> None:
        """Let the audit read what was decided."""
        for seq, body in self.run.rows[self._rows_read :]:
            found = self.audit.read(seq, decode_events(1, body), epoch=self.run.epoch)
            assert [] == sentences(found)
        self._rows_read = len(self.run.rows)
        if not (self.has_ended or self._has_more() or self._unknown() or self._is_paused):
            self.run.feed(s.Dispatch())
            if not (self.has_ended or self._has_more()):
                raise OrphanError(str(self.run.tasks()))

    def _has_more(self) -> bool:
        """Say whether something outside of the instance will move it."""
        return bool(self.run.attempts or self.run.timers or self.run.in_line or self._calls())

    def storm(self) -> None:
        """Feed one stimulus, of any kind."""
        rng, run = self.rng, self.run
        draw = rng.random()
        if draw < 0.05:
            run.take_over()
        elif draw < 0.07:
            run.feed(s.Cancel("simulated"))
        elif draw < 0.08:
            run.feed(s.Terminate("simulated"))
        elif draw < 0.2 and run.timers:
            run.pass_time(rng.uniform(0, 1))
        elif draw < 0.25:
            run.feed(s.Dispatch())
        elif draw < 0.3 and self._past:
            run.feed(rng.choice(self._past))
        elif draw < 0.35:
            self._signal()
        elif draw < 0.37:
            self._call_back(rng.choice(sorted(run.tasks())))
        elif draw < 0.39 and run.approvals:
            self._decide(rng.choice(sorted(run.approvals)))
        elif draw < 0.42:
            self._act(rng.choice(sorted(run.tasks())))
        elif draw < 0.425 and run.in_line:
            run.feed(s.Granted(rng.choice(sorted(run.in_line))))
        elif draw < 0.43:
            run.feed(s.Pause("simulated"))
        elif draw < 0.49:
            run.feed(s.Resume("simulated"))
        elif (calls := self._calls()) and rng.random() < 0.3:
            self._end_child(*rng.choice(calls))
        elif run.attempts:
            self._end_attempt(rng.choice(sorted(run.attempts)))
        else:
            self.quiet()

    def quiet(self) -> None:
        """Let one open attempt succeed, or time pass."""
        run = self.run
        if self._is_paused and self.rng.random() < 0.5:
            run.feed(s.Resume("simulated"))
        elif run.attempts:
            attempt = run.attempts.pop(min(run.attempts))
            run.feed(run.outcome(attempt, s.Finished(*OUTPUT)))
        elif calls := self._calls():
            self._end_child(*calls[0])
        elif run.in_line:
            run.feed(s.Granted(min(run.in_line)))
        elif run.timers:
            run.pass_time(3)
        elif unknown := self._unknown():
            self._act(unknown[0])
        else:
            run.feed(s.Dispatch())

    def _signal(self) -> None:
        """Send a signal that a wait may take, now or later."""
        self._signals += 1
        data = b'{"n":%d}' % self.rng.randint(0, 5)
        name = self.rng.choice(("paid", "sent"))
        key = str(self._signals)
        self.run.feed(s.Signal(name=name, id=key, data=data, key=key, req_hash=key))

    def _decide(self, id_: str) -> None:
        """Let an approver decide, and perhaps another one after that."""
        path = self.run.approvals[id_].task_path
        for _ in range(self.rng.choice((1, 2))):
            decision: Any = self.rng.choice(("approved", "rejected"))
            verdict = s.Verdict(path=path, id=id_, decision=decision, by="simulated", comment=None, data=OUTPUT[0])
            self.run.feed(verdict)

    def _calls(self) -> list[tuple[str, str]]:
        """List the calls that wait, with their children."""
        tasks = sorted(self.run.all_tasks().items())
        return [(path, task.detail.instance_id) for path, task in tasks if isinstance(task.detail, CallState)]

    def _end_child(self, path: str, child: str) -> None:
        """Let a child end in one way or another, and perhaps tell it twice."""
        status = self.rng.choice((InstanceStatus.SUCCEEDED, InstanceStatus.FAILED, InstanceStatus.CANCELLED))
        error = b'{"kind":"failed","message":"as told"}' if status is InstanceStatus.FAILED else None
        ended = s.ChildEnded(path=path, instance_id=child, status=status, outputs=OUTPUT[0], error=error)
        for _ in range(self.rng.choice((1, 2))):
            self.run.feed(ended)

    def _call_back(self, path: str) -> None:
        """Call the callback of a task, which perhaps has none: its token is right all the same."""
        token = read_token(token_of("0" * 26, self.run.state.header.callback_secret, path))
        assert token is not None
        node = self.plan.nodes[self.plan.by_id[path.rpartition(".")[2]]]
        if node.wait is None or not node.wait.is_callback:
            return  # a token is only ever made for a wait
        error = b'{"kind":"failed","message":"as told"}' if self.rng.random() < 0.3 else None
        self.run.feed(s.Callback(path=path, proof=token.proof, data=OUTPUT[0], error=error))

    @property
    def _is_paused(self) -> bool:
        return self.run.state.header.status is InstanceStatus.PAUSED

    def _unknown(self) -> list[str]:
        return sorted(path for path, status in self.run.tasks().items() if status == "unknown")

    def _act(self, path: str) -> None:
        """Let somebody act on a task, whether it takes the act or not."""
        act: Any = self.rng.choice(("skip", "complete", "fail", "retry"))
        output = None if act == "skip" else OUTPUT[0]
        self.run.feed(s.Act(act=act, path=path, by="simulated", reason="simulated", output=output))
        for gone in set(self.run.attempts) - {path for path, status in self.run.tasks().items() if status == "running"}:
            del self.run.attempts[gone]

    def _end_attempt(self, path: str) -> None:
        attempt = self.run.attempts.pop(path)
        told: Any = self.run.value(attempt.parameters)
        if attempt.number <= told.get("fails", 0) or self.rng.random() < 0.15:
            result: Any = Failed(error_kind=told.get("kind", "failed"), message="as told")
        else:
            result = s.Finished(b'{"attempt":%d}' % attempt.number, {"attempt": attempt.number})
        outcome = self.run.outcome(attempt, result)
        self._past.append(outcome)
        self.run.feed(outcome)


def run_decisions(seed: int) -> str:
    """Run one instance to its end.

    Some are run again, from a step on.

    Returns:
        The status of the last one.

    Raises:
        AssertionError: the audit or the replay disagrees, or the end never came. OrphanError: nothing is left to do.
    """
    rng = derived(seed, "decisions")
    chance = _Chance(rng, calling(seed % CALLING_COUNT) if seed % CALLING_EVERY == 0 else pooled(seed % DAG_COUNT))
    chance.run.start(_inputs(rng))
    status = _ended(chance)
    while rng.random() < RERUN_SHARE:
        chance = _again(chance)
        status = _ended(chance)
    return status


def _inputs(rng: Random) -> dict[str, Any]:
    return {"n": rng.randint(0, 10), "items": [rng.randint(0, 9) for _ in range(rng.randint(0, 6))]}


def _again(ended: _Chance) -> _Chance:
    """Run an ended instance again; of every tenth, the values that it lends are gone."""
    rng, plan, old = ended.rng, ended.plan, ended.run
    assigned = Assignments()
    assigned.read(old.events)
    past = Past(instance_id=old.id, plan=plan, tasks=old.state.frames[""].tasks, assigned=assigned.by_task(plan))
    from_step = drawn_step(rng, plan)
    again = _Chance(rng, plan, None if rng.random() < 0.1 else old, f"{old.id}+")
    again.run.kept = dict(old.kept)
    again.run.start(_inputs(rng), rerun=Rerun(old.id, from_step, "p", "simulated", shared(plan, past, from_step)))
    return again


def _ended(chance: _Chance) -> str:
    """Feed stimuli until it has ended; gives its status."""
    chance.check()
    for step in range(STIMULI_MAX + QUIET_STIMULI_MAX):
        if chance.has_ended:
            return chance.run.status
        if step < STIMULI_MAX:
            chance.storm()
        else:
            chance.quiet()
        chance.check()
    raise AssertionError(f"not ended after {STIMULI_MAX + QUIET_STIMULI_MAX} stimuli: {chance.run.tasks()}")
