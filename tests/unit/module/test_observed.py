"""What is noted around requests and attempts: counts, places of log lines, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog

from core.executor.operator import Outcome, Succeeded
from core.executor.pipeline import AttemptRequest
from core.ports.rate_limiter import RateLimit
from core.ports.scope import Principal, Scope
from core.ports.task_runner import (
    Mode,
    Ran,
    RunFailed,
    RunLine,
    RunRequest,
    RunResult,
    TaskRunner,
    TierOffer,
)
from driven_adapters.memory import MemoryRateLimiter
from driven_adapters.telemetry import EngineMetrics
from driver_adapters.http.exchange import SCOPE_KEY, TRACE_KEY
from driver_adapters.http.observed import ObservedApp
from module.observed import ObservedAttempts, ObservedRateLimiter, ObservedRunner
from pkg.log import set_up_logging
from pkg.redaction import Redactor
from tests.contract.stores import HandClock


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Log into a text, and give the process its logging back."""
    handlers, level = logging.root.handlers[:], logging.root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    set_up_logging("info", "json", Redactor(), stream)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


def attempt(number: int) -> AttemptRequest:
    return AttemptRequest(
        instance_id="i", domain_id="d", task_path="t", idempotency_key="k", attempt=number, operator="@o/p",
        parameters=None,
    )  # fmt: skip


class Logging:
    """A runner whose operator writes a line through a library."""

    async def run(self, request: AttemptRequest) -> Outcome:
        logging.getLogger("library").warning("in attempt %d", request.attempt)
        return Succeeded(None)


def test_lines_of_an_attempt_say_which_it_is_and_retries_are_counted(lines: io.StringIO) -> None:
    retried: list[str] = []
    runner = ObservedAttempts(Logging(), retried.append)

    async def work() -> None:
        await runner.run(attempt(1))
        await runner.run(attempt(2))

    async def run() -> None:
        await asyncio.create_task(work())
        logging.getLogger("library").warning("after")

    asyncio.run(run())
    first, second, after = map(json.loads, lines.getvalue().splitlines())
    expected = {"domain": "d", "instance": "i", "task": "t", "attempt": 2, "operator": "@o/p"}
    assert expected == {name: second[name] for name in expected}
    assert 1 == first["attempt"]
    assert set() == set(expected) & set(after)
    assert ["@o/p"] == retried


class Program:
    """A runner that gives one result, or is cancelled."""

    offers = (TierOffer(1, is_offered=True, said="here"),)

    def __init__(self, result: RunResult | None) -> None:
        self._result = result

    def refusal(self, mode: Mode) -> str | None:
        return f"no {mode}"

    async def run(self, request: RunRequest, on_line: Callable[[RunLine], None]) -> RunResult:
        del request, on_line
        if self._result is None:
            raise asyncio.CancelledError
        return self._result


@pytest.mark.parametrize(
    ("ended", "result"),
    [
        (Ran(output=msgspec.Raw(b"1"), tier=1, wall_s=0.1), "succeeded"),
        (RunFailed(reason="memory", message="too much", limit=64.0, tier=2), "memory"),
        (None, "cancelled"),
    ],
    ids=["succeeded", "ended by a bound", "cancelled"],
)
def test_run_of_a_program_is_counted_by_how_it_ended(ended: RunResult | None, result: str) -> None:
    metrics, times = EngineMetrics(), iter((1.0, 3.0))
    runner: TaskRunner = ObservedRunner(Program(ended), metrics.program_ran, lambda: next(times))

    async def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            assert ended is await runner.run(RunRequest(domain_id="d", mode="pure", code="", inputs={}), lambda _: None)

    asyncio.run(run())
    text = metrics.render()[0].decode()
    assert f'flow_program_runs_total{{mode="pure",program="python",result="{result}"}} 1.0' in text
    assert 'flow_program_run_seconds_sum{mode="pure",program="python"} 2.0' in text
    assert (Program.offers, "no isolated") == (runner.offers, runner.refusal("isolated"))


class Heard:
    """Remembers what it was told of requests."""

    def __init__(self) -> None:
        self.open_count = 0
        self.answered: list[tuple[str, str, int, float]] = []

    def request_began(self) -> None:
        self.open_count += 1

    def request_answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        assert 1 == self.open_count
        self.answered.append((route, method, status, duration_s))

    def request_ended(self) -> None:
        self.open_count -= 1


async def answering(asgi: Any, receive: Any, send: Any) -> None:
    """An application that routes, authenticates, logs and answers in two parts."""
    del receive
    if asgi["path"] == "/breaks":
        raise ConnectionResetError
    asgi["path_template"] = "/dags/{dag_id}"
    asgi[TRACE_KEY] = "a" * 32
    asgi[SCOPE_KEY] = Scope("blue", Principal("p", "key", "P"))
    structlog.get_logger("x").info("at work")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(app: Any, path: str, kind: str = "http") -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": kind, "method": "POST", "path": path}, None, send)
    return sent


def test_request_is_counted_once_and_its_lines_say_route_trace_and_tenant(lines: io.StringIO) -> None:
    heard, times = Heard(), iter((10.0, 10.5))
    sent = asyncio.run(ask(ObservedApp(answering, heard, lambda: next(times)), "/dags/1"))
    assert ["http.response.start", "http.response.body"] == [message["type"] for message in sent]
    assert [("/dags/{dag_id}", "POST", 201, 0.5)] == heard.answered
    assert 0 == heard.open_count
    (line,) = map(json.loads, lines.getvalue().splitlines())
    expected = {
        "method": "POST", "route": "/dags/{dag_id}", "trace_id": "a" * 32, "domain": "blue", "principal": "p",
    }  # fmt: skip
    assert expected == {name: line[name] for name in expected}


def test_request_that_breaks_is_over_all_the_same() -> None:
    heard = Heard()
    with contextlib.suppress(ConnectionResetError):
        asyncio.run(ask(ObservedApp(answering, heard, lambda: 0.0), "/breaks"))
    assert (0, []) == (heard.open_count, heard.answered)


def test_what_is_no_request_passes() -> None:
    heard = Heard()
    asyncio.run(ask(ObservedApp(answering, heard, lambda: 0.0), "/x", kind="lifespan"))
    assert [] == heard.answered


def test_refusals_of_a_limiter_are_told_and_nothing_is_changed() -> None:
    refused: list[str] = []
    limiter = ObservedRateLimiter(MemoryRateLimiter(HandClock()), refused.append)
    limit = RateLimit("address", ("192.0.2.1",), 1)

    async def run() -> None:
        assert not (await limiter.look(limit)).is_refused
        assert not (await limiter.hit((limit,))).is_refused
        assert [] == refused
        assert (await limiter.hit((limit,))).is_refused
        assert (await limiter.look(limit)).is_refused

    asyncio.run(run())
    assert ["address", "address"] == refused
