"""What no store holds, said in words, and where byte ranges fall."""

from __future__ import annotations

import pytest

from core.ports.instance_store import (
    BODY_BYTES_MAX,
    READ_ROWS_MAX,
    InstanceChange,
    NewCommand,
    NewStart,
    PayloadRange,
)
from core.ports.row_rules import change_fault, check_ingest, check_limit, is_text, part_slices, too_many_open
from core.ports.scope import Principal, Scope
from tests.contract.rows import (
    TOO_LARGE,
    change,
    frame,
    misfits,
    new_command,
    new_start,
    payload,
    seen_key,
    start_key,
    timer,
)
from tests.contract.rows import later as at


def test_change_of_every_kind_of_row_has_no_fault() -> None:
    made = change(
        "i1",
        4,
        lines=2,
        start_key=start_key("i1", "größer"),
        seen=(seen_key("a"), seen_key("b")),
        frames=(frame("i1", "", body=bytes(BODY_BYTES_MAX)),),
        payloads=(payload("i1", 5, 0, bytes(BODY_BYTES_MAX)), payload("i1", 5, 1, b"x")),
        timers_set=(timer("i1", 1, at(1)),),
        inbox_taken=(1, 2),
    )

    assert change_fault(made) == ""


def test_change_without_journal_keeps_its_seq() -> None:
    assert change_fault(change("i1", 4, lines=0, frames=(frame("i1", ""),))) == ""


@pytest.mark.parametrize(
    ("seq", "fault"), [(4, "was written before"), (5, ""), (6, "")], ids=["earlier", "first", "second"]
)
def test_value_must_be_of_this_commit(seq: int, fault: str) -> None:
    assert change_fault(change("i1", 4, lines=2, payloads=(payload("i1", seq, 0, b"x"),))).endswith(fault)


def test_fault_of_a_journal_row_names_place_and_size() -> None:
    made = change("i1", None, journal=(change("i1", None).journal[0].__class__("i1", 1, 1, bytes(BODY_BYTES_MAX + 1)),))

    assert f"journal row 1 has {BODY_BYTES_MAX + 1} bytes" == change_fault(made)


@pytest.mark.parametrize("misfit", [made for _, made in misfits()], ids=[name for name, _ in misfits()])
def test_change_that_no_store_holds_is_told_why(misfit: InstanceChange) -> None:
    assert change_fault(misfit) != ""


@pytest.mark.parametrize(
    "item",
    [
        new_command("i1", "c1", body=TOO_LARGE),
        new_command("i1", "lone \ud800"),
        new_command("i1", "c1", source="lone \ud800"),
        new_start("i1", start_key("i1", "lone \ud800")),
    ],
    ids=["body", "key", "source", "start key"],
)
def test_item_that_no_store_holds_is_refused(item: NewStart | NewCommand) -> None:
    with pytest.raises(ValueError, match=r"is no text|passes"):
        check_ingest(item)


@pytest.mark.parametrize("limit", [0, READ_ROWS_MAX + 1])
def test_limit_out_of_its_bounds_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=str(limit)):
        check_limit(limit)


@pytest.mark.parametrize(("text", "expected"), [("abc", True), ("größer", True), ("\ud800", False), ("", True)])
def test_text_is_what_has_a_utf8_form(text: str, expected: bool) -> None:
    assert expected == is_text(text)


def test_items_that_any_store_holds_pass_the_check() -> None:
    for item in (new_command("i1", "c"), new_start("i1"), new_start("i1", start_key("i1"))):
        check_ingest(item)


def test_limit_within_its_bounds_is_given_back() -> None:
    assert [1, READ_ROWS_MAX] == [check_limit(limit) for limit in (1, READ_ROWS_MAX)]


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 0, []),
        (5, 3, [(0, 5, 8)]),
        (BODY_BYTES_MAX - 1, 1, [(0, BODY_BYTES_MAX - 1, BODY_BYTES_MAX)]),
        (BODY_BYTES_MAX, 1, [(1, 0, 1)]),
        (BODY_BYTES_MAX - 1, 3, [(0, BODY_BYTES_MAX - 1, BODY_BYTES_MAX), (1, 0, 2)]),
        (1, 2 * BODY_BYTES_MAX, [(0, 1, BODY_BYTES_MAX), (1, 0, BODY_BYTES_MAX), (2, 0, 1)]),
    ],
)
def test_range_falls_on_parts_without_gap_or_overlap(
    offset: int, length: int, expected: list[tuple[int, int, int]]
) -> None:
    assert expected == list(part_slices(PayloadRange(1, offset, length)))


def test_refusal_of_another_open_batch_names_the_domain_and_its_bound() -> None:
    [bound] = too_many_open(Scope("one", Principal("k1", "key", "First")), 5, 4).why
    assert ("open_batches", {"taken": 5, "most": 4}) == (bound.name, bound.value)
    assert ("domain", "one", "one of them is done") == (bound.holder_kind, bound.holder, bound.next)
