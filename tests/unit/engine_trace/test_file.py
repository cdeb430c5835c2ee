"""Trace files: equal bytes for equal instances, and a clear refusal of everything else."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import msgspec
import pytest

from core.engine.state import Reference
from core.engine.trace import file
from core.engine.trace.file import Trace, TraceValue, decoded_values, read_trace, write_trace
from core.engine.trace.outline import NodeOutline, OutlineBroken, PlanOutline, outline_of, plan_of
from core.errors import TraceInvalid
from tests.unit.engine.plans import run_of
from tests.unit.engine_trace.traced import trace_of

TWO_STEPS = """
steps:
  - {id: a, operator: "@debug/noop", parameters: {text: one}}
  - {id: b, operator: "@debug/noop", parameters: {text: "{{ steps.a.output.text }}"}, on_error: continue}
outputs: {text: "{{ steps.b.output.text }}"}
"""
HEAD = struct.Struct(">10sHQQ32s")


def example() -> Trace:
    return trace_of(run_of(TWO_STEPS).finish({"text": "x" * 100}))


def packed(body: bytes, **changed: Any) -> bytes:
    data = changed.get("data", zlib.compress(body))
    digest = hashlib.sha256(body).digest()
    head = (changed.get("version", 1), changed.get("packed", len(data)), changed.get("unpacked", len(body)), digest)
    return HEAD.pack(b"flowtrace\n", *head) + bytes(data)


def test_trace_that_was_written_is_read_back_whole() -> None:
    trace = example()

    assert trace == read_trace(write_trace(trace))


def test_same_instance_gives_the_same_bytes() -> None:
    assert write_trace(example()) == write_trace(example())


def test_plan_that_was_outlined_has_what_a_fold_needs() -> None:
    plan = run_of(TWO_STEPS).plan
    rebuilt = plan_of(outline_of(plan))

    assert (plan.lists, plan.regions, plan.by_id) == (rebuilt.lists, rebuilt.regions, rebuilt.by_id)
    assert [(node.id, node.kind, node.upstream, node.downstream, node.on_error) for node in plan.nodes] == [
        (node.id, node.kind, node.upstream, node.downstream, node.on_error) for node in rebuilt.nodes
    ]
    assert ({"x": 1}, []) == rebuilt.inputs_complete({"x": 1})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no trace file"),
        (b"flowtrace", "no trace file"),
        (b"PK\x03\x04" + b"\0" * 100, "no trace file"),
        (packed(b"x", version=2), "version 2"),
        (packed(b"x", unpacked=file.BODY_BYTES_MAX + 1), "unpacks to"),
        (packed(b"x")[:-1], "damaged"),
        (packed(b"x") + b"y", "damaged"),
        (packed(b"x", data=b"none of zlib"), "cannot be unpacked"),
        (packed(b"x" * 100, unpacked=50), "another hash"),
        (packed(b"x", data=zlib.compress(b"y")), "another hash"),
        (packed(b"\xc1"), "no trace of this version"),
        (packed(msgspec.msgpack.encode({"rows": []})), "no trace of this version"),
    ],
)
def test_file_that_is_none_is_refused_with_its_reason(data: bytes, sentence: str) -> None:
    with pytest.raises(TraceInvalid, match=sentence):
        read_trace(data)


def test_file_that_is_too_long_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "FILE_BYTES_MAX", 10)
    with pytest.raises(TraceInvalid, match="at most 10 bytes"):
        read_trace(write_trace(example()))


def test_each_flipped_byte_of_a_file_is_found() -> None:
    data = write_trace(example())
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 0x20
        with pytest.raises(TraceInvalid):
            read_trace(bytes(damaged))


def test_rows_with_a_gap_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = example()
    with pytest.raises(TraceInvalid, match="gap"):
        read_trace(write_trace(msgspec.structs.replace(trace, rows=trace.rows[1:])))
    monkeypatch.setattr(file, "ROWS_MAX", 1)
    with pytest.raises(TraceInvalid, match="at most 1"):
        read_trace(write_trace(trace))


def test_row_that_is_no_journal_row_is_refused_when_it_is_read() -> None:
    row = msgspec.structs.replace(example().rows[0], version=99)
    with pytest.raises(TraceInvalid, match="row 1"):
        row.events()


def test_value_that_is_no_json_is_refused() -> None:
    trace = msgspec.structs.replace(example(), values=(TraceValue(Reference(1, 0, 1, 0), b"{"),))
    with pytest.raises(TraceInvalid, match="no JSON"):
        decoded_values(trace)


def broken_outlines() -> list[PlanOutline]:
    outline = outline_of(run_of(TWO_STEPS).plan)
    change = msgspec.structs.replace
    first = outline.nodes[0]

    def with_node(**fields: Any) -> PlanOutline:
        changed: NodeOutline = change(first, **fields)
        return change(outline, nodes=(changed, *outline.nodes[1:]))

    one, region = outline.lists[0], outline.regions[0]
    return [
        change(outline, lists=()),
        change(outline, regions=()),
        with_node(id="b"),
        with_node(list=9),
        with_node(upstream=(7,)),
        change(outline, lists=(change(one, region=-1),)),
        change(outline, lists=(change(one, nodes=(5,)),)),
        change(outline, regions=(change(region, root=3),)),
        change(outline, regions=(change(region, size=9),)),
        change(outline, regions=(change(region, size=0, nodes=()),)),
        change(outline, regions=(change(region, nodes=(0, 9)),)),
    ]


@pytest.mark.parametrize("outline", broken_outlines(), ids=range(11))
def test_plan_whose_numbers_point_to_nothing_is_refused(outline: PlanOutline) -> None:
    with pytest.raises(OutlineBroken):
        plan_of(outline)
    with pytest.raises(TraceInvalid, match="no plan"):
        read_trace(write_trace(msgspec.structs.replace(example(), plan=outline)))
