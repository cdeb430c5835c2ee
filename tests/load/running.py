"""F14: instances that run at once, each with an attempt that waits in its operator as for a slow service.

Memory is what the engine has grown by; the loop is looked at from inside, two hundred times a second, while they run
and others come and go. How late the loop was while all of them were started is shown beside it.
"""

from __future__ import annotations

import threading
from typing import Any

from bench.dags import single
from bench.engine import Engine
from bench.machine import memory_bytes, slowness
from tests.budget import length
from tests.figures import figure
from tests.load.engines import one_step, open_engine, run, start, wait_until
from tests.load.flood import Flood, Flooding

PLACES = 10_000  # as many as the settings allow, and as the figure is promised for
NOT_HELD_COUNT = 16  # places for what looks, lets go, and comes and goes meanwhile
RESIDENT_MB_MAX = 200.0  # of PLACES instances; fewer have their share of it
LATE_S_MAX = 0.02
OTHERS_PER_S = 20.0
WARM_COUNT = 200


def measure() -> bool:
    """Hold them, look, let them go."""
    count = length("running_instance_count") - NOT_HELD_COUNT
    with open_engine("F14", {"FLOW_ATTEMPTS_MAX": str(PLACES)}) as engine:
        held = engine.publish(one_step("Held", "@load/hold", group="held"))
        looking = engine.publish(one_step("Look on", "@load/look", group="started"))
        looked = engine.publish(one_step("Look", "@load/look", s=length("running_look_s")))
        started = engine.publish(one_step("Started", "@load/release", group="started"))
        release = engine.publish(one_step("Release", "@load/release", group="held"))
        others = engine.publish(single("Others"))
        start(engine, others, WARM_COUNT)
        wait_until(engine, lambda metrics: not metrics["flow_node_open_attempts"])
        base = memory_bytes(engine.pid)[0]
        filling = _Run(engine, looking)
        start(engine, held, count)
        wait_until(engine, lambda metrics: metrics["flow_node_open_attempts"] > count)
        run(engine, started)
        grown_mb = (memory_bytes(engine.pid)[0] - base) / 1e6
        load = engine.make_load(others, count=1, in_flight=1)
        flood = Flood(
            port=load.port, path=load.path, headers=load.headers, body="{}", connection_count=4, per_s=OTHERS_PER_S
        )
        with Flooding(flood):
            calm = run(engine, looked)
        run(engine, release)
        wait_until(engine, lambda metrics: not metrics["flow_node_open_attempts"])
    grown_mb_max = RESIDENT_MB_MAX * (count + NOT_HELD_COUNT) / PLACES
    late_s_max = LATE_S_MAX * slowness().wall
    memory = figure("F14 grown_mb", grown_mb, f"< {grown_mb_max:g}", grown_mb < grown_mb_max, running=count)
    lag = figure(
        "F14 loop_late_p99_s",
        calm["late_p99_s"],
        f"< {LATE_S_MAX:g} at the usual speed",
        calm["late_p99_s"] < late_s_max,
        running=count,
        looks=calm["look_count"],
        scaled_bound_s=late_s_max,
        max_s=calm["late_max_s"],
        while_starting_p99_s=filling.given()["late_p99_s"],
    )
    return memory and lag


class _Run:
    """An instance that runs while others are started."""

    def __init__(self, engine: Engine, dag_id: str) -> None:
        self._given: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=lambda: self._given.append(run(engine, dag_id)), daemon=True)
        self._thread.start()

    def given(self) -> dict[str, Any]:
        """Wait for what its step gave."""
        self._thread.join()
        return self._given[0]
