"""Simulated operators: what they do is told by their parameters and the seed; a ledger keeps every call."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from core.dag.catalog import OperatorSpec, Retry
from core.executor.operator import Call, Failed, Outcome, Succeeded
from tests.sim.chance import Random

LARGE_BYTES = 300_000  # more than a row holds (engine.md 1)
STUBBORN_S = 2.0  # how long a stubborn operator goes on after it was told to stop
FAILING_KINDS = ("failed", "unavailable", "timeout")


class LedgerEntry(msgspec.Struct, frozen=True):
    """One call as the target saw it."""

    instance_id: str
    task_path: str
    attempt: int
    key: str
    at_s: float


class Ledger:
    """Every call, and what is wrong with it: a key that changed, an attempt that was called twice or too early."""

    def __init__(self) -> None:
        self.calls: list[LedgerEntry] = []
        self.faults: list[str] = []
        self.is_committed: Callable[[str, str, int], bool] = _believe
        self._keys: dict[tuple[str, str], str] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._attempts: Counter[tuple[str, str, int]] = Counter()

    def record(self, call: Call, at_s: float, *, is_leased: bool = True) -> None:
        """Take a call in before anything of it is done. `is_leased`: the caller's lease was not over."""
        if not is_leased:
            self.faults.append(f"R5: attempt {call.attempt} of {call.task_path} is called past the end of a lease")
        place = (call.instance_id, call.task_path)
        self.calls.append(LedgerEntry(*place, call.attempt, call.idempotency_key, at_s))
        if self._keys.setdefault(place, call.idempotency_key) != call.idempotency_key:
            self.faults.append(f"R22: {place} is called with a second key")
        if self._owners.setdefault(call.idempotency_key, place) != place:
            self.faults.append(f"R22: {place} has the key of {self._owners[call.idempotency_key]}")
        self._attempts[(*place, call.attempt)] += 1
        if self._attempts[(*place, call.attempt)] > 1:
            self.faults.append(f"I13: attempt {call.attempt} of {place} is called twice")
        if not self.is_committed(*place, call.attempt):
            self.faults.append(f"I14: attempt {call.attempt} of {place} is called before it is durable")


class SimWork:
    """`@sim/work`: takes `ms`, fails in its first `fails` attempts, gives its attempt's number and `value`.

    `mood` is how often it does something else: fails, hangs, goes on after it was told to stop, or gives more than a
    row holds.
    """

    spec = OperatorSpec(
        name="@sim/work",
        kind="attempt",
        parameters={
            "type": "object",
            "properties": {
                "ms": {"type": "number"},
                "fails": {"type": "integer"},
                "kind": {"enum": [*FAILING_KINDS, "invalid"]},
                "stubborn": {"type": "boolean"},
                "hangs": {"type": "integer"},
                "size": {"type": "integer"},
                "value": {},
            },
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {"attempt": {"type": "integer"}, "value": {}, "filling": {"type": "string"}},
            "required": ["attempt"],
        },
        retry=Retry(max_attempts=4, delay_s=0.05, backoff=2.0, max_delay_s=0.5),
    )

    def __init__(self, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        self._rng = rng
        self.failing = 0.0
        self.hanging = 0.0
        self.stubborn = 0.0
        self.large = 0.0
        self.slowness = 1.0
        self.is_leased: Callable[[], bool] = _always
        self.is_storm = True  # what is told to hang does so while it lasts
        self.cells: Counter[str] = Counter()
        self._silent: list[asyncio.Future[None]] = []

    def release(self) -> None:
        """Let every attempt go on that hangs: the fault is over."""
        for hanging in self._silent:
            if not hanging.done():
                hanging.set_result(None)
        self._silent.clear()

    async def execute(self, call: Call) -> Outcome:
        """Do one attempt."""
        loop = asyncio.get_running_loop()
        self._ledger.record(call, loop.time(), is_leased=self.is_leased())
        told: Mapping[str, object] = call.parameters
        delay_s = float(str(told.get("ms", 0))) / 1000 * self.slowness * self._rng.uniform(0.5, 1.5)
        if (self.is_storm and call.attempt <= int(str(told.get("hangs", 0)))) or self._rng.random() < self.hanging:
            self.cells["operator hangs"] += 1
            await self._hang()
        await self._work(delay_s, is_stubborn=bool(told.get("stubborn")) or self._rng.random() < self.stubborn)
        if call.attempt <= int(str(told.get("fails", 0))) or self._rng.random() < self.failing:
            self.cells["operator fails"] += 1
            kind = str(told.get("kind") or self._rng.choice(FAILING_KINDS))
            return Failed(error_kind=kind, message=f"attempt {call.attempt} fails as told")
        output = {"attempt": call.attempt, "value": told.get("value")}
        size = int(str(told.get("size", 0)))
        if self.large and self._rng.random() < self.large:
            size = LARGE_BYTES
        if size > 0:
            output["filling"] = "x" * size
        return Succeeded(output)

    async def _hang(self) -> None:
        silence: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._silent.append(silence)
        await silence

    async def _work(self, delay_s: float, *, is_stubborn: bool) -> None:
        if delay_s <= 0:
            return
        try:
            await asyncio.sleep(delay_s)
        except asyncio.CancelledError:
            if not is_stubborn:
                raise
            # The target went on by itself and answers although nobody waits any more: a late outcome.
            self.cells["operator stubborn"] += 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(self._rng.uniform(0.0, STUBBORN_S))


def _always() -> bool:
    """Nobody looks at the lease."""
    return True


def _believe(_instance_id: str, _task_path: str, _attempt: int) -> bool:
    """Nobody knows better."""
    return True
