"""Acts on many instances over HTTP: begun durably, carried out beside the request, read until they are done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.test_task_acts import HELD, LOOKS_MAX
from tests.http.world import World


async def started(world: World, count: int, **labels: str) -> list[str]:
    """Start instances that wait for an hour."""
    found = (await world.ask("GET", "/dags?text=Held")).json["items"]
    dag_id = found[0]["id"] if found else await world.create(HELD)
    query = "&".join(f"label={name}:{value}" for name, value in labels.items())
    return [(await world.ask("POST", f"/dags/{dag_id}/run?{query}", {})).json["id"] for _ in range(count)]


async def done(world: World, location: str, running: str) -> Any:
    """Look until it is done; `running` is an instance whose end is waited for meanwhile, in vain."""
    for _ in range(LOOKS_MAX):
        shown = (await world.ask("GET", location)).json
        if shown["status"] == "done":
            return shown
        await world.ask("GET", f"/instances/{running}?wait=0.05")
    raise AssertionError(f"not done: {shown}")


def place(answer: Any) -> str:
    """Give where an answer says that one looks, below the prefix."""
    return "/instances" + str(answer.header("location")).rpartition("/instances")[2]


async def status_of(world: World, ids: list[str]) -> set[str]:
    return {(await world.ask("GET", f"/instances/{one}")).json["status"] for one in ids}


async def test_many_instances_are_paused_resumed_and_cancelled_by_a_filter(world: World) -> None:
    ids = await started(world, 60, region="eu")
    others = await started(world, 2, region="us")
    chosen = {"labels": {"region": "eu"}}
    counted = await world.ask("POST", "/instances:batch", {"action": "pause", "filter": chosen, "dry_run": True})
    assert (200, {"count": 60, "has_more": False}) == (counted.status, counted.json)
    for action, expected in (("pause", {"paused"}), ("resume", {"running"}), ("cancel", {"cancelled", "cancelling"})):
        answer = await world.ask("POST", "/instances:batch", {"action": action, "filter": chosen, "reason": "test"})
        assert (202, "running", None) == (answer.status, answer.json["status"], answer.json["total"])
        shown = await done(world, place(answer), others[0])
        assert (60, 0, 0, []) == (shown["done"], shown["refused"], shown["failed"], shown["refusals"])
        assert await status_of(world, ids) <= expected
    assert {"running"} == await status_of(world, others)
    journal = (await world.ask("GET", f"/instances/{ids[0]}/journal?limit=200")).json["items"]
    acted = [event for entry in journal for event in entry["events"] if event["event"] == "instance_acted"]
    assert [("pause", "test"), ("resume", "test"), ("cancel", "test")] == [(one["act"], one["reason"]) for one in acted]


async def test_ids_are_told_each_and_refusals_are_named(world: World) -> None:
    ids = await started(world, 3)
    await world.ask("POST", f"/instances/{ids[0]}/terminate")
    nobody = "01JD3V7A2B3C4D5E6F7G8H9J0K"
    wish = {"action": "pause", "ids": [*ids, ids[1], nobody], "reason": "test"}
    counted = await world.ask("POST", "/instances:batch", {**wish, "dry_run": True})
    assert {"count": 2, "has_more": False} == counted.json
    shown = await done(world, place(await world.ask("POST", "/instances:batch", wish)), ids[1])
    assert (4, 2, 2, 0) == (shown["total"], shown["done"], shown["refused"], shown["failed"])
    assert {ids[0]: "instance-ended", nobody: "instance-not-found"} == {
        one["id"]: one["code"] for one in shown["refusals"]
    }


async def test_repeat_with_the_same_key_is_answered_the_same_and_another_body_is_refused(world: World) -> None:
    ids = await started(world, 1)
    wish = {"action": "pause", "ids": ids}
    first = await world.ask("POST", "/instances:batch", wish, headers={"Idempotency-Key": "k-1"})
    again = await world.ask("POST", "/instances:batch", wish, headers={"Idempotency-Key": "k-1"})
    assert (202, first.json, place(first)) == (again.status, again.json, place(again))
    other = await world.ask("POST", "/instances:batch", {**wish, "reason": "x"}, headers={"Idempotency-Key": "k-1"})
    assert (422, "idempotency-key-reused") == (other.status, other.json["code"])


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"action": "pause"}, ""),
        ({"action": "pause", "ids": ["01JD3V7A2B3C4D5E6F7G8H9J0K"], "filter": {}}, ""),
        ({"action": "dance", "filter": {}}, "/action"),
        ({"action": "pause", "ids": []}, "/ids"),
        ({"action": "pause", "ids": ["x"]}, "/ids/0"),
        ({"action": "pause", "filter": {"version": "v1.0.0"}}, "/filter/version"),
        ({"action": "pause", "filter": {"status": "failed"}}, "/filter/status"),
    ],
)
async def test_wish_that_does_not_fit_is_refused_with_its_place(world: World, wish: Any, pointer: str) -> None:
    answer = await world.ask("POST", "/instances:batch", wish)
    assert (422, "request-invalid") == (answer.status, answer.json["code"])
    assert [pointer] == [fault["pointer"] for fault in answer.json["errors"]]


async def test_act_of_another_tenant_is_like_a_missing_one(world: World) -> None:
    answer = await world.ask("POST", "/instances:batch", {"action": "pause", "filter": {}})
    theirs = await world.ask("GET", place(answer), tenant="two")
    assert (404, "batch-not-found") == (theirs.status, theirs.json["code"])
    assert (404, "batch-not-found") == (
        (missing := await world.ask("GET", "/instances:batch/x")).status,
        missing.json["code"],
    )
