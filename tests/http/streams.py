"""Callers of event streams: read events as they come, stop whenever they like."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Litestar

from tests.http.world import PREFIX, World


class Stream:
    """One open request; `start` begins it, `leave` ends it as a caller who goes away."""

    def __init__(self, app: Litestar, path: str, headers: list[tuple[str, str]]) -> None:
        self._app = app
        self._path = path
        self._headers = headers
        self._gone = asyncio.Event()
        self._news = asyncio.Event()
        self.messages: list[Any] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.aborted = asyncio.Event()
        self.sending = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> Stream:
        self.task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def leave(self) -> None:
        self._gone.set()
        assert self.task is not None
        await self.task

    async def ended(self) -> list[tuple[str, str, str]]:
        """Wait for the end and give all events as (id, name, data)."""
        assert self.task is not None
        async with asyncio.timeout(30):
            await self.task
        return self.events

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages[1:]).decode()

    @property
    def events(self) -> list[tuple[str, str, str]]:
        """Give the whole events so far."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "data" in fields:
                found.append((fields["id"], fields["event"], fields["data"]))
        return found

    async def until(self, is_enough: Any) -> None:
        async with asyncio.timeout(30):
            while not is_enough(self):
                self._news.clear()
                await self._news.wait()

    async def _run(self) -> None:
        target, _, query = self._path.partition("?")
        scope: Any = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": target, "raw_path": target.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in self._headers],
            "client": ("192.0.2.1", 4711), "server": ("127.0.0.1", 8082), "extensions": {},
            "flow.abort": self._abort,
        }  # fmt: skip
        sent = False

        async def receive() -> Any:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sending.set()
            await self.reading.wait()
            self.sending.clear()
            self.messages.append(message)
            self._news.set()

        await self._app(scope, receive, send)
        self._news.set()

    def _abort(self) -> None:
        self.aborted.set()
        self._gone.set()
        self.reading.set()  # what a server's send does when its connection is gone


def open_stream(
    world: World, path: str, *, tenant: str = "one", key: str | None = None, headers: Mapping[str, str] | None = None
) -> Stream:
    sent = [("authorization", f"Bearer {key or world.keys[tenant]}"), *(headers or {}).items()]
    return Stream(world.public, PREFIX + path, sent).start()
