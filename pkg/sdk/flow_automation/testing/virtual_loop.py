"""An event loop without time and threads: it jumps to the next timer, and a seed decides what runs next.

Every callback belongs to a simulated **process**, by a context variable. A killed process's callbacks are dropped, as
kill -9 does; those of a paused one are parked until it goes on, as SIGSTOP does. What belongs to none is the world.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import warnings
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar, TypeVarTuple

from flow_automation.testing.chance import derived

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
TASKS_KEPT_COUNT = 256  # ended tasks are forgotten now and then: a process starts one per attempt
STEPS_MAX = 3_000_000  # of one seed; the longest so far took 200 000, so this is a loop that never ends


class DeadlockError(Exception):
    """Nothing is ready and nothing is scheduled: whatever is still awaited will never happen."""


class EndlessError(Exception):
    """The seed took all the steps that it may take."""


class ConnectionLostError(Exception):
    """The process that was asked was killed before it answered; what it did is not known."""


class Process:
    """One simulated operating system process: what runs in its context ends with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_killed = False
        self.is_paused = False
        self.parked: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.tasks_kept_count = TASKS_KEPT_COUNT
        self.calls: dict[asyncio.Future[Any], None] = {}  # not a set, whose order is that of addresses
        self.context = contextvars.copy_context()
        self.context.run(CURRENT.set, self)

    def call(self, coro: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run a coroutine inside, for a caller outside; a killed process answers with `ConnectionLostError`."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if self.is_killed:
            coro.close()
            answer.set_exception(ConnectionLostError(self.name))
            return answer
        self.calls[answer] = None
        answer.add_done_callback(self._forget)
        task = loop.create_task(coro, context=self.context)
        task.add_done_callback(lambda ended: _hand_over(ended, answer), context=self.context)
        return answer

    def _forget(self, answer: asyncio.Future[Any]) -> None:
        self.calls.pop(answer, None)

    def kill(self) -> None:
        """End it as kill -9 does: no callback of it runs any more, and who waits for it learns nothing."""
        self.is_killed = True
        self.parked.clear()
        for answer in list(self.calls):
            if not answer.done():
                answer.set_exception(ConnectionLostError(self.name))

    def pause(self) -> None:
        """Freeze it."""
        self.is_paused = True

    def resume(self, loop: SimLoop) -> None:
        """Let everything that came due meanwhile run, in its order."""
        self.is_paused = False
        loop.admit(self.parked)
        self.parked.clear()

    def bury(self) -> None:
        """Close the coroutines that never end, quietly; called when the world is over."""
        buried, self.tasks = self.tasks, []
        for task in buried:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # of asyncio.Task; no other way to say it
                with contextlib.suppress(BaseException):
                    task.get_coro().close()


CURRENT: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


def _hand_over(ended: asyncio.Task[T], answer: asyncio.Future[T]) -> None:
    fault = ConnectionLostError("the call was cancelled inside") if ended.cancelled() else ended.exception()
    if answer.done():
        return  # nobody waits any more, and an error that nobody hears is no surprise
    if fault is not None:
        answer.set_exception(fault)
    else:
        answer.set_result(ended.result())


class SimLoop(asyncio.BaseEventLoop):
    """Virtual time, seeded interleaving, deadlock is a failure (reliability.md T-01)."""

    def __init__(self, seed: int, *, steps_max: int = STEPS_MAX) -> None:
        super().__init__()
        self._steps_max = steps_max
        # Which of so many ready callbacks is next: by the seed, unless a test has an order of its own.
        self.choose: Callable[[int], int] = derived(seed, "interleaving").randrange
        self._now_s = 0.0
        self._timers: list[_Due] = []  # by when they are due
        self.steps_count = 0
        self.world = contextvars.copy_context()
        self.processes: list[Process] = []
        self.outside = Process("world")  # holds the world's own tasks; its context is never used
        self.surprises: list[str] = []
        self.set_task_factory(_make_task)
        self.set_exception_handler(_keep_surprise)

    def time(self) -> float:
        """Give virtual seconds since the start."""
        return self._now_s

    @property
    def ready_count(self) -> int:
        """Count callbacks that could run now; without one, only time or a message can change anything."""
        return len(self._ready)  # type: ignore[attr-defined]  # of BaseEventLoop

    def run_in_executor(self, *given: Any) -> Any:  # type: ignore[override]  # it refuses whatever it is given
        """Refuse: a thread has its own order."""
        raise RuntimeError(f"threads are not simulated: {given}")

    def admit(self, handles: list[asyncio.Handle]) -> None:
        """Make parked callbacks ready again."""
        self._ready.extend(handles)  # type: ignore[attr-defined]  # of BaseEventLoop

    def call_world(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back later in the world's context: it survives the process that asked."""
        self.call_later(delay_s, callback, context=self.world)

    def close(self) -> None:
        """End every coroutine that is left, then close."""
        with warnings.catch_warnings():
            # What ends may begin a coroutine that no loop will run any more; a killed process would not have.
            warnings.simplefilter("ignore", RuntimeWarning)
            while any(process.tasks for process in (self.outside, *self.processes)):
                for process in (*self.processes, self.outside):
                    process.bury()
        super().close()

    def _process_events(self, event_list: Any) -> None:
        """There are none: nothing is read from outside."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a virtual time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        due = _Due(when)
        due.timer = timer
        heapq.heappush(self._timers, due)
        return timer

    def _run_once(self) -> None:
        """Take steps until somebody stops the loop: to be called for each one would cost as much as to choose it."""
        ready = self._ready  # type: ignore[attr-defined]  # of BaseEventLoop
        while True:
            self._await_due(ready)
            if len(ready) > 1:
                ready.rotate(-self.choose(len(ready)))
            self._run_one(ready.popleft())
            if self._stopping:  # type: ignore[attr-defined]  # of BaseEventLoop
                return

    def _await_due(self, ready: deque[asyncio.Handle]) -> None:
        timers = self._timers
        while timers and timers[0].timer._cancelled:  # else a cancelled timeout looks like something to wait for
            heapq.heappop(timers)
        if not ready and timers:
            self._now_s = max(self._now_s, float(timers[0]))
        while timers and timers[0] <= self._now_s:
            timer = heapq.heappop(timers).timer
            if not timer._cancelled:
                ready.append(timer)
        if not ready:
            raise DeadlockError(f"at {self._now_s:.3f} s after {self.steps_count} steps")

    def _run_one(self, handle: asyncio.Handle) -> None:
        self.steps_count += 1
        if self.steps_count > self._steps_max:
            raise EndlessError(f"{self._steps_max} steps at {self._now_s:.3f} s")
        if handle._cancelled:
            return
        process = handle._context.get(CURRENT)  # type: ignore[attr-defined]  # of asyncio.Handle
        if process is not None and (process.is_killed or process.is_paused):
            if process.is_paused and not process.is_killed:
                process.parked.append(handle)
            return
        handle._run()


class _Due(float):
    """When a timer is due: numbers compare in C, handles in Python, and a seed's heap asks 70 000 times."""

    __slots__ = ("timer",)
    timer: asyncio.TimerHandle


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    process = context.get(CURRENT) if context is not None else CURRENT.get()
    if process is None and isinstance(loop, SimLoop):
        process = loop.outside
    if process is not None:
        process.tasks.append(task)
        if len(process.tasks) > process.tasks_kept_count:
            process.tasks = [each for each in process.tasks if not each.done()]
            process.tasks_kept_count = 2 * len(process.tasks) + TASKS_KEPT_COUNT
    return task


def _keep_surprise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep what asyncio would log; a task that died unnoticed is a failure of the seed."""
    fault = context.get("exception")
    if isinstance(loop, SimLoop):
        loop.surprises.append(f"{context.get('message')}: {fault!r}")


@contextlib.contextmanager
def running(seed: int) -> Iterator[SimLoop]:
    """Give a new loop and leave nothing of it behind."""
    loop = SimLoop(seed)
    try:
        yield loop
    finally:
        events.set_event_loop(None)
        loop.close()
