"""Use cases of traces: one instance as a file, and two instances compared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from core.access.permission import require
from core.engine.node.terms import PlanSource
from core.engine.trace.export import Gathered, gather, masked_trace
from core.engine.trace.facts import Divergence, Fact, first_divergence, told
from core.engine.trace.file import Trace, write_trace
from core.engine.trace.masker import MaskText
from core.engine.trace.playback import Playback, path_at
from core.errors import InstanceNotFound
from core.ports.definition_store import DefinitionStore
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope

T = TypeVar("T")


class Beside(Protocol):
    """Runs long work beside the event loop."""

    def __call__(self, work: Callable[[], T], bytes_count: int, /) -> Awaitable[T]:
        """Give what it gives; `bytes_count` says how much it reads."""
        ...


class Traces:
    """What callers may take along of instances; nothing here changes one."""

    def __init__(
        self,
        *,
        views: InstanceViews,
        objects: ObjectStore,
        plans: PlanSource,
        definitions: DefinitionStore,
        mask_text: MaskText,
    ) -> None:
        """Take the stores, and what cuts known secrets out of a text."""
        self._views = views
        self._objects = objects
        self._plans = plans
        self._definitions = definitions
        self._mask_text = mask_text

    async def file(self, scope: Scope, instance_id: str, beside: Beside) -> bytes:
        """Give the trace file of an instance, as it stands now.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
            HistoryTooLong: its journal passes what one file holds. PayloadMissing: a value cannot be read.
            QueueFull: too many long works wait.
        """
        gathered = await self._gather(scope, instance_id)
        return await beside(lambda: write_trace(masked_trace(gathered, self._mask_text)), gathered.bytes_count)

    async def difference(self, scope: Scope, left: str, right: str, beside: Beside) -> Divergence | None:
        """Give the first thing in which two instances differ, None when they did the same.

        Raises:
            NotAllowed, InstanceNotFound, HistoryTooLong, PayloadMissing, QueueFull: as `file`, of either.
        """
        one, other = await self._gather(scope, left), await self._gather(scope, right)
        mask = self._mask_text

        def compare() -> Divergence | None:
            return first_divergence(facts_of(masked_trace(one, mask)), facts_of(masked_trace(other, mask)))

        return await beside(compare, one.bytes_count + other.bytes_count)

    async def _gather(self, scope: Scope, instance_id: str) -> Gathered:
        require(scope, "instance", "view")
        loaded = await self._views.get(scope, instance_id)
        if loaded is None:
            raise InstanceNotFound(f"no instance {instance_id}")
        row = loaded.row
        plan = await self._plans.get(scope.domain_id, row.dag_id, row.dag_hash)
        version = await self._definitions.by_hash(scope.domain_id, row.dag_id, row.dag_hash)
        document = None if version is None else version.document
        return await gather(self._views, self._objects, scope, plan, document, loaded)


def facts_of(trace: Trace) -> list[Fact]:
    """List what happened in a trace, task by task.

    Raises:
        TraceInvalid: it cannot be read.
    """
    playback = Playback(trace)
    facts: list[Fact] = []
    for row in trace.rows:
        frames = playback.folded(row.seq).frames
        for event in row.events():
            fact = told(event, playback.values)
            if fact is not None:
                frame = getattr(event, "frame", None)
                path = "" if frame is None else path_at(playback.plan, frames[frame], event.index)  # type: ignore[union-attr] # what has a frame and is a fact has an index
                facts.append(Fact(row.seq, path, *fact))
    return facts
