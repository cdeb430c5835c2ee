"""Journal and frame codec, replay and its refusals, values and retry arithmetic."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from core.dag.catalog import Retry
from core.engine import events as e
from core.engine.ends import ChunkEnd, ListEnd
from core.engine.fold import apply_header, has_marks, replay, restore
from core.engine.frame_events import StateInconsistent, apply_frame, open_frame
from core.engine.journal import (
    JOURNAL_VERSION,
    JournalUnreadable,
    decode_events,
    decode_frame,
    encode_event,
    encode_events,
    encode_frame,
    join_events,
)
from core.engine.retry import delay_s, share_of, token_of
from core.engine.state import (
    Closing,
    Container,
    Frame,
    Indirect,
    InstanceStatus,
    Joined,
    LoopState,
    MapState,
    Outcome,
    Reference,
    TaskStatus,
    Timer,
    TryState,
)
from core.engine.stimuli import Cancel
from core.engine.sure import sure, sure_of
from core.engine.transitions import IllegalTransition, moved, require_instance
from core.engine.values import decode_payload, hash_of, join, refer, references_of, resolve
from core.errors import PayloadMissing
from core.ports.instance_store import FrameRow, InstanceRow, JournalRow, Loaded
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import plan_of, run_of

NOOP = 'operator: "@debug/noop"'
TWO = f"steps: [{{id: a, {NOOP}}}, {{id: b, {NOOP}}}]"


@pytest.mark.parametrize("count", [0, 1, 15, 16, 70_000])
def test_joined_events_are_the_encoding_of_the_array(count: int) -> None:
    events = [e.FrameClosed(f"f{n}") for n in range(count)]
    assert encode_events(events) == join_events([encode_event(event) for event in events])


def test_start_that_an_earlier_release_wrote_has_no_labels() -> None:
    run = run_of('steps: [{id: a, operator: "@debug/noop"}]')
    [started] = [event for event in run.events if isinstance(event, e.InstanceStarted)]
    fields = msgspec.msgpack.decode(encode_event(started))
    row = msgspec.msgpack.encode([fields[:-1]])

    assert (started,) == decode_events(JOURNAL_VERSION, row)
    assert started.labels is None


def test_unknown_version_is_never_guessed() -> None:
    with pytest.raises(JournalUnreadable, match="version 9"):
        decode_events(9, b"\x90")


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91\x91\xcc\xff", b"\x91" * 10_000])
def test_broken_rows_are_unreadable(body: bytes) -> None:
    with pytest.raises(JournalUnreadable):
        decode_events(1, body)
    with pytest.raises(JournalUnreadable):
        decode_frame(body, seq=1)


def _row(run: InstanceRun) -> InstanceRow:
    header = run.state.header
    return InstanceRow(
        id=header.id, domain_id="d", shard=0, dag_id="dag", dag_hash="h", dag_version="v1.0.0", seq=run.rows[-1][0],
        status=str(header.status), open_attempts=0, ready=0, open_frames=1, epoch=1, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def _loaded(run: InstanceRun, *, written_until: int, tail_from: int) -> Loaded:
    """Frames as a store would hold them when they were last written at row `written_until`."""
    earlier: dict[str, Frame] = {}
    header = None
    for seq, body in run.rows:
        if seq <= written_until:
            header = replay(run.plan, header, earlier, seq, decode_events(1, body), {})
    frames = tuple(
        FrameRow("01J", path, written_until, frame.is_open, encode_frame(header if path == "" else None, frame))
        for path, frame in sorted(earlier.items())
        if frame.is_open or path == ""
    )
    journal = tuple(JournalRow("01J", seq, 1, body) for seq, body in run.rows if seq >= tail_from)
    return Loaded(_row(run), journal, frames)


def _rich() -> InstanceRun:
    return (
        run_of(
            f"""
            steps:
              - {{id: v, operator: "@data/define", parameters: {{name: x, value: [1, 2, 3, 4, 5, 6, 7, 8, 9]}}}}
              - id: m
                operator: "@control/map"
                parameters:
                  on_item_error: collect
                  items: [1, 2, 3]
                  steps: [{{id: w, {NOOP}, retry: {{max_attempts: 1}}}}, {{id: y, {NOOP}}}]
              - {{id: z, {NOOP}}}
            """
        )
        .succeed("m.0.w", "x" * 100)
        .fail("m.1.w")
        .succeed("m.0.y", "y" * 100)
        .succeed("m.2.w")
        .succeed("m.2.y")
        .succeed("z")
    )


BOUND = Timer(65_537, NOW + timedelta(hours=1), "cleanup")
FAR = Reference(3, 0, 9_000, 7)


@pytest.mark.parametrize(
    "event",
    [
        e.ContainerEntered("", 0, LoopState(None), (BOUND,)),
        e.ContainerEntered("", 0, LoopState(900, (FAR, b"[1]"), 256, under=NOW)),
        e.ContainerEntered("", 0, TryState(2, under=NOW)),
        e.TryAdvanced("", 0, 3, FAR, b"{}", (BOUND,)),
        e.TryAdvanced("", 0, 3, None, None),
        e.IterationBegun("l.0/steps", 4),
        e.IterationEnded("", 0, Indirect(FAR), is_over=True, merged=(Indirect(FAR), FAR)),
        e.IterationEnded("", 0, None),
        e.InstanceConcluded(Outcome(InstanceStatus.FAILED, None, FAR, None), BOUND),
        e.HookEntered(1),
        e.HookEnded(Outcome(InstanceStatus.SUCCEEDED, b"{}", None, "why")),
        e.TaskClosing("", 0, Closing("timeout", NOW, FAR, is_grace_over=True, cleanup=BOUND, is_cleanup_over=True)),
    ],
)
def test_events_of_loops_tries_and_hooks_read_back_as_they_were(event: e.Event) -> None:
    assert (event,) == tuple(decode_events(1, encode_events([event])))


def _looping() -> InstanceRun:
    """A loop in its 18th iteration, a try in its `finally`, and values of every kind."""
    run = run_of(
        f"""
        steps:
          - id: l
            operator: "@control/loop"
            depends_on: []
            parameters: {{mode: count, limit: 40, steps: [{{id: w, {NOOP}}}]}}
          - id: t
            operator: "@control/try"
            depends_on: []
            parameters: {{steps: [{{id: a, {NOOP}, retry: {{max_attempts: 1}}}}], catch: [{{id: c, {NOOP}}}], finally: [{{id: f, {NOOP}}}]}}
        settings: {{on_finish: [{{id: k, {NOOP}}}]}}
        """
    )
    for number in range(17):
        run.succeed(f"l.{number}.w", "v" * 40 if number % 2 else number)
    return run.fail("a").succeed("c", "C" * 40)


@pytest.mark.parametrize("written_until", [0, 1, 9, 17, 18, 20])
def test_state_of_loop_and_try_is_the_same_from_any_checkpoint(written_until: int) -> None:
    run = _looping()
    state = restore(run.plan, _loaded(run, written_until=written_until, tail_from=max(1, written_until)), epoch=7)
    assert run.state.header == state.header
    live = {path: encode_frame(None, frame) for path, frame in run.state.frames.items()}
    assert live == {path: encode_frame(None, frame) for path, frame in state.frames.items()}
    assert {"", "l.17/steps", "t/steps", "t/catch", "t/finally"} == set(live)


def test_header_within_a_hook_reads_back_with_its_outcome() -> None:
    run = _looping().succeed("f")
    while "k" not in run.attempts:
        run.succeed(next(iter(run.attempts)))
    state = restore(run.plan, _loaded(run, written_until=run.rows[-1][0], tail_from=run.rows[-1][0]), epoch=7)
    assert (run.state.header, {"", "/on_finish"}) == (state.header, set(state.frames))
    outcome = sure(state.header.outcome)
    assert (InstanceStatus.SUCCEEDED, 1) == (outcome.status, state.header.hook)


@pytest.mark.parametrize("written_until", range(8))
def test_state_is_the_same_from_any_checkpoint_and_the_rows_after_it(written_until: int) -> None:
    run = _rich()
    tail_from = 1 if written_until == 0 else max(1, written_until - 1)
    loaded = _loaded(run, written_until=written_until, tail_from=tail_from)
    state = restore(run.plan, loaded, epoch=7)
    assert run.state.header == state.header
    assert encode_frame(None, run.state.frames[""]) == encode_frame(None, state.frames[""])
    assert (7, run.rows[-1][0] + 1) == (state.epoch, state.seq)


def test_frames_read_back_have_the_counts_of_those_written() -> None:
    run = run_of(
        f"steps: [{{id: m, operator: '@control/map', parameters: {{items: [1, 2], steps: [{{id: w, {NOOP}}}]}}}}]"
    )
    run.succeed("m.0.w", "x" * 100)
    frame = run.state.frames["m/#0"]
    _header, read, snapshot_seq = decode_frame(encode_frame(None, frame, 5), seq=3)
    assert 5 == snapshot_seq
    assert (frame.ready, frame.running, frame.ended, frame.inline_bytes) == (
        read.ready, read.running, read.ended, read.inline_bytes,
    )  # fmt: skip


def test_tail_that_does_not_reach_the_start_needs_the_top_frame() -> None:
    run = run_of(TWO).succeed("a").succeed("b")
    with pytest.raises(StateInconsistent, match="top frame"):
        restore(run.plan, Loaded(_row(run), (JournalRow("01J", 2, 1, run.rows[1][1]),), ()), epoch=1)


def test_end_before_the_start_is_refused() -> None:
    run = run_of(TWO).succeed("a").succeed("b")
    with pytest.raises(StateInconsistent, match="before the start"):
        restore(run.plan, Loaded(_row(run), (JournalRow("01J", 3, 1, run.rows[2][1]),), ()), epoch=1)


def test_marks_are_found_again_wherever_they_stand() -> None:
    nested = f"""
        steps:
          - id: p
            operator: "@control/parallel"
            depends_on: []
            parameters: {{branches: [{{id: x, steps: [{{id: a, {NOOP}, depends_on: [], retry: {{max_attempts: 1}}}}, {{id: c, {NOOP}, depends_on: []}}]}}]}}
        """
    plain = run_of(TWO)
    assert not has_marks(plain.state)
    assert has_marks(plain.feed(Cancel("x")).state)
    assert has_marks(run_of(nested).fail("a").state)
    item = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters: {{on_item_error: collect, items: [1], steps: [{{id: a, {NOOP}, depends_on: [], retry: {{max_attempts: 1}}}}, {{id: c, {NOOP}, depends_on: []}}]}}
        """
    )
    assert has_marks(item.fail("m.0.a").state)


