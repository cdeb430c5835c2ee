"""Reruns over HTTP (semantics.md S44)."""

from __future__ import annotations

from typing import Any

from tests.http.world import World

# `load` fails when the inputs say so; `fetch` has an output that lies among the payloads.
DOCUMENT: dict[str, Any] = {
    "title": "Again",
    "inputs": {
        "type": "object",
        "properties": {"times": {"type": "integer", "default": 9}, "text": {"type": "string", "default": "x"}},
        "additionalProperties": False,
    },
    "steps": [
        {"id": "fetch", "operator": "@debug/noop", "parameters": {"text": "{{ inputs.text }}"}},
        {
            "id": "load",
            "operator": "@debug/fail",
            "parameters": {"times": "{{ inputs.times }}", "output": {"got": "{{ steps.fetch.output }}"}},
        },
    ],
    "outputs": "{{ steps.load.output }}",
}


async def failed(world: World, text: str = "x" * 6_000) -> str:
    """Start an instance that fails at `load`, and give its id when it has."""
    dag_id = await world.create(DOCUMENT)
    started = await world.ask("POST", f"/dags/{dag_id}/run?wait=10", {"text": text})
    assert "failed" == started.json["status"]
    instance_id: str = started.json["id"]
    return instance_id


async def ended(world: World, instance_id: str) -> Any:
    return (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json


async def tasks_of(world: World, instance_id: str) -> dict[str, tuple[str, str | None]]:
    items = (await world.ask("GET", f"/instances/{instance_id}/tasks")).json["items"]
    return {task["path"]: (task["status"], task["reused_from"]) for task in items}


async def test_s44_rerun_from_a_step_takes_the_rest_over(world: World) -> None:
    old = await failed(world)
    asked = {"from_step": "load", "inputs": {"times": 0}, "reason": "it is up again"}
    answer = await world.ask("POST", f"/instances/{old}/rerun", asked)
    new = answer.json["id"]
    assert (202, f"/api/automation/v1/instances/{new}") == (answer.status, dict(answer.headers)["location"])
    shown = await ended(world, new)
    assert ("succeeded", old, {"got": {"text": "x" * 6_000}}) == (shown["status"], shown["rerun_of"], shown["outputs"])
    assert {"fetch": ("succeeded", old), "load": ("succeeded", None)} == await tasks_of(world, new)
    listed = (await world.ask("GET", "/instances?limit=2")).json["items"]
    assert [old, None] == [one["rerun_of"] for one in listed]


async def test_s44_author_and_reason_of_a_rerun_stand_in_its_journal(world: World) -> None:
    old = await failed(world)
    new = (await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "@failed", "reason": "why not"})).json["id"]
    shown = await ended(world, new)
    assert ("failed", old) == (shown["status"], shown["rerun_of"])
    events = [one for entry in await journal_of(world, new) for one in entry["events"]]
    begun = next(one for one in events if one["event"] == "rerun_begun")
    assert (old, "@failed", "why not") == (begun["of"], begun["from_step"], begun["reason"])
    assert begun["by"]
    assert [old] == [one["reused_from"] for one in events if one["event"] == "task_reused"]
    detail = (await world.ask("GET", f"/instances/{new}/tasks/fetch")).json
    assert ("succeeded", old, []) == (detail["status"], detail["reused_from"], detail["attempts"])


async def journal_of(world: World, instance_id: str) -> list[Any]:
    items: list[Any] = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    return items


async def test_s44_rerun_without_a_body_runs_all_anew(world: World) -> None:
    old = await failed(world)
    new = (await world.ask("POST", f"/instances/{old}/rerun")).json["id"]
    assert "failed" == (await ended(world, new))["status"]
    assert {"fetch": ("succeeded", None), "load": ("failed", None)} == await tasks_of(world, new)


async def test_s44_rerun_on_another_version_takes_over_by_id(world: World) -> None:
    old = await failed(world)
    dag_id = (await ended(world, old))["dag_id"]
    dag = await world.ask("GET", f"/dags/{dag_id}")
    mended = {**DOCUMENT, "steps": [DOCUMENT["steps"][0], {"id": "load", "operator": "@debug/noop", "parameters": {}}]}
    put = await world.ask("PUT", f"/dags/{dag_id}", mended, headers={"if-match": dict(dag.headers)["etag"]})
    assert 200 == put.status
    asked = {"from_step": "load", "version": put.json["version"]}
    shown = await ended(world, (await world.ask("POST", f"/instances/{old}/rerun", asked)).json["id"])
    assert ("succeeded", "v1.0.1") == (shown["status"], shown["version"])
    assert ("succeeded", old) == (await tasks_of(world, shown["id"]))["fetch"]


