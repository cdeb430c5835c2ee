"""What a request may look like: queries, headers, bodies, ids; and that nothing ends in a 5xx."""

from __future__ import annotations

import re
from typing import Any

import pytest

from driver_adapters.http.app import PUBLIC_OPERATIONS
from tests.http.matrix import Questions
from tests.http.world import ONE_STEP, PREFIX, World, call

ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"
# A file has a media type of its own; only a form is read. Without a name it is refused, and nothing was stored.
_ANY_MEDIA_TYPE = {"uploadFile": (422, "request-invalid")}
_NOT_FOUND = {
    "dag-not-found", "instance-not-found", "file-not-found", "batch-not-found", "callback-not-found", "approval-not-found",
    "route-not-found",
}  # fmt: skip


async def test_unknown_query_parameter_is_refused_with_a_hint_on_every_route(world: World) -> None:
    target = await Questions(world).target("one")
    for operation in world.operations:
        body = ONE_STEP if operation.body else None
        answer = await world.ask(operation.method, f"{target.path(operation)}?nonsense=1", body, prefix="")
        assert (400, "query-invalid") == (answer.status, answer.json["code"]), operation.id
        assert "?nonsense" == answer.json["errors"][0]["pointer"]
    answer = await world.ask("GET", "/dags?limt=5")
    assert "did you mean limit?" == answer.json["errors"][0]["hint"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "limit=1.5", "limit=", "limit=1&limit=2", "cursor=x", "cursor=!!!!",
        "cursor=", "cursor=" + "A" * 5000, "limit=%ff", "limit=" + "1" * 9000, "=1",
    ],
)  # fmt: skip
async def test_wrong_query_values_are_refused(world: World, query: str) -> None:
    answer = await world.ask("GET", f"/dags?{query}")
    assert (400, "query-invalid") == (answer.status, answer.json["code"])


async def test_all_wrong_query_parameters_are_named_at_once(world: World) -> None:
    answer = await world.ask("GET", "/instances?limit=0&status=done&colour=red")
    assert {"?limit", "?status", "?colour"} == {fault["pointer"] for fault in answer.json["errors"]}
    status = next(fault for fault in answer.json["errors"] if fault["pointer"] == "?status")
    assert "succeeded" in status["message"]


async def test_cursor_of_another_list_is_refused(world: World) -> None:
    for number in range(2):
        await world.create({**ONE_STEP, "title": f"D{number}"})
    cursor = (await world.ask("GET", "/dags?limit=1")).json["next"]
    answer = await world.ask("GET", f"/instances?cursor={cursor}")
    assert (400, "query-invalid") == (answer.status, answer.json["code"])


@pytest.mark.parametrize(
    "text",
    [
        "x", ID.lower(), ID[:-1], ID + "A", "..", "%2e%2e", "a" * 5000, "'; DROP TABLE dag; --", "\x00", "\ufffd",
        "../../etc/passwd", "C:\\x", "null", "-1", "\u202e",
    ],
)  # fmt: skip
async def test_ids_that_are_none_answer_404_on_every_route(world: World, text: str) -> None:
    for operation in world.operations:
        if "{" in operation.path:
            answer = await world.ask(operation.method, re.sub(r"\{\w+\}", lambda _: text, operation.path))
            assert 404 == answer.status, operation.id
            assert answer.json["code"] in _NOT_FOUND, operation.id


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data; boundary=x", "application/xml", "x", ""])
async def test_other_media_types_are_refused_by_every_route_that_takes_a_body(world: World, media_type: str) -> None:
    target = await Questions(world).target("one")
    for operation in world.operations:
        if operation.body is not None:
            headers = {"content-type": media_type, "if-match": "*"}
            answer = await world.ask(operation.method, target.path(operation), b"{}", headers=headers, prefix="")
            expected = _ANY_MEDIA_TYPE.get(operation.id, (415, "media-type-unsupported"))
            assert expected == (answer.status, answer.json["code"]), operation.id


async def test_compressed_body_is_refused(world: World) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await world.ask("POST", "/dags", b"\x1f\x8b", headers=headers)
    assert (415, "media-type-unsupported") == (answer.status, answer.json["code"])


async def test_body_over_1_mib_is_refused_with_and_without_a_length(world: World) -> None:
    body = b'"' + b"a" * 1_048_575 + b'"'
    for headers in ({}, {"content-length": str(len(body))}, {"content-length": "9" * 30}):
        answer = await world.ask("POST", "/dags/validate", body, headers=headers)
        assert (413, "body-too-large", 1_048_576) == (answer.status, answer.json["code"], answer.json["limit_bytes"])


async def test_body_that_comes_in_parts_is_put_together_and_bounded(world: World) -> None:
    dag_id = await world.create()
    parts = [b'{"na', b'me": ', b'"Ada"}']
    assert 202 == await _streamed(world, dag_id, parts, is_complete=True)
    assert 400 == await _streamed(world, dag_id, parts, is_complete=False)
    assert 413 == await _streamed(world, dag_id, [b"[" + b"1," * 300_000] * 3, is_complete=True)