def test_arrows_outside_of_the_table_are_refused() -> None:
    with pytest.raises(IllegalTransition, match="TaskSkipped from RUNNING"):
        moved(e.TaskSkipped("", 0, "when"), TaskStatus.RUNNING)
    ended = e.InstanceEnded(NOW, InstanceStatus.FAILED, None, None, None)
    with pytest.raises(IllegalTransition, match="InstanceEnded from succeeded"):
        require_instance(ended, InstanceStatus.SUCCEEDED)
    with pytest.raises(IllegalTransition):
        apply_header(run_of(TWO).finish().state.header, ended)


def _top() -> tuple[object, Frame]:
    plan = plan_of(TWO)
    return plan, open_frame(plan, e.FrameOpened("", 0, None, -1, "", 0, 1, None))


@pytest.mark.parametrize(
    "event",
    [
        e.HandlingEnded("", 0, None, None),
        e.ListEnded("", 0, 1, ListEnd(succeeded=True, value=None)),
        e.MapAdvanced("", 0, 1, 1),
        e.ChunkEnded("", 0, 0, ChunkEnd(b"[]", None, 0)),
        e.TaskClosing("", 0, Closing("cancel", NOW)),
        e.TryAdvanced("", 0, 1, None, None),
        e.IterationBegun("", 0),
        e.IterationEnded("", 0, b"1"),
    ],
)
def test_events_that_contradict_the_frame_are_refused(event: e.Event) -> None:
    plan, frame = _top()
    with pytest.raises(StateInconsistent):
        apply_frame(plan, frame, event)  # type: ignore[arg-type] # the plan of this frame


