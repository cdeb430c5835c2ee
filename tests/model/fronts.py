"""Two ways into one installation: its services, and its HTTP API. Both say in one word what came of a command."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from core.access.permission import ADMINISTRATOR
from core.engine.service import TaskAct
from core.engine.views import TaskPlace
from core.errors import FlowError
from core.ports.scope import Principal, Scope
from module.container import Container
from tests.http.world import World
from tests.model.reference import ActName, Told

TASKS_LIMIT = 50
REASON = "the model"
OUTPUT = {"status": 200, "headers": {}, "body": None}  # of a call; of a wait anything will do
WORDS = {"instance-ended": "ended", "instance-not-open": "refused", "task-not-open": "refused"}

Tasks = dict[str, tuple[str, int]]
"""Status and attempts by task path."""


class Front(Protocol):
    """What the machine asks of an installation."""

    async def create(self, document: dict[str, Any]) -> str: ...
    async def publish(self, dag_id: str, document: dict[str, Any]) -> None: ...
    async def start(self, dag_id: str, number: int, key: str) -> str: ...
    async def tell(self, instance_id: str, what: Told) -> str: ...
    async def act(self, instance_id: str, act: ActName, path: str) -> str: ...
    async def signal(self, instance_id: str, name: str, key: str) -> str: ...
    async def read(self, instance_id: str) -> tuple[str, Tasks]: ...


class ServiceFront:
    """Through the use cases."""

    def __init__(self, box: Container) -> None:
        self._scope = Scope("one", Principal("model", "api_key", "model", (ADMINISTRATOR,)))
        self._dags, self._instances, self._answering = box.dag_access(), box.instance_service(), box.answering()

    async def create(self, document: dict[str, Any]) -> str:
        draft = self._dags.read(self._scope, msgspec.json.encode(document), "json")
        return (await self._dags.create(self._scope, draft, if_exists="publish")).id

    async def publish(self, dag_id: str, document: dict[str, Any]) -> None:
        draft = self._dags.read(self._scope, msgspec.json.encode(document), "json", "modify")
        await self._dags.publish(self._scope, dag_id, draft)

    async def start(self, dag_id: str, number: int, key: str) -> str:
        return (await self._instances.start(self._scope, dag_id, {"n": number}, key=key)).instance_id

    async def tell(self, instance_id: str, what: Told) -> str:
        return await self._word(self._instances.tell(self._scope, instance_id, what, REASON))

    async def act(self, instance_id: str, act: ActName, path: str) -> str:
        output = OUTPUT if act == "complete" else msgspec.UNSET
        asked = TaskAct(act=act, path=path, reason=REASON, output=output)
        return await self._word(self._instances.act(self._scope, instance_id, asked))

    async def signal(self, instance_id: str, name: str, key: str) -> str:
        return await self._word(self._answering.signal(self._scope, instance_id, name, None, key=key))

    async def read(self, instance_id: str) -> tuple[str, Tasks]:
        view = await self._instances.get(self._scope, instance_id)
        page = await self._instances.tasks(self._scope, instance_id, place=TaskPlace(), limit=TASKS_LIMIT)
        return view.status, {task.path: (task.status, task.attempts) for task in page.tasks}

    async def _word(self, asked: Any) -> str:
        try:
            await asked
        except FlowError as error:
            if error.slug not in WORDS:
                raise
            return WORDS[error.slug]
        return "accepted"


class HttpFront:
    """Through the routes."""

    def __init__(self, world: World, keys: dict[str, str]) -> None:
        self._world = world
        world.keys = keys

    async def create(self, document: dict[str, Any]) -> str:
        answer = await self._world.ask("POST", "/dags?if_exists=publish", document)
        assert answer.status in (200, 201), answer.body
        created: str = answer.json["id"]
        return created

    async def publish(self, dag_id: str, document: dict[str, Any]) -> None:
        answer = await self._world.ask("PUT", f"/dags/{dag_id}", document, headers={"if-match": "*"})
        assert 200 == answer.status, answer.body

    async def start(self, dag_id: str, number: int, key: str) -> str:
        headers = {"idempotency-key": key}
        answer = await self._world.ask("POST", f"/dags/{dag_id}/run", {"n": number}, headers=headers)
        assert 202 == answer.status, answer.body
        started: str = answer.json["id"]
        return started

    async def tell(self, instance_id: str, what: Told) -> str:
        return await self._word(f"/instances/{instance_id}/{what}", {"reason": REASON})

    async def act(self, instance_id: str, act: ActName, path: str) -> str:
        body: dict[str, Any] = {"reason": REASON} | ({"output": OUTPUT} if act == "complete" else {})
        return await self._word(f"/instances/{instance_id}/tasks/{path}/{act}", body)

    async def signal(self, instance_id: str, name: str, key: str) -> str:
        return await self._word(f"/instances/{instance_id}/signals/{name}", None, {"idempotency-key": key})

    async def read(self, instance_id: str) -> tuple[str, Tasks]:
        view = await self._world.ask("GET", f"/instances/{instance_id}")
        tasks = await self._world.ask("GET", f"/instances/{instance_id}/tasks?limit={TASKS_LIMIT}")
        assert (200, 200) == (view.status, tasks.status), (view.body, tasks.body)
        rows = tasks.json["items"]
        return view.json["status"], {row["path"]: (row["status"], row["attempts"]) for row in rows}

    async def _word(self, path: str, body: Any, headers: dict[str, str] | None = None) -> str:
        answer = await self._world.ask("POST", path, body, headers=headers)
        if answer.status == 202:
            return "accepted"
        slug = answer.json["type"].rsplit("/", 1)[-1].rsplit(":", 1)[-1]
        assert slug in WORDS, answer.body
        return WORDS[slug]
