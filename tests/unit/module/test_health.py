"""Readiness names what fails, within its bound, and asks at most once a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from structlog.testing import capture_logs

from core.errors import StoreUnavailable
from module.health import AGAIN_S, OK, Readiness

PING_S = 0.05


class StillClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep_until(self, monotonic_at: float) -> None:
        raise AssertionError(f"nothing sleeps until {monotonic_at}")


class Resource:
    """Counts how often it is asked; answers, raises or keeps silent."""

    def __init__(self, fault: Exception | None = None, *, is_silent: bool = False) -> None:
        self.asked_count = 0
        self.fault = fault
        self._is_silent = is_silent

    async def ask(self) -> None:
        self.asked_count += 1
        if self._is_silent:
            await asyncio.get_running_loop().create_future()
        if self.fault is not None:
            raise self.fault


def test_each_resource_that_fails_is_named_with_why() -> None:
    parts = {
        "well": Resource(),
        "away": Resource(StoreUnavailable("/secret/path is locked")),
        "silent": Resource(is_silent=True),
        "odd": Resource(ValueError("inner text")),
    }

    async def ask() -> dict[str, str]:
        readiness = Readiness({name: part.ask for name, part in parts.items()}, StillClock(), ping_s=PING_S)
        return dict(await readiness.ask())

    with capture_logs() as lines:
        said = asyncio.run(ask())
    assert {
        "well": OK, "away": StoreUnavailable.title, "silent": "no answer within 0.05 s",
        "odd": "asking raised ValueError",
    } == said  # fmt: skip
    assert [("away", "/secret/path is locked")] == [
        (line["resource"], line["detail"]) for line in lines if "detail" in line
    ]


def test_answer_holds_for_a_second_and_is_shared_by_those_who_come_together() -> None:
    resource, clock = Resource(), StillClock()

    async def ask() -> list[dict[str, str]]:
        readiness = Readiness({"store": resource.ask}, clock)
        said = [dict(one) for one in await asyncio.gather(*(readiness.ask() for _ in range(50)))]
        resource.fault = StoreUnavailable("")
        said.append(dict(await readiness.ask()))
        clock.at += AGAIN_S
        said.append(dict(await readiness.ask()))
        return said

    said = asyncio.run(ask())
    assert [{"store": OK}] * 51 == said[:-1]
    assert {"store": StoreUnavailable.title} == said[-1]
    assert 2 == resource.asked_count
