"""Who gets what from each route: the two tables of S-04 and S-05, made by asking every route of the route table.

`python -m tests.http.matrix` writes them to tests/golden; a test compares. Each change of a line is a change of who may do
what, and is read as such in review.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar

from core.access.api_key import hash_key, mint_key
from core.access.permission import ADMINISTRATOR, ROLES
from core.ports.access_store import KeyRow
from driven_adapters.memory import MemoryAccessStore
from driven_adapters.system import SystemClock, SystemDice, UlidSource
from driver_adapters.http.app import (
    PUBLIC_ON_PRIVATE_SERVER,
    PUBLIC_OPERATIONS,
    full_path,
    private_operations,
)
from driver_adapters.http.operation import Operation
from tests.http.world import ONE_STEP, PREFIX, Answer, World, call, open_world

GOLDEN = Path(__file__).parents[1] / "golden"
MISSING_ID = "01JD3V6Q0R5M9T8W7X2Y4Z1A3B"
WRONG_KEY = "flow_AAAAAAAA_" + "a" * 32
ANSWER_S_MAX = 10  # every answer here comes within milliseconds; a stream that never ends is a fault
NOBODY = "a key without a role"

_BINARY = {"content-type": "application/octet-stream"}
# Query parameters that an operation cannot do without.
NEEDED_QUERY = {"uploadFile": "name=b.txt"}

Headers = list[tuple[str, str]]


class Target(msgspec.Struct):
    """One object of each kind that a path may name, made for one question: some answers end or delete it."""

    values: dict[str, str]

    def path(self, operation: Operation, **replaced: str) -> str:
        """Fill the path of an operation."""
        known = self.values | replaced
        return re.sub(r"\{(\w+)\}", lambda found: known[found.group(1)], full_path(operation, PREFIX))


class Questions:
    """Asks one route after another; every title that it sends is a new one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._count = 0
        self._batches: dict[str, str] = {}

    async def _batch(self, tenant: str, instance_id: str) -> str:
        """Give an act on many instances: one for all questions, since nothing ends or deletes it."""
        if tenant not in self._batches:
            wish = {"action": "resume", "ids": [instance_id]}
            answer = await self.world.ask("POST", "/instances:batch", wish, tenant=tenant)
            assert 202 == answer.status, answer.body
            self._batches[tenant] = answer.json["id"]
        return self._batches[tenant]

    async def target(self, tenant: str) -> Target:
        """Make a DAG with a draft, an ended instance of it, and a file; gives what a path may name."""
        world = self.world
        document = {**ONE_STEP, "title": self._title()}
        dag_id = await world.create(document, tenant)
        changed = {**document, "description": "a draft"}
        draft = await world.ask("PUT", f"/dags/{dag_id}/draft", changed, tenant=tenant, headers={"if-match": "*"})
        assert 200 == draft.status, draft.body
        file = await world.ask("POST", "/files?name=a.txt", b"a", tenant=tenant, headers=_BINARY)
        assert 201 == file.status, file.body
        answer = await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {}, tenant=tenant)
        assert 200 == answer.status, answer.body
        instance_id = answer.json["id"]
        made = {"dag_id": dag_id, "instance_id": instance_id, "file_id": file.json["id"]}
        made["other_instance_id"] = instance_id
        made["batch_id"] = await self._batch(tenant, instance_id)
        return Target({**made, **OTHER_PATH_VALUES})

    async def ask(
        self,
        operation: Operation,
        path: str,
        headers: Headers,
        query: str = "",
        app: Litestar | None = None,
        body: Any = None,
    ) -> Answer:
        """Ask one route with this body, or with the one that its declaration shows."""
        sent, data = list(headers), b""
        if operation.body is not None:
            sent.append(("content-type", operation.body.media_types[0]))
            data = self._body(operation.body.example if body is None else body)
        if operation.needs_match:
            sent.append(("if-match", "*"))
        asked = "&".join(filter(None, (query, NEEDED_QUERY.get(operation.id))))
        async with asyncio.timeout(ANSWER_S_MAX):
            return await call(app or self.world.public, operation.method, f"{path}?{asked}", sent, data)

    def _title(self) -> str:
        self._count += 1
        return f"Matrix {self._count}"

    def _body(self, example: Any) -> bytes:
        if isinstance(example, bytes):
            return example
        if isinstance(example, dict) and "title" in example:
            example = {**example, "title": self._title()}
        return msgspec.json.encode(example)


# What stands in the place of path parameters that are no ids of a tenant's own.
OTHER_PATH_VALUES: dict[str, str] = {
    "version": "v1.0.0",
    "other_version": "v1.0.0",
    "task": "greet",
    "name": "paid",
    "approval_id": MISSING_ID,
    "token": f"{MISSING_ID}~pay~{'A' * 32}",
}


