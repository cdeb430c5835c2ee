"""Does a map cost ten times as much when it has ten times as many items? `python -m bench.map_growth`.

The items, 1 KiB each, come from the mock server by `@http/request`; each item's body makes a call of its own length and
gives the item as output, so outputs are 1 KiB each and their order is shuffled. Counted in the store afterwards.

With `--made` ten times as many of both sizes, once: a hundred thousand items of 1 KiB are more than one value may hold,
so each item's body fetches its own. Time is the processor time of the engine's process, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from bench import dags
from bench.engine import Engine
from bench.program import HOST, Program, free_ports
from bench.workloads import CountWrong, check_count, count_in_store
from tests.figures import figure

SMALL, LARGE = 1_000, 10_000
ROUNDS = 3
GROWTH_MAX = 11.0
MEMORY_BYTES_MAX = 150_000_000
ROW_BYTES_MAX = 262_144
OUT_OF_ORDER_SHARE_MIN = 0.2  # of items ended after a later one; in order it would be 0
TASKS_PER_ITEM = 2
MOCK_PORT_FIRST = 24_084
LOOK_S = 1.0  # between looks at an instance that takes longer than a request waits, as `Retry-After` advises
MADE_SMALL, MADE_LARGE = 10_000, 100_000
MADE_MEMORY_BYTES_MAX = 150_000_000


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """One size of the map: seconds, bytes of log, memory over base, the longest row, items that ended out of order."""

    items: int
    wall_s: float
    cpu_s: float
    written_bytes: float
    memory_bytes: int
    row_bytes_max: int
    out_of_order: int


def measure_growth() -> list[Growth]:
    """Run both sizes in turn, each on an engine of its own, beside one mock server.

    Returns:
        Per size what its rounds came to: the times of the one of least processor time, since a shared machine
        changes its speed by half from second to second, and the most of memory and bytes.
    """
    (port,) = free_ports(1, MOCK_PORT_FIRST)
    with Program([sys.executable, "-m", "mock_server", "--port", str(port)], name="mock-server") as mock:
        mock.wait_port(port)
        rounds = [[_measure_fetched(items, port) for items in (SMALL, LARGE)] for _ in range(ROUNDS)]
    return [_together(one_size) for one_size in zip(*rounds, strict=True)]


def measure_made() -> list[Growth]:
    """Run both sizes of the map whose bodies make their items, once."""
    (port,) = free_ports(1, MOCK_PORT_FIRST)
    with Program([sys.executable, "-m", "mock_server", "--port", str(port)], name="mock-server") as mock:
        mock.wait_port(port)
        return [
            _measure(items, port, dags.made_map(port), {"items": list(range(items))})
            for items in (MADE_SMALL, MADE_LARGE)
        ]


def _together(rounds: Sequence[Growth]) -> Growth:
    return msgspec.structs.replace(
        min(rounds, key=lambda one: one.cpu_s),
        written_bytes=max(one.written_bytes for one in rounds),
        memory_bytes=max(one.memory_bytes for one in rounds),
        row_bytes_max=max(one.row_bytes_max for one in rounds),
    )


def show_growth(sizes: list[Growth]) -> bool:
    """Print the figures; say whether all of them hold."""
    is_held = _show_sizes("map", sizes, MEMORY_BYTES_MAX)
    large = sizes[1]
    share = large.out_of_order / large.items
    bound = f">= {OUT_OF_ORDER_SHARE_MIN}"
    return figure("map_items_out_of_order_share", share, bound, share >= OUT_OF_ORDER_SHARE_MIN) and is_held


def show_made(sizes: list[Growth]) -> bool:
    """Print the figures of the map whose bodies make their items; say whether all of them hold."""
    return _show_sizes("made_map", sizes, MADE_MEMORY_BYTES_MAX)


def _show_sizes(name: str, sizes: list[Growth], memory_bytes_max: int) -> bool:
    small, large = sizes
    held = [
        _show(f"{name}_10x_items_cpu_factor", large.cpu_s / small.cpu_s, GROWTH_MAX, large),
        _show(f"{name}_10x_items_bytes_factor", large.written_bytes / small.written_bytes, GROWTH_MAX, large),
        _show(f"{name}_memory_over_base_mb", large.memory_bytes / 1e6, memory_bytes_max / 1e6, large),
        _show(f"{name}_row_bytes_max", max(small.row_bytes_max, large.row_bytes_max), ROW_BYTES_MAX, large),
    ]
    return all(held)


def _measure_fetched(items: int, mock_port: int) -> Growth:
    return _measure(items, mock_port, dags.fetched_map(mock_port), {"count": items}, tasks_beside=1)


def _measure(
    items: int, mock_port: int, document: dags.Document, inputs: dict[str, Any], *, tasks_beside: int = 0
) -> Growth:
    with Engine(f"map-{items}", environment={"FLOW_EGRESS_ALLOW": f"{HOST}:{mock_port}"}) as engine:
        dag_id = engine.publish(document)
        given = msgspec.json.encode(inputs).decode()
        load = engine.make_load(dag_id, count=1, in_flight=1, inputs=given)
        measured = engine.measure(msgspec.structs.replace(load, look_s=LOOK_S))
    counts = count_in_store(engine.store_path)
    count = counts.by_dag.get(dag_id)
    check_count(f"map over {items}", count, instances=1, tasks_each=items * TASKS_PER_ITEM + tasks_beside)
    if count is None:
        raise CountWrong(f"map over {items}: nothing was found")
    return Growth(
        items=items,
        wall_s=measured.load.wall_s,
        cpu_s=measured.engine_cpu_s,
        written_bytes=measured.counters["bytes"],
        memory_bytes=measured.peak_bytes - measured.base_bytes,
        row_bytes_max=counts.row_bytes_max,
        out_of_order=count.items_out_of_order,
    )


def _show(name: str, value: float, bound: float, large: Growth) -> bool:
    return figure(name, value, f"<= {bound:g}", value <= bound, items=large.items, wall_s=large.wall_s)


def main() -> None:
    """Measure what is asked for and say whether the figures hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.map_growth", description=__doc__)
    parser.add_argument("--made", action="store_true", help="a hundred thousand items that their bodies make")
    is_made = parser.parse_args().made
    sizes = measure_made() if is_made else measure_growth()
    for size in sizes:
        print(msgspec.json.encode(size).decode())
    sys.exit(0 if (show_made(sizes) if is_made else show_growth(sizes)) else 1)


if __name__ == "__main__":
    main()
