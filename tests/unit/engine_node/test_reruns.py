"""Reruns from the use case to the end: what is read of the ended instance, and what of it the new one holds (S44)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.access.dag_access import Runnable
from core.access.permission import ADMINISTRATOR
from core.dag.plan import Plan
from core.engine.former import read_former
from core.engine.node import EngineNode, Started
from core.engine.node.inbox import new_start
from core.engine.node.ownership import shard_of
from core.engine.rerun import InstanceReruns, RerunAsked
from core.engine.state import InstanceStatus
from core.engine.stored import Former
from core.errors import (
    DagStopped,
    IdempotencyKeyReused,
    InputInvalid,
    InstanceNotEnded,
    InstanceNotFound,
    NotAllowed,
    RequestInvalid,
)
from core.executor.operator import Failed
from core.ports.instance_store import InstanceRow, Loaded
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryInstanceViews
from tests.unit.engine_node.world import World, settle, simulated

SCOPE = Scope("d", Principal("p-1", "key", "n", (ADMINISTRATOR,)))
LONG = "y" * 300_000  # lies in an object
LABELS = {"n": "n-1", "mine": "yes"}
BROKEN = Failed(error_kind="invalid", message="not so")
DOCUMENT = """
inputs: {type: object, properties: {n: {type: integer, default: 1}, text: {type: string}}}
settings: {labels: {n: "n-{{ inputs.n }}"}}
steps:
  - {id: a, operator: "@debug/noop", parameters: {x: "{{ inputs.text }}"}}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ steps.a.output }}", n: "{{ inputs.n }}"}}
"""
ASSIGNING = """
steps:
  - {id: d, operator: "@data/define", parameters: {name: v, value: 1}}
  - id: t
    operator: "@control/try"
    parameters:
      steps: [{id: s, operator: "@data/assign", parameters: {name: v, value: 2}}]
      finally: [{id: f, operator: "@data/assign", parameters: {name: v, value: 3}}]
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ vars.v }}"}}
  - {id: z, operator: "@data/assign", parameters: {name: v, value: 4}}
"""


NESTED = """
inputs: {type: object, properties: {items: {}}}
steps:
  - id: fan
    operator: "@control/map"
    parameters:
      items: "{{ inputs.items }}"
      max_concurrency: 1
      steps:
        - {id: pre, operator: "@debug/noop", parameters: {x: "{{ item }}"}}
        - id: p
          operator: "@control/parallel"
          parameters:
            branches:
              - id: q
                steps:
                  - {id: w, operator: "@debug/noop", parameters: {x: "{{ steps.pre.output }}"}}
                  - {id: v, operator: "@debug/noop"}
  - id: l
    operator: "@control/loop"
    parameters: {mode: count, limit: 2, steps: [{id: i, operator: "@debug/noop", parameters: {i: "{{ index }}"}}]}
  - {id: b, operator: "@debug/noop"}
"""


ANSWERING = """
steps:
  - id: m
    operator: "@control/map"
    parameters:
      items: [0, 1, 2]
      max_concurrency: 1
      on_item_error: collect
      steps:
        - id: t
          operator: "@control/try"
          parameters:
            steps: [{id: x, operator: "@debug/noop"}]
            catch: [{id: c, operator: "@debug/noop"}]
            finally: [{id: f, operator: "@debug/noop"}]
        - {id: h, operator: "@debug/noop", on_error: [{id: g, operator: "@debug/noop"}]}
  - {id: b, operator: "@debug/noop"}
settings: {on_finish: [{id: hook, operator: "@debug/noop", when: "false"}]}
"""
CUT_OFF = """
steps:
  - {id: d, operator: "@data/define", parameters: {name: v, value: 1}}
  - id: t
    operator: "@control/try"
    timeout: {total_s: 5}
    parameters:
      steps: [{id: w, operator: "@control/wait", parameters: {seconds: 60}}]
      finally: [{id: f, operator: "@debug/noop"}]
    on_error: continue
  - id: c
    operator: "@control/branch"
    parameters:
      branches:
        - id: one
          when: "true"
          steps: [{id: put, operator: "@data/assign", parameters: {name: v, value: 2}}, {id: b, operator: "@debug/noop"}]
    on_error: [{id: h, operator: "@debug/noop"}]
  - {id: z, operator: "@debug/noop"}
