"""The virtual loop itself: jumps, deadlocks, kills, pauses, and the same order for the same seed."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.sim.loop import ConnectionLostError, DeadlockError, Process, SimLoop, running


async def tick(log: list[float]) -> None:
    while True:
        await asyncio.sleep(1)
        log.append(asyncio.get_running_loop().time())


def test_time_jumps_to_the_next_timer() -> None:
    with running(1) as loop:

        async def main() -> float:
            await asyncio.sleep(86_400)
            return loop.time()

        assert 86_400 == loop.run_until_complete(main())
        assert 10 > loop.steps_count


def test_awaiting_what_never_comes_is_a_deadlock() -> None:
    with running(1) as loop, pytest.raises(DeadlockError):
        loop.run_until_complete(loop.create_future())


def test_cancelled_timeout_does_not_hide_a_deadlock() -> None:
    with running(1) as loop:

        async def main() -> None:
            async with asyncio.timeout(60):
                await asyncio.sleep(1)
            await loop.create_future()

        with pytest.raises(DeadlockError):
            loop.run_until_complete(main())
        assert 1 == loop.time()


def test_killed_process_runs_no_more_and_its_callers_learn_it() -> None:
    with running(1) as loop:
        log: list[float] = []

        async def main() -> None:
            process = Process("a")
            loop.processes.append(process)
            answer = process.call(tick(log))
            await asyncio.sleep(3.5)
            process.kill()
            with pytest.raises(ConnectionLostError):
                await answer
            with pytest.raises(ConnectionLostError):
                await process.call(asyncio.sleep(0))
            await asyncio.sleep(5)

        loop.run_until_complete(main())
        assert [1, 2, 3] == log


def test_paused_process_stands_still_and_goes_on() -> None:
    with running(1) as loop:
        log: list[float] = []

        async def main() -> None:
            process = Process("a")
            loop.processes.append(process)
            process.call(tick(log))
            await asyncio.sleep(2.5)
            process.pause()
            await asyncio.sleep(4)
            process.resume(loop)
            await asyncio.sleep(1.2)
            process.kill()

        loop.run_until_complete(main())
        assert [1, 2, 6.5, 7.5] == log


def test_fault_inside_a_process_reaches_its_caller() -> None:
    async def fail() -> None:
        raise ValueError("inside")

    with running(1) as loop:

        async def main() -> None:
            with pytest.raises(ValueError, match="inside"):
                await Process("a").call(fail())

        loop.run_until_complete(main())


def test_fault_that_comes_after_its_caller_gave_up_is_no_surprise() -> None:
    with running(1) as loop:

        async def fail() -> None:
            await asyncio.sleep(2)
            raise ValueError("too late")

        async def main() -> None:
            process = Process("a")
            loop.processes.append(process)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(process.call(fail()), 1)
            await asyncio.sleep(2)
            process.tasks.clear()  # errors that nobody looked at are told when their tasks are gone

        loop.run_until_complete(main())
        gc.collect()
        assert [] == loop.surprises


def test_threads_are_refused() -> None:
    with running(1) as loop:

        async def main() -> None:
            await asyncio.to_thread(int)

        with pytest.raises(RuntimeError, match="threads"):
            loop.run_until_complete(main())


def order_of(seed: int) -> list[int]:
    log: list[int] = []

    async def one(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            log.append(number)

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    with running(seed) as loop:
        loop.run_until_complete(main())
    return log


def test_order_of_callbacks_is_the_seeds() -> None:
    assert order_of(3) == order_of(3)
    assert 1 < len({tuple(order_of(seed)) for seed in range(10)})


def test_loop_without_a_process_in_context_is_the_world() -> None:
    with running(1) as loop:
        assert isinstance(loop, SimLoop)
        log: list[str] = []

        async def inside() -> None:
            loop.call_world(1.0, lambda: log.append("world"))

        async def main() -> None:
            process = Process("a")
            loop.processes.append(process)
            await process.call(inside())
            process.kill()
            await asyncio.sleep(2)

        loop.run_until_complete(main())
        assert ["world"] == log
