"""Traces as a real receiver gets them from the real process."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.otlp_receiver import Span, otlp_receiver
from tests.e2e.processes import Process, environment, flow, free_port
from tests.e2e.target import open_target

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01"
STOP_S_MAX = 15.0  # what a stop may take beside a receiver that is away; alone it takes under 2 s


class Client:
    """Asks one process over HTTP."""

    def __init__(self, process: Process, key: str = "") -> None:
        self.key = key or process.wait_for(r"(flow_\w{8}_\w{32})").group(1)
        self.base = process.wait_for(r"^API +(http://\S+)").group(1)
        self.private = process.wait_for(r"^private +(http://127\.0\.0\.1:\d+)").group(1)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[Any, Mapping[str, str]]:
        request = urllib.request.Request(  # noqa: S310 - printed by our own process
            self.base + path, json.dumps(body).encode(),
            {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})},
        )  # fmt: skip
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
            return json.load(answer), dict(answer.headers)


def calling(port: int) -> dict[str, Any]:
    """A DAG of one call."""
    step = {
        "id": "call",
        "operator": "@http/request",
        "parameters": {"url": f"http://127.0.0.1:{port}/secret-path?q=1"},
    }
    return {"title": "Calls", "steps": [step]}


def by_name(spans: list[Span], trace_id: str = TRACE) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in spans:
        if span.trace_id == trace_id:
            found.setdefault(span.name, []).append(span)
    return found


def test_one_trace_goes_from_the_request_over_commit_and_attempt_to_the_outgoing_call(tmp_path: Path) -> None:
    with otlp_receiver() as (receiver, endpoint), open_target() as target:
        given = environment(
            tmp_path / "data", FLOW_EGRESS_ALLOW=f"127.0.0.1:{target.port}", FLOW_OTLP_ENDPOINT=endpoint,
            FLOW_OTLP_HEADERS="x-team=blue-canary",
        )  # fmt: skip
        target.statuses = [503]
        with flow("serve", given=given) as process:
            client = Client(process)
            dag, _ = client.post("/dags", calling(target.port))
            run, headers = client.post(f"/dags/{dag['id']}/run?wait=30", {}, {"traceparent": HEADER})
            assert "succeeded" == run["status"]
            assert TRACE == headers["traceparent"].split("-")[1]
            with urllib.request.urlopen(f"{client.private}/metrics") as answer:  # noqa: S310 - our own process
                assert b'flow_trace_spans_total{result="ended"}' in answer.read()
            assert 0 == process.end(signal.SIGTERM), process.text
        spans = by_name(receiver.wait_for(lambda found: any(span.parent_id == PARENT for span in found)))

    (request,) = (span for span in receiver.spans if span.parent_id == PARENT)
    assert "POST /api/automation/v1/dags/{dag_id}/run" == request.name.replace("{id}", "{dag_id}")
    assert 200 == request.said["http.response.status_code"]
    (start,) = spans["start instance"]
    assert (request.id, run["id"]) == (start.parent_id, start.said["flow.instance"])
    attempts = sorted(spans["attempt @http/request"], key=lambda span: span.said["flow.attempt"])
    assert [(start.id, 1, True), (start.id, 2, False)] == [
        (span.parent_id, span.said["flow.attempt"], span.is_failed) for span in attempts
    ]
    calls = {span.parent_id: span for span in spans["GET"]}
    assert [503, 200] == [calls[span.id].said["http.response.status_code"] for span in attempts]
    assert start.id in {span.parent_id for span in spans["commit"]}
    sent = [f"00-{TRACE}-{calls[span.id].id}-01" for span in attempts]
    assert sent == [headers["traceparent"] for headers in target.requests]
    assert b"secret-path" not in receiver.raw
    assert {"blue-canary"} == {headers["x-team"] for headers in receiver.headers}
    assert "blue-canary" not in process.text


def test_attempt_after_a_crash_belongs_to_the_trace_of_its_instance_s_start(tmp_path: Path) -> None:
    with otlp_receiver() as (receiver, endpoint), open_target() as target:
        given = environment(
            tmp_path / "data", FLOW_EGRESS_ALLOW=f"127.0.0.1:{target.port}", FLOW_OTLP_ENDPOINT=endpoint
        )  # fmt: skip
        target.released.clear()
        with flow("serve", given=given) as process:
            client = Client(process)
            dag, _ = client.post("/dags", calling(target.port))
            client.post(f"/dags/{dag['id']}/run", {}, {"traceparent": HEADER})
            assert target.called.wait(30)
            receiver.wait_for(lambda found: bool(by_name(found).get("start instance")))
            process.end(signal.SIGKILL)
        target.released.set()
        with flow("serve", given=given) as process:
            spans = by_name(receiver.wait_for(lambda found: bool(by_name(found).get("attempt @http/request"))))
            assert 0 == process.end(signal.SIGTERM), process.text

    (start,) = spans["start instance"]
    (attempt,) = spans["attempt @http/request"]
    assert (start.id, 2) == (attempt.parent_id, attempt.said["flow.attempt"])
    assert [TRACE, TRACE] == [headers["traceparent"].split("-")[1] for headers in target.requests]


def test_receiver_that_is_away_holds_up_neither_work_nor_the_stop(tmp_path: Path) -> None:
    given = environment(tmp_path / "data", FLOW_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    document = {"title": "One", "steps": [{"id": "a", "operator": "@debug/noop"}]}
    with flow("serve", given=given) as process:
        client = Client(process)
        dag, _ = client.post("/dags", document)
        for _ in range(20):
            run, _ = client.post(f"/dags/{dag['id']}/run?wait=30", {})
            assert "succeeded" == run["status"]
        began_at = time.perf_counter()
        assert 0 == process.end(signal.SIGTERM), process.text
        assert STOP_S_MAX > time.perf_counter() - began_at
