"""A step's output of 20 MiB: used by the next step, read back over HTTP, still there after the engine was killed."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.processes import environment, flow
from tests.e2e.test_large_file import Api

MIB = 1024 * 1024
LIMITS = {"output_bytes": 32 * MIB, "memory_mib": 512}
DAG = {
    "title": "Pass a large value on",
    "inputs": {"type": "object", "properties": {"notes": {"type": "string"}}},
    "steps": [
        {
            "id": "make",
            "operator": "@python/run",
            "parameters": {
                "code": "def main():\n    return {part: part * (10 * 1024 * 1024) for part in 'ab'}",
                "limits": LIMITS,
            },
        },
        {
            "id": "use",
            "operator": "@python/run",
            "parameters": {
                "code": (
                    "import hashlib\n"
                    "def main(value):\n"
                    "    return {part: hashlib.sha256(text.encode()).hexdigest() for part, text in value.items()}"
                ),
                "inputs": {"value": "{{ steps.make.output }}"},
                "limits": LIMITS,
            },
        },
    ],
    "outputs": {
        "digests": "{{ steps.use.output }}",
        "half": "{{ steps.make.output.b }}",
        "notes": "{{ inputs.notes }}",
    },
}
HALVES = {part: part * (10 * MIB) for part in "ab"}
NOTES = "n" * 600_000


def api_of(process: Any, key: str) -> Api:
    found = process.wait_for(r"API +http://([^/]+)(/\S+)")
    return Api(found.group(1), found.group(2), key)


def check(api: Api, instance_id: str) -> None:
    """Read the value back: a half as the instance's output, the whole by its size, the inputs as an output."""
    read = api.json("GET", f"/instances/{instance_id}")
    digests = {part: hashlib.sha256(text.encode()).hexdigest() for part, text in HALVES.items()}
    assert ("succeeded", digests) == (read["status"], read["outputs"]["digests"])
    assert HALVES["b"] == read["outputs"]["half"]
    assert NOTES == read["outputs"]["notes"]
    tasks = api.json("GET", f"/instances/{instance_id}/tasks")["items"]
    [made] = [task for task in tasks if task["path"] == "make"]
    assert len(msgspec.json.encode(HALVES)) == made["output_bytes"]


def test_output_of_20_mib_is_used_by_the_next_step_and_read_back_after_a_kill(tmp_path: Path) -> None:
    given = environment(tmp_path / "data")
    with flow("serve", given=given) as process:
        key = process.wait_for(r"administrator key, shown this once: (\S+)").group(1)
        api = api_of(process, key)
        dag = api.json("POST", "/dags", msgspec.json.encode(DAG), content_type="application/json")
        inputs = msgspec.json.encode({"notes": NOTES})
        ran = api.json("POST", f"/dags/{dag['id']}/run?wait=60", inputs, content_type="application/json")
        assert "succeeded" == ran["status"], ran
        check(api, ran["id"])
        process.end(signal.SIGKILL)
    objects = [path.stat().st_size for path in (tmp_path / "data" / "objects").rglob("*") if path.is_file()]
    journal = sum(path.stat().st_size for path in (tmp_path / "data").glob("flow.db*"))
    assert sum(objects) > 20 * MIB > 4 * journal
    with flow("serve", given=given) as process:
        check(api_of(process, key), ran["id"])
        assert 0 == process.end(signal.SIGTERM)
