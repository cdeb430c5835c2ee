"""Values as people see them: the JSON that lies in the store, laid together, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.engine.shown_value import OUTCOME_SHOWN_BYTES_MAX, ValueReader, value_bytes
from core.engine.state import Indirect, Joined, Reference, Value
from core.engine.values import refer
from core.errors import PayloadMissing
from core.ports.instance_store import PayloadRange
from core.ports.scope import Principal, Scope
from driven_adapters.object_store import MemoryObjectStore
from tests.contract.stores import HandClock

SCOPE = Scope("d", Principal("p", "key", "n"))
OBJECTS = MemoryObjectStore(HandClock())


class Payloads:
    """The values of commit 1, and how often they were read."""

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0

    def put(self, value: Any) -> Reference:
        encoded = msgspec.json.encode(value)
        made = refer(encoded, seq=1, offset=len(self.data))
        self.data += encoded
        return made

    async def read_payloads(self, scope: Scope, instance_id: str, ranges: Sequence[PayloadRange]) -> Sequence[bytes]:
        assert (SCOPE, "i") == (scope, instance_id)
        self.reads += 1
        return [self.data[each.offset : each.offset + each.length] for each in ranges]


def _shown(payloads: Payloads, value: Value | None, bytes_max: int = 1_000) -> tuple[Any, int | None]:
    reader = ValueReader(payloads, OBJECTS, SCOPE, "i")  # type: ignore[arg-type] # only reads of values are asked for
    raw, size = asyncio.run(reader.shown(value, bytes_max))
    return (None if raw is None else msgspec.json.decode(raw)), size


def test_no_value_and_small_values_need_no_read() -> None:
    payloads = Payloads()
    assert (None, None) == _shown(payloads, None)
    assert ({"a": 1}, None) == _shown(payloads, b'{"a":1}')
    assert 0 == payloads.reads


def test_references_are_read_once_and_laid_together() -> None:
    payloads = Payloads()
    one, two, empty = payloads.put([1, 2]), payloads.put([3]), payloads.put([])
    concat = Joined("concat", (one, empty, b"[ ]", two))
    whole = Joined("object", (concat, Joined("list", (one, b"null"))), ("all", 'a"b'))
    assert ({"all": [1, 2, 3], 'a"b': [[1, 2], None]}, None) == _shown(payloads, whole)
    assert 1 == payloads.reads


def test_value_behind_directories_is_opened() -> None:
    payloads = Payloads()
    inner = Indirect(payloads.put(msgspec.to_builtins(Joined("list", (payloads.put("x"),)))))
    outer = Joined("list", (inner, b"1"))
    top = Indirect(payloads.put(msgspec.to_builtins(outer)))
    assert ([["x"], 1], None) == _shown(payloads, outer)
    assert ([["x"], 1], None) == _shown(payloads, top)


def test_value_that_is_too_large_is_told_by_its_size_and_not_read() -> None:
    payloads = Payloads()
    large = payloads.put("x" * 998)
    assert (None, 1_000) == _shown(payloads, large, 999)
    assert 0 == payloads.reads
    assert ("x" * 998, None) == _shown(payloads, large, 1_000)


def test_value_that_is_too_large_behind_its_directory_is_told_by_its_size() -> None:
    payloads = Payloads()
    large = payloads.put("x" * 998)
    hidden = Joined("list", (Indirect(payloads.put(msgspec.to_builtins(Joined("list", (large, large))))),))
    assert (None, 2_000) == _shown(payloads, hidden, 1_500)


def test_torn_value_is_no_value() -> None:
    payloads = Payloads()
    good = payloads.put("abc")
    with pytest.raises(PayloadMissing):
        _shown(payloads, Reference(good.seq, good.offset, good.length, good.hash ^ 1))


def test_fetch_leaves_out_what_no_answer_may_hold() -> None:
    payloads = Payloads()
    reader = ValueReader(payloads, OBJECTS, SCOPE, "i")  # type: ignore[arg-type] # as above
    huge = Reference(1, 0, OUTCOME_SHOWN_BYTES_MAX + 1, 0)
    asyncio.run(reader.fetch([huge, None, b"1"]))
    assert 0 == payloads.reads


def test_size_is_that_of_the_parts() -> None:
    reference = Reference(1, 0, 10, 0)
    assert 23 == value_bytes(Joined("list", (reference, b"abc", Indirect(reference))))
