"""Whatever an instance used, every way of reading it answers, with JSON that is none of its secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.test_callbacks import send
from tests.http.world import World

READS = ("", "/tasks", "/journal", "/state?seq=3", "/timeline", "/why", "/trace")
LOOKS_MAX = 200
ALL = {
    "title": "All of it",
    "steps": [
        {
            "id": "ask", "operator": "@debug/noop", "cache": {"key": "all", "ttl_s": 600},
            "parameters": {"url": "{{ callbacks.told }}"},
        },
        {"id": "told", "operator": "@control/wait", "parameters": {"callback": {"timeout_s": 3600}}},
        {
            "id": "paid", "operator": "@control/wait", "depends_on": ["ask"],
            "parameters": {"event": {"name": "paid", "timeout_s": 3600}},
        },
        {
            "id": "release", "operator": "@control/approval", "depends_on": ["ask"],
            "parameters": {"title": "Release?", "timeout_s": 3600},
        },
        {"id": "end", "operator": "@debug/noop", "depends_on": ["told", "paid", "release"]},
    ],
}  # fmt: skip


async def waiting(world: World, instance_id: str) -> dict[str, Any]:
    """Give the tasks by path once all three wait."""
    for _ in range(LOOKS_MAX):
        await world.ask("GET", f"/instances/{instance_id}?wait=0.02")
        tasks = {one["path"]: one for one in (await world.ask("GET", f"/instances/{instance_id}/tasks")).json["items"]}
        if {"waiting"} == {tasks.get(path, {}).get("status") for path in ("told", "paid", "release")}:
            return tasks
    raise AssertionError("they do not wait")


async def assert_readable(world: World, instance_id: str) -> None:
    for path in READS:
        answer = await world.ask("GET", f"/instances/{instance_id}{path}")
        assert 200 == answer.status, (path, answer.body)
        assert path == "/trace" or answer.json is not None
    streamed = await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")
    assert "secret" not in {key for row in streamed.json["items"] for event in row["events"] for key in event}


@pytest.mark.parametrize("is_paused", [False, True])
async def test_instance_that_used_all_is_read_in_every_way(world: World, is_paused: bool) -> None:
    dag_id = await world.create(ALL)
    instance_id = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    tasks = await waiting(world, instance_id)
    if is_paused:
        assert (await world.ask("POST", f"/instances/{instance_id}/pause", {"reason": "x"})).status < 300
    await assert_readable(world, instance_id)
    assert 202 == (await send(world, tasks["ask"]["output"]["url"], b'{"data": 1}')).status
    assert (await world.ask("POST", f"/instances/{instance_id}/signals/paid", {"n": 1})).status < 300
    [asked] = [one for one in (await world.ask("GET", "/approvals")).json["items"] if one["instance_id"] == instance_id]
    assert (await world.ask("POST", f"/approvals/{asked['id']}", {"decision": "approved"})).status < 300
    if is_paused:
        assert "paused" == (await world.ask("GET", f"/instances/{instance_id}")).json["status"]
        assert (await world.ask("POST", f"/instances/{instance_id}/resume", {})).status < 300
    assert "succeeded" == (await world.ask("GET", f"/instances/{instance_id}?wait=20")).json["status"]
    await assert_readable(world, instance_id)
    again = await world.ask("POST", f"/instances/{instance_id}/rerun", {"from_step": "end", "reason": "again"})
    assert again.status < 300
    assert "succeeded" == (await world.ask("GET", f"/instances/{again.json['id']}?wait=20")).json["status"]
    await assert_readable(world, again.json["id"])
    await world.box.audit_sealer().seal()
    proof = (await world.ask("GET", "/audit/verify")).json
    assert ([], 0) == (proof["items"], proof["unsealed"])
    verified = (await world.ask("GET", "/verify")).json
    assert [] == verified["items"], verified
