"""W3 without HTTP: the same services in this process, one instance after the other, each from start to outcome.

`python -m bench.in_process FOLDER COUNT` prints the latencies; the caller counts in the store afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec
import uvloop

from bench.dags import single
from core.access.permission import ADMINISTRATOR
from core.ports.scope import Principal, Scope
from module.process import run_process
from module.settings import Settings

WARM = 20  # instances before the clock: plan compiled, statements prepared
WAIT_S = 10.0  # of one instance with one step; a thousand times what it takes
DOMAIN_OF_NEW_STORE = "default"


class InProcessResult(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies after WARM instances, and the CPU seconds of this process for them."""

    dag_id: str
    latencies_s: list[float]
    cpu_s: float


async def measure(folder: Path, count: int) -> InProcessResult:
    """Start everything on free ports, run the instances, stop.

    Raises:
        AssertionError: an instance did not end in time.
    """
    settings = Settings(data_dir=folder, http_port=0, http_private_port=0, log_level="warning")
    stop = asyncio.Event()
    scope = Scope(DOMAIN_OF_NEW_STORE, Principal("bench", "system", "system:bench", (ADMINISTRATOR,)))
    async with run_process(settings, stop) as running:
        document = msgspec.json.encode(single("W3 in process"))
        dags = running.box.dag_access()
        dag = await dags.create(scope, dags.read(scope, document, "json"), if_exists="refuse")
        instances = running.box.instance_service()
        latencies: list[float] = []
        cpu = 0.0
        for number in range(WARM + count):
            if number == WARM:
                cpu = time.process_time()
            began = time.perf_counter()
            started = await instances.start(scope, dag.id, {})
            ended = await instances.wait(scope, started.instance_id, WAIT_S)
            latencies.append(time.perf_counter() - began)
            if ended is None:
                raise AssertionError(f"{started.instance_id} has not ended after {WAIT_S} s")
        used_s = time.process_time() - cpu
        return InProcessResult(dag_id=dag.id, latencies_s=latencies[WARM:], cpu_s=used_s)


def main() -> None:
    """Measure and print."""
    result = uvloop.run(measure(Path(sys.argv[1]), int(sys.argv[2])))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
