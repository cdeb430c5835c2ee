"""A caller follows one instance while the engine is killed again and again: `python -m tests.chaos.stream_loop`.

It comes again each time with the id of the last whole event that it saw. At the end what it saw is held against the
journal: every transition once, in order.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec

from tests.budget import length
from tests.chaos.load import PREFIX, Api
from tests.chaos.processes import Engine, Target
from tests.figures import figure
from tests.sim.chance import Random, derived

KILL_AFTER_S = (0.1, 0.5)  # from the moment at which the stream is open
ITEMS_PER_KILL = 60  # of 20 ms each, four at once: 0.3 s of work, of which each life of the engine does the most
READ_S_MAX = 60.0  # a stream that is silent for so long, heartbeats included, is no stream
CONNECTIONS_PER_KILL_MAX = 8  # the rest are tries that met no listening engine


class Seen(msgspec.Struct):
    """What the caller saw: ids in order, how often it came, and how many kills ended a stream that was open."""

    ids: list[str]
    connections: int = 0
    kills: int = 0
    with_progress: int = 0
    is_over: bool = False


def document(target_port: int, item_count: int) -> dict[str, Any]:
    """Give a DAG whose one instance moves all the time."""
    call = {
        "id": "call",
        "operator": "@http/request",
        "parameters": {"method": "POST", "url": f"http://127.0.0.1:{target_port}/work/20"},
        "retry": {"max_attempts": 5, "delay_s": 0.02},
    }
    # An item whose attempts are lost eight times in a row fails; that must not end the map.
    items = {"items": list(range(item_count)), "max_concurrency": 4, "on_item_error": "collect", "steps": [call]}
    return {"title": "Followed", "steps": [{"id": "all", "operator": "@control/map", "parameters": items}]}


def follow_once(port: int, key: str, instance_id: str, seen: Seen, on_open: Any) -> None:
    """Follow until the stream ends, in whatever way; whole events are added to what was seen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READ_S_MAX)
    headers = {"Authorization": f"Bearer {key}"}
    if seen.ids:
        headers["Last-Event-ID"] = seen.ids[-1]
    try:
        connection.request("GET", f"{PREFIX}/instances/{instance_id}/events", headers=headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            return
        seen.connections += 1
        on_open()
        fields: dict[str, str] = {}
        while line := answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if line == "\n" and "data" in fields:
                seen.ids.append(fields["id"])
                seen.is_over = fields["event"] == "instance_ended"
            fields = {} if line == "\n" else fields | {name: value}
    except (OSError, http.client.HTTPException):
        return  # killed: what was whole is kept
    finally:
        connection.close()


def journal_ids(api: Api, instance_id: str) -> list[str]:
    """Give the ids of all transitions, from the journal's pages."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        _, page = api.call("GET", f"/instances/{instance_id}/journal?limit=200{cursor}")
        found += [f"{row['seq']}.{index}" for row in page["items"] for index in range(len(row["events"]))]
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    return found


def run_stream_loop(folder: Path, *, seed: int, kill_count: int) -> tuple[Seen, list[str]]:
    """Follow one instance over `kill_count` kills to its end; gives what was seen and what the journal holds."""
    rng: Random = derived(seed, "stream kills")
    target = Target(folder)
    target.run()
    engine = Engine(folder, target.port)
    seen = Seen([])
    try:
        engine.launch()
        engine.wait_ready()
        api = Api(engine.port, engine.api_key)
        dag_id = api.publish(document(target.port, ITEMS_PER_KILL * kill_count))
        _, started = api.call("POST", f"/dags/{dag_id}/run", json.dumps({}).encode(), Content_Type="application/json")
        api.close()
        while not seen.is_over and seen.connections < CONNECTIONS_PER_KILL_MAX * kill_count:
            _follow_until_killed(engine, started["id"], seen, rng if seen.kills < kill_count else None)
            if not engine.is_running:
                engine.launch()
                engine.wait_ready()
        ids = journal_ids(api, started["id"])
        api.close()
        engine.stop()
        return seen, ids
    finally:
        engine.close()
        target.close()


def _follow_until_killed(engine: Engine, instance_id: str, seen: Seen, rng: Random | None) -> None:
    before = len(seen.ids)
    timers: list[threading.Timer] = []

    def arm() -> None:
        if rng is not None:
            timers.append(threading.Timer(rng.uniform(*KILL_AFTER_S), engine.kill))
            timers[0].start()

    follow_once(engine.port, engine.api_key, instance_id, seen, arm)
    for timer in timers:
        timer.join()
    seen.kills += len(timers)
    seen.with_progress += bool(timers) and len(seen.ids) > before


def show(seen: Seen, expected: list[str], *, seed: int, kill_count: int) -> bool:
    """Print the figures; say whether all hold."""
    scale = {"n": len(expected), "kills": seen.kills, "connections": seen.connections, "seed": seed}
    lost = len(set(expected) - set(seen.ids))
    repeated = len(seen.ids) - len(set(seen.ids))
    is_ordered = seen.ids == sorted(seen.ids, key=lambda one: tuple(map(int, one.split("."))))
    held = [
        figure("stream_lost_count", lost, "= 0", lost == 0, **scale),
        figure("stream_repeated_count", repeated, "= 0", repeated == 0, **scale),
        figure("stream_invented_count", len(set(seen.ids) - set(expected)), "= 0", seen.ids == expected, **scale),
        figure("stream_out_of_order_count", int(not is_ordered), "= 0", is_ordered, **scale),
        figure("stream_kill_count", seen.kills, f">= {kill_count}", seen.kills >= kill_count, **scale),
        # A kill before anything new was seen proves little.
        figure(
            "stream_kill_with_progress_count", seen.with_progress, f">= {kill_count * 3 // 4}",
            seen.with_progress >= kill_count * 3 // 4, **scale,
        ),
    ]  # fmt: skip
    return all(held)


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    kill_count = length("stream_kill_count")
    with tempfile.TemporaryDirectory(prefix="flow-stream-") as folder:
        seen, expected = run_stream_loop(Path(folder), seed=seed, kill_count=kill_count)
    return 0 if show(seen, expected, seed=seed, kill_count=kill_count) else 1


if __name__ == "__main__":
    sys.exit(main())
