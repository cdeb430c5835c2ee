"""The workloads on this project's engine, each counted in the store by another process after the engine stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench import dags
from bench.count import Count, Counts
from bench.engine import STORE_FILE, Engine, Measured, send_load
from bench.in_process import WARM as IN_PROCESS_WARM
from bench.in_process import InProcessResult
from bench.program import DATA, ROOT, call_module
from bench.report import OURS, Row, make_row

W1, W2, W3, W4, W5 = "W1 chain", "W2 fan-out", "W3 single", "W4 single", "W5 light chain"
W3_IN_PROCESS = "W3 in process"
W6_SMALL, W6_LARGE = "W6 map 10 000", "W6 map 100 000"
NAMES = (W1, W2, W3, W3_IN_PROCESS, W4, W5, W6_SMALL, W6_LARGE)
IN_FLIGHT = 100
W6_ITEMS = {W6_SMALL: 10_000, W6_LARGE: 100_000}


class CountWrong(Exception):
    """The store does not hold what the load believes to have done."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One workload over HTTP: `tasks` per instance, `warm` instances before the clock starts."""

    name: str
    document: dags.Document
    tasks: int
    count: int
    in_flight: int
    warm: int = 5
    inputs: str = "{}"


def http_workloads() -> dict[str, Workload]:
    """Give the workloads that share one engine, in the order they run in."""
    fan = dags.FAN_STEPS + 2
    known = (
        Workload(name=W3, document=dags.single(W3), tasks=1, count=200, in_flight=1, warm=20),
        Workload(name=W1, document=dags.chain(), tasks=dags.CHAIN_STEPS, count=1000, in_flight=IN_FLIGHT),
        Workload(name=W2, document=dags.fan(), tasks=fan, count=10, in_flight=1, warm=1),
        Workload(name=W4, document=dags.single(W4), tasks=1, count=2000, in_flight=IN_FLIGHT),
        Workload(name=W5, document=dags.light_chain(), tasks=dags.LIGHT_STEPS, count=3, in_flight=1, warm=1),
    )
    return {workload.name: workload for workload in known}


def map_workload(name: str) -> Workload:
    """Give W6 in one of its two sizes."""
    items = W6_ITEMS[name]
    inputs = msgspec.json.encode({"items": list(range(items))}).decode()
    return Workload(name=name, document=dags.noop_map(), tasks=items, count=1, in_flight=1, warm=0, inputs=inputs)


def run_on_engine(
    workloads: list[Workload], folder_name: str, on_engine: Callable[[Engine], None] | None = None, root: Path = ROOT
) -> tuple[list[Row], Counts]:
    """Run workloads one after the other on one new engine, stop it, and check each against its store.

    Args:
        on_engine: called with the engine after the loads, before it stops.
        root: the folder that holds the program.

    Raises:
        CountWrong: an instance or a task is missing or doubled.
    """
    measured: list[tuple[Workload, str, Measured]] = []
    with Engine(folder_name, root=root) as engine:
        for workload in workloads:
            dag_id = engine.publish(workload.document)
            load = engine.make_load(
                dag_id,
                count=workload.count,
                in_flight=workload.in_flight,
                inputs=workload.inputs,
            )
            if workload.warm:
                send_load(msgspec.structs.replace(load, count=workload.warm))
            measured.append((workload, dag_id, engine.measure(load)))
        if on_engine is not None:
            on_engine(engine)
    counts = count_in_store(engine.store_path)
    return [_row(workload, one, counts.by_dag.get(dag_id)) for workload, dag_id, one in measured], counts


def run_in_process(count: int = 200) -> Row:
    """Run W3 through the services alone, in a process of its own."""
    folder = DATA / "in-process"
    shutil.rmtree(folder, ignore_errors=True)
    printed = call_module("bench.in_process", str(folder), str(count))
    # The engine writes its log to the same place; the result is the last line.
    result = msgspec.json.decode(printed.splitlines()[-1], type=InProcessResult)
    found = count_in_store(folder / STORE_FILE).by_dag.get(result.dag_id)
    check_count(W3_IN_PROCESS, found, instances=count + IN_PROCESS_WARM, tasks_each=1)
    return make_row(
        OURS,
        W3_IN_PROCESS,
        instances=count,
        tasks=count,
        wall_s=sum(result.latencies_s),
        latencies_s=result.latencies_s,
        cpu_s=result.cpu_s,
    )


def count_in_store(path: Path) -> Counts:
    """Let another process read the store of an engine that stopped."""
    return msgspec.json.decode(call_module("bench.count", str(path)), type=Counts)


def check_count(name: str, found: Count | None, *, instances: int, tasks_each: int) -> None:
    """Compare what the journals say with what was asked for.

    Raises:
        CountWrong: with both.
    """
    expected = Count(instances=instances, succeeded=instances, tasks=instances * tasks_each)
    if found is None or msgspec.structs.replace(found, items_out_of_order=0) != expected:
        raise CountWrong(f"{name}: expected {expected}, found {found}")


def _row(workload: Workload, measured: Measured, found: Count | None) -> Row:
    check_count(workload.name, found, instances=workload.warm + workload.count, tasks_each=workload.tasks)
    row = make_row(
        OURS,
        workload.name,
        instances=workload.count,
        tasks=workload.count * workload.tasks,
        wall_s=measured.load.wall_s,
        latencies_s=measured.load.latencies_s,
        cpu_s=measured.engine_cpu_s,
    )
    return msgspec.structs.replace(
        row,
        counters=measured.counters,
        base_bytes=measured.base_bytes,
        peak_bytes=measured.peak_bytes,
    )