"""


class Dags:
    """Gives one plan, whatever version is asked for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status = "normal"

    async def runnable(self, scope: Scope, dag_id: str, version: str | None) -> Runnable:
        del scope
        return Runnable(dag_id, self.status, version or self.plan.version, self.plan)


class Again:
    """A world with one ended instance of a document, and the use case."""

    def __init__(self, world: World, text: str) -> None:
        self.world = world
        self.plan = world.plan(text)
        self.dags = Dags(self.plan)

    def reruns(self, engine: Any) -> InstanceReruns:
        world = self.world
        views = MemoryInstanceViews(world.rows)
        return InstanceReruns(
            engine=engine,
            views=views,
            objects=world.objects,
            dags=self.dags,  # type: ignore[arg-type] # this verb only
            plans=world.plans,
            clock=world.clock,
            ids=world.ids,
        )

    async def failed(self, node: EngineNode, inputs: Any = None, *, priority: int | None = None) -> Started:
        """Run it until `b` fails."""
        self.world.operators.outcomes["b"] = deque([BROKEN])
        request = self.world.request(self.plan, inputs=inputs)
        started = await node.submit(msgspec.structs.replace(request, labels=LABELS, priority=priority))
        assert InstanceStatus.FAILED is await self.world.finished(node, started)
        return started


@simulated
async def test_s44_rerun_reads_the_ended_instance_and_holds_copies_of_what_it_takes_over() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1, "text": LONG})
    new = await again.reruns(node).rerun(SCOPE, old.instance_id, RerunAsked(from_step="b"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, new)
    assert ["a", "b", "b"] == world.operators.paths()
    assert world.operators.calls[1].parameters == world.operators.calls[2].parameters
    row = world.row(new.instance_id)
    assert row is not None
    assert (old.instance_id, LABELS) == (row.rerun_of, row.labels)
    assert 1 <= sum(new.instance_id in key for key in await world.lying())
    await node.stop()


@simulated
async def test_s44_rerun_keeps_the_priority_of_its_start_unless_it_is_given_another() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    found = []
    for priority, asked in ((None, None), (5, None), (5, 1), (None, 1)):
        old = await again.failed(node, {"n": 1}, priority=priority)
        new = await again.reruns(node).rerun(SCOPE, old.instance_id, RerunAsked(priority=asked))
        row = world.row(new.instance_id)
        found.append(None if row is None else row.priority)
    assert [None, 5, 1, 1] == found
    await node.stop()


@simulated
async def test_s44_key_of_a_rerun_is_of_one_priority() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1})
    reruns = again.reruns(node)
    first = await reruns.rerun(SCOPE, old.instance_id, RerunAsked(priority=4), key="k")
    repeat = await reruns.rerun(SCOPE, old.instance_id, RerunAsked(priority=4), key="k")
    assert (first.instance_id, True) == (repeat.instance_id, repeat.is_repeat)
    with pytest.raises(IdempotencyKeyReused):
        await reruns.rerun(SCOPE, old.instance_id, RerunAsked(priority=5), key="k")
    await node.stop()


@simulated
async def test_s44_idempotency_keys_of_a_rerun_are_new() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1, "text": "x"})
    new = await again.reruns(node).rerun(SCOPE, old.instance_id, RerunAsked(from_step="@failed"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, new)
    first, second = (call.idempotency_key for call in world.operators.calls[1:])
    assert first != second
    await node.stop()


@simulated
async def test_s44_rerun_stored_by_another_node_takes_over_what_was_chosen() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1, "text": LONG})
    kept = Kept()
    await again.reruns(kept).rerun(SCOPE, old.instance_id, RerunAsked(from_step="b", inputs={"n": 2}), key="k")
    [request] = kept.requests
    assert request.start_key is not None
    assert f"rerun:{old.instance_id}:p-1" == request.start_key.trigger
    await world.store.ingest([new_start(request, shard_of(request.id, 4), world.clock.now())])
    stored = world.row(request.id)
    assert stored is not None
    assert old.instance_id == stored.rerun_of
    node.wake()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, Started(request.id, False, InstanceStatus.QUEUED))
    assert (["a", "b", "b"], 2) == (world.operators.paths(), world.operators.calls[2].parameters["n"])
    await node.stop()


