"""The hash chain that seals what people did, one per business domain (reliability.md R35); pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec

from core.ports.audit_log import AuditRow, ChainHead, Seal, SealedAct

_encode = msgspec.msgpack.Encoder().encode


class AuditFault(msgspec.Struct, frozen=True):
    """What is wrong with the audit of a domain.

    `changed`: an act is not what was sealed. `removed`: acts, or their seals, are gone. `inserted`: an act lies among
    sealed ones and was never sealed. `reordered`: acts changed places. `chain`: a seal does not follow from the one
    before it. `n` is the act's number, 0 = no single one's.
    """

    kind: Literal["changed", "removed", "inserted", "reordered", "chain"]
    n: int
    position: int
    sentence: str


def first_hash(domain_id: str) -> bytes:
    """Give what the first seal of a domain follows from."""
    return hashlib.sha256(b"flow audit 1\0" + domain_id.encode()).digest()


def digest_of(domain_id: str, row: AuditRow) -> bytes:
    """Hash an act, its number left out: an act at another's place is told from a changed one."""
    return hashlib.sha256(_encode((domain_id, row.shard, row.at.isoformat(), row.body))).digest()


def hash_after(before: bytes, position: int, n: int, digest: bytes) -> bytes:
    """Give the hash of a seal that follows the one with hash `before`."""
    return hashlib.sha256(_encode((before, position, n, digest))).digest()


def seals(domain_id: str, head: ChainHead | None, rows: Sequence[AuditRow]) -> list[Seal]:
    """Make the seals of these acts of one domain, ascending, which follow its newest seal (None = it has none)."""
    position, before = (0, first_hash(domain_id)) if head is None else (head.position, head.hash)
    made: list[Seal] = []
    for row in rows:
        position += 1
        digest = digest_of(domain_id, row)
        before = hash_after(before, position, row.n, digest)
        made.append(Seal(domain_id, position, row.n, digest, before))
    return made


def check(domain_id: str, before: SealedAct | None, page: Sequence[SealedAct]) -> list[AuditFault]:
    """Hold a page of seals against their acts and against each other.

    Args:
        before: the seal before the page, None = the page begins with the first one.
        page: ascending by position.
    """
    found: list[AuditFault] = []
    moved = {one.seal.digest for one in page if _is_changed(domain_id, one)}
    position, hash_before = (0, first_hash(domain_id)) if before is None else (before.seal.position, before.seal.hash)
    for one in page:
        seal = one.seal
        if seal.position != position + 1:
            missing = f"the seals from {position + 1} to {seal.position - 1} are gone"
            found.append(AuditFault("removed", 0, position + 1, missing))
        elif hash_after(hash_before, seal.position, seal.n, seal.digest) != seal.hash:
            found.append(AuditFault("chain", seal.n, seal.position, "its seal does not follow from the one before it"))
        position, hash_before = seal.position, seal.hash
        if one.row is None:
            found.append(AuditFault("removed", seal.n, seal.position, "it was sealed, and is gone"))
        elif _is_changed(domain_id, one):
            is_moved = digest_of(domain_id, one.row) in moved
            sentence = "what was sealed under another number stands here" if is_moved else "it is not what was sealed"
            found.append(AuditFault("reordered" if is_moved else "changed", seal.n, seal.position, sentence))
    return found


def check_end(head: ChainHead | None, last: SealedAct | None) -> list[AuditFault]:
    """Hold the last seal of a domain against its note of the newest one."""
    noted = (0, b"") if head is None else (head.position, head.hash)
    found = (0, b"") if last is None else (last.seal.position, last.seal.hash)
    if noted == found:
        return []
    if noted[0] > found[0]:
        sentence = f"the newest seals, from {found[0] + 1} to {noted[0]}, are gone"
        return [AuditFault("removed", 0, found[0] + 1, sentence)]
    return [AuditFault("chain", 0, found[0], "the last seal is not the one that was noted as the newest")]


def _is_changed(domain_id: str, one: SealedAct) -> bool:
    return one.row is not None and digest_of(domain_id, one.row) != one.seal.digest
