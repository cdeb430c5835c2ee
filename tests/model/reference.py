"""The reference: what one instance of a flat DAG does, in dictionaries, written from the rules of the language alone.

It shares no line with the engine. It knows no commits, frames, journals or epochs: a crash changes nothing but that
running attempts are made again. Times are seconds.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

OPEN = ("pending", "ready", "running", "retrying", "waiting")
SETTLED_BY_HAND = ("pending", "ready", "retrying", "waiting")
GRACE_S = 30.0
ENDED = ("succeeded", "failed", "cancelled")
HELD_WHILE_PAUSED = ("retry", "wait", "expiry")  # an attempt's own bound acts all the same
Told = Literal["cancel", "terminate", "pause", "resume"]
ActName = Literal["skip", "complete", "fail", "retry"]


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: a call, a wait for the signal of its own name, or a wait for time."""

    id: str
    kind: Literal["call", "signal", "sleep"]
    depends_on: tuple[str, ...] = ()
    join: str = "all_succeeded"
    is_continued: bool = False
    attempts_max: int = 1
    delay_s: float = 10.0
    bound_s: float | None = None  # of a call: one attempt; of a signal: the wait
    sleep_s: float = 5.0
    signal: str = "go"


@dataclasses.dataclass
class Task:
    """Where a task stands; `due` = what falls due when, by kind."""

    status: str = "pending"
    failures: int = 0
    calls: int = 0
    due: dict[str, float] = dataclasses.field(default_factory=dict)


