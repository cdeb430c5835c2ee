"""One whole process in this one: it starts on an empty folder, serves, and stops without a complaint."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from core.access.permission import ADMINISTRATOR
from core.engine.instance_batch import BatchWish
from core.engine.retention import Retention
from core.ports.scope import Principal, Scope
from module.process import run_process
from module.settings import Settings

LOUD = {"warning", "error", "critical"}


def settings(folder: Path) -> Settings:
    return Settings(http_port=0, http_private_port=0, data_dir=folder, shard_count=4, grace_s=1.0)


async def serve_once(folder: Path) -> None:
    async with run_process(settings(folder), asyncio.Event()) as running:
        assert 4 == running.box.engine_node().stats().owned_shards


def test_clean_stop_says_nothing_above_info(tmp_path: Path) -> None:
    with capture_logs() as lines:
        asyncio.run(serve_once(tmp_path))
        asyncio.run(serve_once(tmp_path))
    assert [] == [line for line in lines if line["log_level"] in LOUD]


def test_r35_what_people_do_is_sealed_while_the_process_serves(tmp_path: Path) -> None:
    scope = Scope("d", Principal("p-1", "key", "n", (ADMINISTRATOR,)))
    wish = BatchWish(action="cancel", ids=(), reason="none of them")

    async def served() -> int:
        async with run_process(settings(tmp_path), asyncio.Event()) as running:
            await running.box.instance_batches().begin(scope, wish, None, lambda view: (202, view.id.encode()))
            async with asyncio.timeout(10):
                while not (proof := await running.box.audit().verify(scope, after=0, limit=10)).sealed:
                    assert 1 == proof.unsealed
            assert ((), 0) == (proof.faults, proof.unsealed)
            return proof.sealed

    assert 1 == asyncio.run(served())


def test_keys_are_purged_while_the_process_serves(tmp_path: Path) -> None:
    async def served() -> tuple[int, int]:
        async with run_process(settings(tmp_path), asyncio.Event()):
            during = [task for task in asyncio.all_tasks() if Retention.run.__qualname__ in repr(task.get_coro())]
        return len(during), sum(not task.done() for task in during)

    assert (1, 0) == asyncio.run(served())