async def _streamed(world: World, dag_id: str, parts: list[bytes], *, is_complete: bool) -> int:
    left = list(parts)
    statuses: list[int] = []

    async def receive() -> Any:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not is_complete}
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"authorization", f"Bearer {world.keys['one']}".encode()), (b"content-type", b"application/json")]
    scope: Any = {
        "type": "http", "method": "POST", "path": f"{PREFIX}/dags/{dag_id}/run", "query_string": b"", "headers": headers,
        "root_path": "", "http_version": "1.1", "scheme": "http", "client": None, "server": None, "extensions": {},
        "raw_path": b"", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await world.public(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[1,]", b"NaN", b"[NaN]", b"1e400", b'{"a": 1e400}', b'{"a": 1, "a": 2}', b'"\\ud800"', b"\xff", b"\x00",
        b"9" * 30, b"[" * 100_000, b'{"a":' * 70 + b"1" + b"}" * 70, b'{"a": "\\u0000"}', b"{'a': 1}", b"\xef\xbb\xbf{}",
        b"nonsense " * 100_000,
    ],
)  # fmt: skip
async def test_poisoned_json_is_refused_and_starts_nothing(world: World, body: bytes) -> None:
    dag_id = await world.create({"title": "Any", "steps": [{"id": "a", "operator": "@debug/noop"}]})
    answer = await world.ask("POST", f"/dags/{dag_id}/run", body)
    assert (400, "body-undecodable") == (answer.status, answer.json["code"])
    assert 1 == len(answer.json.get("errors", [1]))
    assert [] == (await world.ask("GET", "/instances")).json["items"]


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\tb"])
async def test_idempotency_key_that_is_none_is_refused(world: World, key: str) -> None:
    dag_id = await world.create()
    answer = await world.ask("POST", f"/dags/{dag_id}/run", {}, headers={"idempotency-key": key})
    assert (400, "header-invalid") == (answer.status, answer.json["code"])


async def test_unknown_fields_of_a_reason_are_all_named(world: World) -> None:
    instance_id = await world.run()
    answer = await world.ask("POST", f"/instances/{instance_id}/cancel", {"reason": 1, "force": True, "a/b": 0})
    assert (422, "request-invalid") == (answer.status, answer.json["code"])
    assert {"/reason", "/force", "/a~1b"} == {fault["pointer"] for fault in answer.json["errors"]}
    bodies: list[Any] = [[], "x", {"reason": "r" * 1001}]
    for body in bodies:
        assert 422 == (await world.ask("POST", f"/instances/{instance_id}/cancel", body)).status


async def test_request_id_and_trace_come_back_when_they_are_harmless(world: World) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "x-request-id": "my-17"}
    answer = await world.ask("GET", f"/dags/{ID}", headers=headers)
    assert ("my-17", trace, f"urn:flow:request:{trace}") == (
        answer.header("x-request-id"), answer.json["trace_id"], answer.json["instance"],
    )  # fmt: skip
    for bad in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "x", "00-" + "g" * 32 + "-00f067aa0ba902b7-01"):
        answer = await world.ask("GET", f"/dags/{ID}", headers={"traceparent": bad, "x-request-id": 'a"b' + "c" * 200})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.json["trace_id"])
        assert trace != answer.json["trace_id"]
        assert answer.json["trace_id"] == answer.header("x-request-id")


async def test_websocket_is_not_spoken(world: World) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": f"{PREFIX}/docs",
        "headers": [],
        "query_string": b"",
        "root_path": "",
        "extensions": {},
    }
    await world.public(scope, receive, send)  # type: ignore[arg-type] # less than a server sends, enough to be routed
    assert ["websocket.close"] == [message["type"] for message in sent]


async def test_health_says_what_is_wrong(world: World) -> None:
    for app in (world.public, world.private):
        assert {"status": "alive", "parts": {}} == (await call(app, "GET", "/health/alive", [])).json
        assert {"status": "ready", "parts": {"store": "ok"}} == (await call(app, "GET", "/health/ready", [])).json
    world.health["store"] = "no answer"
    answer = await call(world.public, "GET", "/health/ready", [])
    assert (503, "not-ready", "store: no answer") == (answer.status, answer.json["code"], answer.json["detail"])
    assert 200 == (await call(world.public, "GET", "/health/alive", [])).status


async def test_metrics_are_on_the_private_server_only(world: World) -> None:
    assert 200 == (await call(world.private, "GET", "/metrics", [])).status
    for path in ("/metrics", f"{PREFIX}/metrics"):
        assert 404 == (await world.ask("GET", path, prefix="")).status
    assert 404 == (await call(world.private, "GET", f"{PREFIX}/dags", [])).status


async def test_schemas_and_page_are_served_to_everybody(world: World) -> None:
    paths = {operation.id: operation.path for operation in world.operations if operation.id in PUBLIC_OPERATIONS}
    assert {"title": "DAG"} == (await world.ask("GET", paths["readDagSchema"], tenant=None)).json
    assert "3.1.0" == (await world.ask("GET", paths["readOpenApi"], tenant=None)).json["openapi"]
    page = await world.ask("GET", paths["readApiPage"], tenant=None)
    assert "text/html; charset=utf-8" == page.header("content-type")
    # Its own script and no other one: see tests/docs/test_api_page.py.
    assert b"<script src" not in page.body
    assert b"/dags/{dag_id}/run" in page.body
