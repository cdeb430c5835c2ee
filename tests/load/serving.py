"""`flow serve` with a key for each of two business domains, `a` and `b`, which it says one line each.

No route makes a key for another business domain yet, so the process that serves does it.
"""

from __future__ import annotations

import asyncio
import os

import uvloop

from bench.program import ROOT
from core.access.permission import ADMINISTRATOR
from module.process import handle_signals, run_process
from module.settings import read_settings

TENANTS = ("a", "b")


async def serve() -> None:
    """Serve until a signal."""
    stop = asyncio.Event()
    handle_signals(stop)
    async with run_process(read_settings(os.environ, ROOT), stop) as running:
        for tenant in TENANTS:
            key = await running.box.access_service().add_key(tenant, "administrator", [ADMINISTRATOR])
            print(f"{tenant} {key.text}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve())
