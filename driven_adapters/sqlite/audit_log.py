"""What people did, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.ports.audit_log import (
    STRAYS_MAX,
    AuditRow,
    ChainEnd,
    ChainHead,
    Seal,
    SealedAct,
    SealedPage,
    Unsealed,
)
from core.ports.row_rules import check_limit
from driven_adapters.sqlite.stamps import from_stamp, to_stamp
from driven_adapters.sqlite.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ports.audit_log import AuditEntry
    from core.ports.scope import Scope
    from driven_adapters.sqlite.database import Database, Reading
    from driven_adapters.sqlite.transaction import Transaction

_NEWEST = 2**63 - 1


class SqliteAuditLog:
    """`AuditLog` over a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = load_statements("engine/act.sql")

    async def list(self, scope: Scope, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Page acts, newest first."""
        bindings = {
            "domain_id": scope.domain_id,
            "before": _NEWEST if before is None else before,
            "limit": check_limit(limit),
        }
        rows = await self._database.read(lambda reading: reading.rows(self._sql["list_audit"], bindings))
        return [AuditRow(n, shard, from_stamp(at), body) for n, shard, at, body in rows]

    async def unsealed(self, *, limit: int) -> Unsealed:
        """Read the oldest acts that no seal covers."""
        bindings = {"limit": check_limit(limit)}

        def read(reading: Reading) -> Unsealed:
            rows: dict[str, tuple[AuditRow, ...]] = {}
            for n, shard, domain_id, at, body in reading.rows(self._sql["list_unsealed"], bindings):
                rows[domain_id] = (*rows.get(domain_id, ()), AuditRow(n, shard, from_stamp(at), body))
            heads = {domain_id: self._head(reading, domain_id) for domain_id in rows}
            return Unsealed(rows, {domain_id: head for domain_id, head in heads.items() if head is not None})

        return await self._database.read(read)

    async def seal(self, seals: Sequence[Seal]) -> bool:
        """Write seals, unless somebody else was there first."""

        def write(tx: Transaction) -> bool:
            newest: dict[str, Seal] = {}
            for one in seals:
                if one.domain_id not in newest:
                    head = self._head(tx, one.domain_id)
                    if one.position != (0 if head is None else head.position) + 1:
                        return False
                newest[one.domain_id] = one
            for one in seals:
                tx.write(self._sql["insert_seal"], msgspec.structs.asdict(one))
            for one in newest.values():
                noted = {"domain_id": one.domain_id, "position": one.position, "n": one.n, "hash": one.hash}
                tx.write(self._sql["note_chain"], noted)
            return True

        return await self._database.write(write)

    async def sealed(self, scope: Scope, *, after: int, limit: int) -> SealedPage:
        """Page seals with their acts."""
        bindings = {"domain_id": scope.domain_id, "after": after, "limit": check_limit(limit)}

        def read(reading: Reading) -> SealedPage:
            acts: list[SealedAct] = []
            for position, n, digest, hash_, shard, at, body in reading.rows(self._sql["list_seals"], bindings):
                row = None if body is None else AuditRow(n, shard, from_stamp(at), body)
                acts.append(SealedAct(Seal(scope.domain_id, position, n, digest, hash_), row))
            if not acts:
                return SealedPage((), ())
            numbers = [one.seal.n for one in acts]
            # Before the first seal of all lies nothing that may be without one.
            between = {"above": 0 if after == 0 else min(numbers), "below": max(numbers), "limit": STRAYS_MAX}
            strays = reading.rows(self._sql["list_strays"], {"domain_id": scope.domain_id, **between})
            return SealedPage(tuple(acts), tuple(n for (n,) in strays))

        return await self._database.read(read)

    async def chain_end(self, scope: Scope) -> ChainEnd:
        """Say where the chain ends."""

        def read(reading: Reading) -> ChainEnd:
            head = self._head(reading, scope.domain_id)
            bindings = {"domain_id": scope.domain_id, "above": 0 if head is None else head.n}
            [(count, oldest_at)] = reading.rows(self._sql["count_unsealed"], bindings)
            return ChainEnd(head, count, None if oldest_at is None else from_stamp(oldest_at))

        return await self._database.read(read)

    def _head(self, reading: Reading | Transaction, domain_id: str) -> ChainHead | None:
        rows = reading.rows(self._sql["read_chain"], {"domain_id": domain_id})
        return ChainHead(*rows[0]) if rows else None


class AuditRows:
    """Writes acts inside the transactions of other stores."""

    def __init__(self) -> None:
        self._sql = load_statements("engine/act.sql")

    def put(self, tx: Transaction, entry: AuditEntry) -> None:
        """Write one act; there are few, so each is a statement of its own."""
        tx.write(
            self._sql["insert_audit"],
            {"shard": entry.shard, "domain_id": entry.domain_id, "at": to_stamp(entry.at), "body": entry.body},
        )
