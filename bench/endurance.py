"""W10: is the engine as fast after ten minutes as after one? `python -m bench.endurance [MINUTES]`.

W1 again and again with all history kept; the throughput of the last minute against that of the first, and what a task
adds to the store's file.
"""

from __future__ import annotations

import sys
import time

import msgspec

from bench import dags
from bench.engine import Engine, send_load
from bench.workloads import IN_FLIGHT, check_count, count_in_store
from tests.figures import figure

MINUTES = 10.0
LOAD_COUNT = 1_000  # instances per load; a load takes a second or two
LOSS_PERCENT_MAX = 10.0
GROWTH_MAX = 1.2  # of what a task adds to the file: pages of a tree that grows are no fuller or emptier than before


class Endurance(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks per second of the first and the last minute, and bytes that a task added to the file in either."""

    first_tasks_per_s: float
    last_tasks_per_s: float
    first_bytes_per_task: float
    last_bytes_per_task: float
    tasks: int


def measure_endurance(minutes: float = MINUTES) -> Endurance:
    """Run the load for so long, then count it in the store.

    Raises:
        CountWrong: an instance or a task is missing or doubled.
    """
    ends: list[
        tuple[float, float, int]
    ] = []  # per load: seconds since the start at its end, its own, bytes of the file
    with Engine("endurance") as engine:
        dag_id = engine.publish(dags.chain())
        load = engine.make_load(dag_id, count=LOAD_COUNT, in_flight=IN_FLIGHT)
        send_load(load)
        base_bytes, began = engine.store_path.stat().st_size, time.perf_counter()
        while time.perf_counter() - began < minutes * 60:
            took_s = send_load(load).wall_s
            ends.append((time.perf_counter() - began, took_s, engine.store_path.stat().st_size))
    tasks = (len(ends) + 1) * LOAD_COUNT * dags.CHAIN_STEPS
    found = count_in_store(engine.store_path).by_dag.get(dag_id)
    check_count("W10", found, instances=(len(ends) + 1) * LOAD_COUNT, tasks_each=dags.CHAIN_STEPS)
    minute_s = min(60.0, minutes * 60 / 2)
    first = [one for one in ends if one[0] <= minute_s] or ends[:1]
    last = [one for one in ends if one[0] > ends[-1][0] - minute_s]
    before = [one for one in ends if one not in last]
    return Endurance(
        first_tasks_per_s=_rate(first),
        last_tasks_per_s=_rate(last),
        first_bytes_per_task=_bytes(first, base_bytes),
        last_bytes_per_task=_bytes(last, before[-1][2] if before else base_bytes),
        tasks=tasks,
    )


def show_endurance(measured: Endurance) -> bool:
    """Print the figures; say whether all of them hold."""
    loss = 100 * (1 - measured.last_tasks_per_s / measured.first_tasks_per_s)
    growth = measured.last_bytes_per_task / measured.first_bytes_per_task
    told = {"tasks": measured.tasks, "first": measured.first_tasks_per_s, "last": measured.last_tasks_per_s}
    held = [
        figure("W10_loss_percent", loss, f"<= {LOSS_PERCENT_MAX:g}", loss <= LOSS_PERCENT_MAX, **told),
        figure(
            "W10_bytes_per_task_growth", growth, f"<= {GROWTH_MAX:g}", growth <= GROWTH_MAX,
            last_bytes=measured.last_bytes_per_task,
        ),
    ]  # fmt: skip
    return all(held)


def _rate(loads: list[tuple[float, float, int]]) -> float:
    return len(loads) * LOAD_COUNT * dags.CHAIN_STEPS / sum(took_s for _, took_s, _ in loads)


def _bytes(loads: list[tuple[float, float, int]], base_bytes: int) -> float:
    return (loads[-1][2] - base_bytes) / (len(loads) * LOAD_COUNT * dags.CHAIN_STEPS)


if __name__ == "__main__":
    result = measure_endurance(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
    print(msgspec.json.encode(result).decode())
    sys.exit(0 if show_endurance(result) else 1)
