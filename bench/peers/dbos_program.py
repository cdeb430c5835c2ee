"""The workloads in one process of DBOS, in its own environment: `python dbos_program.py DATABASE_URL CHAINS SINGLES`.

DBOS is a library: workflows are started in the process that runs them, and every step is recorded before the next one.
Prints one JSON object per line: workload, workflows, latencies, wall and CPU seconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

from dbos import DBOS  # type: ignore[import-not-found] # installed in an environment of its own

AT_ONCE = 100
CHAIN_STEPS = 10
FAN_STEPS = 200
FANS = 3
LATENCIES = 50

Workflow = Callable[[int], Awaitable[int]]


async def nop(number: int) -> int:
    """Do nothing."""
    return number


async def chain(number: int) -> int:
    """W1: ten steps one after the other."""
    for step_number in range(CHAIN_STEPS):
        await step(step_number)
    return number


async def fan(number: int) -> int:
    """W2: one, two hundred at once, one."""
    await step(number)
    middle = await asyncio.gather(*(step(step_number) for step_number in range(FAN_STEPS)))
    last: int = await step(len(middle))
    return last


async def single(number: int) -> int:
    """W3 and W4: one step."""
    only: int = await step(number)
    return only


async def run(workflow: Workflow, count: int, at_once: int) -> list[float]:
    """Run a workflow so many times, so many at once; give the seconds of each."""
    turns = iter(range(count))
    latencies: list[float] = []

    async def lane() -> None:
        for number in turns:
            began = time.perf_counter()
            handle = await DBOS.start_workflow_async(workflow, number)
            await handle.get_result()
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(lane() for _ in range(min(at_once, count))))
    return latencies


async def measure(name: str, workflow: Workflow, count: int, at_once: int) -> None:
    """Run one workload and print what it took."""
    used, began = os.times(), time.perf_counter()
    latencies = await run(workflow, count, at_once)
    wall_s, now = time.perf_counter() - began, os.times()
    cpu_s = now.user + now.system - used.user - used.system
    line = {"workload": name, "count": count, "wall_s": wall_s, "cpu_s": cpu_s, "latencies_s": latencies}
    print(json.dumps(line), flush=True)


async def main(chains: int, singles: int) -> None:
    """Run every workload after one workflow that warms up."""
    await run(chain_workflow, 1, 1)
    await measure("W3 single", single_workflow, LATENCIES, 1)
    await measure("W1 chain", chain_workflow, chains, AT_ONCE)
    await measure("W2 fan-out", fan_workflow, FANS, 1)
    await measure("W4 single", single_workflow, singles, AT_ONCE)


if __name__ == "__main__":
    # The version is fixed, so that workflows of an earlier run would be taken up; the store is new each time.
    DBOS(
        config={
            "name": "bench",
            "system_database_url": sys.argv[1],
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    step = DBOS.step()(nop)
    chain_workflow, fan_workflow, single_workflow = (DBOS.workflow()(each) for each in (chain, fan, single))
    DBOS.launch()
    try:
        asyncio.run(main(int(sys.argv[2]), int(sys.argv[3])))
    finally:
        DBOS.destroy()
