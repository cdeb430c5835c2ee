"""F16: how long after its start's request the first task of an instance is called, on an engine that does nothing else.

The step says when it was called, by the clock of the same machine. Requests come one after the other over one
connection; the median of a few rounds counts, since one round of two hundred has two values above its 99th percentile.
"""

from __future__ import annotations

import statistics
import time

import msgspec
import uvloop

from bench.client import connect, encode_request
from bench.load import Load
from bench.machine import percentile, slowness
from tests.budget import length
from tests.figures import figure
from tests.load.engines import one_step, open_engine

ROUNDS = 3
WARM_COUNT = 20
FIRST_TASK_P99_S_MAX = 0.025


def measure() -> bool:
    """Start the instances and compare the two times of each."""
    count = length("first_task_count")
    with open_engine("F16") as engine:
        dag_id = engine.publish(one_step("Stamp", "@load/stamp"))
        load = engine.make_load(dag_id, count=1, in_flight=1)
        uvloop.run(_start_in_turn(load, WARM_COUNT))
        slow, rounds = slowness().wall, [uvloop.run(_start_in_turn(load, count)) for _ in range(ROUNDS)]
    p99_s = statistics.median(percentile(took, 0.99) for took in rounds)
    bound_s = FIRST_TASK_P99_S_MAX * slow
    return figure(
        "F16 first_task_p99_s",
        p99_s,
        f"< {FIRST_TASK_P99_S_MAX:g} at the usual speed",
        p99_s < bound_s,
        n=count,
        rounds=ROUNDS,
        p50_s=statistics.median(percentile(took, 0.5) for took in rounds),
        scaled_bound_s=bound_s,
    )


async def _start_in_turn(load: Load, count: int) -> list[float]:
    """Give the seconds from each request to the call of its step."""
    connection = await connect(load.port)
    request = encode_request("POST", load.path, load.headers, b"{}")
    took = []
    try:
        for _ in range(count):
            began = time.time()  # noqa: TID251 - compared with the time that the step tells
            answer = await connection.ask(request)
            assert 200 == answer.status, answer.body
            took.append(msgspec.json.decode(answer.body)["outputs"]["only"]["at"] - began)
    finally:
        connection.close()
    return took
