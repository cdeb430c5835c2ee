"""Routes that say why, and refusals that do."""

from __future__ import annotations

from typing import Any

from tests.http.world import HANGING, World

WAITING = {
    "title": "Waiting",
    "steps": [
        {"id": "pause", "operator": "@control/wait", "parameters": {"seconds": 3600}},
        {"id": "after", "operator": "@debug/noop"},
    ],
}


async def started(world: World, document: Any) -> str:
    dag_id = await world.create(document)
    instance_id: str = (await world.ask("POST", f"/dags/{dag_id}/run", {})).json["id"]
    return instance_id


async def test_why_of_an_instance_names_task_holder_and_next_change(world: World) -> None:
    instance_id = await started(world, WAITING)
    told = (await world.ask("GET", f"/instances/{instance_id}/why")).json

    assert ("waiting", 0) == (told["status"], told["left_out"])
    assert {"pause": "time_come", "after": "upstream_ended"} == {
        task["path"]: task["predicates"][0]["name"] for task in told["tasks"]
    }
    assert "pause" == told["tasks"][1]["predicates"][0]["holder"]
    assert told["next_at"] == told["tasks"][0]["predicates"][0]["at"]
    one = (await world.ask("GET", f"/instances/{instance_id}/tasks/after/why")).json
    assert told["tasks"][1] == one


async def test_why_names_who_may_decide_an_approval_and_what_is_asked(world: World) -> None:
    approval = {"operator": "@control/approval"}
    asks = [
        {"id": "ours", **approval, "parameters": {"title": "Pay 5?", "approvers": ["ada", "role:payer"]}},
        {"id": "anyones", **approval, "depends_on": [], "parameters": {"title": "Ship?"}},
        {"id": "after", "operator": "@debug/noop", "depends_on": ["ours"]},
    ]
    instance_id = await started(world, {"title": "Asking", "steps": asks})
    listed = {item["title"]: item["id"] for item in (await world.ask("GET", "/approvals")).json["items"]}
    told = (await world.ask("GET", f"/instances/{instance_id}/why")).json
    kept = {task["path"]: task["predicates"][0] for task in told["tasks"]}

    assert ("Pay 5?", "ada, role:payer") == (kept["ours"]["value"]["title"], kept["ours"]["holder"])
    assert ({"id": listed["Ship?"], "title": "Ship?"}, None) == (kept["anyones"]["value"], kept["anyones"]["holder"])
    assert "upstream_ended" == kept["after"]["name"]


async def test_refused_act_says_what_keeps_the_task(world: World) -> None:
    instance_id = await started(world, HANGING)
    await world.target.called.wait()
    path = f"/instances/{instance_id}/tasks/call"
    refused = await world.ask("POST", f"{path}/skip", {"reason": "no time"})

    assert (409, "running") == (refused.status, refused.json["task_status"])
    assert [("attempt_outcome", "@http/request")] == [(one["name"], one["holder"]) for one in refused.json["why"]]


async def test_ended_instance_is_kept_by_nothing_and_its_tasks_are_not_open(world: World) -> None:
    instance_id = await world.run()
    told = (await world.ask("GET", f"/instances/{instance_id}/why")).json
    refused = await world.ask("POST", f"/instances/{instance_id}/tasks/greet/skip", {"reason": "late"})
    task = await world.ask("GET", f"/instances/{instance_id}/tasks/greet/why")

    assert ("succeeded", [], [], None) == (told["status"], told["predicates"], told["tasks"], told["next_at"])
    assert "why" not in refused.json
    assert (404, "task-not-found") == (task.status, task.json["code"])


async def test_why_of_another_tenants_instance_is_that_of_a_missing_one(world: World) -> None:
    theirs = await world.run(tenant="two")
    answer = await world.ask("GET", f"/instances/{theirs}/why")
    assert (404, "instance-not-found") == (answer.status, answer.json["code"])


async def test_instance_with_too_many_open_frames_is_refused(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr("core.engine.explaining.FRAMES_MAX", 0)
    answer = await world.ask("GET", f"/instances/{await started(world, WAITING)}/why")
    assert (422, "history-too-long") == (answer.status, answer.json["code"])
