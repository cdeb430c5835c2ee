"""Calls as they are found and compiled, and cycles that are known when a DAG is saved (semantics.md S29)."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
import pytest

from core.dag.call_cycle import VERSIONS_READ_MAX
from core.dag.callee import Callee, Callees
from core.dag.compile import chunk_items
from core.dag.plan import Plan
from core.dag.service import DagService, Draft, PlanCache
from core.errors import DagInvalid, DagNotFound
from core.executor.pure import PURE_OPERATORS
from core.executor.registry import OperatorRegistry
from core.ports.definition_store import DagRow
from core.ports.scope import Principal, Scope
from driven_adapters.memory import MemoryDefinitionStore, MemoryStore
from tests.dags.check import CATALOG, dag, faults, noop, step
from tests.sim.chance import derived
from tests.sim.sources import SimClock, SimIds
from tests.unit.engine.plans import plan_of

Value = TypeVar("Value")
SCOPE = Scope("d", Principal("alice", "key", "Alice"))
OTHER = Scope("e", Principal("bob", "key", "Bob"))


def call(title: str, name: str = "c", **more: Any) -> dict[str, Any]:
    return step(name, "@control/call", dag=title, **more)


class World:
    """Definitions in memory."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = SimClock(loop)
        self.store = MemoryDefinitionStore(MemoryStore(self.clock, shard_count=1))
        self.dags = DagService(self.store, self.clock, SimIds(self.clock, derived(1, "ids")), CATALOG)
        computations = OperatorRegistry(PURE_OPERATORS).computations
        self.plans = PlanCache(self.store, CATALOG, computations)
        self.callees = Callees(self.store, self.plans)

    def draft(self, title: str, *steps: dict[str, Any], **fields: Any) -> Draft:
        document = {**dag(*(steps or (noop("a"),)), **fields), "title": title}
        return self.dags.read(msgspec.json.encode(document), "json")

    async def save(self, title: str, *steps: dict[str, Any], scope: Scope = SCOPE, **fields: Any) -> DagRow:
        return await self.dags.apply(scope, self.draft(title, *steps, **fields))


def in_world(test: Any) -> Any:
    def run() -> None:
        async def work() -> None:
            await test(World())

        asyncio.run(work())

    run.__name__ = test.__name__
    return run


def codes(error: pytest.ExceptionInfo[DagInvalid]) -> list[tuple[object, object]]:
    return [(fault["code"], fault["pointer"]) for fault in error.value.faults]


def test_s29_call_is_valid_and_compiled() -> None:
    document = dag(call("Other", version="v1.0.0", inputs={"n": "{{ inputs.n }}"}, wait=False, on_cancel="leave"))
    assert [] == faults({**document, "inputs": {"type": "object"}})
    plan = plan_of(
        'steps: [{id: c, operator: "@control/call", parameters: {dag: "{{ inputs.d }}", inputs: "{{ inputs.i }}"}}]'
    )
    node = plan.nodes[0]
    assert node.call is not None
    assert (True, None, True, "cancel") == (plan.waits, node.call.version, node.call.waits, node.call.on_cancel)
    assert [("inputs",), ("inputs",)] == [read.path for one in node.call.rendered for read in one.reads]


def test_s29_chunks_with_calls_that_wait_hold_fewer_items() -> None:
    text = 'steps: [{{id: m, operator: "@control/map", parameters: {{items: [1], steps: [{{id: c, operator: "@control/call", parameters: {{dag: D{more}}}}}]}}}}]'
    sizes = [plan_of(text.format(more=more)).nodes[0].map for more in ("", ", wait: false")]
    assert [chunk_items(1, 0, 1), chunk_items(1)] == [one.chunk_items for one in sizes if one is not None]


@in_world
async def test_s29_dag_is_found_by_id_and_by_title_in_its_newest_version(world: World) -> None:
    row = await world.save("Child")
    await world.save("Child", noop("b"))
    for name in (row.id, "Child"):
        found = await world.callees.find("d", name, None)
        assert found is not None
        assert found.plan is not None
        assert (row.id, "normal", "v1.0.1") == (found.dag_id, found.status, found.plan.version)


@in_world
async def test_s29_version_that_is_named_is_found(world: World) -> None:
    await world.save("Child")
    await world.save("Child", noop("b"))
    found = await world.callees.find("d", "Child", "v1.0.0")
    assert found is not None
    assert found.plan is not None
    assert ("v1.0.0", ["a"]) == (found.plan.version, list(found.plan.by_id))


