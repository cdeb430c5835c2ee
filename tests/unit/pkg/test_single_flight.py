"""One call under way answers everybody who asks meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from pkg.single_flight import SingleFlight


class Source:
    """Answers when it is told to; counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.go = asyncio.Event()
        self.fault: Exception | None = None

    async def read(self) -> int:
        self.count += 1
        number = self.count
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return number


async def _begin(flights: SingleFlight[str, int], source: Source, kept: list[int]) -> asyncio.Task[int]:
    task = asyncio.create_task(flights.call("a", source.read, kept.append))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the caller's turn, then the call's
    return task


def test_those_who_ask_meanwhile_share_one_call_and_the_next_one_begins_anew() -> None:
    async def scene() -> None:
        flights, source, kept = SingleFlight[str, int](), Source(), list[int]()
        waiting = [await _begin(flights, source, kept) for _ in range(3)]
        other = asyncio.create_task(flights.call("b", source.read))
        await asyncio.sleep(0)
        source.go.set()
        assert [1, 1, 1] == await asyncio.gather(*waiting)
        assert 2 == await other
        assert 3 == await (await _begin(flights, source, kept))
        assert [1, 3] == kept

    asyncio.run(scene())


def test_a_caller_who_leaves_ends_the_call_for_nobody_else() -> None:
    async def scene() -> None:
        flights, source, kept = SingleFlight[str, int](), Source(), list[int]()
        leaving, staying = await _begin(flights, source, kept), await _begin(flights, source, kept)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        source.go.set()
        assert 1 == await staying

    asyncio.run(scene())


def test_failure_reaches_each_who_waited_is_kept_for_nobody_and_is_no_noise_when_all_have_left() -> None:
    async def scene() -> None:
        flights, source, kept = SingleFlight[str, int](), Source(), list[int]()
        heard: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, said: heard.append(said))
        source.fault = KeyError("gone")
        waiting = [await _begin(flights, source, kept) for _ in range(2)]
        waiting[0].cancel()
        source.go.set()
        with pytest.raises(KeyError, match="gone"):
            await waiting[1]
        waiting = [await _begin(flights, source, kept)]
        waiting[0].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del waiting
        assert ([], []) == (kept, heard)

    asyncio.run(scene())


def test_forgotten_call_answers_who_waited_and_is_not_kept() -> None:
    async def scene() -> None:
        flights, source, kept = SingleFlight[str, int](), Source(), list[int]()
        early = await _begin(flights, source, kept)
        flights.forget(lambda key: key == "other")
        assert 1 == source.count
        flights.forget(lambda key: key == "a")
        late = await _begin(flights, source, kept)
        source.go.set()
        assert (1, 2) == (await early, await late)
        assert [2] == kept

    asyncio.run(scene())


def test_call_that_is_ended_from_outside_is_kept_for_nobody() -> None:
    async def scene() -> None:
        flights, kept = SingleFlight[str, int](), list[int]()

        async def ended() -> int:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await flights.call("a", ended, kept.append)
        assert [] == kept

    asyncio.run(scene())
