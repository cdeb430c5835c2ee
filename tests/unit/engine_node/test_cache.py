"""Outputs that are kept and used again, from the commit that keeps them to the hit (semantics.md S16)."""

from __future__ import annotations

from core.engine.state import InstanceStatus
from core.errors import StoreUnavailable
from tests.unit.engine_node.world import World, simulated

CACHED = """
steps:
  - {id: a, operator: "@debug/noop", parameters: {x: "{{ inputs.x }}"}, cache: {ttl_s: 60}}
  - {id: b, operator: "@debug/noop", parameters: {x: "{{ steps.a.output }}"}}
"""
LONG = "y" * 300_000  # lies in an object


@simulated
async def test_s16_kept_output_is_used_again_by_a_later_instance_until_its_time_is_over() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(CACHED)
    for _ in range(2):
        started = await node.submit(world.request(plan, inputs={"x": LONG}))
        assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    assert ["a", "b", "b"] == world.operators.paths()
    assert world.operators.calls[1].parameters == world.operators.calls[2].parameters
    other = await node.submit(world.request(plan, inputs={"x": LONG}, domain_id="other"))
    await node.wait_ended("other", other.instance_id, 10)
    assert ["a", "b", "b", "a", "b"] == world.operators.paths()
    await world.pass_s(61)
    late = await node.submit(world.request(plan, inputs={"x": LONG}))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, late)
    assert 7 == len(world.operators.calls)
    await node.stop()


@simulated
async def test_s16_output_whose_instance_was_removed_is_computed_again() -> None:
    world = World()
    node = await world.started()
    plan = world.plan(CACHED)
    started = await node.submit(world.request(plan, inputs={"x": LONG}))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, started)
    for key in await world.lying():
        await world.objects.delete("d", key)
    world.store.payload_faults.append(StoreUnavailable("away"))
    again = await node.submit(world.request(plan, inputs={"x": LONG}))
    assert InstanceStatus.SUCCEEDED is await world.finished(node, again)
    assert ["a", "b", "a", "b"] == world.operators.paths()
    await node.stop()
