"""The stand-in for other people's services: what it answers, and that every call is in its ledger."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.ports.http_client import HttpRequest, HttpResponse
from driven_adapters.http import EgressClient, EgressPolicy
from mock_server.app import ITEM_COUNT_MAX, ORDERS_FILE, MockServer, build_app
from mock_server.app import Call as MockCall
from mock_server.ledger import Ledger, LedgerCall, LedgerFull, read_ledger
from mock_server.make_orders import make_orders

START_S_MAX = 20.0  # an interpreter on two busy cores
ASKED_COUNT_MAX = 400


def ask(server: MockServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    bare, _, query = path.partition("?")
    pairs = dict(pair.split("=") for pair in query.split("&") if pair)
    call = MockCall(
        method=method,
        path=bare,
        query=pairs,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=b"" if body is None else msgspec.json.encode(body),
    )
    answer = asyncio.run(server.answer(call))
    return answer.status, msgspec.json.decode(answer.body)


@pytest.fixture
def server() -> MockServer:
    return MockServer(Ledger())


def test_orders_file_is_what_its_seed_makes() -> None:
    assert make_orders() == ORDERS_FILE.read_bytes()


def test_orders_are_served_whole_and_by_region(server: MockServer) -> None:
    status, orders = ask(server, "GET", "/orders")
    assert (200, 3000) == (status, len(orders))
    regions = {order["region"] for order in orders}
    assert len(regions) == 8
    parts = [ask(server, "GET", f"/orders?region={region}")[1] for region in sorted(regions)]
    assert sorted(order["id"] for order in orders) == sorted(order["id"] for part in parts for order in part)
    assert (200, []) == ask(server, "GET", "/orders?region=nowhere")


def test_result_is_refused_at_the_first_call_of_a_key_and_taken_then(server: MockServer) -> None:
    result = {"region": "uk", "orders": [{"total": 1.1}, {"total": 2.2}]}
    assert ask(server, "POST", "/results/uk", result, idempotency_key="k")[0] == 503
    taken = {"region": "uk", "accepted": True, "key": "k", "orders_count": 2, "total": 3.3}
    for _ in range(2):
        assert (200, taken) == ask(server, "POST", "/results/uk", result, idempotency_key="k")
    assert ask(server, "POST", "/results/uk", result, idempotency_key="other")[0] == 503
    assert ask(server, "POST", "/results/na", result, idempotency_key="k")[0] == 503
    assert ask(server, "POST", "/results/uk", result)[0] == 400


def test_result_without_orders_is_taken(server: MockServer) -> None:
    ask(server, "POST", "/results/uk", [1], idempotency_key="k")
    assert (200, {"region": "uk", "accepted": True, "key": "k"}) == ask(
        server, "POST", "/results/uk", [1], idempotency_key="k"
    )


def test_orders_as_csv_are_the_same_orders_as_text(server: MockServer) -> None:
    call = MockCall(method="GET", path="/orders.csv", query={}, headers={}, body=b"")
    answer = asyncio.run(server.answer(call))
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    orders = ask(server, "GET", "/orders")[1]
    wanted = [(order["id"], order["region"], f"{order['total']:.2f}") for order in orders]
    assert wanted == [(row["id"], row["region"], row["total"]) for row in rows]
    assert (("content-type", "text/csv; charset=utf-8"),) == answer.headers


def test_content_type_of_an_answer_is_sent_once() -> None:
    start, _body = asyncio.run(asgi([{"body": b""}], path="/orders.csv", method="GET"))
    assert [b"text/csv; charset=utf-8"] == [value for name, value in start["headers"] if name == b"content-type"]


@pytest.mark.parametrize(("count", "item_bytes"), [(0, 64), (1, 32), (3, 1024), (10_000, 1024)])
def test_items_have_the_size_asked_for(server: MockServer, count: int, item_bytes: int) -> None:
    status, items = ask(server, "GET", f"/items?count={count}&bytes={item_bytes}")
    assert (200, count) == (status, len(items))
    assert {item_bytes} >= {len(msgspec.json.encode(item)) for item in items}
    assert list(range(count)) == [item["id"] for item in items]


@pytest.mark.parametrize(
    ("query", "numbers", "is_complete"),
    [("", (1, 100), False), ("since=200&limit=40", (201, 240), False), ("since=200", (201, 250), True)],
)
def test_changes_begin_after_the_watermark(
    server: MockServer, query: str, numbers: tuple[int, int], is_complete: bool
) -> None:
    status, page = ask(server, "GET", f"/changes?{query}")
    first, last = numbers
    assert (200, list(range(first, last + 1))) == (status, [change["n"] for change in page["changes"]])
    assert (last, is_complete) == (page["watermark"], page["is_complete"])


def test_changes_after_the_last_keep_the_watermark(server: MockServer) -> None:
    assert (200, {"changes": [], "watermark": 900, "is_complete": True}) == ask(server, "GET", "/changes?since=900")


@pytest.mark.parametrize("query", ["since=x", "since=-1", "limit=0", "limit=1001"])
def test_changes_beyond_the_bounds_are_refused(server: MockServer, query: str) -> None:
    assert ask(server, "GET", f"/changes?{query}")[0] == 400


@pytest.mark.parametrize("query", ["count=x", "count=-1", f"count={ITEM_COUNT_MAX + 1}", "bytes=31", "bytes=1000000"])
def test_items_beyond_the_bounds_are_refused(server: MockServer, query: str) -> None:
    assert ask(server, "GET", f"/items?{query}")[0] == 400


def test_echo_and_work_answer_what_they_got(server: MockServer) -> None:
    assert ask(server, "POST", "/echo", {"a": 1}, x_a="b") == (200, {"headers": {"x-a": "b"}, "body": {"a": 1}})
    assert ask(server, "POST", "/work/1", idempotency_key="k") == (200, {"worked_ms": 1, "key": "k"})
    assert ask(server, "POST", "/work/9999999999")[0] == 404
    assert ask(server, "GET", "/nothing")[0] == 404


def test_every_call_is_in_the_ledger_in_order_with_key_attempt_and_answer(server: MockServer) -> None:
    ask(server, "POST", "/results/uk", idempotency_key="k", x_flow_attempt="1")
    ask(server, "GET", "/health")
    ask(server, "POST", "/results/uk", idempotency_key="k", x_flow_attempt="2")
    ask(server, "GET", "/orders?region=uk")
    expected = [
        {"n": 1, "method": "POST", "path": "/results/uk", "status": 503, "key": "k", "attempt": "1"},
        {"n": 2, "method": "POST", "path": "/results/uk", "status": 200, "key": "k", "attempt": "2"},
        {"n": 3, "method": "GET", "path": "/orders", "status": 200},
    ]
    assert (200, expected) == ask(server, "GET", "/ledger")
    assert (200, expected[:2]) == ask(server, "GET", "/ledger?path=/results/uk")


def test_ledger_file_goes_on_after_a_restart_and_drops_a_half_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.record(method="POST", path="/results/uk", key="k", attempt="1", status=503)
    with path.open("ab") as file:
        file.write(b'{"n":2,"met')
    with Ledger(path) as ledger:
        assert not ledger.is_first("/results/uk", "k")
        ledger.record(method="POST", path="/results/uk", key="k", attempt="2", status=200)
    assert [1, 2] == [call.n for call in read_ledger(path)]
    assert read_ledger(tmp_path / "missing") == []


def test_full_ledger_refuses_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_server.ledger.CALL_COUNT_MAX", 1)
    server = MockServer(Ledger())
    assert ask(server, "GET", "/orders?region=uk")[0] == 200
    assert ask(server, "GET", "/orders?region=uk")[0] == 507
    with pytest.raises(LedgerFull):
        server.ledger.record(method="GET", path="/", key=None, attempt=None, status=200)
    assert len(server.ledger.calls) == 1


async def asgi(
    messages: list[dict[str, Any]], scope_type: str = "http", *, path: str = "/echo", method: str = "POST"
) -> list[dict[str, Any]]:
    """Speak ASGI with the application and give what it sends."""
    sent: list[Any] = []
    receive = iter(messages)

    async def next_message() -> dict[str, Any]:
        return next(receive)

    async def keep(message: Any) -> None:
        sent.append(message)

    app: Callable[..., Awaitable[None]] = build_app()
    scope = {"type": scope_type, "method": method, "path": path, "query_string": b"a=1", "headers": [(b"x-a", b"b")]}
    await app(scope, next_message, keep)
    return sent


def test_application_reads_a_body_in_pieces() -> None:
    pieces = [{"body": b"[1,", "more_body": True}, {"body": b"2]", "more_body": False}]
    start, body = asyncio.run(asgi(pieces))
    assert start["status"] == 200
    assert msgspec.json.decode(body["body"])["body"] == [1, 2]


def test_application_refuses_a_body_over_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_server.app.BODY_BYTES_MAX", 3)
    assert asyncio.run(asgi([{"body": b"[1,2]", "more_body": True}]))[0]["status"] == 413


def test_application_answers_nothing_but_http() -> None:
    assert asyncio.run(asgi([], "lifespan")) == []


def test_server_process_answers_and_its_ledger_can_be_counted_from_outside(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"

    async def scenario(port: int) -> list[int]:
        policy = EgressPolicy([("127.0.0.1", port)])
        async with EgressClient(policy) as client, asyncio.timeout(START_S_MAX):
            url = f"http://127.0.0.1:{port}"
            for _ in range(ASKED_COUNT_MAX):  # the process says nowhere that it listens: asked until it answers
                if isinstance(await client.request(HttpRequest(method="GET", url=f"{url}/health")), HttpResponse):
                    break
                await asyncio.sleep(START_S_MAX / ASKED_COUNT_MAX)
            statuses = []
            for attempt in ("1", "2"):
                headers = (("Idempotency-Key", "k"), ("X-Flow-Attempt", attempt))
                given = await client.request(HttpRequest(method="POST", url=f"{url}/results/uk", headers=headers))
                assert isinstance(given, HttpResponse)
                statuses.append(given.status)
            return statuses

    port = free_port()
    command = [sys.executable, "-m", "mock_server", "--port", str(port), "--ledger", str(ledger)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[3], env={**os.environ})
    try:
        assert asyncio.run(scenario(port)) == [503, 200]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_S_MAX)
    assert read_ledger(ledger) == [
        LedgerCall(n=1, method="POST", path="/results/uk", status=503, key="k", attempt="1"),
        LedgerCall(n=2, method="POST", path="/results/uk", status=200, key="k", attempt="2"),
    ]


def free_port() -> int:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
