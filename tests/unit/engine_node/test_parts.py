"""The node's parts one by one: what goes into a commit, what a load must mark, bounds and turns."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.dag.plan import Plan
from core.engine import events as e
from core.engine.decide import decide
from core.engine.effects import CancelAttempt, Decision, Need
from core.engine.fold import queued_state, restore
from core.engine.journal import JOURNAL_ROW_BYTES_MAX, decode_events, encode_events
from core.engine.node.batch import Batch
from core.engine.node.computing import compute
from core.engine.node.hot import HotInstance, HotTable, Input
from core.engine.node.intake import LOADED_INPUTS_MAX, Intake
from core.engine.node.item import FRAME_BYTES_PER_TRANSITION, FRAME_TRANSITIONS_MIN, SNAPSHOT_ROWS_MIN, Item
from core.engine.node.marks import Marks
from core.engine.node.memory import ValueMemory
from core.engine.node.moment import NodeTime
from core.engine.node.pauses import DELAY_S_MAX, Backoff
from core.engine.node.places import Places
from core.engine.node.recovery import (
    SWEPT_FRAMES_MAX,
    deepest_first,
    dirty_frames,
    newest_snapshots,
    sweep_portion,
    unsent_attempts,
)
from core.engine.node.terms import Ended, StartRequest
from core.engine.state import InstanceStatus, Reference
from core.engine.stimuli import AttemptEnded, Cancel, Continue, Finished, Start, Terminate
from core.errors import QueueFull
from core.executor.operator import Failed, Succeeded
from core.ports.instance_store import (
    BODY_BYTES_MAX,
    CommitBounds,
    InboxRow,
    InstanceChange,
    InstanceRow,
    Loaded,
    PayloadObject,
    StartKey,
    TimerRow,
)
from tests.unit.engine.plans import plan_of
from tests.unit.engine_node.world import World, simulated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = CommitBounds(256, 1_048_576, 65_536, "many")
LONG = "steps:\n" + "".join(f'  - {{id: s{n}, operator: "@debug/noop"}}\n' for n in range(700))


class Bench:
    """One instance that is decided and committed by hand; `rows` is what the store would hold."""

    def __init__(self, text: str, inputs: Any = None) -> None:
        self.plan = plan_of(text)
        self.hot = HotInstance("01J", "d", 3)
        self.start = Start(
            id="01J", domain_id="d", dag_id="dag", dag_hash="h", dag_version="v1.0.0", created_at=NOW,
            inputs=inputs or {}, trigger=b"{}",
        )  # fmt: skip
        self.hot.install(self.plan, queued_state(self.start, epoch=7))
        self.changes: list[InstanceChange] = []
        self.open: list[Any] = []

    def decide(self, stimulus: Any, item: Item) -> Decision:
        state = self.hot.state
        assert state is not None
        decision = decide(self.plan, state, stimulus, NOW, bytes(16), 512)
        assert not isinstance(decision, Need)
        item.take(Input("01J", stimulus), decision.answer)
        item.merge(decision)
        return decision

    def item(self) -> Item:
        item = self.hot.gathering = Item(self.hot, 7)
        return item

    def land(self, item: Item) -> InstanceChange:
        change = item.close(NOW)
        self.hot.row, self.hot.committing = change.row, None
        self.open += item.starts.values()
        self.changes.append(change)
        return change

    def commit(self, stimulus: Any) -> InstanceChange:
        item = self.item()
        self.decide(stimulus, item)
        return self.land(item)

    def end_one(self, output: Any = None) -> InstanceChange:
        return self.commit(self.outcome(output))

    def outcome(self, output: Any = None) -> AttemptEnded:
        start = self.open.pop(0)
        data = msgspec.json.encode(output)
        return AttemptEnded(start.frame, start.index, start.number, start.token, Finished(data, output))

    def loaded(self) -> Loaded:
        frames = {frame.path: frame for change in self.changes for frame in change.frames}
        journal = [line for change in self.changes for line in change.journal]
        kept = tuple(frame for frame in frames.values() if frame.is_open or frame.path == "")
        return Loaded(self.changes[-1].row, tuple(journal[-64:]), kept)


def test_start_that_is_given_again_takes_its_key_only_with_the_commit_that_creates_the_instance() -> None:
    bench = Bench(LONG)
    key = StartKey("d", "run:dag:p", "key", "01J", "hash")
    request = StartRequest(
        plan=bench.plan, id="01J", domain_id="d", start_key=key, inputs={}, trigger=b"{}", created_at=NOW
    )
    item = bench.item()
    bench.decide(bench.start, item)
    item.take(Input("01J", bench.start, request=request), None)
    first = bench.land(item)
    item = bench.item()
    bench.decide(bench.outcome(), item)
    item.take(Input("01J", bench.start, request=request), None)

    assert key == first.start_key
    assert bench.land(item).start_key is None


def test_chain_writes_its_frame_once_in_64_rows_or_transitions_and_every_load_gives_the_state() -> None:
    bench = Bench(LONG)
    bench.commit(bench.start)
    written = []
    for _ in range(200):
        change = bench.end_one()
        if change.frames:
            written.append(change.row.seq)
            assert [""] == [frame.path for frame in change.frames]
        state = bench.hot.state
        assert state is not None
        restored = restore(bench.plan, bench.loaded(), epoch=7)
        assert state.frames[""].tasks == restored.frames[""].tasks
        assert state.header == restored.header

    gaps = [later - earlier for earlier, later in itertools.pairwise(written)]
    assert FRAME_TRANSITIONS_MIN // 3 <= min(gaps)
    assert max(gaps) <= 64


def test_large_frame_is_written_so_rarely_that_a_transition_costs_a_bounded_part_of_its_row() -> None:
    pair = '  - {{id: a{n}, operator: "@debug/noop", depends_on: []}}\n  - {{id: b{n}, operator: "@debug/noop", depends_on: [a{n}]}}\n'
    steps = "".join(pair.format(n=n) for n in range(150))
    bench = Bench("order: graph\nsteps:\n" + steps)
    bytes_before, gap, gaps = len(bench.commit(bench.start).frames[0].body), 0, []
    for _ in range(59):  # the last five tasks stay open: an ended instance's frame is always written
        item = bench.item()
        for _ in range(5):
            gap += len(bench.decide(bench.outcome(), item).events)
        for frame in bench.land(item).frames:
            gaps.append((gap, bytes_before))
            bytes_before, gap = len(frame.body), 0

    assert len(gaps) > 1
    assert all(gap >= bytes_before // FRAME_BYTES_PER_TRANSITION for gap, bytes_before in gaps)
    assert max(bytes_before for _, bytes_before in gaps) // FRAME_BYTES_PER_TRANSITION > FRAME_TRANSITIONS_MIN


def test_frame_row_far_from_its_last_snapshot_is_copied() -> None:
    bench = Bench(LONG)
    bench.commit(bench.start)
    copied = [change.row.seq for change in (bench.end_one() for _ in range(660)) if change.snapshots]

    assert 1 == len(copied)
    assert SNAPSHOT_ROWS_MIN <= copied[0] < SNAPSHOT_ROWS_MIN + 64
    assert {"": copied[0]} == newest_snapshots(restore(bench.plan, bench.loaded(), epoch=7), bench.loaded())


def test_dirty_frame_is_marked_as_dirty_by_a_load() -> None:
    bench = Bench(LONG)
    bench.commit(bench.start)
    for _ in range(3):
        bench.end_one()
    loaded = bench.loaded()
    state = restore(bench.plan, loaded, epoch=7)

    assert {"": [1, 4]} == dirty_frames(state, loaded)
    assert {"": 0} == newest_snapshots(state, loaded)
    assert {} == dirty_frames(state, Loaded(loaded.row, (), ()))
    assert {"": 0} == newest_snapshots(state, Loaded(loaded.row, (), ()))


def test_frame_written_at_the_newest_row_is_clean_after_a_load() -> None:
    bench = Bench(LONG)
    bench.commit(bench.start)
    item = bench.item()
    bench.decide(bench.outcome(), item)
    item.is_eviction = True
    change = bench.land(item)

    assert [2] == [frame.seq for frame in change.frames]
    assert {} == bench.hot.dirty
    loaded = bench.loaded()
    assert {} == dirty_frames(restore(bench.plan, loaded, epoch=7), loaded)


def test_events_over_128_kib_make_more_rows_of_one_commit() -> None:
    bench = Bench('inputs: {}\nsteps: [{id: a, operator: "@debug/noop"}]')
    item = bench.item()
    decision = bench.decide(bench.start, item)
    item.encoded += [bench_event(n) for n in range(100)]
    change = bench.land(item)

    bodies = [line.body for line in change.journal]
    assert 3 <= len(bodies)
    assert JOURNAL_ROW_BYTES_MAX >= max(map(len, bodies))
    assert [1, 2, 3] == [line.seq for line in change.journal][:3]
    assert change.row.seq == len(bodies)
    decoded = [event for body in bodies for event in decode_events(1, body)]
    assert list(decision.events) == decoded[: len(decision.events)]
    assert 100 + len(decision.events) == len(decoded)


def bench_event(n: int) -> bytes:
    body = encode_events((e.VariableSet("", 0, f"v{n}", b'"' + b"x" * 4_000 + b'"'),))
    return body[1:]  # without the head of the array


def test_values_of_one_commit_lie_end_to_end_in_a_row() -> None:
    bench = Bench(LONG, {"text": "z" * 5_000})
    item = bench.item()
    decision = bench.decide(bench.start, item)
    change = bench.land(item)

    assert [(1, 0, b"".join(decision.payloads))] == [(part.seq, part.part, part.body) for part in change.payloads]
    assert (False, None) == (item.is_large, change.payload_object)
    with pytest.raises(AssertionError):
        item.refer("payload/01J/o1")


@pytest.mark.parametrize("over", [0, 1])
def test_values_over_a_row_are_left_to_an_object_that_the_change_refers_to(over: int) -> None:
    bench = Bench(LONG, {"text": "z" * (BODY_BYTES_MAX - len('{"text":""}') + over)})
    item = bench.item()
    bench.decide(bench.start, item)
    with pytest.raises(AssertionError):
        item.refer("payload/01J/o1")
    change = bench.land(item)

    assert BODY_BYTES_MAX + over == item.values_bytes
    if not over:
        assert [BODY_BYTES_MAX] == [len(part.body) for part in change.payloads]
        return
    assert ((), None) == (change.payloads, change.payload_object)
    item.refer("payload/01J/o1")
    assert PayloadObject("01J", 1, "payload/01J/o1", BODY_BYTES_MAX + 1) == change_of(item).payload_object


def change_of(item: Item) -> InstanceChange:
    assert item.change is not None
    return item.change


@pytest.mark.parametrize(("shards", "expected"), [("many", [["2"], ["1", "3"]]), ("one", [["2"], ["1"], ["3"]])])
@simulated
async def test_items_with_large_values_close_into_later_transactions(shards: Any, expected: list[list[str]]) -> None:
    batch = Batch(CommitBounds(9, 10**9, 10**9, shards))
    for n in (1, 2, 3):
        hot = HotInstance(str(n), "d", n)
        hot.row = msgspec.structs.replace(_row("succeeded"), id=str(n), shard=n)
        item = batch.item(hot, 1)
        if n != 2:
            item.payloads.append(bytes(BODY_BYTES_MAX + 1))

    assert expected == [[item.hot.id for item in items] for items in batch.close(NOW)]
    batch.item(HotInstance("4", "d", 0), 1).hot.row = _row("succeeded")
    batch.items[0].payloads.append(bytes(BODY_BYTES_MAX + 1))
    assert [["4"]] == [[item.hot.id for item in items] for items in batch.close(NOW)]


def test_timer_set_and_removed_in_one_batch_is_never_written() -> None:
    bench = Bench('steps: [{id: a, operator: "@debug/noop", timeout: {total_s: 9}}, {id: b, operator: "@debug/noop"}]')
    item = bench.item()
    bench.decide(bench.start, item)
    bench.open += item.starts.values()
    bench.decide(bench.outcome(), item)
    change = item.close(NOW)

    assert ((), ()) == (change.timers_set, change.timers_removed)


def test_attempt_started_and_cancelled_in_one_batch_is_never_sent() -> None:
    bench = Bench('steps: [{id: a, operator: "@debug/noop"}]')
    item = bench.item()
    bench.decide(bench.start, item)
    bench.decide(Terminate("now"), item)

    assert {} == item.starts
    assert [] == item.cancels
    other = bench.hot
    bench = Bench('steps: [{id: a, operator: "@debug/noop"}]')
    bench.commit(bench.start)
    item = bench.item()
    bench.decide(Terminate("now"), item)
    assert [CancelAttempt("", 0, 1)] == item.cancels
    assert other is not bench.hot


def test_header_change_without_a_top_frame_marks_nothing_for_ever() -> None:
    bench = Bench('steps: [{id: a, operator: "@debug/noop"}]')
    bench.hot.dirty["gone"] = [1, 1]
    bench.commit(bench.start)

    assert [""] == list(bench.hot.dirty)


def test_item_without_state_or_row_is_a_bug() -> None:
    hot = HotInstance("01J", "d", 3)
    item = Item(hot, 7)
    with pytest.raises(AssertionError):
        item.close(NOW)
    bench = Bench('steps: [{id: a, operator: "@debug/noop"}]')
    decision = bench.decide(bench.start, bench.item())
    with pytest.raises(AssertionError):
        item.merge(decision)


def test_attempts_of_the_own_epoch_that_were_not_sent_are_found() -> None:
    text = """
