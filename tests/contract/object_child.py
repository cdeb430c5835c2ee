"""A process that writes an object and is killed at a named point: `python -m tests.contract.object_child FOLDER POINT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from core.ports.object_store import CHUNK_BYTES
from driven_adapters.object_store import LocalObjectStore
from tests.contract.objects import stream


async def main(folder: Path, point: str) -> None:
    def on_point(passed: str) -> None:
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    async with LocalObjectStore(folder, free_bytes_min=0, on_point=on_point) as store:
        await store.put("dom-a", "a", stream([b"x" * CHUNK_BYTES] * 2), bytes_max=2 * CHUNK_BYTES)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
