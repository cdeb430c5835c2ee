"""The client of the SDK against a server that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from flow_automation import Client, Dag, RequestRefused, ServerUnreachable


class Told:
    """Answers in order, and what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            made.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, answer = made.answers.pop(0)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *given: Any) -> None:
            del given

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hello() -> Dag:
    dag = Dag("Hello")
    dag.step("a", "@debug/noop")
    return dag


def test_dag_is_published_under_its_title_and_started_with_a_key(told: Told) -> None:
    client = Client(told.url, "flow_key")
    told.answers = [(201, b'{"id": "D1"}'), (202, b'{"id": "I1"}')]
    dag_id = hello().publish(client)
    instance_id = client.start(dag_id, {"n": 1}, key="once")

    (_, path, headers, body), (_, started, with_key, inputs) = told.asked
    assert ("D1", "I1") == (dag_id, instance_id)
    assert "/api/automation/v1/dags?if_exists=publish" == path
    assert "Bearer flow_key" == headers["authorization"]
    assert hello().to_document() == msgspec.json.decode(body)
    assert "/api/automation/v1/dags/D1/run" == started
    assert "once" == with_key["idempotency-key"]
    assert b'{"n":1}' == inputs


def test_wait_asks_until_the_end(told: Told) -> None:
    told.answers = [
        (200, b'{"status": "running"}'),
        (200, b'{"status": "succeeded", "ended_at": "2026-03-01T00:00:00Z"}'),
    ]

    assert "succeeded" == Client(told.url, "k").wait("I1")["status"]
    assert ["/api/automation/v1/instances/I1?wait=30"] * 2 == [path for _, path, _, _ in told.asked]


def test_start_without_inputs_and_key_sends_an_empty_object(told: Told) -> None:
    told.answers = [(202, b'{"id": "I1"}')]
    Client(told.url + "/behind", "k", prefix="/api").start("D1")

    method, path, headers, body = told.asked[0]
    assert ("POST", "/behind/api/dags/D1/run", b"{}") == (method, path, body)
    assert "idempotency-key" not in headers


def test_labels_of_a_start_stand_in_its_query(told: Told) -> None:
    told.answers = [(202, b'{"id": "I1"}')]
    client = Client(told.url, "k")
    client.start("D1", labels={"region": "eu", "order": "a b:c&d"})

    assert "/api/automation/v1/dags/D1/run?label=region%3Aeu&label=order%3Aa+b%3Ac%26d" == told.asked[0][1]
    with pytest.raises(ValueError, match="colon"):
        client.start("D1", labels={"a:b": "c"})
    assert 1 == len(told.asked)


def test_priority_of_a_start_stands_in_its_query_and_in_the_body_of_a_plan(told: Told) -> None:
    told.answers = [(202, b'{"id": "I1"}'), (200, b"{}")]
    client = Client(told.url, "k")
    client.start("D1", labels={"a": "b"}, priority=5)
    client.plan("D1", priority=1)

    assert "/api/automation/v1/dags/D1/run?label=a%3Ab&priority=5" == told.asked[0][1]
    assert 1 == msgspec.json.decode(told.asked[1][3])["priority"]


def test_problem_of_the_server_is_raised_with_its_faults(told: Told) -> None:
    problem = {"title": "DAG is not valid", "status": 422, "detail": "one fault", "errors": [{"code": "dag.schema"}]}
    told.answers = [(422, msgspec.json.encode(problem)), (404, b'"odd"')]
    client = Client(told.url, "k")
    with pytest.raises(RequestRefused, match="422 DAG is not valid: one fault") as refused:
        hello().publish(client)

    assert (422, problem) == (refused.value.status, refused.value.problem)
    with pytest.raises(RequestRefused, match="404 refused"):
        client.get("/dags")


def test_answer_that_is_no_json_or_too_long_is_not_this_service(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.answers = [(200, b"<html>"), (200, b'{"a": 1234567}')]
    client = Client(told.url, "k")
    with pytest.raises(ServerUnreachable, match="without JSON"):
        client.get("/dags")
    monkeypatch.setattr("flow_automation.client.ANSWER_BYTES_MAX", 4)
    with pytest.raises(ServerUnreachable, match="passes 4 bytes"):
        client.get("/dags")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_silence_is_told_with_the_host(scheme: str) -> None:
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1 does not answer"):
        Client(f"{scheme}://127.0.0.1:1", "k").get("/dags")


@pytest.mark.parametrize("url", ["ftp://here", "here:80", "http://"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="no http"):
        Client(url, "k")


def test_key_does_not_show() -> None:
    assert "flow_secret" not in repr(Client("http://127.0.0.1:1", "flow_secret"))


def test_plan_sends_what_is_given_and_gives_the_answer(told: Told) -> None:
    told.answers = [(200, b'{"steps":[]}'), (200, b'{"steps":[]}')]
    client = Client(told.url, "k")
    assert {"steps": []} == client.plan("D")
    client.plan("D", {"a": 1}, outputs={"x": {"y": 1}}, errors={"z": "timeout"})
    assert [
        {"inputs": {}, "outputs": {}, "errors": {}},
        {"inputs": {"a": 1}, "outputs": {"x": {"y": 1}}, "errors": {"z": {"kind": "timeout"}}},
    ] == [msgspec.json.decode(body) for _, _, _, body in told.asked]
    assert {"/api/automation/v1/dags/D/plan"} == {path for _, path, _, _ in told.asked}
