"""F20: the engine under ten times what it can do takes what it has room for, keeps that, and its memory stays flat.

What it can do is set by its places for attempts, each of which is held for a while. A flood starts instances as fast as
answers come. Once the line of those that wait for a place is full, memory is looked at; at the end the held ones are
released, and every instance that was accepted must be found in the store, ended well.
"""

from __future__ import annotations

import statistics
import time

from bench.engine import Engine
from bench.machine import memory_bytes
from bench.workloads import count_in_store
from core.engine.node.terms import WAITING_MAX
from tests.budget import length
from tests.figures import figure
from tests.load.engines import one_step, open_engine, run, wait_until
from tests.load.flood import Flood, Flooding

PLACES = 16
HOLD_S = 0.32  # so that fifty instances can be done in a second
CONNECTIONS = 64
DEVIATION_PERCENT_MAX = 10.0
OVERLOAD_MIN = 10.0
LOOK_S = 0.2


def measure() -> bool:
    """Flood, look, let go, count."""
    with open_engine("F20", {"FLOW_ATTEMPTS_MAX": str(PLACES)}) as engine:
        held = engine.publish(one_step("Held", "@load/hold", group="held", s=HOLD_S))
        release = engine.publish(one_step("Release", "@load/release", priority=5, group="held"))
        load = engine.make_start_load(held, count=1, in_flight=1)
        flood = Flood(port=load.port, path=load.path, headers=load.headers, body="{}", connection_count=CONNECTIONS)
        with Flooding(flood) as flooding:
            wait_until(engine, lambda metrics: metrics["flow_node_waiting_instances"] >= WAITING_MAX)
            before, began = _ended_count(engine), time.perf_counter()
            resident = _look(engine.pid, length("overload_s"))
            done_per_s = (_ended_count(engine) - before) / (time.perf_counter() - began)
        # Told before the line is worked off: one without a bound outlasts the wait, and this is what shows it.
        flat = _is_flat(resident, flooding.sent_count / flooding.lasted_s / done_per_s)
        wait_until(engine, lambda metrics: metrics["flow_node_waiting_instances"] < WAITING_MAX)
        run(engine, release)
        wait_until(engine, _is_idle)
    found = count_in_store(engine.store_path).by_dag[held]
    accepted = flooding.counts[202]
    dropped = accepted - found.succeeded
    kept = figure(
        "F20 dropped_count",
        dropped,
        "= 0",
        dropped == 0 == found.doubled + found.gaps and found.instances == accepted,
        accepted=accepted,
        refused=flooding.sent_count - accepted,
    )
    return flat and kept


def _is_flat(resident: list[int], overload: float) -> bool:
    deviation = 100 * max(abs(one - resident[0]) for one in resident) / resident[0]
    return figure(
        "F20 memory_deviation_percent",
        deviation,
        f"<= {DEVIATION_PERCENT_MAX:g}",
        deviation <= DEVIATION_PERCENT_MAX and overload >= OVERLOAD_MIN,
        overload=overload,
        s=length("overload_s"),
        resident_mb=statistics.median(resident) / 1e6,
        first_mb=resident[0] / 1e6,
        last_mb=resident[-1] / 1e6,
    )


def _look(pid: int, duration_s: float) -> list[int]:
    """Read the resident memory of a process again and again, in bytes."""
    end_at = time.perf_counter() + duration_s
    resident = []
    while time.perf_counter() < end_at:
        resident.append(memory_bytes(pid)[0])
        time.sleep(LOOK_S)
    return resident


def _ended_count(engine: Engine) -> float:
    return engine.read_metrics()['flow_instances_ended_total{outcome="succeeded"}']


def _is_idle(metrics: dict[str, float]) -> bool:
    names = ("flow_node_waiting_instances", "flow_node_open_attempts", "flow_node_queued_inputs")
    return not any(metrics[name] for name in names)
