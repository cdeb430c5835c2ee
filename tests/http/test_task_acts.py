"""Acts on tasks over HTTP: skip, complete, fail, retry by hand (semantics.md S43)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.world import World

LOOKS_MAX = 100
# The first step stays `retrying` for an hour, so that somebody can act on it.
HELD = {
    "title": "Held",
    "steps": [
        {
            "id": "book",
            "operator": "@debug/fail",
            "retry": {"max_attempts": 2, "delay_s": 3600, "max_delay_s": 3600, "jitter": "none"},
        },
        {"id": "tell", "operator": "@debug/noop", "parameters": {"booked": "{{ steps.book.status }}"}},
    ],
    "outputs": "{{ steps.tell.output }}",
}


async def held(world: World) -> str:
    """Start an instance and give its id once its first task waits for its second attempt."""
    dag_id = await world.create(HELD)
    started = await world.ask("POST", f"/dags/{dag_id}/run", {})
    instance_id: str = started.json["id"]
    for _ in range(LOOKS_MAX):
        await world.ask("GET", f"/instances/{instance_id}?wait=0.05")
        tasks = (await world.ask("GET", f"/instances/{instance_id}/tasks")).json["items"]
        if [task["status"] for task in tasks if task["path"] == "book"] == ["retrying"]:
            return instance_id
    raise AssertionError("its first attempt has not failed")


async def outcome(world: World, instance_id: str) -> Any:
    return (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json


@pytest.mark.parametrize(
    ("act", "body", "status", "booked"),
    [
        ("complete", {"reason": "booked by hand", "output": {}}, "succeeded", "succeeded"),
        ("skip", {"reason": "not today"}, "succeeded", "skipped"),
        ("skip", {"reason": "not today", "output": {"n": 1}}, "succeeded", "skipped"),
        ("fail", {"reason": "lost", "error": {"kind": "conflict", "message": "lost"}}, "failed", None),
        ("fail", {"reason": "lost"}, "failed", None),
        ("retry", {"reason": "up again"}, "failed", None),
    ],
)
async def test_act_on_a_task_leads_to_the_end(
    world: World, act: str, body: dict[str, Any], status: str, booked: str | None
) -> None:
    instance_id = await held(world)
    answer = await world.ask("POST", f"/instances/{instance_id}/tasks/book/{act}", body)
    assert (202, instance_id) == (answer.status, answer.json["id"])
    ended = await outcome(world, instance_id)
    assert status == ended["status"]
    if booked is not None:
        assert {"booked": booked} == ended["outputs"]
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    acted = [event for entry in journal for event in entry["events"] if event["event"] == "task_acted"]
    assert [(act, body["reason"])] == [(event["act"], event["reason"]) for event in acted]


async def test_act_that_cannot_be_done_says_why_and_changes_nothing(world: World) -> None:
    instance_id = await held(world)
    tasks = f"/instances/{instance_id}/tasks"
    why = {"reason": "as agreed"}
    found = {
        "unknown task": await world.ask("POST", f"{tasks}/nobody/skip", why),
        "pending task": await world.ask("POST", f"{tasks}/tell/retry", why),
        "no reason": await world.ask("POST", f"{tasks}/book/skip", {}),
        "empty reason": await world.ask("POST", f"{tasks}/book/skip", {"reason": ""}),
        "unknown kind": await world.ask("POST", f"{tasks}/book/fail", {**why, "error": {"kind": "odd"}}),
        "no output": await world.ask("POST", f"{tasks}/book/complete", why),
        "wrong output": await world.ask("POST", f"{tasks}/tell/complete", {**why, "output": 5}),
        "unknown instance": await world.ask("POST", "/instances/01JD3V7A2B3C4D5E6F7G8H9J0K/tasks/book/skip", why),
    }
    assert {
        "unknown task": (404, "task-not-found"),
        "pending task": (409, "task-not-open"),
        "no reason": (422, "request-invalid"),
        "empty reason": (422, "request-invalid"),
        "unknown kind": (422, "request-invalid"),
        "no output": (422, "request-invalid"),
        "wrong output": (422, "request-invalid"),
        "unknown instance": (404, "instance-not-found"),
    } == {name: (answer.status, answer.json["code"]) for name, answer in found.items()}
    assert "pending" == found["pending task"].json["task_status"]
    assert "/output" == found["wrong output"].json["errors"][0]["pointer"]
    assert "retrying" == (await world.ask("GET", f"{tasks}/book")).json["status"]


async def test_act_on_an_ended_instance_is_refused(world: World) -> None:
    instance_id = await held(world)
    await world.ask("POST", f"/instances/{instance_id}/terminate", {"reason": "enough"})
    await outcome(world, instance_id)
    answer = await world.ask("POST", f"/instances/{instance_id}/tasks/book/skip", {"reason": "late"})
    assert (409, "instance-ended") == (answer.status, answer.json["code"])