@simulated
async def test_s44_step_runs_when_the_instance_that_lends_was_removed() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1, "text": LONG})
    kept = Kept()
    await again.reruns(kept).rerun(SCOPE, old.instance_id, RerunAsked(from_step="b"))
    for key in await world.lying():
        await world.objects.delete("d", key)
    new = await node.submit(kept.requests[0])
    await settle()
    assert InstanceStatus.SUCCEEDED is await world.finished(node, new)
    assert ["a", "b", "a", "b"] == world.operators.paths()
    await node.stop()


@simulated
async def test_s44_variables_assigned_inside_a_task_are_read_off_the_journal() -> None:
    world = World()
    node = await world.started()
    again = Again(world, ASSIGNING)
    old = await again.failed(node)
    reruns = again.reruns(node)
    world.operators.outcomes["b"] = deque([BROKEN])
    new = await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step="b"))
    assert InstanceStatus.FAILED is await world.finished(node, new)
    newest = await reruns.rerun(SCOPE, new.instance_id, RerunAsked(from_step="@failed"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, newest)
    assert [{"x": 3}] * 3 == [call.parameters for call in world.operators.calls]
    await node.stop()


@simulated
async def test_s44_lists_inside_are_read_from_the_store_when_they_are_entered() -> None:
    world = World()
    node = await world.started()
    again = Again(world, NESTED)
    reruns = again.reruns(node)
    old = await again.failed(node, {"items": ["x" * 500, LONG]})
    first = await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step="fan.1.v"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, first)
    assert ["fan.1.v", "l.0.i", "l.1.i", "b"] == world.operators.paths()[9:]
    second = await reruns.rerun(SCOPE, first.instance_id, RerunAsked(from_step="l.1.i"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, second)
    assert ["l.1.i", "b"] == world.operators.paths()[13:]
    third = await reruns.rerun(SCOPE, second.instance_id, RerunAsked(from_step="fan.0.w"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, third)
    assert ["fan.0.w", "fan.0.v", "l.0.i", "l.1.i", "b"] == world.operators.paths()[15:]
    await node.stop()


@simulated
async def test_s44_lists_of_an_instance_that_is_not_there_run() -> None:
    world = World()
    node = await world.started()
    again = Again(world, NESTED)
    old = await again.failed(node, {"items": [1]})
    kept = Kept()
    await again.reruns(kept).rerun(SCOPE, old.instance_id, RerunAsked(from_step="fan.0.v"))
    [request] = kept.requests
    elsewhere = [(index, msgspec.structs.replace(one, lender="gone")) for index, one in request.rerun.lent]
    rerun = msgspec.structs.replace(request.rerun, lent=tuple(elsewhere))
    new = await node.submit(msgspec.structs.replace(request, rerun=rerun))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, new)
    assert ["fan.0.pre", "fan.0.w", "fan.0.v", "l.0.i", "l.1.i", "b"] == world.operators.paths()[6:]
    await node.stop()


@simulated
async def test_s44_task_that_the_instance_does_not_have_is_refused() -> None:
    world = World()
    node = await world.started()
    again = Again(world, NESTED)
    old = await again.failed(node, {"items": [1, 2]})
    reruns = again.reruns(node)
    for path in ("fan.2.pre", "fan.2.w", "l.2.i", "fan.x.pre", "m.0.i"):
        with pytest.raises(RequestInvalid) as refused:
            await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step=path))
        assert ["/from_step"] == [fault["pointer"] for fault in refused.value.faults]
    world.operators.outcomes["fan.0.pre"] = deque([BROKEN])
    broken = await node.submit(world.request(again.plan, inputs={"items": [1, 2]}))
    assert InstanceStatus.FAILED is await world.finished(node, broken)
    for path in ("fan.1.pre", "fan.0.w", "l.0.i"):
        with pytest.raises(RequestInvalid):
            await reruns.rerun(SCOPE, broken.instance_id, RerunAsked(from_step=path))
    await node.stop()


