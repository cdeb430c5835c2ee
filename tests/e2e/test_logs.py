"""The log of the real process: JSON lines that say where they come from, and no secret in any of them."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import urllib.error
import urllib.parse
from pathlib import Path
from typing import Any

from tests.e2e.otlp_receiver import otlp_receiver
from tests.e2e.processes import environment, flow
from tests.e2e.test_traces import HEADER, TRACE, Client

API_KEY = "canary-of-the-client-5f0c"
COLLECTOR = "canary/of+the=collector 9a1b"


def saying(*texts: str) -> dict[str, Any]:
    """A DAG whose steps write these texts into the log, one after another."""
    steps = [
        {"id": f"say{number}", "operator": "@debug/log", "parameters": {"message": text, "level": "warning"}}
        for number, text in enumerate(texts)
    ]
    return {"title": "Says", "steps": steps}


def raw(base: str, data: bytes) -> bytes:
    """Send bytes as they are and give what comes back."""
    host, port = urllib.parse.urlsplit(base).hostname, urllib.parse.urlsplit(base).port
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(data)
        return connection.recv(65_536)


def test_planted_secrets_are_in_no_line_and_lines_of_a_task_say_which(tmp_path: Path) -> None:
    with otlp_receiver() as (receiver, endpoint):
        given = environment(
            tmp_path / "data", FLOW_ENV="production", FLOW_EGRESS_ALLOW="", FLOW_LOG_LEVEL="debug",
            FLOW_OTLP_ENDPOINT=endpoint, FLOW_OTLP_HEADERS=f"authorization={COLLECTOR}", FLOW_API_KEY=API_KEY,
        )  # fmt: skip
        with flow("serve", given=given) as process:
            client = Client(process)
            key = client.key
            forms = [
                text
                for secret in (API_KEY, COLLECTOR, key)
                for text in (secret, base64.b64encode(f"x{secret}y".encode()).decode(), urllib.parse.quote(secret, safe=""))
            ]  # fmt: skip
            dag, _ = client.post("/dags", saying(*forms, "all said"))
            run, _ = client.post(f"/dags/{dag['id']}/run?wait=30", {}, {"traceparent": HEADER})
            assert "succeeded" == run["status"]
            for path in (f"/dags?key={key}", f"/{key}", f"/dags/{urllib.parse.quote(COLLECTOR, safe='')}"):
                with contextlib.suppress(urllib.error.HTTPError):
                    client.post(path, {"given": API_KEY}, {"x-request-id": API_KEY})
            assert b"400" in raw(client.base, f"GET /{key} HTTP/9.9\r\n{COLLECTOR}\r\n\r\n".encode())
            process.wait_for("all said")
            assert 0 == process.end(signal.SIGTERM)
        sent = receiver.raw

    lines = [line for line in process.lines if line.startswith("{")]
    said = "\n".join(lines)
    for text in (API_KEY, COLLECTOR, key, *forms):
        assert text not in said, text
        assert text.encode() not in sent, text
    read = [json.loads(line) for line in lines]
    assert any("Invalid HTTP request" in line["event"] for line in read)
    (last,) = (line for line in read if line["event"] == "all said")
    expected = {
        "instance": run["id"], "domain": "default", "task": f"say{len(forms)}", "attempt": 1, "level": "warning",
        "operator": "@debug/log", "trace_id": TRACE,
    }  # fmt: skip
    assert expected == {name: last[name] for name in expected}
    masked = [line["event"] for line in read if line.get("operator") == "@debug/log" and "***" in line["event"]]
    assert len(forms) == len(masked)
