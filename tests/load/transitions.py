"""F15: durable transitions per second with a sync per commit, and how long a commit takes.

A transition is what one instance has in one commit: its decisions upon one or more inputs, compared and set on its `seq`
with its journal row. `flow_node_committed_item_total` counts those that landed. The load is long chains of steps that do
nothing, as many in flight as fill commits without making them long: a transition is hardly ever more than one decision
(the end of a step and the start of the next), and starts over HTTP are one of a hundred. Rounds are short, and their
median counts.
"""

from __future__ import annotations

import statistics

import msgspec

from bench.dags import chain
from bench.engine import Engine, send_load
from bench.machine import Slowness, cpu_s, slowness
from bench.workloads import check_count, count_in_store
from tests.budget import length
from tests.figures import figure
from tests.load.engines import open_engine
from tests.load.histogram import quantile, read_buckets

STEPS = 100
IN_FLIGHT = 48
ROUNDS = 5
WARM_COUNT = 48
PER_S_MIN = 5_000.0
COMMIT_P99_S_MAX = 0.015


class Round(msgspec.Struct, frozen=True):
    """One round: transitions, seconds by the clock and of the engine's processor time, commits by their duration."""

    transition_count: float
    wall_s: float
    cpu_s: float
    commit_p99_s: float
    slow: Slowness


def measure() -> bool:
    """Run the rounds, and count in the store afterwards."""
    count = length("transition_instance_count")
    with open_engine("F15") as engine:
        dag_id = engine.publish(chain(STEPS))
        send_load(engine.make_load(dag_id, count=WARM_COUNT, in_flight=IN_FLIGHT))
        rounds = [_round(engine, dag_id, count) for _ in range(ROUNDS)]
    found = count_in_store(engine.store_path).by_dag.get(dag_id)
    check_count("F15", found, instances=WARM_COUNT + ROUNDS * count, tasks_each=STEPS)
    # Per second of the engine's processor time, all threads: others on the machine take the clock's seconds away.
    per_s = statistics.median(one.transition_count * one.slow.cpu / one.cpu_s for one in rounds)
    p99_s = statistics.median(one.commit_p99_s / one.slow.wall for one in rounds)
    rate = figure(
        "F15 transitions_per_s",
        per_s,
        f">= {PER_S_MIN:g} at the usual speed",
        per_s >= PER_S_MIN,
        by_the_clock=statistics.median(one.transition_count / one.wall_s for one in rounds),
        slow_cpu=statistics.median(one.slow.cpu for one in rounds),
        rounds=ROUNDS,
        instances=count,
    )
    commits = figure(
        "F15 commit_p99_s",
        p99_s,
        f"< {COMMIT_P99_S_MAX:g} at the usual speed",
        p99_s < COMMIT_P99_S_MAX,
        by_the_clock=statistics.median(one.commit_p99_s for one in rounds),
        slow=statistics.median(one.slow.wall for one in rounds),
    )
    return rate and commits


def _round(engine: Engine, dag_id: str, count: int) -> Round:
    before = engine.read_metrics()
    used_s, early = cpu_s(engine.pid), slowness()
    result = send_load(engine.make_load(dag_id, count=count, in_flight=IN_FLIGHT))
    used_s, late = cpu_s(engine.pid) - used_s, slowness()
    after = engine.read_metrics()
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return Round(
        transition_count=grown["flow_node_committed_item_total"],
        wall_s=result.wall_s,
        cpu_s=used_s,
        commit_p99_s=quantile(read_buckets(grown, "flow_commit_seconds"), 0.99),
        slow=Slowness((early.wall + late.wall) / 2, (early.cpu + late.cpu) / 2),
    )
