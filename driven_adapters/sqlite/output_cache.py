"""Outputs that may be used again, in SQLite; written by the commits of `SqliteInstanceStore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.ports.output_cache import CachedOutput
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.ports.output_cache import OutputKey
    from driven_adapters.sqlite.database import Database, Reading


class SqliteOutputCache:
    """`OutputCache` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/output_cache.sql")

    async def find(self, places: Sequence[OutputKey], *, now: datetime) -> list[CachedOutput | None]:
        """Give what stands under each key."""
        stamp = to_stamp(now)

        def read(reading: Reading) -> list[CachedOutput | None]:
            return [self._find(reading, place, stamp) for place in places]

        return await self._database.read(read)

    def _find(self, reading: Reading, place: OutputKey, stamp: int) -> CachedOutput | None:
        bindings: dict[str, Any] = {
            "domain_id": place.domain_id, "dag_id": place.dag_id, "step": place.step, "version": place.version,
            "key": place.key, "now": stamp,
        }  # fmt: skip
        rows = reading.rows(self._sql["find_output"], bindings)
        if not rows:
            return None
        instance_id, body, expires_at = rows[0]
        return CachedOutput(place, instance_id, body, from_stamp(expires_at))


def output_values(kept: CachedOutput) -> tuple[Any, ...]:
    """Give a kept output's values in the order of `upsert_outputs`."""
    place = kept.place
    expires_at = to_stamp(kept.expires_at)
    return (
        place.domain_id,
        place.dag_id,
        place.step,
        place.version,
        place.key,
        kept.instance_id,
        kept.body,
        expires_at,
    )
