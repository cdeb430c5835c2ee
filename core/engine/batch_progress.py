"""An act on many instances: what is wanted, which instances, and how far it is. Arithmetic and codec only."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from core.engine.instance_search import InstanceQuery
from core.engine.state import InstanceStatus
from core.ports.scope import Principal

# "rerun" of failed ones is another act of this kind: an entry in `CONCERNED`, and in the runner what it does to each.
BatchAction = Literal["cancel", "terminate", "pause", "resume"]
REFUSALS_KEPT_MAX = 100  # shown with their reasons; more are counted only
PORTION_COUNT = 50  # instances told together, so that they share commits; their outcomes are one commit of progress

_S = InstanceStatus
# Which statuses an act concerns, in the order in which they are looked for: what waits to begin first.
CONCERNED: dict[BatchAction, tuple[InstanceStatus, ...]] = {
    "cancel": (_S.QUEUED, _S.PAUSED, _S.RUNNING, _S.WAITING),
    "terminate": (_S.QUEUED, _S.PAUSED, _S.RUNNING, _S.WAITING, _S.CANCELLING),
    "pause": (_S.RUNNING, _S.WAITING),
    "resume": (_S.PAUSED,),
}


class BatchRefusal(msgspec.Struct, frozen=True):
    """Why nothing happened to one instance; `code` as in a problem document."""

    id: str
    code: str
    detail: str


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted and how far it is.

    Attributes:
        principal: who wants it; every act is theirs.
        query: which instances; None = `ids`, those that are left. statuses: left to be looked for, the first one from
            below the id `before` on.
        portion: told next; a portion that a crash cut is told again, which changes nothing.
        total: how many ids were given; None = not known.
        done, refused, failed: how many were told, took no such act, could not be told.
    """

    action: BatchAction
    reason: str
    principal: Principal
    query: InstanceQuery | None = None
    ids: tuple[str, ...] = ()
    statuses: tuple[InstanceStatus, ...] = ()
    before: str | None = None
    portion: tuple[str, ...] = ()
    total: int | None = None
    done: int = 0
    refused: int = 0
    failed: int = 0
    refusals: tuple[BatchRefusal, ...] = ()

    @property
    def is_done(self) -> bool:
        """Say whether nothing is left to tell or to look for."""
        return not (self.portion or self.ids or self.statuses)


class Outcome(msgspec.Struct, frozen=True):
    """What came of one instance; without a refusal it was told."""

    refusal: BatchRefusal | None = None
    is_failure: bool = False


def statuses_of(action: BatchAction, status: str | None) -> tuple[InstanceStatus, ...]:
    """Give the statuses that are looked for; one that the act does not concern names no instance."""
    return tuple(one for one in CONCERNED[action] if status in (None, one.value))


def counted(progress: Progress, outcomes: list[Outcome]) -> Progress:
    """Add up what came of the portion, which is told by now."""
    refusals = [one.refusal for one in outcomes if one.refusal is not None]
    failed = sum(one.is_failure for one in outcomes)
    return msgspec.structs.replace(
        progress,
        portion=(),
        done=progress.done + len(outcomes) - len(refusals),
        refused=progress.refused + len(refusals) - failed,
        failed=progress.failed + failed,
        refusals=(*progress.refusals, *refusals)[:REFUSALS_KEPT_MAX],
    )


def given_up(progress: Progress, why: BatchRefusal) -> Progress:
    """End without telling the rest; `why` is named before the other refusals."""
    refusals = (why, *progress.refusals)[:REFUSALS_KEPT_MAX]
    return msgspec.structs.replace(
        progress, portion=(), ids=(), statuses=(), failed=progress.failed + 1, refusals=refusals
    )  # fmt: skip


def next_of_ids(progress: Progress) -> Progress:
    """Take the next portion of the ids."""
    return msgspec.structs.replace(
        progress, portion=progress.ids[:PORTION_COUNT], ids=progress.ids[PORTION_COUNT:]
    )  # fmt: skip


def next_of_page(progress: Progress, ids: tuple[str, ...], before: str | None) -> Progress:
    """Take a page that was found as the next portion; `before` None = it was the last one of this status."""
    statuses = progress.statuses if before is not None else progress.statuses[1:]
    return msgspec.structs.replace(progress, portion=ids, before=before, statuses=statuses)


def query_of(progress: Progress) -> InstanceQuery:
    """Give what is looked for next.

    Raises:
        ValueError: the instances are named by their ids.
    """
    if progress.query is None:
        raise ValueError("nothing is looked for: ids are given")
    return msgspec.structs.replace(progress.query, status=progress.statuses[0].value)


def until(query: InstanceQuery, now: datetime) -> InstanceQuery:
    """Leave out what is created from now on: the act would follow new instances for ever."""
    return msgspec.structs.replace(query, created_to=now if query.created_to is None else min(now, query.created_to))


encode_progress = msgspec.json.Encoder().encode
decode_progress = msgspec.json.Decoder(Progress).decode
