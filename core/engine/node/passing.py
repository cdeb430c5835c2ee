"""What a node does with requests for shards it does not own: stores them for the owner (engine.md 3)."""

from __future__ import annotations

from core.engine.callback_token import is_proven
from core.engine.effects import Answer
from core.engine.fold import header_of_rows
from core.engine.node.gates import reached
from core.engine.node.inbox import new_command, new_start
from core.engine.node.moment import NodeTime
from core.engine.node.ownership import Ownership
from core.engine.node.pauses import Backoff
from core.engine.node.terms import Started, StartRequest
from core.engine.state import InstanceStatus
from core.engine.statuses import INSTANCE_CANCELLED, INSTANCE_QUEUED
from core.engine.stimuli import Callback, Cancel, Command, Terminate
from core.engine.sure import sure
from core.errors import (
    CommitUnknown,
    IdempotencyKeyReused,
    InstanceNotFound,
    OutcomeUnknown,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from core.ports.clock import IdSource
from core.ports.instance_store import Ingested, InstanceRow, InstanceStore, Loaded, NewCommand, NewStart

TRIES_MAX = 4  # of one ingest whose fate is unknown: it is idempotent by its key; then the caller decides


class Passing:
    """Stores starts and commands durably for another node."""

    def __init__(
        self, *, store: InstanceStore, ownership: Ownership, time: NodeTime, ids: IdSource, backoff: Backoff
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._time = time
        self._ids = ids
        self._backoff = backoff

    async def start(self, request: StartRequest) -> Started:
        """Store a start: the instance is `queued` and runs when its owner has seen it.

        Raises:
            ConcurrencyReached: as many run as may, and the DAG rejects others (S46); nothing was started.
            IdempotencyKeyReused, StoreUnavailable, StoreFull: nothing was started.
            OutcomeUnknown: it may have been, or may yet be; repeat it with its key.
        """
        shard = self._ownership.shard(request.id)
        start = new_start(request, shard, self._time.now())
        stored = await self._ingest(start)
        if stored.status == "full":
            raise reached(sure(start.seeks))
        key = request.start_key
        if stored.instance_id == request.id:
            return Started(request.id, False, INSTANCE_QUEUED)
        if key is not None and stored.req_hash != key.req_hash:
            first = stored.instance_id
            raise IdempotencyKeyReused(f"the key belongs to instance {first}", instance_id=first)
        row = await self._row(stored.instance_id)
        if row is None:
            raise OutcomeUnknown(f"instance {stored.instance_id} cannot be read", instance_id=stored.instance_id)
        return Started(stored.instance_id, True, InstanceStatus(row.status))

    async def command(self, domain_id: str | None, instance_id: str, stimulus: Command) -> Answer:
        """Store a command; the owner carries it out. `domain_id` None = the stimulus itself proves that it may come.

        Raises:
            InstanceNotFound: not in this business domain. StoreUnavailable, StoreFull: nothing happened.
            IdempotencyKeyReused: a signal's key was another one's. OutcomeUnknown: repeat it.
        """
        loaded = await self._store.load(instance_id, paths=("",) if domain_id is None else ())
        row = None if loaded is None else loaded.row
        if loaded is None or row is None or row.domain_id != (domain_id or row.domain_id):
            raise InstanceNotFound(f"no instance {instance_id}", instance_id=instance_id)
        status = InstanceStatus(row.status)
        if status.is_terminal:
            is_same = status is INSTANCE_CANCELLED and isinstance(stimulus, Cancel | Terminate)
            return Answer("accepted" if is_same else "ended", status)
        if isinstance(stimulus, Callback) and not _is_proven(loaded, stimulus):
            return Answer("no_task", status)  # what nobody proves is not stored
        command = new_command(row, stimulus, self._ids.new_id(), self._time.now())
        stored = await self._ingest(command)
        if stored.status == "duplicate" and stored.req_hash != command.req_hash:
            raise IdempotencyKeyReused("the key belongs to another signal", instance_id=instance_id)
        return Answer("accepted", status)

    async def _ingest(self, item: NewStart | NewCommand) -> Ingested:
        is_unknown = False
        for _ in range(TRIES_MAX):
            try:
                stored = (await self._store.ingest([item]))[0]
            except (CommitUnknown, StoreTimeout):
                is_unknown = True
            except (StoreUnavailable, StoreFull):
                # This try did nothing, but an earlier one may have landed.
                if not is_unknown:
                    raise
            else:
                # No place was free for this try; an earlier one may yet land when there is one.
                if stored.status != "full" or not is_unknown:
                    return stored
            await self._backoff.pause()
        raise OutcomeUnknown("the connection was lost during the commit")

    async def _row(self, instance_id: str) -> InstanceRow | None:
        loaded = await self._store.load(instance_id, paths=())
        return None if loaded is None else loaded.row


def _is_proven(loaded: Loaded, callback: Callback) -> bool:
    header = header_of_rows(loaded)
    return header is not None and is_proven(header.callback_secret, callback.path, callback.proof)
