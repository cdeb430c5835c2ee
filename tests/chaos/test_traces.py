"""A chaos run that found something leaves files that `flow replay` plays, and no secret in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from core.engine.trace.file import read_trace
from core.engine.trace.playback import Playback
from module.resources import STORE_FILE
from tests.chaos.crash_images import END_S_MAX, SYSTEM, engine_on
from tests.chaos.kill_loop import KillLoop
from tests.chaos.traces import write_traces

SAID = "hunter2-is-no-password"
KNOWN = "known-to-the-installation"
DAG = {
    "title": "Secrets",
    "steps": [{"id": "a", "operator": "@debug/noop", "parameters": {"password": SAID, "text": f"see {KNOWN}"}}],
}


async def run_two(folder: Path) -> list[str]:
    async with engine_on(folder) as box:
        dags = box.dag_access()
        row = await dags.create(SYSTEM, dags.read(SYSTEM, msgspec.json.encode(DAG), "json"), if_exists="refuse")
        ids = [(await box.instance_service().start(SYSTEM, row.id, {})).instance_id for _ in range(2)]
        for one in ids:
            await box.instance_service().wait(SYSTEM, one, END_S_MAX)
        return ids


def test_instance_that_a_fault_names_is_written_without_secrets_and_can_be_played(tmp_path: Path) -> None:
    _, named = asyncio.run(run_two(tmp_path / "data"))
    before = (tmp_path / "data" / STORE_FILE).read_bytes()
    [path] = write_traces(
        tmp_path / "data", [f"I3 {named} seq 4: a timer is left"], name="run", secrets=[KNOWN], folder=tmp_path / "out"
    )
    trace = read_trace(path.read_bytes())

    assert f"run-{named}.flowtrace" == path.name
    assert len(trace.rows) > 0
    assert Playback(trace)
    for secret in (SAID, KNOWN):
        assert secret.encode() not in msgspec.msgpack.encode(trace)
    assert before == (tmp_path / "data" / STORE_FILE).read_bytes()  # the evidence is as it was


def test_fault_that_names_nobody_shows_the_first_instances(tmp_path: Path) -> None:
    ids = asyncio.run(run_two(tmp_path / "data"))
    written = write_traces(tmp_path / "data", ["something is lost"], name="run", folder=tmp_path / "out")

    assert [f"run-{one}.flowtrace" for one in ids] == [path.name for path in written]


def test_store_that_cannot_be_read_gives_no_file(tmp_path: Path) -> None:
    assert [] == write_traces(tmp_path / "nothing", ["lost"], name="run", folder=tmp_path / "out")


@pytest.mark.timeout(120)
def test_kill_loop_that_finds_a_loss_names_its_traces(tmp_path: Path) -> None:
    loop = KillLoop(tmp_path, seed=1, instance_count=2, pace_s=0.0, traces_folder=tmp_path / "out")
    try:
        loop.begin()
        loop.kill_once(0.2)
        assert loop.load is not None
        loop.load.acked["start-that-was-never-kept"] = "01JD3V7A2B3C4D5E6F7G8H9J0K"  # the planted loss
        findings = loop.finish()
        assert loop.engine is not None
        key = loop.engine.api_key
    finally:
        loop.close()

    assert 1 == findings.lost
    assert 2 == len(findings.traces)
    for path in findings.traces:
        assert key.encode() not in msgspec.msgpack.encode(read_trace(path.read_bytes()))
