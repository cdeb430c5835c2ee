"""Limits of DAGs and steps over HTTP: what a start above them comes to, who is at a gate, and what a proof finds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.ports.permits import Gate, PermitRow
from tests.http.test_verify import found
from tests.http.world import World

WAIT = {"id": "w", "operator": "@control/wait", "parameters": {"event": {"name": "go"}}}


def limited(on_limit: str, **more: Any) -> dict[str, Any]:
    concurrency = {"max": 1, "on_limit": on_limit, "key": "{{ inputs.region }}"}
    inputs = {"type": "object", "properties": {"region": {"type": "string", "default": "eu"}}}
    return {
        "title": f"Limited {on_limit}",
        "inputs": inputs,
        "settings": {"concurrency": concurrency},
        "steps": [WAIT],
        **more,
    }


async def run(world: World, dag_id: str, inputs: Any = None) -> Any:
    return await world.ask("POST", f"/dags/{dag_id}/run", inputs or {})


async def go(world: World, instance_id: str) -> None:
    await world.ask("POST", f"/instances/{instance_id}/signals/go", {})


async def test_s46_start_above_the_limit_is_queued_and_why_says_who_runs(world: World) -> None:
    dag_id = await world.create(limited("queue"))
    first, second, third = [(await run(world, dag_id)).json["id"] for _ in range(3)]
    other = await run(world, dag_id, {"region": "us"})
    told = (await world.ask("GET", f"/instances/{third}/why")).json

    assert "queued" == told["status"]
    [predicate] = told["predicates"]
    assert ("permit", "instance", first) == (predicate["name"], predicate["holder_kind"], predicate["holder"])
    expected = {
        "limit": f"dag:{dag_id}", "key": "eu", "max": 1, "held": 1, "holders": [first], "waiting": 2, "place": 2,
    }  # fmt: skip
    assert expected == predicate["value"]
    assert "waiting" == (await world.ask("GET", f"/instances/{other.json['id']}")).json["status"]
    await go(world, first)
    await go(world, second)
    assert "succeeded" == (await world.ask("GET", f"/instances/{second}?wait=10")).json["status"]


async def test_s46_rejected_start_is_409_and_says_who_runs(world: World) -> None:
    dag_id = await world.create(limited("reject"))
    first = (await run(world, dag_id)).json["id"]
    refused = await run(world, dag_id)

    assert (409, "concurrency-reached") == (refused.status, refused.json["code"])
    assert (f"dag:{dag_id}", "eu", 1) == (refused.json["limit"], refused.json["key"], refused.json["most"])
    assert [[first]] == [one["value"]["holders"] for one in refused.json["why"]]
    listed = (await world.ask("GET", f"/instances?dag_id={dag_id}")).json["items"]
    assert [first] == [one["id"] for one in listed]
    await world.ask("POST", f"/instances/{first}/terminate", {"reason": "enough"})
    again = await world.ask("POST", f"/instances/{first}/rerun", {"reason": "again"})
    refused = await world.ask("POST", f"/instances/{first}/rerun", {"reason": "again"})
    assert (409, [again.json["id"]]) == (refused.status, refused.json["why"][0]["value"]["holders"])


async def test_s46_skipped_start_ends_at_once(world: World) -> None:
    dag_id = await world.create(limited("skip"))
    await run(world, dag_id)
    skipped = (await world.ask("GET", f"/instances/{(await run(world, dag_id)).json['id']}")).json
    assert ("cancelled", "concurrency") == (skipped["status"], skipped["reason"])


async def test_s16_why_of_a_task_that_waits_for_a_permit_names_the_task_that_holds_it(world: World) -> None:
    call = {"id": "call", "operator": "@http/request", "parameters": {"url": "http://h/"}}
    document = {"title": "Crane", "steps": [{**call, "concurrency": {"max": 1, "key": "crane"}}]}
    dag_id = await world.create(document)
    first = (await run(world, dag_id)).json["id"]
    second = (await run(world, dag_id)).json["id"]
    told = (await world.ask("GET", f"/instances/{second}/why")).json
    one = (await world.ask("GET", f"/instances/{second}/tasks/call/why")).json

    assert [told["tasks"][0]] == [one]
    value = one["predicates"][0]["value"]
    assert ("ready", f"{first} call", 1) == (one["status"], one["predicates"][0]["holder"], value["place"])


async def test_dry_run_is_alone_at_every_gate_and_tells_the_limits(world: World) -> None:
    dag_id = await world.create(
        limited("queue", steps=[{"id": "a", "operator": "@debug/noop", "concurrency": {"max": 3}}])
    )
    told = (await world.ask("POST", f"/dags/{dag_id}/plan", {})).json
    assert (1, "queue") == (told["limits"]["concurrency"], told["limits"]["on_limit"])
    assert ("runs", 3) == (told["steps"][0]["status"], told["steps"][0]["limits"]["concurrency"])


def row_of(world: World, gate: Gate, instance_id: str) -> PermitRow:
    row: PermitRow = world.store.copy().group("permit", gate)[instance_id, ""]
    return row


def put(world: World, row: PermitRow | None, gate: Gate, instance_id: str) -> None:
    world.store._tables.land("permit", gate, (instance_id, ""), row)


@pytest.mark.parametrize("harm", ["lost", "leaked", "of nobody", "not handed on"])
async def test_i17_proof_finds_permits_that_contradict_the_instances(world: World, harm: str) -> None:
    dag_id = await world.create(limited("queue"))
    first, second = [(await run(world, dag_id)).json["id"] for _ in range(2)]
    assert set() == await found(world)
    domain_id = next(iter(world.store.copy().group("instance").values())).domain_id
    gate = Gate(domain_id, f"dag:{dag_id}", "eu")
    held, waits = row_of(world, gate, first), row_of(world, gate, second)
    if harm == "lost":
        put(world, None, gate, second)
    elif harm == "not handed on":
        put(world, msgspec.structs.replace(held, is_held=False), gate, first)
    elif harm == "of nobody":
        put(world, msgspec.structs.replace(held, instance_id="nobody"), gate, "nobody")
    else:
        await world.ask("POST", f"/instances/{first}/terminate", {"reason": "enough"})
        await world.ask("POST", f"/instances/{second}/terminate", {"reason": "enough"})
        put(world, waits, gate, second)
    assert "I17" in await found(world)
