"""Routes of instances: start, wait, read, end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.engine.instance_search import DAGS_MATCHED_MAX
from core.errors import InstanceNotFound
from tests.http.world import HANGING, MAPPING, ONE_STEP, PREFIX, World


async def _all(world: World, path: str) -> list[Any]:
    found: list[Any] = []
    while path:
        answer = await world.ask("GET", path)
        assert 200 == answer.status, answer.body
        found += answer.json["items"]
        link = answer.header("link")
        path = link[link.index(PREFIX) + len(PREFIX) : link.index(">")] if link else ""
    return found


async def test_start_answers_202_with_the_place_of_the_instance(world: World) -> None:
    dag_id = await world.create()
    answer = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "Ada"})
    assert 202 == answer.status
    assert f"{PREFIX}/instances/{answer.json['id']}" == answer.header("location")
    assert "1" == answer.header("retry-after")
    ended = (await world.ask("GET", f"/instances/{answer.json['id']}?wait=30")).json
    assert ("succeeded", {"text": "Hello Ada"}, "v1.0.0") == (ended["status"], ended["outputs"], ended["version"])


async def test_start_without_a_body_uses_the_defaults(world: World) -> None:
    dag_id = await world.create()
    ended = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30")).json
    assert {"text": "Hello world"} == ended["outputs"]


async def test_inputs_that_miss_the_schema_are_all_named_and_start_nothing(world: World) -> None:
    dag_id = await world.create()
    answer = await world.ask("POST", f"/dags/{dag_id}/run", {"name": 1, "count": "x", "other": None})
    assert (422, "input-invalid") == (answer.status, answer.json["code"])
    assert {"/name", "/count"} <= {fault["pointer"] for fault in answer.json["errors"]}
    assert 3 == len(answer.json["errors"])
    assert [] == (await world.ask("GET", "/instances")).json["items"]


async def test_repeated_key_answers_the_first_instance_and_another_body_is_refused(world: World) -> None:
    dag_id = await world.create()
    key = {"idempotency-key": "order-17"}
    first = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "a"}, headers=key)
    again = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "a"}, headers=key)
    assert (202, first.json["id"]) == (again.status, again.json["id"])
    other = await world.ask("POST", f"/dags/{dag_id}/run", {"name": "b"}, headers=key)
    assert (422, "idempotency-key-reused") == (other.status, other.json["code"])
    assert 1 == len((await world.ask("GET", "/instances")).json["items"])


async def test_key_of_one_principal_is_free_for_another(world: World) -> None:
    key = {"idempotency-key": "same"}
    mine = await world.ask("POST", f"/dags/{await world.create()}/run", {}, headers=key)
    theirs = await world.ask("POST", f"/dags/{await world.create(tenant='two')}/run", {}, headers=key, tenant="two")
    assert (202, 202) == (mine.status, theirs.status)
    assert mine.json["id"] != theirs.json["id"]


async def test_wait_that_runs_out_answers_202(world: World) -> None:
    dag_id = await world.create(HANGING)
    answer = await world.ask("POST", f"/dags/{dag_id}/run?wait=0.01")
    assert (202, "running") == (answer.status, answer.json["status"])


async def test_wait_for_another_tenants_instance_answers_404_at_once(world: World) -> None:
    dag_id = await world.create(HANGING, tenant="two")
    started = (await world.ask("POST", f"/dags/{dag_id}/run", tenant="two")).json
    # Far less than the wait that is asked for: a refusal that waits would tell that there is something to wait for.
    async with asyncio.timeout(10):
        theirs = await world.ask("GET", f"/instances/{started['id']}?wait=60")
        scope = await world.box.access_service().authenticate(world.keys["one"])
        with pytest.raises(InstanceNotFound):
            await world.box.instance_service().wait(scope, started["id"], 60)
    assert (404, "instance-not-found") == (theirs.status, theirs.json["code"])
    assert 0 == world.box.engine_node().stats().waiters


async def test_tasks_show_path_status_attempts_and_output(world: World) -> None:
    instance_id = await world.run(ONE_STEP)
    expected = {
        "path": "greet", "step": "greet", "status": "succeeded", "reason": None, "attempts": 1,
        "output": {"text": "Hello world"}, "output_bytes": None, "error": None, "errors": None,
        "reused_from": None,
    }  # fmt: skip
    assert [expected] == await _all(world, f"/instances/{instance_id}/tasks")


async def test_tasks_of_a_map_come_page_by_page_in_order_without_loss(world: World) -> None:
    items = list(range(600))
    instance_id = await world.run(MAPPING, {"items": items})
    tasks = await _all(world, f"/instances/{instance_id}/tasks?limit=37")
    assert "fan" == tasks[0]["path"]
    by_path = {task["path"]: task["output"] for task in tasks[1:]}
    assert {f"fan.{number}.work": {"value": number} for number in items} == by_path
    assert len(items) + 1 == len(tasks)
    outcome = (await world.ask("GET", f"/instances/{instance_id}")).json["outputs"]
    assert [{"value": number} for number in items] == outcome["all"]


async def test_tasks_of_an_open_instance_are_shown_from_the_journal(world: World) -> None:
    dag_id = await world.create(HANGING)
    started = (await world.ask("POST", f"/dags/{dag_id}/run")).json
    await world.target.called.wait()
    task = (await _all(world, f"/instances/{started['id']}/tasks"))[0]
    assert ("call", "running", 1, None) == (task["path"], task["status"], task["attempts"], task["output"])


async def test_journal_names_events_in_order_and_hides_tokens(world: World) -> None:
    instance_id = await world.run(ONE_STEP)
    entries = await _all(world, f"/instances/{instance_id}/journal?limit=1")
    assert list(range(1, len(entries) + 1)) == [entry["seq"] for entry in entries]
    events = [event for entry in entries for event in entry["events"]]
    assert ("instance_started", "instance_ended") == (events[0]["event"], events[-1]["event"])
    assert {"attempt_started", "task_succeeded"} <= {event["event"] for event in events}
    assert not any("token" in event for event in events)


async def test_cancelled_instance_ends_as_cancelled_and_stays_so(world: World) -> None:
    dag_id = await world.create(HANGING)
    started = (await world.ask("POST", f"/dags/{dag_id}/run")).json
    await world.target.called.wait()
    answer = await world.ask("POST", f"/instances/{started['id']}/cancel", {"reason": "wrong day"})
    assert (202, "cancelling") == (answer.status, answer.json["status"])
    again = await world.ask("POST", f"/instances/{started['id']}/terminate")
    assert 202 == again.status
    ended = (await world.ask("GET", f"/instances/{started['id']}?wait=30")).json
    assert "cancelled" == ended["status"]
    assert 202 == (await world.ask("POST", f"/instances/{started['id']}/cancel")).status


async def test_instance_with_another_outcome_cannot_be_cancelled(world: World) -> None:
    instance_id = await world.run()
    answer = await world.ask("POST", f"/instances/{instance_id}/cancel")
    assert (409, "instance-ended", "succeeded") == (
        answer.status, answer.json["code"], answer.json["instance_status"],
    )  # fmt: skip


async def test_failed_instance_shows_its_error(world: World) -> None:
    document = {"title": "F", "steps": [{"id": "a", "operator": "@debug/fail", "parameters": {"message": "no"}}]}
    dag_id = await world.create(document)
    ended = (await world.ask("POST", f"/dags/{dag_id}/run?wait=30")).json
    assert ("failed", "failed", "no", "a") == (
        ended["status"], ended["error"]["kind"], ended["error"]["message"], ended["error"]["step"],
    )  # fmt: skip


async def test_instances_are_listed_newest_first_by_dag_and_status(world: World) -> None:
    dag_id, other = await world.create(), await world.create({**ONE_STEP, "title": "Other"})
    ids = [(await world.ask("POST", f"/dags/{dag_id}/run?wait=30")).json["id"] for _ in range(3)]
    await world.ask("POST", f"/dags/{other}/run?wait=30")
    assert ids[::-1] == [row["id"] for row in await _all(world, f"/instances?dag_id={dag_id}&limit=2")]
    assert 4 == len(await _all(world, "/instances?status=succeeded"))
    assert [] == await _all(world, "/instances?status=failed")


async def test_waiting_callers_are_answered_when_the_process_stops(world: World) -> None:
    dag_id = await world.create(HANGING)
    waiting = asyncio.ensure_future(world.ask("POST", f"/dags/{dag_id}/run?wait=60"))
    await world.target.called.wait()
    world.box.instance_service().end_waits()
    assert 202 == (await waiting).status
    later = await world.ask("GET", f"/instances/{waiting.result().json['id']}?wait=60")
    assert "running" == later.json["status"]


async def test_list_is_filtered_by_version_and_time(world: World) -> None:
    dag_id = await world.create()
    ids = [(await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})).json["id"] for _ in range(3)]
    shown = (await world.ask("GET", "/instances")).json["items"]
    assert ids[::-1] == [item["id"] for item in shown]
    found = await _all(world, f"/instances?dag_id={dag_id}&version=v1.0.0&limit=1")
    assert ids[::-1] == [item["id"] for item in found]
    assert [] == await _all(world, f"/instances?dag_id={dag_id}&version=v1.0.1")
    assert ids[::-1] == [item["id"] for item in await _all(world, "/instances?created_from=2026-01-01T00:00:00Z")]
    assert [] == await _all(world, "/instances?created_from=2200-01-01T00:00:00%2B02:00")
    assert [] == await _all(world, "/instances?created_to=2026-01-01T00:00:00Z")
    assert 3 == len(await _all(world, "/instances?created_to=2200-01-01T00:00:00Z&limit=2&status=succeeded"))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("version=v1.0.0", "version"),
        ("created_from=yesterday", "created_from"),
        ("created_to=2026-01-01T00:00:00", "created_to"),
    ],
)
async def test_filter_that_says_nothing_is_refused(world: World, query: str, name: str) -> None:
    answer = await world.ask("GET", f"/instances?{query}")
    assert (400, "query-invalid") == (answer.status, answer.json["code"])
    assert f"?{name}" == answer.json["errors"][0]["pointer"]


async def test_list_is_searched_by_id_and_title(world: World) -> None:
    first = await world.run({**ONE_STEP, "title": "Orders of today"})
    second = await world.run({**ONE_STEP, "title": "Returns of today"})
    theirs = await world.run({**ONE_STEP, "title": "Orders of theirs"}, tenant="two")

    async def found(query: str) -> list[str]:
        return [item["id"] for item in await _all(world, f"/instances?limit=1&{query}")]

    assert [second, first] == await found("text=of%20today")
    assert [first] == await found("text=orders")
    assert [] == await found("text=orders&status=failed")
    assert [second] == await found(f"text={second}")
    assert {first, second} >= set(await found(f"text={first[:8]}"))
    assert [] == await found(f"text={theirs}")
    assert [] == await found("text=nothing")


async def test_text_that_fits_too_many_dags_is_refused(world: World) -> None:
    for number in range(DAGS_MATCHED_MAX + 1):
        await world.create({**ONE_STEP, "title": f"Common {number}"})
    answer = await world.ask("GET", "/instances?text=common")
    assert (422, "request-invalid") == (answer.status, answer.json["code"])
