"""F19: a business domain feels little of another one that sends fifty times what it may.

`a` starts instances of ten steps at fifty times the limit on its requests: what the limit lets through is more than there
are places for, so a line of `a` is there all the time, and the rest is refused. `b` has a few instances in flight, each
of one step of a fixed length. Its 99th percentile is held against its own before and after, when it is alone.
A round has a new engine; the median of the rounds counts.
"""

from __future__ import annotations

import re
import statistics
from typing import Any

import msgspec

from bench.engine import Engine, send_load
from bench.load import Load
from bench.machine import percentile
from tests.budget import length
from tests.figures import figure
from tests.load.engines import one_step, open_engine, wait_until
from tests.load.flood import Flood, Flooding

QUOTA_PER_MINUTE = 600
SENT_OF_QUOTA = 50
PLACES = 16
WIDTH = 10  # steps of an instance of `a`, all at once
A_STEP_S, B_STEP_S = 0.05, 0.04
IDLE_COUNT, BESIDE_COUNT = 100, 200  # of `b`, before and after; and while `a` floods. Within its own quota
IN_FLIGHT = 4  # of `b`; four that wait for all of `a` are more than a hundredth of BESIDE_COUNT
CONNECTIONS = 32
SERVE = ("tests.load.serving",)
FACTOR_MAX = 2.0


class Round(msgspec.Struct, frozen=True):
    """Latencies of `b`, alone and beside `a`; what became of the requests of `a`, by status, and how many came a second."""

    idle_s: list[float]
    beside_s: list[float]
    counts: dict[int, int]
    sent_per_s: float
    line: float

    @property
    def factor(self) -> float:
        """What the 99th percentile of `b` is of its idle one."""
        return percentile(self.beside_s, 0.99) / percentile(self.idle_s, 0.99)


def measure() -> bool:
    """Run the rounds."""
    rounds = [_round() for _ in range(length("neighbour_round_count"))]
    factor = statistics.median(one.factor for one in rounds)
    sent = statistics.median(one.sent_per_s for one in rounds) * 60 / QUOTA_PER_MINUTE
    return figure(
        "F19 p99_of_idle_p99",
        factor,
        f"<= {FACTOR_MAX:g}",
        factor <= FACTOR_MAX,
        idle_p99_s=statistics.median(percentile(one.idle_s, 0.99) for one in rounds),
        n=BESIDE_COUNT,
        rounds=len(rounds),
        sent_of_quota=sent,
        started=sum(one.counts.get(202, 0) for one in rounds),
        refused=sum(one.counts.get(429, 0) for one in rounds),
        line=min(one.line for one in rounds),
    )


def _round() -> Round:
    settings = {"FLOW_RATE_DOMAIN_PER_MINUTE": str(QUOTA_PER_MINUTE), "FLOW_ATTEMPTS_MAX": str(PLACES)}
    with open_engine("F19", settings, SERVE) as engine:
        keys = {name: _key(engine, name) for name in ("a", "b")}
        wide = engine.publish(_wide(), keys["a"])
        one = engine.publish(one_step("One", "@load/hold", s=B_STEP_S), keys["b"])
        load = _of(engine.make_load(one, count=IDLE_COUNT, in_flight=IN_FLIGHT), keys["b"])
        idle = send_load(load).latencies_s
        of_a = _of(engine.make_start_load(wide, count=1, in_flight=1), keys["a"])
        flood = Flood(
            port=of_a.port, path=of_a.path, headers=of_a.headers, body="{}", connection_count=CONNECTIONS,
            per_s=SENT_OF_QUOTA * QUOTA_PER_MINUTE / 60,
        )  # fmt: skip
        with Flooding(flood) as flooding:
            wait_until(engine, lambda metrics: metrics["flow_node_waiting_instances"] >= PLACES)
            beside = send_load(msgspec.structs.replace(load, count=BESIDE_COUNT)).latencies_s
            line = engine.read_metrics()["flow_node_waiting_instances"]
        wait_until(engine, lambda metrics: not metrics["flow_node_open_attempts"])
        idle += send_load(load).latencies_s
    return Round(idle, beside, flooding.counts, flooding.sent_count / flooding.lasted_s, line)


def _wide() -> dict[str, Any]:
    steps = [{"id": f"s{n}", "operator": "@load/hold", "parameters": {"s": A_STEP_S}} for n in range(WIDTH)]
    return {"title": "Wide", "steps": steps}


def _of(load: Load, key: str) -> Load:
    return msgspec.structs.replace(load, headers={"Authorization": f"Bearer {key}"})


def _key(engine: Engine, tenant: str) -> str:
    engine.wait_said(re.compile(rf"^{tenant} (\S+)$", re.MULTILINE))
    found = re.search(rf"^{tenant} (\S+)$", engine.said, re.MULTILINE)
    assert found is not None
    return found.group(1)
