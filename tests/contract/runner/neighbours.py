"""How fast the engine answers while programs do their worst beside it (security.md S-21).

`python -m tests.contract.runner.neighbours`, on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import time

from core.ports.task_runner import RunLimits, RunRequest
from driven_adapters.sandbox import LocalRunner
from tests.budget import length
from tests.figures import figure
from tests.http.world import World, open_world

REQUEST_COUNT = 2_000
BOMBS = (
    "def main():\n    while True:\n        pass",
    "def main():\n    while True:\n        print()",
    "def main():\n    kept = []\n    while True:\n        kept.append('x' * 2**20 + str(len(kept)))",
)
LIMITS = RunLimits(wall_s=2.0, cpu_s=1.0, memory_mib=128, log_bytes=2**20)


async def p99_s(world: World, dag_id: str) -> float:
    """Start instances one after another, each answered when it ended, and give the 99th percentile."""
    took_s = []
    for _ in range(REQUEST_COUNT):
        begun_at = time.perf_counter()
        answer = await world.ask("POST", f"/dags/{dag_id}/run?wait=30", {})
        took_s.append(time.perf_counter() - begun_at)
        assert "succeeded" == answer.json["status"]
    return sorted(took_s)[int(REQUEST_COUNT * 0.99)]


async def keep_bombing(runner: LocalRunner, code: str) -> None:
    while True:
        await runner.run(
            RunRequest(domain_id="d", mode="isolated", code=code, inputs={}, limits=LIMITS), lambda _: None
        )


async def bombed_p99_s(world: World, dag_id: str, runner: LocalRunner) -> float:
    """Measure beside programs that are begun again whenever their bounds have ended them."""
    bombs = [asyncio.create_task(keep_bombing(runner, code)) for code in BOMBS]
    try:
        return await p99_s(world, dag_id)
    finally:
        for bomb in bombs:
            bomb.cancel()
        await asyncio.gather(*bombs, return_exceptions=True)


async def measure() -> bool:
    """Measure a calm and a bombed round beside each other, in turn this way round and that; the growth is the median."""
    growth_max, pair_count = round(100 / length("neighbour_pace_percent"), 2), length("neighbour_pair_count")
    async with open_world() as world, LocalRunner() as runner:
        if (refusal := runner.refusal("isolated")) is not None:
            sys.stdout.write(f"not measured: {refusal}\n")
            return True
        dag_id = await world.create()
        await p99_s(world, dag_id)
        calm_s: list[float] = []
        bombed_s: list[float] = []
        for pair in range(pair_count):
            if pair % 2:
                bombed_s.append(await bombed_p99_s(world, dag_id, runner))
            calm_s.append(await p99_s(world, dag_id))
            if not pair % 2:
                bombed_s.append(await bombed_p99_s(world, dag_id, runner))
        growths = sorted(bombed / calm for bombed, calm in zip(bombed_s, calm_s, strict=True))
        growth, low, high = growths[pair_count // 2], growths[pair_count // 4], growths[pair_count * 3 // 4]
        spread = {"quarter": low, "three_quarters": high, "calm_s": sorted(calm_s)[pair_count // 2]}
        name, bound = "S-21 engine_p99_growth_beside_bombs", f"<= {growth_max}"
        return figure(name, growth, bound, growth <= growth_max, n=REQUEST_COUNT, pairs=pair_count, **spread)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(measure()) else 1)