class Instance:
    """One instance; each method is one thing that happens to it, and gives what the caller is told."""

    def __init__(self, steps: tuple[Step, ...], now: float) -> None:
        self.steps = {step.id: step for step in steps}
        self.tasks = {step.id: Task() for step in steps}
        self.status = "running"
        self.is_failing = False
        self.is_cancelling = False
        self.is_paused = False
        self.grace_at: float | None = None
        self.last_due = 0.0
        self.signals: dict[str, int] = {}
        self._go_on(now)

    def tell(self, what: Told, now: float) -> str:
        """Cancel, terminate, pause or resume."""
        if self.status in ENDED:
            is_same = what in ("cancel", "terminate") and self.status == "cancelled"
            return "accepted" if is_same else "ended"
        if what in ("pause", "resume"):
            if self.is_cancelling:
                return "refused"
            self.is_paused = what == "pause"
            if what == "resume":
                self._release(now)
        elif what == "terminate" or not self.is_cancelling:
            self._begin_cancel(now, grace_s=0.0 if what == "terminate" else GRACE_S)
        self._go_on(now)
        return "accepted"

    def act(self, act: ActName, step: str, now: float) -> str:
        """Skip, complete, fail or retry one task by hand."""
        task = self.tasks[step]
        if self.status in ENDED:
            return "ended"
        if task.status not in (("retrying",) if act == "retry" else SETTLED_BY_HAND):
            return "refused"
        if act == "retry":
            self._put(step, "ready")
        elif act == "fail":
            self._fail(step)
        else:
            self._put(step, "skipped" if act == "skip" else "succeeded")
        self._go_on(now)
        return "accepted"

    def signal(self, name: str, now: float) -> str:
        """Give a signal: the wait that waits longest takes it, or it is kept."""
        if self.status in ENDED:
            return "ended"
        takers = [
            step for step, task in self.tasks.items() if task.status == "waiting" and self._waits_for(step) == name
        ]
        if takers:
            self._put(min(takers, key=lambda step: self.tasks[step].due["since"]), "succeeded")
        else:
            self.signals[name] = self.signals.get(name, 0) + 1
        self._go_on(now)
        return "accepted"

    def answer(self, step: str, *, is_fine: bool, now: float) -> None:
        """End the running attempt of a call; a failure is tried again while attempts are left."""
        task, plan = self.tasks[step], self.steps[step]
        task.failures += not is_fine
        is_final = task.failures >= plan.attempts_max or self._is_closing(step)
        if is_fine:
            self._put(step, "succeeded")
        elif is_final:
            self._fail(step)
        else:
            self._put(step, "retrying", retry=now + plan.delay_s)
        self._go_on(now)

    def crash(self, now: float) -> None:
        """Lose the process: attempts that ran are made again, unless what they are in is closing."""
        for step, task in self.tasks.items():
            if task.status == "running":
                self._put(step, "cancelled" if self._is_closing(step) else "ready")
        self._go_on(now)

    def is_near_due(self, now: float, within_s: float) -> bool:
        """Say whether something falls due about now, or did."""
        return any(abs(at - now) < within_s for at in [self.last_due, *(at for at, _, _ in self._dues())])

    def pass_until(self, now: float) -> None:
        """Let time pass up to `now`."""
        while dues := [due for due in self._dues() if due[0] <= now]:
            at, step, kind = min(dues)
            self.last_due = at
            if kind == "grace":
                self._abandon_running()
            elif kind == "retry":
                self._put(step, "ready")
            elif kind == "wait":
                self._put(step, "succeeded")
            elif kind == "expiry":
                self._fail(step)
            else:
                self.answer(step, is_fine=False, now=at)
            self._go_on(at)

    def _dues(self) -> list[tuple[float, str, str]]:
        if self.status in ENDED:
            return []
        held = HELD_WHILE_PAUSED if self.is_paused else ()
        dues = [
            (at, step, kind)
            for step, task in self.tasks.items()
            for kind, at in task.due.items()
            if kind not in ("since", *held)
        ]
        return dues if self.grace_at is None else [*dues, (self.grace_at, "", "grace")]

    def _release(self, now: float) -> None:
        """End a pause: what fell due meanwhile acts now."""
        for task in self.tasks.values():
            task.due = {kind: max(at, now) if kind in HELD_WHILE_PAUSED else at for kind, at in task.due.items()}
        self.pass_until(now)

    def _go_on(self, now: float) -> None:
        """Start what can start until nothing can, then end what has ended."""
        if self.status in ENDED:
            return
        while not self.is_paused and any(self._start(step, now) for step in self.steps):
            pass
        statuses = [task.status for task in self.tasks.values()]
        has_ended = not any(status in OPEN for status in statuses)
        if has_ended and self.is_cancelling:
            self.status = "cancelled"
        elif has_ended and (self.is_failing or not self.is_paused):
            self.status = "failed" if self.is_failing else "succeeded"
        elif self.is_cancelling:
            self.status = "cancelling"
        elif self.is_paused:
            self.status = "paused"
        else:
            is_busy = any(status in ("ready", "running", "retrying") for status in statuses) or self.is_failing
            self.status = "running" if is_busy or "waiting" not in statuses else "waiting"

    def _start(self, step: str, now: float) -> bool:
        task, plan = self.tasks[step], self.steps[step]
        if task.status == "ready":
            self._call(step, now)
            return True
        before = [self.tasks[one].status for one in plan.depends_on]
        if task.status != "pending" or any(status in OPEN for status in before):
            return False
        if not self._is_joined(plan, before):
            self._put(step, "skipped")
        elif plan.kind == "call":
            self._call(step, now)
        elif plan.kind == "sleep":
            self._put(step, "waiting", wait=now + plan.sleep_s)
        elif self.signals.get(plan.signal):
            self.signals[plan.signal] -= 1
            self._put(step, "succeeded")
        elif plan.bound_s is None:
            self._put(step, "waiting", since=now)
        else:
            self._put(step, "waiting", since=now, expiry=now + plan.bound_s)
        return True

    def _is_joined(self, plan: Step, before: list[str]) -> bool:
        if plan.join == "all_done" or not before:
            return True
        if plan.join == "any_succeeded":
            return "succeeded" in before
        fine = ("succeeded", "skipped")
        is_handled = [self.steps[one].is_continued and plan.join == "all_succeeded" for one in plan.depends_on]
        return all(
            status in fine or (handled and status == "failed")
            for status, handled in zip(before, is_handled, strict=True)
        )

    def _call(self, step: str, now: float) -> None:
        self.tasks[step].calls += 1
        bound_s = self.steps[step].bound_s
        self._put(step, "running", **({} if bound_s is None else {"attempt": now + bound_s}))

    def _fail(self, step: str) -> None:
        self._put(step, "failed")
        if self.steps[step].is_continued or self.is_cancelling:
            return
        self.is_failing = True
        for other, task in self.tasks.items():
            if not self._is_closing(other) or task.status not in SETTLED_BY_HAND:
                continue
            self._put(other, "skipped" if task.status == "pending" else "cancelled")

    def _begin_cancel(self, now: float, *, grace_s: float) -> None:
        self.is_cancelling, self.is_paused = True, False
        for step, task in self.tasks.items():
            if task.status in SETTLED_BY_HAND:
                self._put(step, "cancelled")
        if grace_s:
            self.grace_at = now + grace_s
        else:
            self._abandon_running()

    def _abandon_running(self) -> None:
        self.grace_at = None
        for step, task in self.tasks.items():
            if task.status == "running":
                self._put(step, "cancelled")

    def _is_closing(self, step: str) -> bool:
        return self.is_cancelling or (self.is_failing and self.steps[step].join != "all_done")

    def _waits_for(self, step: str) -> str | None:
        return self.steps[step].signal if self.steps[step].kind == "signal" else None

    def _put(self, step: str, status: str, **due: float) -> None:
        self.tasks[step].status = status
        self.tasks[step].due = due