async def test_s44_repeat_with_the_key_answers_the_first_rerun(world: World) -> None:
    old = await failed(world)
    key = {"idempotency-key": "again-1"}
    first = await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "load"}, headers=key)
    second = await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "load"}, headers=key)
    other = await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "fetch"}, headers=key)
    assert (202, first.json["id"]) == (second.status, second.json["id"])
    assert (422, "idempotency-key-reused") == (other.status, other.json["code"])


async def test_s44_what_cannot_be_run_again_is_refused(world: World) -> None:
    old = await failed(world)
    held = {"title": "Held", "steps": [{"id": "w", "operator": "@control/wait", "parameters": {"seconds": 3600}}]}
    started = await world.ask("POST", f"/dags/{await world.create(held)}/run")
    path = f"/instances/{old}/rerun"
    found = {
        "open": await world.ask("POST", f"/instances/{started.json['id']}/rerun"),
        "unknown instance": await world.ask("POST", "/instances/01JD3V7A2B3C4D5E6F7G8H9J0K/rerun"),
        "unknown step": await world.ask("POST", path, {"from_step": "nothing"}),
        "unknown version": await world.ask("POST", path, {"version": "v7.0.0"}),
        "wrong inputs": await world.ask("POST", path, {"inputs": {"more": 1}}),
        "unknown field": await world.ask("POST", path, {"from": "load"}),
    }
    assert {
        "open": (409, "instance-not-ended"),
        "unknown instance": (404, "instance-not-found"),
        "unknown step": (422, "request-invalid"),
        "unknown version": (404, "dag-not-found"),
        "wrong inputs": (422, "input-invalid"),
        "unknown field": (422, "request-invalid"),
    } == {name: (answer.status, answer.json["code"]) for name, answer in found.items()}
    dag_id = (await ended(world, old))["dag_id"]
    await world.ask("POST", f"/dags/{dag_id}/deactivate")
    answer = await world.ask("POST", path)
    assert (409, "dag-stopped") == (answer.status, answer.json["code"])


# Item 1 fails when the inputs say so.
NESTED: dict[str, Any] = {
    "title": "Items",
    "inputs": {"type": "object", "properties": {"times": {"type": "integer", "default": 9}}},
    "steps": [
        {
            "id": "fan",
            "operator": "@control/map",
            "parameters": {
                "items": [1, 2],
                "on_item_error": "collect",
                "steps": [
                    {"id": "fetch", "operator": "@debug/noop", "parameters": {"n": "{{ item }}"}},
                    {
                        "id": "work",
                        "operator": "@debug/fail",
                        "parameters": {
                            "times": "{{ index * inputs.times }}",
                            "output": {"got": "{{ steps.fetch.output }}"},
                        },
                    },
                ],
            },
        },
    ],
    "outputs": {"all": "{{ steps.fan.output }}"},
}


async def test_s44_rerun_of_what_failed_inside_a_map_runs_only_that(world: World) -> None:
    started = await world.ask("POST", f"/dags/{await world.create(NESTED)}/run?wait=10", {})
    old = started.json["id"]
    assert {"all": [{"got": {"n": 1}}, None]} == started.json["outputs"]
    answer = await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "@failed", "inputs": {"times": 0}})
    new = await ended(world, answer.json["id"])
    assert {"all": [{"got": {"n": 1}}, {"got": {"n": 2}}]} == new["outputs"]
    taken = {"fan.0.fetch": ("succeeded", old), "fan.0.work": ("succeeded", old), "fan.1.fetch": ("succeeded", old)}
    anew = {"fan": ("succeeded", None), "fan.1.work": ("succeeded", None)}
    assert taken | anew == await tasks_of(world, new["id"])
    named = await world.ask("POST", f"/instances/{new['id']}/rerun", {"from_step": "fan.1.fetch"})
    shown = await ended(world, named.json["id"])
    assert {"fan.0.fetch", "fan.0.work"} == {
        path for path, (_, of) in (await tasks_of(world, shown["id"])).items() if of == old
    }
    missing = await world.ask("POST", f"/instances/{old}/rerun", {"from_step": "fan.2.fetch"})
    assert (422, ["/from_step"]) == (missing.status, [fault["pointer"] for fault in missing.json["errors"]])
