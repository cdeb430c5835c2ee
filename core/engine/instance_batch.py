"""Use cases of acts on many instances: begin one durably, look how far it is, and carry all of them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import msgspec

from core.access.kept_answers import KeptAnswers, KeyedRequest
from core.access.permission import require
from core.engine.acts_told import ToldAct, encode_act
from core.engine.batch_progress import (
    CONCERNED,
    PORTION_COUNT,
    BatchAction,
    BatchRefusal,
    Outcome,
    Progress,
    counted,
    decode_progress,
    encode_progress,
    given_up,
    next_of_ids,
    next_of_page,
    query_of,
    statuses_of,
    until,
)
from core.engine.instance_search import InstanceQuery
from core.engine.service import InstanceService
from core.engine.values import stamp
from core.errors import (
    BatchNotFound,
    CommitUnknown,
    FlowError,
    InstanceEnded,
    InstanceNotFound,
    InstanceNotOpen,
    NodeStopping,
    OutcomeUnknown,
    QueueFull,
    StoreBroken,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from core.ports.audit_log import NO_SHARD, AuditEntry
from core.ports.batch_store import BatchRow, BatchStore
from core.ports.clock import Clock, IdSource
from core.ports.key_store import KeptAnswer
from core.ports.scope import Scope

IDS_COUNT_MAX = 1_000  # of one request: what a body of 1 MiB and a row of 256 KiB hold with ease
OPEN_COUNT_MAX = 16  # of one business domain at once; more waits at the caller's
KEPT_S = 604_800.0  # how long one that is done can be looked at: a week
COUNTED_MAX = 10_000  # a dry run counts no further: some hundred reads
LOOK_EVERY_S = 5.0  # for what another node has begun, or left when it ended
TURN_COUNT = 100  # carried out in turn, one portion each; others wait for their end
EMPTY_PAGES_MAX = 20  # looked at without finding anything, before progress is written
TRIES_MAX = 5  # of one instance while the engine or the store is away
PAUSE_S = 0.25  # before the second try, then twice as long each time: 4 s in all
_REFUSED = (InstanceEnded, InstanceNotOpen, InstanceNotFound)
_OUTAGE = (QueueFull, StoreUnavailable, StoreTimeout, StoreFull, CommitUnknown, OutcomeUnknown)


class BatchWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and to which instances: `ids`, or those of `query` that the act concerns."""

    action: BatchAction
    reason: str
    ids: tuple[str, ...] = ()
    query: InstanceQuery | None = None


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """How far an act on many instances is. `total` is known when ids were given; `refusals` are the first hundred."""

    id: str
    action: BatchAction
    reason: str
    by: str
    status: str
    total: int | None
    done: int
    refused: int
    failed: int
    refusals: tuple[BatchRefusal, ...]
    created_at: str
    updated_at: str


class Counted(msgspec.Struct, frozen=True):
    """How many instances the act would concern now; `has_more` = it was not counted further."""

    count: int
    has_more: bool


