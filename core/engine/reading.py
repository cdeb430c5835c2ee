"""Use cases of reading one instance: its past, its tasks, its lines, and all that is new as it comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.access.permission import require
from core.engine.feeds import Feed, Follow, Lines, LineView, Source, Transitions, shown_line
from core.engine.node.terms import PlanSource
from core.engine.past import StateView, TaskDetail, TimelinePage, read_state, read_task, read_timeline
from core.engine.views import TaskPlace
from core.errors import InstanceNotFound, StreamsExhausted
from core.ports.instance_store import Loaded
from core.ports.instance_views import InstanceViews
from core.ports.object_store import ObjectStore
from core.ports.scope import Scope
from core.ports.task_log import TaskLog
from core.predicate import Predicate, full_node

STREAMS_MAX = 1_000  # of one node (http-api.md): each may cost a read per commit of its instance
STREAMS_PER_KEY_MAX = 10  # of one key: a browser with a tab per instance


class InstanceReader:
    """What callers may read of an instance; nothing here changes it."""

    def __init__(
        self, *, views: InstanceViews, objects: ObjectStore, log: TaskLog, plans: PlanSource, follow: Follow
    ) -> None:
        """Take the stores, and who tells of new journal rows."""
        self._views = views
        self._objects = objects
        self._log = log
        self._plans = plans
        self._follow = follow
        self._feeds: dict[Feed, tuple[str, str]] = {}
        self._by_key: Counter[tuple[str, str]] = Counter()
        self._is_stopping = False

    @property
    def stream_count(self) -> int:
        """Streams that are open now."""
        return len(self._feeds)

    async def state(
        self, scope: Scope, instance_id: str, *, seq: int | None, place: TaskPlace, limit: int
    ) -> StateView:
        """Show an instance and a page of its tasks as they were after journal row `seq`; None = the newest.

        Raises:
            NotAllowed: `instance:view` is missing. InstanceNotFound: not in this business domain.
            HistoryTooLong: the journal up to there. PayloadMissing: a value cannot be read.
        """
        loaded = await self._loaded(scope, instance_id)
        plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
        seq = loaded.row.seq if seq is None else seq
        return await read_state(self._views, self._objects, scope, plan, loaded, seq=seq, place=place, limit=limit)

    async def timeline(self, scope: Scope, instance_id: str, *, skip: int, limit: int) -> TimelinePage:
        """Show when its tasks were ready, ran and ended.

        Raises:
            NotAllowed, InstanceNotFound, HistoryTooLong, PayloadMissing: as `state`.
        """
        loaded = await self._loaded(scope, instance_id)
        plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
        return await read_timeline(self._views, self._objects, scope, plan, loaded, skip=skip, limit=limit)

    async def task(self, scope: Scope, instance_id: str, path: str) -> TaskDetail:
        """Show one task whole.

        Raises:
            NotAllowed, InstanceNotFound, HistoryTooLong, PayloadMissing: as `state`. TaskNotFound: not entered.
        """
        loaded = await self._loaded(scope, instance_id)
        plan = await self._plans.get(scope.domain_id, loaded.row.dag_id, loaded.row.dag_hash)
        return await read_task(self._views, self._objects, scope, plan, loaded, path=path)

    async def lines(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int, limit: int
    ) -> Sequence[LineView]:
        """Page the lines that attempts wrote, in the order of their arrival.

        Raises:
            NotAllowed, InstanceNotFound: as `state`.
        """
        await self._loaded(scope, instance_id)
        lines = await self._log.read(scope, instance_id, task_path=task_path, attempt=attempt, after=after, limit=limit)
        return [shown_line(line) for line in lines]

    async def follow_transitions(self, scope: Scope, instance_id: str, *, seq: int, index: int) -> Feed:
        """Give the instance's journal events behind event `index` of row `seq`, and on as they come; close it.

        Raises:
            NotAllowed, InstanceNotFound: as `state`. StreamsExhausted: too many are open.
        """
        await self._loaded(scope, instance_id)
        source = Transitions(self._views, scope, instance_id, seq=seq, index=index)
        return self._open(scope, instance_id, source, [self._follow])

    async def follow_lines(
        self, scope: Scope, instance_id: str, *, task_path: str | None, attempt: int | None, after: int
    ) -> Feed:
        """Give the lines of the instance's attempts behind line `after`, and on as they come; close it.

        Raises:
            NotAllowed, InstanceNotFound: as `state`. StreamsExhausted: too many are open.
        """
        await self._loaded(scope, instance_id)
        source = Lines(self._log, self._views, scope, instance_id, task_path=task_path, attempt=attempt, after=after)
        return self._open(scope, instance_id, source, [self._log.follow, self._follow])

    def end_streams(self) -> None:
        """Let every stream end, and later ones after what is there now: the process is stopping."""
        self._is_stopping = True
        for feed in tuple(self._feeds):
            feed.end()

    def _open(self, scope: Scope, instance_id: str, source: Source, follows: Sequence[Follow]) -> Feed:
        key = (scope.domain_id, scope.principal.id)
        if len(self._feeds) >= STREAMS_MAX:
            bound = full_node("streams", len(self._feeds), STREAMS_MAX, "one of them is closed, or its instance ends")
            raise StreamsExhausted(f"{STREAMS_MAX} streams are open on this node", bound)
        if self._by_key[key] >= STREAMS_PER_KEY_MAX:
            bound = Predicate(
                name="streams_of_key", value={"taken": self._by_key[key], "most": STREAMS_PER_KEY_MAX},
                holder_kind="key", holder=scope.principal.id, next="one of them is closed, or its instance ends",
            )  # fmt: skip
            raise StreamsExhausted(f"{STREAMS_PER_KEY_MAX} streams are open with this key", bound)
        feed = Feed(source, instance_id, follows, self._closed)
        self._feeds[feed] = key
        self._by_key[key] += 1
        if self._is_stopping:
            feed.end()
        return feed

    def _closed(self, feed: Feed) -> None:
        key = self._feeds.pop(feed)
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]

    async def _loaded(self, scope: Scope, instance_id: str) -> Loaded:
        require(scope, "instance", "view")
        loaded = await self._views.get(scope, instance_id)
        if loaded is None:
            raise InstanceNotFound(f"no instance {instance_id}")
        return loaded
