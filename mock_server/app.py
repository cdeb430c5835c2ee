"""The stand-in for other people's HTTP services, as one small ASGI application.

It is plain ASGI: a load of thousands of calls must find its limit in the engine, not here.

| route | answer |
|---|---|
| `GET /orders?region=R` | the orders of `orders.json`, all or those of one region |
| `GET /orders.csv` | all orders as CSV: `id,region,status,currency,total` |
| `POST /results/{region}` | first call of a key: 503, `Retry-After: 0`; then 200 `{region, accepted, key}`, |
| | with `orders_count` and `total` when the body is `{"orders": [{"total": ..}]}` |
| `GET /changes?since=S&limit=L` | `{changes: [{n, id, kind}], watermark, is_complete}`: at most L after number S |
| `GET /items?count=N&bytes=B` | N items `{id, text}` of B bytes of JSON each |
| `POST /echo` | `{body, headers}` of the request |
| `POST /work/{ms}` | `{worked_ms, key}` after so many milliseconds |
| `GET /ledger?path=P` | every call so far, or those of one path |
| `GET /health` | `{}`; not in the ledger, as `/ledger` is not |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from mock_server.ledger import Ledger, LedgerFull

ORDERS_FILE = Path(__file__).parent / "orders.json"
ITEM_COUNT_MAX = 100_000  # as many as one map takes
ITEM_BYTES_MIN, ITEM_BYTES_MAX = 32, 65_536  # room for id and text; larger items are no test of many
BODY_BYTES_MAX = 64 * 1024 * 1024  # as large as one value of the engine
CHANGE_COUNT = 250  # of the whole feed: three pages of a hundred
CHANGES_PER_PAGE_MAX = 1_000
_KINDS = ("created", "changed", "deleted")
WORK_MS_MAX = 600_000  # ten minutes: longer than any attempt in a test

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the server itself needs to know of an order."""

    id: str | int
    region: str
    status: str
    currency: str
    total: float


class ResultOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a result; `total` has two decimals."""

    total: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a result may hold; other fields are the sender's own."""

    orders: list[ResultOrder]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, read whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str | None:
        """The idempotency key."""
        return self.headers.get("idempotency-key")


