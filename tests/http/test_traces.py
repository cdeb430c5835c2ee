"""Routes that explain: trace files and differences, over the whole process in memory."""

from __future__ import annotations

import zlib
from typing import Any

from core.engine.trace import export
from core.engine.trace.file import read_trace
from core.engine.trace.playback import Playback
from tests.http.world import MAPPING, World

CANARY = "canary-51b0de"
SECRETIVE = {
    "title": "Secretive",
    "inputs": {"type": "object", "properties": {"password": {"type": "string", "default": CANARY}}},
    "vars": {"api_key": CANARY},
    "steps": [
        {
            "id": "call",
            "operator": "@debug/noop",
            "parameters": {
                "headers": {"Authorization": f"Bearer {CANARY}"},
                "credential": "{{ inputs.password }}",
                "text": "seen",
            },
        }
    ],
    "outputs": {"token": "{{ steps.call.output.credential }}", "text": "{{ steps.call.output.text }}"},
}
LONG = {
    "title": "Long",
    "steps": [
        {"id": "big", "operator": "@debug/noop", "parameters": {"text": "x" * 6_000, "n": [1, 2]}},
        {"id": "again", "operator": "@debug/noop", "parameters": {"all": "{{ steps.big.output }}", "own": "y" * 6_000}},
    ],
    "outputs": {"a": "{{ steps.big.output }}", "b": "{{ steps.again.output }}"},
}


async def trace(world: World, instance_id: str) -> bytes:
    answer = await world.ask("GET", f"/instances/{instance_id}/trace")
    assert 200 == answer.status, answer.body
    return answer.body


async def test_trace_of_an_instance_plays_to_what_the_server_shows(world: World) -> None:
    instance_id = await world.run(MAPPING, {"items": ["a", "b"]})
    answer = await world.ask("GET", f"/instances/{instance_id}/trace")
    playback = Playback(read_trace(answer.body))
    shown = (await world.ask("GET", f"/instances/{instance_id}/state?limit=200")).json
    stand = playback.stand(playback.seq)

    assert f'attachment; filename="{instance_id}.flowtrace"' == answer.header("content-disposition")
    assert "application/vnd.flow-automation.trace" == answer.header("content-type")
    assert (shown["seq"], shown["at"], shown["status"]) == (stand.seq, stand.at, stand.status)
    assert {task["path"]: (task["status"], task["output"]) for task in shown["items"]} == {
        task.path: (task.status, task.output) for task in stand.tasks
    }


async def test_no_secret_of_an_instance_is_in_its_trace(world: World) -> None:
    data = await trace(world, await world.run(SECRETIVE))
    body = zlib.decompress(data[60:])

    assert CANARY.encode() not in body
    assert b"seen" in body
    playback = Playback(read_trace(data))
    assert {"token": "***", "text": "seen"} == playback.stand(playback.seq).outputs


async def test_values_in_payload_rows_go_along_and_large_ones_are_left_out(world: World, monkeypatch: Any) -> None:
    instance_id = await world.run(LONG)
    whole = Playback(read_trace(await trace(world, instance_id)))
    monkeypatch.setattr(export, "READ_BYTES_MAX", 1)  # every value is read by itself
    assert whole.trace == read_trace(await trace(world, instance_id))
    monkeypatch.setattr(export, "VALUE_BYTES_MAX", 1_000)
    cut = Playback(read_trace(await trace(world, instance_id)))

    outputs = whole.stand(whole.seq).outputs
    assert ("x" * 6_000, "y" * 6_000) == (outputs["a"]["text"], outputs["b"]["own"])
    assert (0, True) == (whole.trace.left_out, cut.trace.left_out > 0)
    assert cut.stand(cut.seq).outputs["value_bytes"] > 12_000


async def test_journal_that_passes_a_file_is_refused(world: World, monkeypatch: Any) -> None:
    instance_id = await world.run()
    monkeypatch.setattr(export, "ROWS_BYTES_MAX", 100)
    answer = await world.ask("GET", f"/instances/{instance_id}/trace")

    assert (422, "history-too-long") == (answer.status, answer.json["code"])


async def test_difference_of_two_instances_names_task_and_cause(world: World) -> None:
    left, right = (
        await world.run(MAPPING, {"items": [1]}),
        await world.run({**MAPPING, "title": "Other"}, {"items": [2]}),
    )
    found = (await world.ask("GET", f"/instances/{left}/diff/{right}")).json
    same = (await world.ask("GET", f"/instances/{left}/diff/{left}")).json

    assert ("", "the inputs differ") == (found["path"], found["cause"])
    assert ({"items": [1]}, {"items": [2]}) == (found["left"]["said"]["inputs"], found["right"]["said"]["inputs"])
    assert {"is_same": True, "path": None, "cause": None, "left": None, "right": None} == same


async def test_instances_of_another_tenant_are_answered_like_missing_ones(world: World) -> None:
    mine, theirs = await world.run(), await world.run(tenant="two")
    for path in (f"/instances/{theirs}/trace", f"/instances/{theirs}/diff/{mine}", f"/instances/{mine}/diff/{theirs}"):
        answer = await world.ask("GET", path)
        assert (404, "instance-not-found") == (answer.status, answer.json["code"])
