"""S-05: another tenant's objects answer exactly like missing ones. Generated from the route table."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from driver_adapters.http.app import PUBLIC_OPERATIONS
from driver_adapters.http.operation import Operation
from tests.http.matrix import Questions
from tests.http.world import ONE_STEP, World

MISSING_ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"


def _path(operation: Operation, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids[found.group(1)], operation.path)


# A callback has no tenant but its token's; of an approval a target has none, nor an open task, so test_approvals and
# test_why ask for those of others.
ASKED_ELSEWHERE = frozenset({"callBack", "decideApproval", "whyTask"})


def _same(body: bytes, sent_id: str) -> Any:
    """The document without what names the request: its trace and the id that was asked for."""
    document = msgspec.json.decode(body.replace(sent_id.encode(), b"<id>"))
    return {name: value for name, value in document.items() if name not in {"trace_id", "instance"}}


async def test_another_tenants_ids_answer_like_missing_ones_on_every_route(world: World) -> None:
    questions = Questions(world)
    tried = 0
    for operation in world.operations:
        named = re.findall(r"\{(\w+)\}", operation.path)
        if not named or operation.id in ASKED_ELSEWHERE:
            continue
        tried += 1
        foreign = (await questions.target("two")).values
        missing = {name: MISSING_ID if name.endswith("_id") else value for name, value in foreign.items()}
        theirs = await world.ask(operation.method, _path(operation, foreign))
        nobodys = await world.ask(operation.method, _path(operation, missing))
        assert 404 == theirs.status, operation.id
        assert _same(nobodys.body, MISSING_ID) == _same(theirs.body, foreign[named[0]])
        names = {name for name, _ in theirs.headers}
        assert names == {name for name, _ in nobodys.headers}
        own = await world.ask(operation.method, _path(operation, foreign), tenant="two")
        assert 404 != own.status, operation.id
    assert tried > 20


async def test_lists_of_every_route_leak_no_foreign_id(world: World) -> None:
    foreign = (await Questions(world).target("two")).values
    readers = [
        operation
        for operation in world.operations
        if operation.method == "GET" and "{" not in operation.path and operation.id not in PUBLIC_OPERATIONS
    ]
    lists = [operation for operation in readers if any(one.name == "cursor" for one in operation.query)]
    assert {"listDags", "listInstances"} <= {operation.id for operation in lists}
    for operation in readers:
        mine = await world.ask("GET", operation.path)
        assert not [value for name, value in foreign.items() if name.endswith("_id") and value.encode() in mine.body]
        if operation in lists:
            assert ([], None) == (mine.json["items"], mine.json["next"])
    assert [] == (await world.ask("GET", f"/instances?dag_id={foreign['dag_id']}")).json["items"]


async def test_cursor_of_another_tenant_shows_own_rows_only(world: World) -> None:
    for number in range(3):
        await world.create({**ONE_STEP, "title": f"D{number}"}, tenant="two")
    cursor = (await world.ask("GET", "/dags?limit=1", tenant="two")).json["next"]
    mine = await world.create()
    found = (await world.ask("GET", f"/dags?cursor={cursor}")).json["items"]
    assert {mine} >= {row["id"] for row in found}


async def test_title_of_another_tenant_is_free(world: World) -> None:
    await world.create(tenant="two")
    assert 201 == (await world.ask("POST", "/dags", ONE_STEP)).status


async def test_metrics_name_no_tenant_and_no_id(world: World) -> None:
    dag_id = await world.create(tenant="two")
    started = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30", tenant="two")).json
    shown = await world.ask("GET", "/metrics", tenant=None, app=world.private, prefix="")
    assert 200 == shown.status
    assert b'flow_instances_ended_total{outcome="succeeded"} 1.0' in shown.body
    for secret in (dag_id, started["id"], "two", world.keys["two"]):
        assert secret.encode() not in shown.body
