"""One whole process in this one: it starts on an empty folder, serves, and stops without a complaint."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from core.engine.retention import Retention
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


def test_keys_are_purged_while_the_process_serves(tmp_path: Path) -> None:
    async def served() -> tuple[int, int]:
        async with run_process(settings(tmp_path), asyncio.Event()):
            during = [task for task in asyncio.all_tasks() if Retention.run.__qualname__ in repr(task.get_coro())]
        return len(during), sum(not task.done() for task in during)

    assert (1, 0) == asyncio.run(served())
