"""Attempts of this process: started after their commit, ended with an input, cancelled with their epoch (engine.md 5).

Attempts are made by worker tasks, each one attempt at a time, so that cancelling a worker's task cancels its attempt. A
worker whose attempt ends without waiting takes the next one: work that is done at once costs no task of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Literal

import msgspec

from core.dag.plan import Node
from core.engine.effects import CancelAttempt, StartAttempt
from core.engine.node.computing import compute
from core.engine.node.hot import HotInstance, Input
from core.engine.node.intake import Intake
from core.engine.node.places import Places
from core.engine.node.terms import AttemptRunner, NodeObserver
from core.engine.stimuli import AttemptEnded, Finished, Stopped
from core.engine.values import encode_json
from core.executor.operator import Cancelled, Failed, Outcome, Succeeded
from core.executor.pipeline import AttemptRequest
from core.ports.clock import Clock

AT_ONCE_MAX = 32  # attempts that a worker makes in one turn of the loop: some 1 ms, then others have their turn
KEY_BYTES = 16  # of an idempotency key: enough that two tasks never share one

Resolve = Callable[[HotInstance, StartAttempt], Awaitable[object]]
AttemptPlace = tuple[str, int, int]


def idempotency_key(instance_id: str, task_path: str) -> str:
    """Give the key that every attempt of a task sends: H(instance, path) (R22)."""
    return hashlib.blake2b(f"{instance_id}/{task_path}".encode(), digest_size=KEY_BYTES).hexdigest()


class _Attempt:
    """One attempt from its commit to the commit of its outcome."""

    __slots__ = ("effect", "hot", "is_cancelled", "is_over", "node", "task")

    def __init__(self, hot: HotInstance, node: Node, effect: StartAttempt) -> None:
        self.hot = hot
        self.node = node
        self.effect = effect
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False
        self.is_over = False


class Attempts:
    """All attempts that this process has sent and whose outcome is not committed yet."""

    def __init__(
        self,
        *,
        runner: AttemptRunner,
        resolve: Resolve,
        intake: Intake,
        places: Places,
        clock: Clock,
        observer: NodeObserver,
        may_start: Callable[[], bool],
        on_fatal: Callable[[BaseException], None],
        on_change: Callable[[], None],
    ) -> None:
        self._runner = runner
        self._resolve = resolve
        self._intake = intake
        self._places = places
        self._clock = clock
        self._observer = observer
        self._may_start = may_start
        self._on_fatal = on_fatal
        self._on_change = on_change
        self._queue: deque[_Attempt] = deque()
        self._sent: dict[str, dict[AttemptPlace, _Attempt]] = {}
        self._workers: dict[asyncio.Task[None], None] = {}  # in their order: stopping them is repeatable
        self._beginning_count = 0
        self.open_count = 0

    def sent(self, instance_id: str) -> Collection[AttemptPlace]:
        """Give the attempts of an instance that were sent: (frame, index, number)."""
        return self._sent.get(instance_id, {}).keys()

    def send(self, hot: HotInstance, effect: StartAttempt) -> None:
        """Make an attempt whose start is committed (R21)."""
        if hot.plan is None:
            raise AssertionError("an instance without a plan starts no attempt")
        attempt = _Attempt(hot, hot.plan.nodes[effect.node], effect)
        self._sent.setdefault(hot.id, {})[effect.frame, effect.index, effect.number] = attempt
        self._queue.append(attempt)
        self.open_count += 1
        self._call_worker()

    def cancel(self, instance_id: str, effect: CancelAttempt) -> None:
        """Stop an attempt; its outcome no longer counts."""
        attempt = self._forget(instance_id, (effect.frame, effect.index, effect.number))
        if attempt is not None:
            self._cancel(attempt)

    def abandon(self, instance_id: str) -> None:
        """Stop all attempts of an instance: its epoch is over (R5), or it has ended."""
        for attempt in self._sent.pop(instance_id, {}).values():
            self._cancel(attempt)

    def settled(self, instance_id: str, ended: AttemptEnded) -> None:
        """Forget an attempt: its outcome is committed, or does not count."""
        self._forget(instance_id, (ended.frame, ended.index, ended.number))

    def stop(self) -> list[asyncio.Task[None]]:
        """Stop all attempts and give the tasks to wait for."""
        for instance_id in tuple(self._sent):
            self.abandon(instance_id)
        self._queue.clear()
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        return workers

    def _forget(self, instance_id: str, place: AttemptPlace) -> _Attempt | None:
        sent = self._sent.get(instance_id)
        if sent is None:
            return None
        attempt = sent.pop(place, None)
        if not sent:
            del self._sent[instance_id]
        return attempt

    def _cancel(self, attempt: _Attempt) -> None:
        attempt.is_cancelled = True
        if attempt.task is not None:
            attempt.task.cancel()

    def _call_worker(self) -> None:
        """Have one worker ready to begin while attempts wait: it takes over when another one has to wait."""
        if self._beginning_count or not self._queue:
            return
        self._beginning_count += 1
        worker = asyncio.get_running_loop().create_task(self._work())
        self._workers[worker] = None
        worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.pop(worker, None)
        if not worker.cancelled() and (fault := worker.exception()) is not None:
            self._on_fatal(fault)
        self._call_worker()

    async def _work(self) -> None:
        self._beginning_count -= 1
        task = asyncio.current_task()
        made_count = 0
        while self._queue:
            attempt = self._queue.popleft()
            if attempt.is_cancelled:
                self._over(attempt)
                continue
            self._call_worker()
            attempt.task = task
            started_at = self._clock.monotonic()
            try:
                outcome = await self._make(attempt)
            finally:
                attempt.task = None
                self._over(attempt)
            self._deliver(attempt, outcome, self._clock.monotonic() - started_at)
            if attempt.is_cancelled:
                return  # the task was told to stop, and would carry that into the next attempt
            made_count += 1
            if made_count % AT_ONCE_MAX == 0:
                await asyncio.sleep(0)

    def _over(self, attempt: _Attempt) -> None:
        attempt.is_over = True
        self.open_count -= 1
        self._places.release(1)
        # Wakes the decider, also when no outcome comes: the place is free for another instance.
        self._intake.arrived.set()
        self._on_change()

    async def _make(self, attempt: _Attempt) -> Outcome:
        hot, effect, node = attempt.hot, attempt.effect, attempt.node
        parameters = await self._resolve(hot, effect)
        # A process that slept past its lease starts nothing, although its commit had landed before (R5).
        if attempt.is_cancelled or not self._may_start():
            return Cancelled()
        if node.kind == "pure":
            return await compute(node, parameters, self._clock.now())
        self._observer.point("before_attempt")
        return await self._runner.run(
            AttemptRequest(
                instance_id=hot.id,
                domain_id=hot.domain_id,
                task_path=effect.task_path,
                idempotency_key=idempotency_key(hot.id, effect.task_path),
                attempt=effect.number,
                operator=node.operator.name,
                parameters=parameters,
                timeout=node.timeout,
                output_faults=node.output_faults,
            )
        )

    def _deliver(self, attempt: _Attempt, outcome: Outcome, duration_s: float) -> None:
        effect = attempt.effect
        result: Finished | Failed | Stopped
        word: Literal["succeeded", "failed", "cancelled"]
        match outcome:
            case Succeeded():
                result, word = _finished(outcome), "succeeded"
            case Failed():
                result, word = outcome, "failed"
            case Cancelled():
                result, word = Stopped(), "cancelled"
        self._observer.point("after_attempt")
        self._observer.attempt_ended(attempt.node.operator.name, word, duration_s)
        if attempt.is_cancelled:
            return  # the epoch is over, or the task ended without it: nobody waits for this outcome
        ended = AttemptEnded(effect.frame, effect.index, effect.number, effect.token, result)
        self._intake.put(Input(attempt.hot.id, ended))


def _finished(outcome: Succeeded) -> Finished:
    """Give output as JSON and as a value; the pipeline has encoded it already."""
    output = outcome.output
    if isinstance(output, msgspec.Raw):
        data = bytes(output)
        return Finished(data, msgspec.json.decode(data))
    return Finished(encode_json(output), output)
