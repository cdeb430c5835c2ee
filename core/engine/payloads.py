"""Values that lie in objects, since they are too long for rows (ADR 0025): their keys, and reading them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.errors import PayloadMissing
from core.ports.instance_store import ObjectRange
from core.ports.object_store import ObjectMissing, ObjectStore

# Values of one commit that lie so near to each other are read at once: opening an object costs as much as 64 KiB.
GAP_BYTES_MAX = 65_536


class _Run(msgspec.Struct):
    """Bytes `first`..`end` (excluded) of one object, read at once; `ranges` are (offset, length, place) within them."""

    first: int
    end: int
    ranges: list[tuple[int, int, int]]


def payload_key(instance_id: str, new_id: str) -> str:
    """Give the key of an object for values of an instance; the new id is used once, so that no write replaces it."""
    return f"payload/{instance_id}/{new_id}"


async def whole(objects: ObjectStore, domain_id: str, found: Sequence[bytes | ObjectRange]) -> list[bytes]:
    """Give the bytes of every value: those that the journal store had, and those that it only named.

    Args:
        objects: where the named ones lie.
        domain_id: of the instance.
        found: what `read_payloads` gave.

    Raises:
        PayloadMissing: an object is not there or too short. StoreUnavailable: it cannot be read.
    """
    answers = [part if isinstance(part, bytes) else b"" for part in found]
    named: dict[str, list[tuple[int, int, int]]] = {}
    for place, part in enumerate(found):
        if isinstance(part, ObjectRange):
            named.setdefault(part.key, []).append((part.offset, part.length, place))
    for key, ranges in named.items():
        for run in _runs(ranges):
            data = await _read(objects, domain_id, key, run)
            for offset, length, place in run.ranges:
                start = offset - run.first
                answers[place] = data[start : start + length]
    return answers


def _runs(ranges: list[tuple[int, int, int]]) -> list[_Run]:
    """Put ranges of one object together that overlap or lie near to each other, ascending."""
    runs: list[_Run] = []
    for one in sorted(ranges):
        offset, length, _ = one
        if not runs or offset - runs[-1].end > GAP_BYTES_MAX:
            runs.append(_Run(offset, offset, []))
        runs[-1].end = max(runs[-1].end, offset + length)
        runs[-1].ranges.append(one)
    return runs


async def _read(objects: ObjectStore, domain_id: str, key: str, run: _Run) -> bytes:
    try:
        pieces = [piece async for piece in objects.get(domain_id, key, first=run.first, last=run.end - 1)]
    except ObjectMissing as error:
        raise PayloadMissing(f"object {key} is not there") from error
    data = b"".join(pieces)
    if len(data) < run.end - run.first:
        raise PayloadMissing(f"object {key} has no bytes {run.first} to {run.end}")
    return data