def test_events_of_tasks_and_items_that_are_not_there_are_refused() -> None:
    plan, frame = _top()
    frame.tasks[1] = None
    with pytest.raises(StateInconsistent, match="no task 1"):
        apply_frame(plan, frame, e.TaskSkipped("", 1, "when"))  # type: ignore[arg-type] # the plan of this frame
    frame.tasks[0] = msgspec.structs.replace(sure(run_of(TWO).state.frames[""].tasks[0]), detail=None)
    with pytest.raises(StateInconsistent, match="no attempt"):
        apply_frame(plan, frame, e.AttemptLost("", 0))  # type: ignore[arg-type] # the plan of this frame
    ended = e.ItemEnded("", 0, succeeded=True)
    apply_frame(plan, frame, ended)  # type: ignore[arg-type] # the plan of this frame
    with pytest.raises(StateInconsistent, match="ended twice"):
        apply_frame(plan, frame, ended)  # type: ignore[arg-type] # the plan of this frame


def test_closing_marks_keep_the_rest_of_what_a_task_holds() -> None:
    held = MapState(3, 2, (b"[]",), (None,), 2, 1)
    mark = Closing("failing", NOW)
    assert mark == msgspec.structs.replace(held, closing=mark).closing
    assert 2 == msgspec.structs.replace(held, closing=mark).begun
    assert None is Container((1,), (None,)).closing


# Values