async def callers(world: World) -> Mapping[str, tuple[Headers, str]]:
    """Give the headers and the query of each caller of the table, by what the table calls it."""
    access = world.box.access_service()
    administrator = world.keys["one"]
    revoked = await _key_row(world, revoked=True)
    expired = await _key_row(world, revoked=False)
    shown: dict[str, tuple[Headers, str]] = {
        "no key": ([], ""),
        "no scheme": ([("authorization", administrator)], ""),
        "another scheme": ([("authorization", f"Basic {administrator}")], ""),
        "no key by its form": (_bearer("flow_wrong"), ""),
        "a wrong key": (_bearer(WRONG_KEY), ""),
        "a revoked key": (_bearer(revoked), ""),
        "an expired key": (_bearer(expired), ""),
        "a key in the query": ([], f"access_token={administrator}"),
        "a key in a cookie": ([("cookie", f"authorization=Bearer {administrator}")], ""),
        "a key twice": ([*_bearer(administrator), *_bearer(administrator)], ""),
        NOBODY: (_bearer((await access.add_key("one", "nobody", [])).text), ""),
    }
    for role in sorted(ROLES - {ADMINISTRATOR}):
        shown[role] = (_bearer((await access.add_key("one", role, [role])).text), "")
    shown["administrator of another tenant"] = (_bearer(world.keys["two"]), "")
    shown[ADMINISTRATOR] = (_bearer(administrator), "")
    return shown


def _bearer(key: str) -> Headers:
    return [("authorization", f"Bearer {key}")]


async def _key_row(world: World, *, revoked: bool) -> str:
    """Store an administrator's key that is over; gives its text."""
    clock, dice = SystemClock(), SystemDice()
    store = MemoryAccessStore(world.store)
    new = mint_key(dice)
    past = clock.now() - timedelta(hours=1)
    await store.add_key(
        KeyRow(
            id=UlidSource().new_id(),
            domain_id="one",
            prefix=new.prefix,
            hash=hash_key(new.text, await store.pepper()),
            name="over",
            roles=(ADMINISTRATOR,),
            created_at=past,
            expires_at=None if revoked else past,
            revoked_at=past if revoked else None,
            last_used_at=None,
        )
    )
    return new.text


async def auth_matrix(world: World) -> str:
    """Ask every route of both servers as every caller; callers with the same answer stand on one line."""
    questions = Questions(world)
    asking = await callers(world)
    nothing: Any = None
    private = [(operation, world.private) for operation in private_operations(nothing, nothing)]
    blocks = []
    for operation, app in [*((operation, world.public) for operation in world.operations), *private]:
        lines: dict[str, list[str]] = {}
        for name, (headers, query) in asking.items():
            target = await questions.target("one")
            answer = await questions.ask(operation, target.path(operation), headers, query, app)
            lines.setdefault(_shown(answer), []).append(name)
        title = f"{operation.method} {full_path(operation, PREFIX)}{_kind(operation, app is world.private)}"
        blocks.append(_block(title, lines))
    return "\n".join(blocks)


def _kind(operation: Operation, is_private: bool) -> str:
    open_ids = PUBLIC_ON_PRIVATE_SERVER if is_private else PUBLIC_OPERATIONS
    parts = ["private server"] if is_private else []
    parts.append("open to everybody" if operation.id in open_ids else f"needs {operation.permission}")
    return f"  ({', '.join(parts)})"


def _shown(answer: Answer) -> str:
    if answer.status < 400:
        return str(answer.status)
    return f"{answer.status} {answer.json['code']}"


def _block(title: str, lines: Mapping[str, list[str]]) -> str:
    width = max(map(len, lines), default=0)
    told = [f"    {answer:<{width}}  {', '.join(names)}" for answer, names in sorted(lines.items())]
    return "\n".join([title, *told, ""])


async def tenancy_matrix(world: World) -> str:
    """Ask every guarded route with something of another tenant in each place; says how the answers compare."""
    questions = Questions(world)
    blocks = []
    for operation in world.operations:
        if operation.id in PUBLIC_OPERATIONS:
            continue
        lines: dict[str, list[str]] = {}
        for place, answer in (await _foreign(questions, operation)).items():
            lines.setdefault(answer, []).append(place)
        title = f"{operation.method} {full_path(operation, PREFIX)}"
        blocks.append(_block(title, lines or {"no place for an id": ["-"]}))
    return "\n".join(blocks)