inputs: {type: object, properties: {n: {type: array}}, required: [n]}
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: "{{ inputs.n }}"
      steps: [{id: w, operator: "@debug/noop"}]
"""
    bench = Bench(text, {"n": [1, 2, 3]})
    bench.commit(bench.start)
    state = restore(bench.plan, bench.loaded(), epoch=7)

    sent = {("m/#0", 1, 1)}
    assert ["m.0.w", "m.2.w"] == [start.task_path for start in unsent_attempts(bench.plan, state, sent)]
    assert bench.open[0] == unsent_attempts(bench.plan, state, sent)[0]
    assert [] == unsent_attempts(bench.plan, restore(bench.plan, bench.loaded(), epoch=8), ())
    assert ["m/#0", ""] == deepest_first(state)


def test_sweep_takes_at_most_64_frames_and_passes_over_closed_ones() -> None:
    bench = Bench(LONG)
    bench.commit(bench.start)
    state = bench.hot.state
    assert state is not None
    top = state.frames[""]
    for n in range(100):
        frame = top.copy()
        frame.path = f"f{n}"
        frame.is_open = n != 0
        frame.tasks = frame.tasks[:1]
        state.frames[frame.path] = frame
    waiting = deque(["gone", *(f"f{n}" for n in range(100))])

    first = sweep_portion(state, waiting)
    assert SWEPT_FRAMES_MAX == len(first)
    assert "f1" == first[0]
    assert 99 - SWEPT_FRAMES_MAX == len(sweep_portion(state, waiting))
    assert [] == sweep_portion(state, waiting)
    state.frames["f1"].inline_bytes = 2_000_000
    assert ["f1"] == sweep_portion(state, deque(["f1", "f2"]))


@simulated
async def test_batch_forgets_a_dropped_item_and_is_filled_by_the_next() -> None:
    batch = Batch(CommitBounds(2, 100, 100, "many"))
    one, two = HotInstance("1", "d", 0), HotInstance("2", "d", 0)
    batch.drop(one)
    batch.item(one, 1)
    assert batch.filled.is_set()
    batch.grew(500, 1)
    assert not batch.open.is_set()
    batch.item(two, 1)
    batch.drop(one)
    assert batch.filled.is_set()
    batch.drop(two)
    assert not batch.filled.is_set()
    assert batch.open.is_set()


def _row(status: str) -> InstanceRow:
    return InstanceRow(
        id="1", domain_id="d", shard=0, dag_id="a", dag_hash="h", dag_version="v", seq=1, status=status,
        open_attempts=0, ready=0, open_frames=0, epoch=1, created_at=NOW, updated_at=NOW,
    )  # fmt: skip


def test_status_of_an_instance_is_that_of_its_state_its_row_or_queued() -> None:
    queued, ended = HotInstance("1", "d", 0), HotInstance("1", "d", 0)
    ended.row = _row("succeeded")

    assert [InstanceStatus.QUEUED, InstanceStatus.SUCCEEDED] == [queued.status, ended.status]


def test_table_gives_surplus_idle_instances_oldest_first_and_skips_those_that_woke() -> None:
    table = HotTable()
    hots = [table.add(HotInstance(str(n), "d", n % 2)) for n in range(5)]
    for hot in hots:
        table.note_idle(hot)
    hots[1].is_blocked = True
    table.remove(hots[2])
    table.remove(HotInstance("3", "d", 0))
    given = []
    for hot in table.surplus(2):
        given.append(hot.id)
        table.remove(hot)

    assert ["0", "3"] == given
    assert ["1"] == [hot.id for hot in table.of_shards([1])]


def test_table_counts_faults_until_quarantine_and_pardons_with_the_shard() -> None:
    table = HotTable()
    assert [False, False, True] == [table.strike("1") for _ in range(3)]
    table.quarantine("1", 4)
    table.quarantine("2", 5)
    table.pardon([4])

    assert {"2": 5} == table.quarantined


@simulated
async def test_waiters_are_told_once_and_leave_nothing_behind() -> None:
    table = HotTable()
    first, second = table.await_end("1"), table.await_end("1")
    third, fourth = table.await_end("2"), table.await_end("2")
    table.give_up_waiting("2", fourth)
    first.cancel()
    table.announce_end("1", Ended(InstanceStatus.FAILED))
    table.announce_end("1", Ended(InstanceStatus.FAILED))
    for future in (first, second):
        table.give_up_waiting("1", future)
    table.give_up_waiting("2", third)

    assert Ended(InstanceStatus.FAILED) == second.result()
    assert 0 == table.waiter_count
    assert {} == table._waiters


@simulated
async def test_input_whose_caller_left_is_neither_answered_nor_refused() -> None:
    loop = asyncio.get_running_loop()
    left: asyncio.Future[Any] = loop.create_future()
    left.cancel()
    given = Input("1", Cancel("x"), answer=left)
    given.resolve(1)
    given.reject(ValueError())
    own = Input("1", Cancel("x"))
    own.resolve(1)
    own.reject(ValueError())

    assert left.cancelled()


def test_values_above_the_bound_leave_oldest_first_and_new_ones_stay() -> None:
    memory = ValueMemory(bytes_max=25)
    hot = HotInstance("1", "d", 0)
    references = [Reference(n, 0, 10, 0) for n in range(4)]
    hot.values = dict.fromkeys(references, "value")
    memory.admit(hot, references[:3])
    memory.admit(hot, references[:1])
    memory.trim()

    assert {references[0], references[2], references[3]} == set(hot.values)
    assert 20 == memory.bytes_count
    memory.forget(hot)
    assert 0 == memory.bytes_count
    assert {} == hot.values


def test_marks_are_per_epoch_and_barred_rows_are_not_taken_in_again() -> None:
    marks = Marks()
    timer = TimerRow(0, NOW, "1", 5, "@-1", "retry")
    stored = InboxRow(0, 9, "d", "node", "k", "1", "cancel", b"", NOW)
    barred = InboxRow(1, 10, "d", "node", "k", "2", "cancel", b"", NOW)
    inputs = [Input("1", Continue(""), timer=timer), Input("1", Continue(""), inbox=stored)]
    for given in inputs:
        marks.begin(given)
    assert marks.has_timer(timer)
    assert marks.has_inbox(stored)
    for given in inputs:
        marks.bar(given)
    marks.bar_inbox(barred)
    assert (set(), set()) == (marks.timers, marks.inbox)
    assert (True, True, 1, 2) == (
        marks.has_timer(timer), marks.has_inbox(stored), marks.seen_timer_count, marks.seen_inbox_count,
    )  # fmt: skip
    marks.forget({0}, lambda _: 0)
    assert (False, False, True) == (marks.has_timer(timer), marks.has_inbox(stored), marks.has_inbox(barred))


def test_key_of_a_later_start_is_not_freed_by_an_earlier_one() -> None:
    marks = Marks()
    key = StartKey("d", "t", "k", "1", "h")
    plan = plan_of('steps: [{id: a, operator: "@debug/noop"}]')
    request = StartRequest(plan=plan, id="1", domain_id="d", start_key=key, inputs={}, trigger=b"", created_at=NOW)
    early, late = Input("1", Continue(""), request=request), Input("1", Continue(""), request=request)
    assert marks.begin(early)
    marks.end(early)
    assert marks.begin(late)
    marks.end(early)
    assert late is marks.first(key)
    marks.end(late)
    assert None is marks.first(key)


def start_of(plan: Plan, instance_id: str) -> Start:
    request = StartRequest(
        plan=plan, id=instance_id, domain_id="d", start_key=None, inputs={}, trigger=b"", created_at=NOW
    )
    return request.stimulus()


def test_places_are_offered_no_more_often_than_they_are_free() -> None:
    places = Places(2, 10)
    plan = plan_of('steps: [{id: a, operator: "@debug/noop"}]')
    hots = [HotInstance(str(n), "d", 0) for n in range(4)]
    places.want(hots[0])  # without a state there is nothing to start
    for hot in hots:
        hot.install(plan, queued_state(start_of(plan, hot.id), epoch=1))
        places.want(hot)
        places.want(hot)

    assert ["0", "1", None] == [places.offer() for _ in range(3)]
    places.answered()
    places.take(1)
    assert None is places.offer()
    places.release(1)
    assert "2" == places.offer()
    places.close()
    assert 0 == places.room
    assert (0, 1) == (places.taken, places.waiting_count)


def test_place_is_given_past_nobody_who_waits_for_one() -> None:
    places = Places(3, 10)
    plan = plan_of('steps: [{id: a, operator: "@debug/noop"}]')
    wide, other = HotInstance("0", "first", 0), HotInstance("1", "second", 0)
    for hot in (wide, other):
        hot.install(plan, queued_state(start_of(plan, hot.id), epoch=1))

    assert 3 == places.room_for(wide, is_offered=False)
    places.want(wide)
    assert 3 == places.room_for(wide, is_offered=False)  # it alone waits
    places.want(other)
    assert (0, 1) == tuple(places.room_for(wide, is_offered=one) for one in (False, True))
    assert ["0", "1"] == [places.offer(), places.offer()]
    wide.wants_place = other.wants_place = False
    assert 0 == places.room_for(wide, is_offered=False)  # both places are offered and not yet taken
    places.answered()
    places.answered()
    places.take(3)
    assert 0 == places.room_for(wide, is_offered=True)


def test_full_line_takes_only_of_domains_that_have_less_than_their_share() -> None:
    places = Places(0, 4)
    plan = plan_of('steps: [{id: a, operator: "@debug/noop"}]')

    def take(domain_id: str, number: int) -> bool:
        try:
            places.check_line(domain_id)
        except QueueFull:
            return False
        hot = HotInstance(str(number), domain_id, 0)
        hot.install(plan, queued_state(start_of(plan, hot.id), epoch=1))
        places.want(hot)
        return True

    assert [True] * 4 + [False] == [take("first", n) for n in range(5)]
    assert [True] * 2 + [False] == [take("second", n) for n in range(5, 8)]
    assert [True, False] == [take("third", n) for n in range(8, 10)]
    assert not take("first", 10)


@simulated
async def test_intake_asks_recovery_to_wait_while_many_inputs_wait() -> None:
    intake = Intake(10)
    for n in range(LOADED_INPUTS_MAX):
        intake.put(Input(str(n), Continue("")))
    assert not intake.has_room.is_set()
    intake.pop()
    assert intake.has_room.is_set()
    intake.put_first([Input("a", Continue("")), Input("b", Continue(""))])
    assert [] == intake.purge(lambda _: False)
    assert not intake.has_room.is_set()
    assert LOADED_INPUTS_MAX == len(intake.purge(lambda instance_id: instance_id != "b"))
    assert intake.has_room.is_set()
    assert [] == intake.purge(lambda _: False)
    last = intake.pop()
    assert last is not None
    assert "b" == last.instance_id
    assert None is intake.pop()
    intake.put_first([])
    assert not intake.arrived.is_set()


@simulated
async def test_pure_step_without_its_function_is_unavailable_and_a_wrong_output_is_told() -> None:
    plan = plan_of('steps: [{id: a, operator: "@text/split", parameters: {text: "a b", separator: " "}}]')
    node = plan.nodes[0]
    found = await compute(node, {"text": "a b", "separator": " "}, NOW)
    gone = await compute(msgspec.structs.replace(node, compute=None), {}, NOW)
    wrong = await compute(
        msgspec.structs.replace(node, output_faults=lambda _: ["no list"]), {"text": "a", "separator": " "}, NOW
    )

    assert Succeeded(["a", "b"]) == found
    assert Failed(error_kind="unavailable", message="@text/split is not installed here", called=False) == gone
    assert Failed(error_kind="invalid", message="output: no list", called=False) == wrong


@simulated
async def test_time_of_decisions_never_goes_back() -> None:
    world = World()
    time = NodeTime(world.clock)
    before = time.now()
    world.clock.offset_s = -3_600.0
    assert before == time.now()
    world.clock.offset_s = 10.0
    assert before + timedelta(seconds=10) == time.now()


@simulated
async def test_time_of_decisions_goes_on_after_the_wall_clock_went_back() -> None:
    world = World()
    time = NodeTime(world.clock)
    before = time.now()
    world.clock.offset_s = -3_600.0
    began_at = world.clock.monotonic()
    await world.clock.sleep_until(began_at + 5)

    assert before + timedelta(seconds=world.clock.monotonic() - began_at) == time.now()


@simulated
async def test_pauses_grow_to_their_bound_and_begin_anew() -> None:
    world = World()
    backoff = Backoff(world.clock, world.dice)
    delays = [backoff.delay_s() for _ in range(12)]
    backoff.reset()

    assert delays[0] < delays[-1] <= DELAY_S_MAX
    assert backoff.delay_s() <= 0.05