def test_values_are_checked_against_their_hash() -> None:
    data = b'{"a":[1,2]}'
    reference = refer(data, seq=3, offset=10)
    assert {"a": [1, 2]} == decode_payload(reference, data)
    for torn in (data[:-1], data.replace(b"1", b"3")):
        with pytest.raises(PayloadMissing):
            decode_payload(reference, torn)
    assert hash_of(data) < 2**32


def test_joined_values_are_put_together_when_they_are_read() -> None:
    one, two = Reference(1, 0, 3, 7), Reference(1, 3, 3, 8)
    values = {one: [1], two: [2, 3]}
    missing: list[Reference] = []
    assert [1, 2, 3] == resolve(join("concat", (one, two)), values, missing)
    assert [[1], [2, 3]] == resolve(join("list", (one, two)), values, missing)
    assert {"a": [1], "b": 5} == resolve(join("object", (one, b"5"), ("a", "b")), values, missing)
    assert [] == missing
    assert [one, two] == references_of(join("concat", (one, two)))
    resolve(join("concat", (one, Reference(9, 0, 1, 1))), values, missing)
    assert [Reference(9, 0, 1, 1)] == missing


def test_inline_parts_join_to_inline_json() -> None:
    assert b"[1,2,3]" == join("concat", (b"[1]", b"[]", b"[2,3]"))
    assert b"[]" == join("concat", ())
    assert b"[[1],2]" == join("list", (b"[1]", b"2"))
    assert b'{"a":1,"b c":"x"}' == join("object", (b"1", b'"x"'), ("a", "b c"))


def test_values_stored_apart_are_loaded_in_two_steps() -> None:
    at, part = Reference(1, 0, 3, 7), Reference(1, 3, 3, 8)
    stored = msgspec.json.decode(msgspec.json.encode(Joined("list", (part, b"5"))))
    missing: list[Reference] = []
    resolve(Indirect(at), {}, missing)
    assert [at] == missing == references_of(Indirect(at))
    missing.clear()
    assert ["x", 5] == resolve(Indirect(at), {at: stored, part: "x"}, missing)


def test_plain_values_hold_no_references() -> None:
    assert [] == references_of(b"1")
    assert [] == references_of(None)


# Retry arithmetic


@pytest.mark.parametrize(
    ("failures", "share", "after", "expected"),
    [
        (1, 0.5, None, 1.0),
        (3, 0.25, None, 2.0),
        (5, 1.0, None, 10.0),
        (5000, 1.0, None, 10.0),
        (1, 0.5, 7.0, 7.0),
        (1, 0.5, 99.0, 10.0),
    ],
)
def test_delay_grows_to_its_cap(failures: int, share: float, after: float | None, expected: float) -> None:
    retry = Retry(delay_s=2, backoff=2, max_delay_s=10)
    assert expected == delay_s(retry, failures=failures, share=share, retry_after_s=after)


def test_delay_beyond_any_float_is_the_cap() -> None:
    retry = Retry(delay_s=2, backoff=1e300, max_delay_s=10, jitter="none")
    assert 10 == delay_s(retry, failures=9, share=0.5, retry_after_s=None)


def test_token_and_share_depend_on_seed_path_and_number() -> None:
    seed = b"s" * 16
    tokens = {token_of(s, p, n) for s in (seed, b"t" * 16) for p in ("a", "b") for n in (1, 2)}
    assert 8 == len(tokens)
    assert all(16 == len(token) for token in tokens)
    assert 0 <= share_of(seed, "a", 1) < 1
    assert share_of(seed, "a", 1) != share_of(seed, "a", 2)


def test_contradictions_between_plan_and_state_are_loud() -> None:
    assert 1 == sure(1)
    with pytest.raises(AssertionError, match="contradicts"):
        sure(None)
    assert 1 == sure_of(int, 1)
    with pytest.raises(AssertionError, match="expected int, found str"):
        sure_of(int, "1")


def test_shares_of_a_delay_are_spread_over_all_of_it() -> None:
    shares = [share_of(bytes(16), "a", number) for number in range(1, 1001)]
    assert [] == [share for share in shares if not 0 <= share < 1]
    tenths = [sum(tenth <= share * 10 < tenth + 1 for share in shares) for tenth in range(10)]
    assert [] == [count for count in tenths if not 60 < count < 140]


def test_frames_changed_after_a_copy_do_not_change_the_copy() -> None:
    run = run_of(TWO)
    frame = run.state.frames[""]
    copied = frame.copy()
    run.succeed("a")
    assert TaskStatus.RUNNING == copied.tasks[0].status  # type: ignore[union-attr] # it was entered
    assert timedelta(0) == run.now - NOW