@in_world
async def test_s29_version_with_the_content_of_an_older_one_has_its_own_number(world: World) -> None:
    for name in ("a", "b", "a"):
        await world.save("Child", noop(name))
    assert (
        "v1.0.0"
        == (
            await world.plans.get("d", (await world.save("Child")).id, (await world.save("Child")).content_hash)
        ).version
    )
    found = await world.callees.find("d", "Child", None)
    assert found is not None
    assert found.plan is not None
    assert "v1.0.2" == found.plan.version


@in_world
async def test_s29_dag_of_another_business_domain_is_answered_like_one_that_is_not_there(world: World) -> None:
    row = await world.save("Child", scope=OTHER)
    assert [None, None, None] == [await world.callees.find("d", name, None) for name in (row.id, "Child", "Nobody")]


@in_world
async def test_s29_version_that_is_not_there_is_not_found(world: World) -> None:
    await world.save("Child")
    assert None is await world.callees.find("d", "Child", "v9.0.0")


@in_world
async def test_s29_stopped_dag_is_found_as_stopped(world: World) -> None:
    row = await world.save("Child")
    await world.dags.set_status(SCOPE, row.id, "stopped")
    found = await world.callees.find("d", "Child", None)
    assert found is not None
    assert "stopped" == found.status


class Broken:
    """Plans that are none."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, domain_id: str, dag_id: str, content_hash: str) -> Plan:
        del domain_id, dag_id, content_hash
        raise self._error


@pytest.mark.parametrize(
    ("error", "wanted"), [(DagNotFound("gone"), None), (DagInvalid("of another release", faults=[]), "invalid")]
)
def test_s29_version_without_a_plan_is_told_apart(error: Exception, wanted: str | None) -> None:
    async def work() -> Callee | None:
        world = World()
        await world.save("Child")
        return await Callees(world.store, Broken(error)).find("d", "Child", None)

    found = asyncio.run(work())
    assert wanted == (None if found is None else found.status)


@in_world
async def test_s29_cycle_over_other_dags_is_refused_when_it_is_saved(world: World) -> None:
    await world.save("C", call("A", "x"))
    await world.save("B", noop("a"), call("C"))
    with pytest.raises(DagInvalid) as refused:
        await world.save("A", noop("a"), call("B"))
    assert [("dag.call.cycle", "/steps/1/parameters/dag")] == codes(refused)
    assert None is await world.dags.find(SCOPE, "A")


@in_world
async def test_s29_cycle_by_the_dags_own_id_is_refused_when_it_is_published(world: World) -> None:
    row = await world.save("A")
    await world.save("B", call(row.id))
    for again in (call(row.id), call("B")):
        with pytest.raises(DagInvalid) as refused:
            await world.dags.publish(SCOPE, row.id, world.draft("A", again))
        assert [("dag.call.cycle", "/steps/0/parameters/dag")] == codes(refused)


@in_world
async def test_s29_version_that_does_not_lead_back_may_be_called(world: World) -> None:
    await world.save("B")
    await world.save("B", call("A"))
    await world.save("A", call("B", version="v1.0.0"))
    with pytest.raises(DagInvalid):
        await world.save("A", call("B"))


@in_world
async def test_s29_dags_that_meet_again_or_are_not_there_are_no_cycle(world: World) -> None:
    await world.save("Leaf")
    for title in ("B", "C"):
        await world.save(
            title, call("Leaf"), call("Nobody", "n"), call("{{ inputs.dag }}", "t"), inputs={"type": "object"}
        )
    await world.save("A", call("B"), call("C", "d"), call("B", "e", version="v9.0.0"))
    assert (
        "v1.0.0"
        == (
            await world.dags.get(
                SCOPE, (await world.save("A", call("B"), call("C", "d"), call("B", "e", version="v9.0.0"))).id
            )
        ).version
    )


@in_world
async def test_s29_search_for_cycles_has_a_bound(world: World) -> None:
    for number in range(VERSIONS_READ_MAX + 2):
        await world.save(f"D{number}", *([call(f"D{number - 1}")] if number else [call("Last")]))
    row = await world.save("Last", call(f"D{VERSIONS_READ_MAX + 1}"))
    assert "v1.0.0" == row.version