async def _foreign(questions: Questions, operation: Operation) -> dict[str, str]:
    """Put ids, cursors and keys of tenant two into each place of a request of tenant one."""
    mine = _bearer(questions.world.keys["one"])
    theirs = await questions.target("two")
    own = await questions.target("one")
    found: dict[str, str] = {}
    for name in _id_names(operation):
        asked = await questions.ask(operation, own.path(operation, **{name: theirs.values[name]}), mine)
        fresh = await questions.target("one")
        missing = await questions.ask(operation, fresh.path(operation, **{name: MISSING_ID}), mine)
        found[f"{{{name}}} in the path"] = _compared(asked, theirs.values[name], missing)
        own = await questions.target("one")
    for name in sorted(
        {parameter.name for parameter in operation.query} & (set(theirs.values) - set(OTHER_PATH_VALUES))
    ):
        asked = await questions.ask(operation, own.path(operation), mine, f"{name}={theirs.values[name]}")
        missing = await questions.ask(operation, own.path(operation), mine, f"{name}={MISSING_ID}")
        found[f"{name} in the query"] = _compared(asked, theirs.values[name], missing)
    if operation.body is not None and "ids" in getattr(operation.body.shape, "__struct_fields__", ()):
        bodies = [{"action": "get", "ids": [dag_id]} for dag_id in (theirs.values["dag_id"], MISSING_ID)]
        asked, missing = [await questions.ask(operation, own.path(operation), mine, body=body) for body in bodies]
        found["ids in the body"] = _compared(asked, theirs.values["dag_id"], missing)
    if any(parameter.name == "cursor" for parameter in operation.query):
        found["their cursor"] = await _with_their_cursor(questions, operation)
    if operation.takes_key:
        found["their Idempotency-Key"] = await _with_their_key(questions, operation)
    asked = await questions.ask(operation, own.path(operation), mine)
    found["nothing of theirs"] = _leaks(asked, theirs) or f"{_shown(asked)}, nothing of theirs in it"
    return found


def _id_names(operation: Operation) -> list[str]:
    return [name for name in re.findall(r"\{(\w+)\}", operation.path) if name not in OTHER_PATH_VALUES]


async def _with_their_key(questions: Questions, operation: Operation) -> str:
    """Send tenant two's request, then the same with the same key as tenant one; each must get an object of its own."""
    world = questions.world
    key = ("idempotency-key", f"matrix-{operation.id}")
    theirs = await questions.target("two")
    own = await questions.target("one")
    first = await questions.ask(operation, theirs.path(operation), [*_bearer(world.keys["two"]), key])
    second = await questions.ask(operation, own.path(operation), [*_bearer(world.keys["one"]), key])
    is_own = first.json.get("id") is None or first.json["id"] != second.json.get("id")
    return f"{_shown(second)}, {'an object of its own' if is_own else 'THEIR OBJECT'}"


async def _with_their_cursor(questions: Questions, operation: Operation) -> str:
    """Take the cursor of tenant two's first page, if there are more, and go on with it as tenant one."""
    keys = questions.world.keys
    theirs = [await questions.target("two"), await questions.target("two")]
    own = await questions.target("one")
    first = await questions.ask(operation, theirs[0].path(operation), _bearer(keys["two"]), "limit=1")
    if not first.json.get("next"):
        return "their list has one page"
    query = f"cursor={first.json['next']}"
    asked = await questions.ask(operation, own.path(operation), _bearer(keys["one"]), query)
    told = " ".join(filter(None, (_leaks(asked, target) for target in theirs)))
    return told or f"{_shown(asked)}, nothing of theirs in it"


def _compared(asked: Answer, sent_id: str, missing: Answer) -> str:
    is_same = _without_request(asked, sent_id) == _without_request(missing, MISSING_ID)
    names = [name for name, _ in asked.headers] == [name for name, _ in missing.headers]
    return f"{_shown(asked)}, {'like a missing one' if is_same and names else 'UNLIKE A MISSING ONE'}"


def _without_request(answer: Answer, sent_id: str) -> Any:
    """Give the answer without what names the request: its trace and the id that was asked for."""
    document = msgspec.json.decode(answer.body.replace(sent_id.encode(), b"<id>"))
    return {name: value for name, value in document.items() if name not in {"trace_id", "instance"}}


def _leaks(answer: Answer, theirs: Target) -> str:
    ids = [value for name, value in theirs.values.items() if name not in OTHER_PATH_VALUES]
    return "THEIR ID IN IT" if any(value.encode() in answer.body for value in ids) else ""


MATRICES: Mapping[str, Callable[[World], Any]] = {
    "auth_matrix.txt": auth_matrix,
    "tenancy_matrix.txt": tenancy_matrix,
}


async def write() -> None:
    """Write both tables."""
    GOLDEN.mkdir(exist_ok=True)
    for name, made in MATRICES.items():
        async with open_world() as world:
            (GOLDEN / name).write_text(await made(world), "utf-8")


if __name__ == "__main__":
    sys.exit(asyncio.run(write()))
