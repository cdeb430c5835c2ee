"""Runs tests that are coroutines; those that ask for `world` get a fresh one on their own loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from tests.http.world import open_world


@pytest.fixture
def world() -> Any:
    """Stands for the world that is opened on the test's own loop."""
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own; anything else is pytest's."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    given = {name: pyfuncitem.funcargs[name] for name in names if name != "world"}

    async def run() -> None:
        if "world" not in names:
            await pyfuncitem.obj(**given)
            return
        async with open_world() as world:
            await pyfuncitem.obj(world=world, **given)

    asyncio.run(run())
    return True
