"""Callbacks over HTTP: the token in the URL is the only credential (semantics.md S27)."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.request_rates import RequestLimits
from core.engine.signals import SIGNAL_BYTES_MAX
from tests.http.world import World, call, open_world

LOOKS_MAX = 100
ASKS = {
    "title": "Asks",
    "steps": [
        {"id": "ask", "operator": "@debug/noop", "parameters": {"url": "{{ callbacks.w }}"}},
        {"id": "w", "operator": "@control/wait", "parameters": {"callback": {"timeout_s": 3600}}},
    ],
    "outputs": {"url": "{{ steps.ask.output.url }}", "data": "{{ steps.w.output.data }}"},
}


async def asked(world: World) -> tuple[str, str]:
    """Start an instance and give its id and the URL of its callback, once it waits."""
    dag_id = await world.create(ASKS)
    started = await world.ask("POST", f"/dags/{dag_id}/run", {})
    instance_id: str = started.json["id"]
    for _ in range(LOOKS_MAX):
        await world.ask("GET", f"/instances/{instance_id}?wait=0.02")
        tasks = {
            task["path"]: task for task in (await world.ask("GET", f"/instances/{instance_id}/tasks")).json["items"]
        }
        if tasks.get("w", {}).get("status") == "waiting":
            return instance_id, tasks["ask"]["output"]["url"]
    raise AssertionError("it does not wait")


async def send(world: World, url: str, body: bytes = b"", media_type: str = "application/json") -> Any:
    """Call as somebody without a key."""
    path = "/api/automation/v1" + url[url.index("/callbacks/") :]
    return await call(world.public, "POST", path, [("content-type", media_type)] if body else [], body)


async def test_s27_call_with_the_token_alone_ends_the_wait(world: World) -> None:
    instance_id, url = await asked(world)
    taken = await send(world, url, b'{"data": {"parcel": 7}}')
    assert (202, {"taken": True}) == (taken.status, taken.json)
    ended = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json
    assert ("succeeded", {"parcel": 7}) == (ended["status"], ended["outputs"]["data"])
    late = await send(world, url)
    assert (404, "callback-not-found") == (late.status, late.json["code"])


async def test_s27_call_without_a_body_is_a_success_without_data(world: World) -> None:
    instance_id, url = await asked(world)
    assert 202 == (await send(world, url)).status
    assert None is (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json["outputs"]["data"]


async def test_s27_call_that_says_failed_fails_the_wait(world: World) -> None:
    instance_id, url = await asked(world)
    told = b'{"status": "failed", "error": {"kind": "conflict", "message": "lost", "data": 5}}'
    assert 202 == (await send(world, url, told)).status
    error = (await world.ask("GET", f"/instances/{instance_id}?wait=10")).json["error"]
    assert ("conflict", "lost", 5, "w") == (error["kind"], error["message"], error["data"], error["step"])


async def test_s27_second_call_is_refused_while_the_instance_runs(world: World) -> None:
    dag_id = await world.create({**ASKS, "steps": [*ASKS["steps"], {"id": "z", "operator": "@control/wait", "parameters": {"seconds": 60}}]})  # fmt: skip
    started = await world.ask("POST", f"/dags/{dag_id}/run", {})
    for _ in range(LOOKS_MAX):
        await world.ask("GET", f"/instances/{started.json['id']}?wait=0.02")
        tasks = (await world.ask("GET", f"/instances/{started.json['id']}/tasks")).json["items"]
        if tasks[0]["status"] == "succeeded":
            break
    url = tasks[0]["output"]["url"]
    answers = [await send(world, url) for _ in range(2)]
    assert [202, 409] == [answer.status for answer in answers]
    assert "callback-over" == answers[1].json["code"]


async def test_s27_call_that_cannot_be_taken_says_why(world: World) -> None:
    _, url = await asked(world)
    other = "A" if url[-1] != "A" else "B"
    found = {
        "no token": await send(world, "/callbacks/nonsense"),
        "cut": await send(world, url[:-1]),
        "changed": await send(world, url[:-2] + other + url[-1]),
        "another path": await send(world, url.replace("~w~", "~ask~")),
        "unknown field": await send(world, url, b'{"outcome": 1}'),
        "unknown kind": await send(world, url, b'{"status": "failed", "error": {"kind": "odd"}}'),
        "long": await send(world, url, b'{"data": "' + b"x" * SIGNAL_BYTES_MAX + b'"}'),
        "form": await send(world, url, b"a=b", "application/x-www-form-urlencoded"),
        "no JSON": await send(world, url, b"{"),
    }
    assert {
        "no token": (404, "callback-not-found"),
        "cut": (404, "callback-not-found"),
        "changed": (404, "callback-not-found"),
        "another path": (404, "callback-not-found"),
        "unknown field": (422, "request-invalid"),
        "unknown kind": (422, "request-invalid"),
        "long": (422, "request-invalid"),
        "form": (415, "media-type-unsupported"),
        "no JSON": (400, "body-undecodable"),
    } == {name: (answer.status, answer.json["code"]) for name, answer in found.items()}


async def test_s27_secret_of_callbacks_is_in_no_journal_that_is_shown(world: World) -> None:
    instance_id, _ = await asked(world)
    journal = (await world.ask("GET", f"/instances/{instance_id}/journal?limit=200")).json["items"]
    opened = [event for entry in journal for event in entry["events"] if event["event"] == "callbacks_opened"]
    assert [{"event": "callbacks_opened"}] == opened


@pytest.mark.parametrize("denied_per_minute", [3, 0])
async def test_tokens_that_are_none_are_counted_by_address(denied_per_minute: int) -> None:
    async with open_world(limits=RequestLimits(denied_per_minute=denied_per_minute)) as world:
        statuses = [(await send(world, "/callbacks/nonsense")).status for _ in range(5)]
    assert ([404] * 3 + [429] * 2 if denied_per_minute else [404] * 5) == statuses
