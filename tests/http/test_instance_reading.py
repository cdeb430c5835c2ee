"""Routes that read one instance: its state at a row, its timeline, a task, its lines."""

from __future__ import annotations

from typing import Any

from tests.http.world import MAPPING, ONE_STEP, World

LOGGING = {
    "title": "Logging",
    "steps": [
        {"id": "first", "operator": "@debug/log", "parameters": {"message": "one"}},
        {"id": "second", "operator": "@debug/log", "parameters": {"message": "two", "level": "warning"}},
        {
            "id": "third",
            "operator": "@debug/fail",
            "parameters": {"times": 1, "output": {"x": 1}, "kind": "unavailable"},
            "retry": {"max_attempts": 3, "delay_s": 0.01},
        },
    ],
}
SECRETIVE = {
    "title": "Secretive",
    "steps": [
        {
            "id": "call",
            "operator": "@debug/noop",
            "parameters": {"headers": {"Authorization": "Bearer abc"}, "list": [{"api_key": "k", "plain": "p"}]},
        }
    ],
}


async def get(world: World, path: str, status: int = 200, **more: Any) -> Any:
    answer = await world.ask("GET", path, **more)
    assert status == answer.status, answer.body
    return answer.json


async def test_state_at_each_row_leads_from_the_start_to_the_end(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": [1, 2]})
    newest = await get(world, f"/instances/{instance_id}/state")
    states = [await get(world, f"/instances/{instance_id}/state?seq={seq}") for seq in range(newest["seq"] + 1)]

    assert ("queued", []) == (states[0]["status"], states[0]["items"])
    assert ["running"] * (len(states) - 2) == [state["status"] for state in states[1:-1]]
    assert states[-1] == newest
    assert {"fan": "succeeded", "fan.0.work": "succeeded", "fan.1.work": "succeeded"} == {
        task["path"]: task["status"] for task in newest["items"]
    }
    assert "running" == next(task["status"] for task in states[1]["items"] if task["path"] == "fan")
    assert (await get(world, f"/instances/{instance_id}/tasks"))["items"] == newest["items"]


async def test_state_behind_the_newest_row_is_the_newest_and_pages_stay_at_their_row(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": [1, 2, 3]})
    whole = await get(world, f"/instances/{instance_id}/state?seq=9999&limit=200")
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await get(world, f"/instances/{instance_id}/state?limit=1&seq=9999{cursor}")
        assert whole["seq"] == page["seq"]
        found += page["items"]
        cursor = None if page["next"] is None else f"&cursor={page['next']}"

    assert whole["items"] == found
    assert 4 == len(found)


async def test_timeline_tells_attempts_with_their_outcome_and_times(world: World) -> None:
    instance_id = await world.run(LOGGING)
    items = (await get(world, f"/instances/{instance_id}/timeline"))["items"]

    assert ["first", "second", "third"] == [item["path"] for item in items]
    third = items[2]
    assert [(1, "failed"), (2, "succeeded")] == [(one["number"], one["outcome"]) for one in third["attempts"]]
    assert "unavailable" == third["attempts"][0]["error"]["kind"]
    assert third["ready_at"] <= third["started_at"] <= third["attempts"][0]["ended_at"]
    assert third["attempts"][1]["started_at"] <= third["ended_at"]
    assert ("succeeded", True) == (third["status"], third["waited_s"] >= 0)
    first = await get(world, f"/instances/{instance_id}/timeline?limit=2")
    rest = await get(world, f"/instances/{instance_id}/timeline?limit=2&cursor={first['next']}")
    assert (items, None) == ([*first["items"], *rest["items"]], rest["next"])


async def test_task_is_shown_with_inputs_output_and_attempts(world: World) -> None:
    instance_id = await world.run(LOGGING)
    third = await get(world, f"/instances/{instance_id}/tasks/third")

    assert ("third", "succeeded", {"x": 1}) == (third["path"], third["status"], third["output"])
    assert 1 == third["inputs"]["times"]
    assert ["failed", "succeeded"] == [one["outcome"] for one in third["attempts"]]


async def test_task_of_a_map_item_is_found_by_its_path(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": ["a", "b"]})
    found = await get(world, f"/instances/{instance_id}/tasks/fan.1.work")

    assert ({"value": "b"}, {"value": "b"}) == (found["inputs"], found["output"])
    assert ["a", "b"] == [one["value"] for one in (await get(world, f"/instances/{instance_id}/tasks/fan"))["output"]]


async def test_inputs_under_secret_names_are_masked(world: World) -> None:
    instance_id = await world.run(SECRETIVE)
    inputs = (await get(world, f"/instances/{instance_id}/tasks/call"))["inputs"]

    assert {"headers": {"Authorization": "***"}, "list": [{"api_key": "***", "plain": "p"}]} == inputs


async def test_task_that_is_not_there_answers_404(world: World) -> None:
    instance_id = await world.run()
    for path in ("nothing", "greet.0.greet", "0.greet", "greet.", "%E4%B8%AD", "x" * 3_000):
        assert "task-not-found" == (await get(world, f"/instances/{instance_id}/tasks/{path}", 404))["code"]


async def test_lines_of_an_instance_are_paged_and_chosen_by_task_and_attempt(world: World) -> None:
    instance_id = await world.run(LOGGING)
    logs = f"/instances/{instance_id}/logs"
    items = (await get(world, logs))["items"]

    assert [("first", "info", "one"), ("second", "warning", "two")] == [
        (line["task"], line["level"], line["message"]) for line in items
    ]
    assert items[1:] == (await get(world, f"{logs}?task=second"))["items"]
    assert items[1:] == (await get(world, f"{logs}?task=second&attempt=1"))["items"]
    assert [] == (await get(world, f"{logs}?task=second&attempt=2"))["items"]
    first = await get(world, f"{logs}?limit=1")
    rest = await get(world, f"{logs}?limit=5&cursor={first['next']}")
    assert items == [*first["items"], *rest["items"]]
    assert "query-invalid" == (await get(world, f"{logs}?attempt=1", 400))["code"]


async def test_reading_another_tenants_instance_answers_404_everywhere(world: World) -> None:
    instance_id = await world.run(LOGGING, tenant="two")
    for path in ("state", "timeline", "tasks/first", "logs", "events"):
        assert "instance-not-found" == (await get(world, f"/instances/{instance_id}/{path}", 404))["code"]


async def test_journal_rows_tell_when_they_were_committed(world: World) -> None:
    instance_id = await world.run(ONE_STEP)
    shown = await get(world, f"/instances/{instance_id}")
    times = [entry["at"] for entry in (await get(world, f"/instances/{instance_id}/journal"))["items"]]

    assert sorted(times) == times
    assert shown["updated_at"] == times[-1]