@simulated
async def test_s44_rerun_begins_in_a_list_that_answers_what_was_not_cut_off() -> None:
    world = World()
    node = await world.started()
    again = Again(world, ANSWERING)
    world.operators.outcomes |= {path: deque([BROKEN]) for path in ("m.0.x", "m.0.c", "m.1.h", "m.1.g", "m.2.f")}
    old = await again.failed(node)
    reruns = again.reruns(node)
    begins = {"m.0.c": "c f h", "m.0.f": "f", "m.1.g": "g", "m.2.f": "f h", "m.1.f": "f h"}  # in that item
    for path, called in begins.items():
        count = len(world.operators.calls)
        new = await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step=path))
        await world.finished(node, new)
        found = [one[4:] for one in world.operators.paths()[count:] if one[:4] == path[:4]]
        assert (path, called) == (path, " ".join(found))
    for path, why in {"m.1.c": "not entered", "m.0.g": "not entered", "m.3.f": "not entered", "hook": "hook"}.items():
        with pytest.raises(RequestInvalid, match=why):
            await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step=path))
    await node.stop()


@simulated
async def test_s44_rerun_does_not_begin_behind_what_was_cut_off() -> None:
    world = World()
    node = await world.started()
    again = Again(world, CUT_OFF)
    reruns = again.reruns(node)
    world.operators.outcomes["z"] = deque([BROKEN])
    old = await again.failed(node)
    for path in ("f", "h"):
        with pytest.raises(RequestInvalid, match="cut off"):
            await reruns.rerun(SCOPE, old.instance_id, RerunAsked(from_step=path))
    await node.stop()


@simulated
async def test_s44_instance_that_is_removed_while_it_is_read_lends_nothing() -> None:
    world = World()
    node = await world.started()
    again = Again(world, NESTED)
    old = await again.failed(node, {"items": [1]})
    answers = deque([await world.store.load(old.instance_id, paths=()), None])

    async def load(_id: str, _paths: Sequence[str]) -> Loaded | None:
        return answers.popleft()

    async def plan_of(_row: InstanceRow) -> Plan:
        return again.plan

    asked = Former(0, 0, 0, 0, old.instance_id, "fan", "steps")
    assert {asked: None} == await read_former(load, plan_of, "d", [asked])
    await node.stop()


@simulated
async def test_s44_task_of_another_version_need_not_have_been_there() -> None:
    world = World()
    node = await world.started()
    again = Again(world, NESTED)
    old = await again.failed(node, {"items": [1]})
    again.dags.plan = world.plan(NESTED.replace("id: v", "id: new"))
    new = await again.reruns(node).rerun(SCOPE, old.instance_id, RerunAsked(from_step="fan.0.new"))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, new)
    assert ["fan.0.new", "l.0.i", "l.1.i", "b"] == world.operators.paths()[6:]
    await node.stop()


@simulated
async def test_s44_rerun_that_cannot_be_is_refused() -> None:
    world = World()
    node = await world.started()
    again = Again(world, DOCUMENT)
    old = await again.failed(node, {"n": 1, "text": "x"})
    reruns = again.reruns(node)
    await reruns.check(SCOPE, old.instance_id)
    with pytest.raises(InstanceNotFound):
        await reruns.check(SCOPE, "01JD3V7A2B3C4D5E6F7G8H9J0K")
    with pytest.raises(NotAllowed):
        await reruns.check(Scope("d", Principal("p-2", "key", "n", ())), old.instance_id)
    with pytest.raises(InputInvalid):
        await reruns.rerun(SCOPE, old.instance_id, RerunAsked(inputs={"n": "two"}))
    again.dags.status = "stopped"
    with pytest.raises(DagStopped):
        await reruns.rerun(SCOPE, old.instance_id, RerunAsked())
    world.operators.held = {"a"}
    started = await node.submit(world.request(again.plan, inputs={"n": 1, "text": "x"}))
    await settle()
    with pytest.raises(InstanceNotEnded):
        await reruns.rerun(SCOPE, started.instance_id, RerunAsked())
    world.operators.end("a")
    await world.finished(node, started)
    await node.stop()


class Kept:
    """Takes starts in and does nothing with them."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def submit(self, request: Any) -> Started:
        self.requests.append(request)
        return Started(request.id, False, InstanceStatus.QUEUED)
