"""Traces of an operator that fails: retries do not multiply the calls of a target that is down (reliability.md R25)."""

from __future__ import annotations

import asyncio
from typing import Any

from core.executor.retry_budget import BURST_S, RETRY_SHARE_DEFAULT
from tests.sim.operators import LedgerEntry
from tests.sim.scene import Scene, play
from tests.sim.test_traces import work

PER_S = 1.0  # the reserve of these worlds
BURST_COUNT = int(2 * BURST_S * PER_S)
STARTS_PER_S = 10
LOAD_S = 20
RETRY: dict[str, Any] = {
    "max_attempts": 30,
    "delay_s": 0.2,
    "max_delay_s": 1,
    "on": ["failed", "unavailable", "timeout"],
}
FLAPPING = {"steps": [work("a", retry=RETRY)]}
DOWN = {"steps": [work("a", parameters={"fails": 1, "kind": "unavailable"}, retry={"delay_s": 5, "jitter": "none"})]}


def most_over(calls: list[LedgerEntry]) -> float:
    """Give by how many the retries of some stretch of time pass what reserve and share allow in it."""
    most = 0.0
    for first, begin in enumerate(calls):
        first_calls = retries = 0
        for call in calls[first:]:
            first_calls += call.attempt == 1
            retries += call.attempt > 1
            allowed = RETRY_SHARE_DEFAULT * first_calls + PER_S * (call.at_s - begin.at_s)
            most = max(most, retries - allowed)
    return most


def test_r25_operator_that_fails_every_second_call_gets_a_fifth_more_calls_beside_the_reserve() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        begin_s = scene.loop.time()
        for _ in range(STARTS_PER_S * LOAD_S):
            await scene.submit(box)
            await asyncio.sleep(1 / STARTS_PER_S)
        load_s = scene.loop.time() - begin_s
        call_count = len(scene.world.ledger.calls)
        first_calls = sum(call.attempt == 1 for call in scene.world.ledger.calls)
        put_off_count = box.engine.stats().put_off_retry_count
        await asyncio.sleep(LOAD_S * STARTS_PER_S / PER_S)  # the line of those that were put off passes
        rows = await scene.all_ended()

        assert STARTS_PER_S * LOAD_S == first_calls  # a retry that waits keeps nobody else
        assert 1.2 * first_calls + PER_S * load_s + BURST_COUNT >= call_count
        over = most_over(scene.world.ledger.calls)
        assert over <= BURST_COUNT
        assert put_off_count > 0
        assert {"succeeded"} == {row.status for row in rows}

    play(FLAPPING, trace, failing=0.5, retries_per_s=PER_S)


def test_r25_retries_that_fell_due_while_no_node_ran_do_not_storm() -> None:
    async def trace(scene: Scene) -> None:
        box = await scene.node()
        await asyncio.gather(*(scene.submit(box) for _ in range(100)))
        await asyncio.sleep(2)  # each has failed, and none is due again
        scene.world.kill(box)
        assert [1] * 100 == [call.attempt for call in scene.world.ledger.calls]
        await asyncio.sleep(60)
        await scene.node()
        await asyncio.sleep(120)
        rows = await scene.all_ended()

        retries = [call for call in scene.world.ledger.calls if call.attempt == 2]
        over = most_over(retries)
        assert over <= BURST_COUNT
        assert (100, {"succeeded"}) == (len(retries), {row.status for row in rows})

    play(DOWN, trace, retries_per_s=PER_S)
