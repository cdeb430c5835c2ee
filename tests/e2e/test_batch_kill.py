"""An act on many instances goes on after the engine was killed with -9, and counts each of them once."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.processes import environment, flow
from tests.e2e.test_large_file import Api
from tests.e2e.test_large_value import api_of

INSTANCE_COUNT = 300  # six portions
LOOKS_MAX = 200
DAG = {"title": "Waits", "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"seconds": 3600}}]}
JSON = "application/json"


def test_act_on_many_instances_goes_on_after_a_kill(tmp_path: Path) -> None:
    given = environment(tmp_path / "data", FLOW_RATE_KEY_PER_MINUTE="1000000", FLOW_RATE_DOMAIN_PER_MINUTE="1000000")
    with flow("serve", given=given) as process:
        key = process.wait_for(r"administrator key, shown this once: (\S+)").group(1)
        api = api_of(process, key)
        dag = api.json("POST", "/dags", msgspec.json.encode(DAG), content_type=JSON)
        ids = [api.json("POST", f"/dags/{dag['id']}/run")["id"] for _ in range(INSTANCE_COUNT)]
        wish = msgspec.json.encode({"action": "pause", "ids": ids, "reason": "before the kill"})
        begun = api.json("POST", "/instances:batch", wish, content_type=JSON)
        process.end(signal.SIGKILL)
    with flow("serve", given=given) as process:
        api = api_of(process, key)
        shown = done(api, begun["id"])
        assert (INSTANCE_COUNT, 0, 0) == (shown["done"], shown["refused"], shown["failed"])
        paused = {api.json("GET", f"/instances/{one}")["status"] for one in ids}
        assert {"paused"} == paused
        assert 0 == process.end(signal.SIGTERM)


def done(api: Api, batch_id: str) -> Any:
    """Look until it is done; each look waits a little for the end of an instance that does not come."""
    for _ in range(LOOKS_MAX):
        shown = api.json("GET", f"/instances:batch/{batch_id}")
        if shown["status"] == "done":
            return shown
        waiting = api.json("GET", "/instances?limit=1")["items"][0]["id"]
        api.json("GET", f"/instances/{waiting}?wait=0.1")
    raise AssertionError(shown)
