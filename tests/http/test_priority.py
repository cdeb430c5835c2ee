"""The priority that a start is given: who goes first, who inherits it, and where it is told (ADR 0044)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.world import World

WAIT = {"id": "w", "operator": "@control/wait", "parameters": {"event": {"name": "go"}}}
NOOP = {"id": "a", "operator": "@debug/noop"}
ONE_AT_ONCE: dict[str, Any] = {
    "title": "Queue", "settings": {"priority": 2, "concurrency": {"max": 1}}, "steps": [WAIT],
}  # fmt: skip


async def start(world: World, dag_id: str, query: str = "", **more: Any) -> str:
    answer = await world.ask("POST", f"/dags/{dag_id}/run{query}", {}, **more)
    assert 202 == answer.status, answer.json
    instance_id: str = answer.json["id"]
    return instance_id


async def shown(world: World, instance_id: str) -> dict[str, Any]:
    value: dict[str, Any] = (await world.ask("GET", f"/instances/{instance_id}")).json
    return value


async def test_s46_starts_wait_in_line_by_their_own_priority_then_that_of_the_dag(world: World) -> None:
    dag_id = await world.create(ONE_AT_ONCE)
    queries = ("", "", "?priority=1", "?priority=5", "?priority=2")
    first, dag, low, high, same = [await start(world, dag_id, query) for query in queries]

    order = [first]
    while order[-1] != low:
        await world.ask("POST", f"/instances/{order[-1]}/signals/go", {})
        await world.ask("GET", f"/instances/{order[-1]}?wait=10")
        running = (await world.ask("GET", f"/instances?dag_id={dag_id}&status=waiting")).json["items"]
        order += [one["id"] for one in running]
    assert [first, high, dag, same, low] == order


async def test_priority_is_told_by_instance_list_and_journal(world: World) -> None:
    dag_id = await world.create(ONE_AT_ONCE)
    own, dags = await start(world, dag_id, "?priority=4"), await start(world, dag_id)

    assert [4, None] == [(await shown(world, one))["priority"] for one in (own, dags)]
    listed = (await world.ask("GET", f"/instances?dag_id={dag_id}")).json["items"]
    assert [None, 4] == [one["priority"] for one in listed]
    events = (await world.ask("GET", f"/instances/{own}/journal")).json["items"][0]["events"]
    assert {"event": "priority_given", "priority": 4} == events[1]


@pytest.mark.parametrize("text", ["0", "6", "high", "2.5", ""])
async def test_priority_that_is_none_is_refused_with_its_place(world: World, text: str) -> None:
    dag_id = await world.create(ONE_AT_ONCE)
    refused = await world.ask("POST", f"/dags/{dag_id}/run?priority={text}", {})

    assert (400, ["?priority"]) == (refused.status, [one["pointer"] for one in refused.json["errors"]])
    assert [] == (await world.ask("GET", f"/instances?dag_id={dag_id}")).json["items"]


async def test_r16_key_belongs_to_one_priority(world: World) -> None:
    dag_id = await world.create(ONE_AT_ONCE)
    key: dict[str, Any] = {"headers": {"idempotency-key": "k"}}
    first = await start(world, dag_id, "?priority=4", **key)
    assert first == await start(world, dag_id, "?priority=4", **key)
    for query in ("", "?priority=5"):
        reused = await world.ask("POST", f"/dags/{dag_id}/run{query}", {}, **key)
        assert (422, "idempotency-key-reused") == (reused.status, reused.json["code"])


async def test_s29_child_is_started_as_its_parent_was(world: World) -> None:
    await world.create({"title": "Child", "settings": {"priority": 1}, "steps": [NOOP]})
    call = {"id": "c", "operator": "@control/call", "parameters": {"dag": "Child"}}
    dag_id = await world.create({"title": "Parent", "settings": {"priority": 2}, "steps": [call]})
    found = []
    for query in ("", "?priority=5"):
        parent = await start(world, dag_id, query)
        await world.ask("GET", f"/instances/{parent}?wait=10")
        [child] = (await world.ask("GET", f"/instances?parent={parent}")).json["items"]
        found.append(child["priority"])
    assert [None, 5] == found


async def test_s44_rerun_takes_the_priority_over_or_is_given_its_own(world: World) -> None:
    dag_id = await world.create({"title": "Short", "steps": [NOOP]})
    old = await start(world, dag_id, "?priority=4")
    await world.ask("GET", f"/instances/{old}?wait=10")
    found = []
    for asked in ({}, {"priority": 1}):
        again = await world.ask("POST", f"/instances/{old}/rerun", asked)
        found.append((await shown(world, again.json["id"]))["priority"])
    assert [4, 1] == found
    for wrong in (0, 6, "5", True, 2.5):
        refused = await world.ask("POST", f"/instances/{old}/rerun", {"priority": wrong})
        assert (422, ["/priority"]) == (refused.status, [one["pointer"] for one in refused.json["errors"]])


async def test_dry_run_tells_the_priority_that_the_start_would_have(world: World) -> None:
    dag_id = await world.create(ONE_AT_ONCE)
    told = [
        (await world.ask("POST", f"/dags/{dag_id}/plan", asked)).json["limits"]["priority"]
        for asked in ({}, {"priority": 5})
    ]
    assert [2, 5] == told
    refused = await world.ask("POST", f"/dags/{dag_id}/plan", {"priority": 9})
    assert (422, ["/priority"]) == (refused.status, [one["pointer"] for one in refused.json["errors"]])
