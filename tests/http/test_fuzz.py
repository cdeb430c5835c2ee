"""Damaged requests on every route: a problem document each time, never a 5xx, and nothing stored by a refused one."""

from __future__ import annotations

from random import Random  # noqa: TID251 - a seeded generator draws the cases

import msgspec

from driver_adapters.http.app import PUBLIC_OPERATIONS
from tests.http.matrix import Questions
from tests.http.world import HANGING, MAPPING, ONE_STEP, PREFIX, World

REQUEST_COUNT = 3_000
_BODIES = tuple(msgspec.json.encode(document) for document in (ONE_STEP, HANGING, MAPPING, {"reason": "x"}, {}))
_PIECES = (
    b"\x00",
    b"\xff",
    b"{{",
    b"}}",
    b'"',
    b"[",
    b"]",
    b"null",
    b"-1e999",
    b"\\ud800",
    b": ",
    b"\n",
    b"&a *a",
    b"!!x ",
)
_QUERIES = (
    "",
    "?",
    "?limit=",
    "?limit=7&limit=8",
    "?cursor=AAAA",
    "?wait=-1",
    "?wait=nan",
    "?version=v9",
    "?%00=%ff",
    "?a&b;c",
)
_TYPES = ("application/json", "application/yaml", "text/yaml", "application/json; charset=x", "TEXT/YAML", "*/*")


def _damaged(draw: Random, body: bytes) -> bytes:
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(body) + 1)
        cut = draw.choice((0, 0, 1, 5, 50))
        body = body[:at] + draw.choice((*_PIECES, b"")) + body[at + cut :]
    return body


async def test_damaged_requests_never_end_in_a_fault_of_ours(world: World, seed: int) -> None:
    draw = Random(seed)
    questions = Questions(world)
    target = await questions.target("one")
    operations = [operation for operation in world.operations if operation.id not in PUBLIC_OPERATIONS]
    stored = await _dag_count(world)
    created = 0
    for number in range(REQUEST_COUNT):
        operation = draw.choice(operations)
        path = target.path(operation).removeprefix(PREFIX) + draw.choice(_QUERIES)
        body = _damaged(draw, draw.choice(_BODIES)) if operation.method in {"POST", "PUT"} else None
        answer = await world.ask(operation.method, path, body, headers={"content-type": draw.choice(_TYPES)})
        told = f"request {number}: {operation.id} {path} {body!r} -> {answer.status} {answer.body!r}"
        assert answer.status < 500, told
        if answer.status >= 400:
            document = answer.json
            assert ("application/problem+json", answer.status) == (answer.header("content-type"), document["status"]), (
                told
            )
        created += operation.id == "createDag" and answer.status == 201
        if operation.id == "deleteDag" and answer.status == 200:
            target = await questions.target("one")  # one DAG went, one came
    assert stored + created == await _dag_count(world)


async def _dag_count(world: World) -> int:
    count, cursor = 0, ""
    while True:
        page = (await world.ask("GET", f"/dags?limit=200{cursor}")).json
        count += len(page["items"])
        if page["next"] is None:
            return count
        cursor = f"&cursor={page['next']}"
