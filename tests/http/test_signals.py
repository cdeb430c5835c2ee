"""Signals over HTTP (semantics.md S26)."""

from __future__ import annotations

from typing import Any

from core.engine.signals import SIGNAL_BYTES_MAX, SIGNALS_PER_NAME_MAX
from tests.http.world import World

ASKING = {
    "title": "Asking",
    "steps": [
        {
            "id": "pay",
            "operator": "@control/wait",
            "parameters": {"event": {"name": "paid", "filter": "event.data.order == inputs.order"}},
        }
    ],
    "outputs": "{{ steps.pay.output }}",
}


async def asking(world: World, **document: Any) -> str:
    """Start an instance that waits for a signal."""
    dag_id = await world.create({**ASKING, **document})
    started = await world.ask("POST", f"/dags/{dag_id}/run", {"order": 7})
    instance_id: str = started.json["id"]
    return instance_id


async def test_s26_signal_wakes_the_wait_and_is_its_output(world: World) -> None:
    instance_id = await asking(world)
    path = f"/instances/{instance_id}/signals/paid"
    kept = await world.ask("POST", path, {"order": 8})
    assert (202, instance_id) == (kept.status, kept.json["id"])
    assert 202 == (await world.ask("POST", path, {"order": 7, "by": "card"})).status
    ended = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json
    assert ("succeeded", "signal", {"order": 7, "by": "card"}) == (
        ended["status"], ended["outputs"]["reason"], ended["outputs"]["data"],
    )  # fmt: skip
    late = await world.ask("POST", path, {"order": 7})
    assert (409, "instance-ended") == (late.status, late.json["code"])
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    named = [event["event"] for entry in journal for event in entry["events"] if event["event"].startswith("signal")]
    assert ["signal_received", "signal_received", "signal_taken"] == named


async def test_s26_key_makes_a_repeat_the_same_signal_and_another_body_a_fault(world: World) -> None:
    instance_id = await asking(world)
    path, key = f"/instances/{instance_id}/signals/paid", {"idempotency-key": "delivery-1"}
    answers = [await world.ask("POST", path, {"order": order}, headers=key) for order in (8, 8, 9)]
    assert [202, 202, 422] == [answer.status for answer in answers]
    assert "idempotency-key-reused" == answers[2].json["code"]
    other = await world.ask("POST", f"/instances/{instance_id}/signals/shipped", {"order": 9}, headers=key)
    assert 202 == other.status
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    ids = [event["signal"]["id"] for entry in journal for event in entry["events"] if "signal" in event]
    assert ["delivery-1", "delivery-1"] == ids


async def test_s26_signal_without_a_body_is_null(world: World) -> None:
    wait = {"id": "w", "operator": "@control/wait", "parameters": {"event": {"name": "go", "source": "signal"}}}
    instance_id = await asking(world, steps=[wait], outputs="{{ steps.w.output.data }}")
    assert 202 == (await world.ask("POST", f"/instances/{instance_id}/signals/go")).status
    ended = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json
    assert ("succeeded", None) == (ended["status"], ended["outputs"])


async def test_s26_signal_that_cannot_be_taken_says_why(world: World) -> None:
    instance_id = await asking(world)
    path = f"/instances/{instance_id}/signals"
    long = "x" * SIGNAL_BYTES_MAX
    found = {
        "unknown instance": await world.ask("POST", "/instances/01JD3V7A2B3C4D5E6F7G8H9J0K/signals/paid", {}),
        "foreign": await world.ask("POST", f"{path}/paid", {}, tenant="two"),
        "no name": await world.ask("POST", f"{path}/.paid", {}),
        "long name": await world.ask("POST", f"{path}/{'x' * 129}", {}),
        "long data": await world.ask("POST", f"{path}/paid", long),
        "no JSON": await world.ask("POST", f"{path}/paid", b"{", headers={"content-type": "application/json"}),
    }
    assert {
        "unknown instance": (404, "instance-not-found"),
        "foreign": (404, "instance-not-found"),
        "no name": (404, "route-not-found"),
        "long name": (404, "route-not-found"),
        "long data": (422, "request-invalid"),
        "no JSON": (400, "body-undecodable"),
    } == {name: (answer.status, answer.json["code"]) for name, answer in found.items()}


async def test_s26_hundred_unread_signals_of_a_name_are_too_many(world: World) -> None:
    instance_id = await asking(world)
    path = f"/instances/{instance_id}/signals/paid"
    assert {202} == {(await world.ask("POST", path, {"order": 8})).status for _ in range(SIGNALS_PER_NAME_MAX)}
    full = await world.ask("POST", path, {"order": 8})
    assert (429, "signals-full", "5") == (full.status, full.json["code"], full.header("retry-after"))
    [bound] = full.json["why"]
    assert ("unread_signals_of_name", {"name": "paid", "taken": 100, "most": 100}) == (bound["name"], bound["value"])
    assert ("instance", instance_id, None) == (bound["holder_kind"], bound["holder"], bound["at"])
    assert 202 == (await world.ask("POST", path, {"order": 7})).status