class InstanceBatches:
    """Acts on many instances. Their rows are the queue: whoever runs goes on with what is not done (R31)."""

    def __init__(
        self,
        store: BatchStore,
        instances: InstanceService,
        answers: KeptAnswers,
        clock: Clock,
        ids: IdSource,
        on_fatal: Callable[[BaseException], None],
        on_acts: Callable[[], None],
    ) -> None:
        """Take where they lie and who acts.

        `on_fatal` is called when the store is broken (R12), `on_acts` when a row of the audit was written.
        """
        self._store = store
        self._instances = instances
        self._answers = answers
        self._clock = clock
        self._ids = ids
        self._on_fatal = on_fatal
        self._on_acts = on_acts
        self._hint = asyncio.Event()

    async def recall(self, scope: Scope, request: KeyedRequest) -> KeptAnswer | None:
        """Give what a request with this key was answered before, None when it is the first one.

        Raises:
            NotAllowed: `instance:modify` is missing. IdempotencyKeyReused: the key belongs to another request.
        """
        require(scope, "instance", "modify")
        return await self._answers.recall(scope, request)

    async def begin(
        self,
        scope: Scope,
        wish: BatchWish,
        key: KeyedRequest | None,
        packed: Callable[[BatchView], tuple[int, bytes]],
    ) -> KeptAnswer:
        """Store an act; when this returns it will be carried out. Gives the answer that stands under the key.

        Raises:
            NotAllowed: `instance:modify` or `instance:list` is missing.
            IdempotencyKeyReused: the key belongs to another request.
            QueueFull: too many are not done yet. CommitUnknown: perhaps.
        """
        require(scope, "instance", "modify")
        require(scope, "instance", "list")
        now = self._clock.now()
        row = BatchRow(
            id=self._ids.new_id(), domain_id=scope.domain_id, step=0, is_done=False, created_at=now, updated_at=now,
            body=encode_progress(_progress(scope, wish, until(wish.query, now) if wish.query else None)),
        )  # fmt: skip
        status, body = packed(_view(row))
        answer = None if key is None else self._answers.new(key, status, body)
        told = ToldAct(act=f"batch.{wish.action}", by=scope.principal.id, reason=wish.reason, batch_id=row.id)
        kept = await self._store.add(
            scope,
            row,
            open_max=OPEN_COUNT_MAX,
            forget_before=now - timedelta(seconds=KEPT_S),
            answer=answer,
            audit=AuditEntry(NO_SHARD, scope.domain_id, now, encode_act(told)),
        )
        if kept is not None and key is not None:
            return self._answers.same(key, kept)
        self._on_acts()
        self._hint.set()
        return KeptAnswer("" if key is None else key.req_hash, status, body)

    async def get(self, scope: Scope, batch_id: str) -> BatchView:
        """Say how far an act is.

        Raises:
            NotAllowed: `instance:view` is missing. BatchNotFound: not in this business domain, or forgotten.
        """
        require(scope, "instance", "view")
        row = await self._store.find(scope, batch_id)
        if row is None:
            raise BatchNotFound(f"no act {batch_id} on many instances")
        return _view(row)

    async def count(self, scope: Scope, wish: BatchWish) -> Counted:
        """Say how many instances the act would concern now; nothing is done.

        Raises:
            NotAllowed: `instance:modify`, `instance:list` or, with ids, `instance:view` is missing.
        """
        require(scope, "instance", "modify")
        if wish.query is None:
            shown = [await self._status(scope, one) for one in dict.fromkeys(wish.ids)]
            return Counted(sum(status in CONCERNED[wish.action] for status in shown), has_more=False)
        progress = _progress(scope, wish, wish.query)
        count = 0
        while not progress.is_done and count <= COUNTED_MAX:
            progress = await self._look(scope, progress)
            count += len(progress.portion)
            progress = msgspec.structs.replace(progress, portion=())
        return Counted(min(count, COUNTED_MAX), has_more=count > COUNTED_MAX)

    async def _status(self, scope: Scope, instance_id: str) -> str:
        try:
            return (await self._instances.get(scope, instance_id)).status
        except InstanceNotFound:
            return ""

    async def run(self) -> None:
        """Carry out what is not done, one portion of each in turn, until cancelled or the store is broken."""
        while True:
            try:
                left = await self._turn()
            except (*_OUTAGE, NodeStopping):
                left = 0  # looked at again later
            except StoreBroken as fault:
                self._on_fatal(fault)
                return
            if not left:
                await self._rest()

    async def _rest(self) -> None:
        """Wait until something was begun here, or for LOOK_EVERY_S."""
        look_at = self._clock.monotonic() + LOOK_EVERY_S
        waits = [
            asyncio.ensure_future(self._hint.wait()),
            asyncio.ensure_future(self._clock.sleep_until(look_at)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._hint.clear()

    async def _turn(self) -> int:
        """Advance each by one portion; gives how many are left."""
        rows = await self._store.unfinished(limit=TURN_COUNT)
        left = 0
        for row in rows:
            try:
                left += not await self._advance(row)
            except (*_OUTAGE, NodeStopping, StoreBroken):
                raise
            except FlowError as fault:
                await self._give_up(row, fault)
            except msgspec.MsgspecError:
                continue  # of another release, which goes on with it: never guess (R32)
        return left

    async def _give_up(self, row: BatchRow, fault: FlowError) -> None:
        """End an act that cannot go on, such as one whose principal may no longer look for instances."""
        progress = given_up(decode_progress(row.body), _refusal("", fault))
        await self._store.advance(
            msgspec.structs.replace(
                row, step=row.step + 1, is_done=True, updated_at=self._clock.now(), body=encode_progress(progress)
            )
        )

    async def _advance(self, row: BatchRow) -> bool:
        """Tell a portion, find the next one, and write both down together; gives whether all is done."""
        progress = decode_progress(row.body)
        scope = Scope(row.domain_id, progress.principal)
        told = await asyncio.gather(
            *(self._told(scope, progress, one) for one in progress.portion), return_exceptions=True
        )  # fmt: skip
        outcomes = []
        for one in told:  # all have been waited for by now: nothing goes on behind a process that stops
            if isinstance(one, BaseException):
                raise one
            outcomes.append(one)
        progress = await self._look(scope, counted(progress, outcomes))
        following = msgspec.structs.replace(
            row, step=row.step + 1, is_done=progress.is_done, updated_at=self._clock.now(),
            body=encode_progress(progress),
        )  # fmt: skip
        # Another node may have told the same portion, which changes nothing; one of them writes it down.
        await self._store.advance(following)
        return following.is_done

    async def _look(self, scope: Scope, progress: Progress) -> Progress:
        """Find the next portion; none = nothing is left, or EMPTY_PAGES_MAX had nothing."""
        if progress.query is None:
            return next_of_ids(progress)
        for _ in range(EMPTY_PAGES_MAX):
            if not progress.statuses or progress.portion:
                break
            page = await self._instances.list(
                scope, query_of(progress), before=progress.before, limit=PORTION_COUNT
            )  # fmt: skip
            progress = next_of_page(progress, tuple(shown.id for shown in page.items), page.next)
        return progress

    async def _told(self, scope: Scope, progress: Progress, instance_id: str) -> Outcome:
        """Tell one instance; what is away is asked again some times.

        Raises:
            NodeStopping: this process ends; another one goes on.
        """
        tries = 0
        while True:
            tries += 1
            try:
                await self._instances.tell(scope, instance_id, progress.action, progress.reason)
            except _REFUSED as refusal:
                return Outcome(_refusal(instance_id, refusal))
            except NodeStopping:
                raise
            except FlowError as failure:
                if tries == TRIES_MAX or not isinstance(failure, _OUTAGE):
                    return Outcome(_refusal(instance_id, failure), is_failure=True)
                await self._clock.sleep_until(self._clock.monotonic() + PAUSE_S * 2 ** (tries - 1))
            else:
                return Outcome()


def _progress(scope: Scope, wish: BatchWish, query: InstanceQuery | None) -> Progress:
    is_named = query is None
    return Progress(
        action=wish.action,
        reason=wish.reason,
        principal=scope.principal,
        query=query,
        ids=tuple(dict.fromkeys(wish.ids)),
        statuses=() if query is None else statuses_of(wish.action, query.status),
        total=len(dict.fromkeys(wish.ids)) if is_named else None,
    )


def _refusal(instance_id: str, error: FlowError) -> BatchRefusal:
    return BatchRefusal(instance_id, error.slug, error.detail or error.title)


def _view(row: BatchRow) -> BatchView:
    progress = decode_progress(row.body)
    return BatchView(
        id=row.id,
        action=progress.action,
        reason=progress.reason,
        by=progress.principal.id,
        status="done" if row.is_done else "running",
        total=progress.total,
        done=progress.done,
        refused=progress.refused,
        failed=progress.failed,
        refusals=progress.refusals,
        created_at=stamp(row.created_at),
        updated_at=stamp(row.updated_at),
    )
