"""Notes of objects that nothing refers to: what a crash between two stores leaves behind is in this list (ADR 0017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class LooseObject(msgspec.Struct, frozen=True):
    """An object of the object store that no row refers to (any more, or not yet), since when."""

    domain_id: str
    key: str
    since: datetime


@runtime_checkable
class ObjectNotes(Protocol):
    """Objects that wait to be referred to, or to be removed.

    Object and row lie in two stores. So an object is noted before it is written, and again when its row goes; the
    transaction that stores a row takes the note away. Serves the engine and the files of all tenants.
    """

    async def note(self, objects: Sequence[LooseObject]) -> None:
        """Note objects as loose, all in one durable transaction; noted twice, the later call's time counts.

        Raises:
            StoreUnavailable, StoreFull: nothing was noted. CommitUnknown: perhaps; noting again does no harm.
        """
        ...

    async def loose(self, before: datetime, limit: int) -> Sequence[LooseObject]:
        """List objects of every domain that are loose since before this time, oldest first.

        `limit` is 1..READ_ROWS_MAX; ValueError else.
        """
        ...

    async def condemn(self, objects: Sequence[LooseObject]) -> Sequence[LooseObject]:
        """Let nothing refer to these objects any more, in one durable transaction; gives those that are still noted.

        Only what was condemned may be removed: between a look at the list and the removal a row may come to refer to an
        object. A condemned one stays in the list until it is forgotten.
        """
        ...

    async def forget(self, objects: Sequence[LooseObject]) -> None:
        """Take the notes of objects away that are gone; one that has no note is no error."""
        ...
