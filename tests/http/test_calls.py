"""Calls over HTTP (semantics.md S29)."""

from __future__ import annotations

from typing import Any

from tests.http.world import World

CHILD: dict[str, Any] = {
    "title": "Child",
    "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"event": {"name": "go"}}}],
    "outputs": {"got": "{{ steps.w.output.data }}"},
}
PARENT: dict[str, Any] = {
    "title": "Parent",
    "steps": [{"id": "c", "operator": "@control/call", "parameters": {"dag": "Child"}}],
    "outputs": "{{ steps.c.output }}",
}


async def begun(world: World) -> tuple[str, Any]:
    """Start a parent, and give its id and its child as soon as that is listed."""
    await world.create(CHILD)
    dag_id = await world.create(PARENT)
    instance_id: str = (await world.ask("POST", f"/dags/{dag_id}/run")).json["id"]
    [child] = (await world.ask("GET", f"/instances?parent={instance_id}&trigger=call")).json["items"]
    return instance_id, child


async def test_s29_child_is_listed_by_its_parent_and_its_outputs_come_back(world: World) -> None:
    parent, child = await begun(world)
    assert ({"instance_id": parent, "task": "c"}, "call") == (child["parent"], child["trigger"])
    assert {"instance_id": parent, "task": "c"} == (await world.ask("GET", f"/instances/{child['id']}")).json["parent"]
    assert 202 == (await world.ask("POST", f"/instances/{child['id']}/signals/go", 3)).status
    ended = (await world.ask("GET", f"/instances/{parent}?wait=10")).json
    assert ("succeeded", {"got": 3}, None) == (ended["status"], ended["outputs"], ended["parent"])


async def test_s29_why_names_the_child_and_how_it_stands(world: World) -> None:
    parent, child = await begun(world)
    [task] = (await world.ask("GET", f"/instances/{parent}/why")).json["tasks"]
    [predicate] = task["predicates"]
    assert ("child_ended", "instance", child["id"]) == (
        predicate["name"],
        predicate["holder_kind"],
        predicate["holder"],
    )
    assert predicate["value"]["status"] in ("queued", "running", "waiting")
    proved = (await world.ask("GET", "/verify")).json
    assert (2, []) == (proved["instances"], proved["items"])


async def test_s29_cancel_of_the_parent_reaches_its_child(world: World) -> None:
    parent, child = await begun(world)
    assert 202 == (await world.ask("POST", f"/instances/{parent}/cancel", {"reason": "enough"})).status
    assert "cancelled" == (await world.ask("GET", f"/instances/{parent}?wait=10")).json["status"]
    assert "cancelled" == (await world.ask("GET", f"/instances/{child['id']}?wait=10")).json["status"]


async def test_s29_cycle_is_refused_when_it_is_saved(world: World) -> None:
    await world.create(CHILD)
    await world.create(PARENT)
    looping = {
        **CHILD,
        "steps": [{"id": "c", "operator": "@control/call", "parameters": {"dag": "Parent"}}],
        "outputs": {},
    }
    answer = await world.ask("POST", "/dags?if_exists=publish", looping)
    assert (422, "dag.call.cycle") == (answer.status, answer.json["errors"][0]["code"])