class Answer(msgspec.Struct, frozen=True):
    """One answer: status, JSON already encoded, further headers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class MockServer:
    """The routes over one ledger."""

    def __init__(self, ledger: Ledger, orders_file: Path = ORDERS_FILE) -> None:
        """Take the ledger and read the orders once."""
        self.ledger = ledger
        self._all_orders = orders_file.read_bytes()
        by_region: dict[str, list[msgspec.Raw]] = {}
        raws = msgspec.json.decode(self._all_orders, type=list[msgspec.Raw])
        orders = msgspec.json.decode(self._all_orders, type=list[Order])
        for order, raw in zip(orders, raws, strict=True):
            by_region.setdefault(order.region, []).append(raw)
        self._orders_csv = "".join(["id,region,status,currency,total\n", *map(_csv_line, orders)]).encode()
        self._orders = {region: msgspec.json.encode(some) for region, some in by_region.items()}

    async def answer(self, call: Call) -> Answer:
        """Answer one call, after it was written to the ledger."""
        if call.path == "/health":
            return Answer(200, b"{}")
        if call.path == "/ledger":
            wanted = call.query.get("path")
            calls = self.ledger.calls
            return _json(200, calls if wanted is None else [each for each in calls if each.path == wanted])
        answer = self._prepared(call)
        try:
            self.ledger.record(
                method=call.method,
                path=call.path,
                key=call.key,
                attempt=call.headers.get("x-flow-attempt"),
                status=answer.status,
            )
        except LedgerFull:
            return _problem(507, "the ledger is full")
        if call.path.startswith("/work/") and answer.status == 200:
            await asyncio.sleep(int(call.path.rpartition("/")[2]) / 1000)
        return answer

    def _prepared(self, call: Call) -> Answer:
        head, _, rest = call.path.strip("/").partition("/")
        match call.method, head, rest:
            case "GET", "orders", "":
                region = call.query.get("region")
                return Answer(200, self._all_orders if region is None else self._orders.get(region, b"[]"))
            case "GET", "orders.csv", "":
                return Answer(200, self._orders_csv, (("content-type", "text/csv; charset=utf-8"),))
            case "GET", "changes", "":
                return _changes(call.query)
            case "GET", "items", "":
                return _items(call.query)
            case "POST", "results", region if region:
                return self._result(call, region)
            case "POST", "echo", "":
                return _json(200, {"headers": call.headers, "body": _decoded(call.body)})
            case "POST", "work", ms if ms.isascii() and ms.isdigit() and int(ms) <= WORK_MS_MAX:
                return _json(200, {"worked_ms": int(ms), "key": call.key})
            case _:
                return _problem(404, f"no route {call.method} {call.path}")

    def _result(self, call: Call, region: str) -> Answer:
        if call.key is None:
            return _problem(400, "a result needs an Idempotency-Key")
        if self.ledger.is_first(call.path, call.key):
            refusal = _problem(503, "busy with the first call of this key; try again")
            return Answer(503, refusal.body, (("retry-after", "0"),))
        return _json(200, {"region": region, "accepted": True, "key": call.key, **_booked(call.body)})


def build_app(ledger: Ledger | None = None, orders_file: Path = ORDERS_FILE) -> App:
    """Give the ASGI application; without a ledger the calls are kept in memory alone."""
    server = MockServer(ledger if ledger is not None else Ledger(), orders_file)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        answer = _problem(413, "the body is too large") if body is None else await server.answer(_call(scope, body))
        await _send(send, answer)

    return app


def _call(scope: Scope, body: bytes) -> Call:
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Call(
        method=scope["method"],
        path=unquote(scope["path"]),
        query={name: values[-1] for name, values in query.items()},
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=body,
    )


async def _read_body(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _send(send: Send, answer: Answer) -> None:
    named = {"content-type": "application/json", "content-length": str(len(answer.body)), **dict(answer.headers)}
    headers = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _csv_line(order: Order) -> str:
    """Write one order; no field of ours holds a comma or a quote."""
    return f"{order.id},{order.region},{order.status},{order.currency},{order.total:.2f}\n"


def _changes(query: dict[str, str]) -> Answer:
    try:
        since, limit = int(query.get("since", "0")), int(query.get("limit", "100"))
    except ValueError:
        return _problem(400, "since and limit are numbers")
    if since < 0 or not 1 <= limit <= CHANGES_PER_PAGE_MAX:
        return _problem(400, f"since is not negative, limit is 1..{CHANGES_PER_PAGE_MAX}")
    numbers = range(since + 1, min(since + limit, CHANGE_COUNT) + 1)
    changes = [{"n": n, "id": f"article-{n % 40:02d}", "kind": _KINDS[n % 3]} for n in numbers]
    watermark = numbers[-1] if numbers else since
    return _json(200, {"changes": changes, "watermark": watermark, "is_complete": watermark >= CHANGE_COUNT})


def _items(query: dict[str, str]) -> Answer:
    try:
        count, item_bytes = int(query.get("count", "1000")), int(query.get("bytes", "1024"))
    except ValueError:
        return _problem(400, "count and bytes are numbers")
    if not (0 <= count <= ITEM_COUNT_MAX and ITEM_BYTES_MIN <= item_bytes <= ITEM_BYTES_MAX):
        return _problem(400, f"count is 0..{ITEM_COUNT_MAX}, bytes is {ITEM_BYTES_MIN}..{ITEM_BYTES_MAX}")
    return Answer(200, b"[" + b",".join(_item(number, item_bytes) for number in range(count)) + b"]")


def _item(number: int, item_bytes: int) -> bytes:
    head = b'{"id":%d,"text":"' % number
    letter = b"abcdefghijklmnopqrstuvwxyz"[number % 26 : number % 26 + 1]
    return head + letter * (item_bytes - len(head) - 2) + b'"}'


def _booked(body: bytes) -> dict[str, Any]:
    """Sum up what a result holds, as a bookkeeping service would; nothing when it holds no orders."""
    try:
        result = msgspec.json.decode(body, type=Result)
    except msgspec.DecodeError:
        return {}
    cents = sum(round(order.total * 100) for order in result.orders)
    return {"orders_count": len(result.orders), "total": cents / 100}


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", errors="replace")


def _json(status: int, value: Any) -> Answer:
    return Answer(status, msgspec.json.encode(value))


def _problem(status: int, detail: str) -> Answer:
    return _json(status, {"status": status, "detail": detail})
