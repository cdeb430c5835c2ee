"""Trace files of what a seed broke: `flow replay` plays them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.engine.trace.export import gather, masked_trace
from core.engine.trace.file import write_trace
from core.errors import FlowError
from core.ports.instance_store import TERMINAL_STATUSES, InstanceRow
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryInstanceViews
from driven_adapters.memory.store import MemoryStore
from driven_adapters.object_store import MemoryObjectStore
from tests.sim.sources import SimClock

if TYPE_CHECKING:
    from tests.sim.world import World

T = TypeVar("T")
FOLDER = Path(__file__).parents[2] / "build" / "traces"
TRACES_COUNT_MAX = 3
STEPS_MAX = 1_000_000
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def write_traces(world: World, told: str, folder: Path = FOLDER) -> list[Path]:
    """Write the traces of the instances that a failure names, else of those that are open; gives the files."""
    named = set(_ID.findall(told))
    rows = [row for row in world.watch.rows() if row.seq]
    chosen = [row for row in rows if row.id in named]
    chosen = chosen or [row for row in rows if row.status not in TERMINAL_STATUSES]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for row in chosen[:TRACES_COUNT_MAX]:
        path = folder / f"seed-{world.options.seed}-{row.id}.flowtrace"
        with contextlib.suppress(FlowError):  # the rows that broke may be what cannot be read
            path.write_bytes(trace_bytes(world, row, told))
            written.append(path)
    return written


def trace_bytes(world: World, row: InstanceRow, told: str) -> bytes:
    """Give the trace file of an instance as it lies in the store now.

    Raises:
        FlowError: it cannot be read.
    """
    store = MemoryStore(SimClock(world.loop))
    store.restore(world.store.tables)
    objects = MemoryObjectStore(SimClock(world.loop))
    objects._objects = world.objects._objects
    views, scope = MemoryInstanceViews(store), Scope(row.domain_id, Principal("sim", "system", "sim"))
    loaded = run_now(views.get(scope, row.id))
    assert loaded is not None
    gathered = run_now(gather(views, objects, scope, world.source.of(row.dag_hash), None, loaded))
    notes = {"seed": str(world.options.seed), "failure": told[:1_000]}
    return write_trace(masked_trace(gathered, lambda text: text, notes))


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Give what work gives that waits for nothing but its turn; the loop of the seed has ended."""
    steps: Generator[Any, None, T] = work.__await__()
    for _ in range(STEPS_MAX):
        try:
            next(steps)
        except StopIteration as ended:
            result: T = ended.value
            return result
    raise AssertionError("it waits for something")
