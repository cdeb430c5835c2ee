"""Acts on whole instances over HTTP: pause and resume (semantics.md S42); who cancelled (S41)."""

from __future__ import annotations

from typing import Any

from tests.http.test_task_acts import held, outcome
from tests.http.world import World


async def acts(world: World, instance_id: str) -> list[tuple[str, str, str]]:
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    events = [event for entry in journal for event in entry["events"]]
    return [(one["act"], one["by"], one["reason"]) for one in events if one["event"] == "instance_acted"]


async def test_s42_instance_is_paused_and_resumed_and_the_journal_says_by_whom(world: World) -> None:
    instance_id = await held(world)

    async def tell(act: str, reason: str) -> Any:
        return await world.ask("POST", f"/instances/{instance_id}/{act}", {"reason": reason})

    for _ in range(2):
        answer = await tell("pause", "look first")
        assert (202, {"id": instance_id, "status": "paused"}) == (answer.status, answer.json)
    assert "paused" == (await world.ask("GET", f"/instances/{instance_id}")).json["status"]
    listed = (await world.ask("GET", "/instances?status=paused")).json["items"]
    assert [instance_id] == [row["id"] for row in listed]
    await world.ask("POST", f"/instances/{instance_id}/tasks/book/skip", {"reason": "x"})
    assert "paused" == (await world.ask("GET", f"/instances/{instance_id}?wait=0.05")).json["status"]
    assert (202, "running") == ((answer := await tell("resume", "looked")).status, answer.json["status"])
    assert "succeeded" == (await outcome(world, instance_id))["status"]
    told = await acts(world, instance_id)
    assert [("pause", "look first"), ("resume", "looked")] == [(act, reason) for act, _, reason in told]
    assert 1 == len({by for _, by, _ in told} - {""})
    answer = await tell("pause", "late")
    assert (409, "instance-ended") == (answer.status, answer.json["code"])


async def test_s41_s42_paused_instance_is_cancelled_by_somebody_with_a_reason(world: World) -> None:
    instance_id = await held(world)
    await world.ask("POST", f"/instances/{instance_id}/pause")
    answer = await world.ask("POST", f"/instances/{instance_id}/cancel", {"reason": "wrong day"})
    assert 202 == answer.status
    assert "cancelled" == (await outcome(world, instance_id))["status"]
    assert ["pause", "cancel"] == [act for act, _, _ in await acts(world, instance_id)]


async def test_s42_instance_that_is_ending_takes_no_pause(world: World) -> None:
    dag = {"title": "Slow", "steps": [{"id": "a", "operator": "@debug/noop", "parameters": {}}]}
    dag["steps"] = [{"id": "t", "operator": "@control/try", "parameters": {
        "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"seconds": 3600}}],
        "finally": [{"id": "f", "operator": "@control/wait", "parameters": {"seconds": 3600}}],
    }}]  # fmt: skip
    dag_id = await world.create(dag)
    instance_id = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    assert 202 == (await world.ask("POST", f"/instances/{instance_id}/cancel")).status
    for act in ("pause", "resume"):
        answer = await world.ask("POST", f"/instances/{instance_id}/{act}")
        assert (409, "instance-not-open") == (answer.status, answer.json["code"])
        assert "cancelling" == answer.json["instance_status"]
    await world.ask("POST", f"/instances/{instance_id}/terminate")


async def test_acts_by_hand_are_listed_for_administrators_newest_first(world: World) -> None:
    instance_id = await held(world)
    for act, body in (("pause", {"reason": "a"}), ("pause", {"reason": "again"}), ("resume", {"reason": "b"})):
        await world.ask("POST", f"/instances/{instance_id}/{act}", body)
    await world.ask("POST", f"/instances/{instance_id}/tasks/book/skip", {"reason": "c"})
    batch = await world.ask(
        "POST", "/instances:batch", {"action": "cancel", "filter": {"status": "queued"}, "reason": "d"}
    )
    listed = (await world.ask("GET", "/audit?limit=200")).json["items"]
    assert [
        ("batch.cancel", "d", None, None, batch.json["id"]),
        ("task.skip", "c", instance_id, "book", None),
        ("instance.resume", "b", instance_id, None, None),
        ("instance.pause", "a", instance_id, None, None),
    ] == [(one["act"], one["reason"], one["instance_id"], one["task"], one["batch_id"]) for one in listed]
    assert 1 == len({one["by"] for one in listed} - {""})
    first = (await world.ask("GET", "/audit?limit=3")).json
    rest = (await world.ask("GET", f"/audit?limit=3&cursor={first['next']}")).json
    assert (listed, None) == (first["items"] + rest["items"], rest["next"])
    assert [] == (await world.ask("GET", "/audit", tenant="two")).json["items"]
