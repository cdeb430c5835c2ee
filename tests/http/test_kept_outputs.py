"""Steps with `cache` over HTTP (semantics.md S16)."""

from __future__ import annotations

from tests.http.world import World

CACHED = {
    "title": "Kept",
    "steps": [{"id": "a", "operator": "@debug/noop", "parameters": {"x": "{{ inputs.x }}"}, "cache": {"ttl_s": 600}}],
    "outputs": "{{ steps.a.output }}",
}


async def test_s16_task_shows_from_which_instance_its_output_is(world: World) -> None:
    dag_id = await world.create(CACHED)
    first, second, other = [
        (await world.ask("POST", f"/dags/{dag_id}/run?wait=10", {"x": x})).json for x in ("one", "one", "two")
    ]
    assert [{"x": "one"}, {"x": "one"}, {"x": "two"}] == [one["outputs"] for one in (first, second, other)]
    found = []
    for one in (first, second, other):
        [task] = (await world.ask("GET", f"/instances/{one['id']}/tasks")).json["items"]
        found.append((task["attempts"], task["reused_from"]))
    assert [(1, None), (0, first["id"]), (1, None)] == found
