"""`python -m bench`: every workload on this project's engine, alternating with the peers that are asked for.

One table at the end with medians over the rounds and [least..most], a FIGURE line per promise, and, of a run with every
workload, a file under bench/results. Exit status 1 when a promise does not hold.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench import endurance, limits, map_growth, syncs, waiting
from bench.machine import describe_machine
from bench.peers.dbos_peer import run_dbos
from bench.peers.restate_peer import run_restate
from bench.program import CALL_S_MAX, DATA, ROOT, ProgramFailed, call_module, only_one
from bench.promises import Run, show_promises
from bench.raw import RawLimit
from bench.report import SYSTEMS, Row, Rows, make_table
from bench.workloads import (
    NAMES,
    W3,
    W3_IN_PROCESS,
    W6_ITEMS,
    CountWrong,
    http_workloads,
    map_workload,
    run_in_process,
    run_on_engine,
)
from tests import figures

RESULTS = ROOT / "bench" / "results"
ROUNDS = 3  # with peers: A B A B A
ROUND_COUNT_MAX = 25
PEERS = {"restate": run_restate, "dbos": run_dbos}
FURTHER = ("syncs", "growth", "W7 waiting", "W9 limits", "W10 endurance")  # what is measured once, beside the workloads


class _Raw(msgspec.Struct):
    limit: RawLimit
    store: RawLimit
    calibration: dict[str, float]


def main() -> None:
    """Measure what is asked for and say whether the promises hold."""
    arguments = _read_arguments()
    DATA.mkdir(parents=True, exist_ok=True)
    try:
        with only_one(DATA / "lock"):
            is_held = _measure(arguments.only, arguments.peers, arguments.rounds)
    except (ProgramFailed, CountWrong) as fault:
        sys.exit(f"bench: {fault}")
    sys.exit(0 if is_held else 1)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--peers", type=_peers, default=os.environ.get("PEERS", ""), help="restate,dbos")
    parser.add_argument("--rounds", type=int, choices=range(1, ROUND_COUNT_MAX + 1), default=ROUNDS, metavar="N")
    parser.add_argument("--only", type=_only, default="", help="W1,W2,W3,W4,W5,W6,W7,W9,W10,syncs,growth")
    return parser.parse_args()


def _peers(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"no peer is called {', '.join(sorted(unknown))}")
    return names


def _only(text: str) -> list[str]:
    """Give the chosen names in full: "W6" means both of its sizes."""
    known = (*NAMES, *FURTHER)
    asked = [name for name in text.split(",") if name] or known
    chosen = [name for name in known if any(f"{name} ".startswith(f"{part} ") for part in asked)]
    if not chosen:
        raise argparse.ArgumentTypeError(f"nothing of {', '.join(known)} begins like that")
    return chosen


def _measure(chosen: list[str], peers: list[str], round_count: int) -> bool:
    if peers:
        subprocess.run([str(ROOT / "bench/peers/setup.sh"), *peers], check=True, timeout=CALL_S_MAX)
    rows, longest, raws = Rows(), 0, []
    failed: set[str] = set()
    for number in range(round_count):
        _say(f"round {number + 1} of {round_count}")
        raws.append(_measure_raw())
        for row, row_bytes in _run_ours(chosen):
            rows.all.append(_told(row))
            longest = max(longest, row_bytes)
        if number < round_count - 1 or round_count == 1:
            for peer in peers:
                rows.all += _run_peer(peer, failed)
    raw, store = _fastest([each.limit for each in raws]), _fastest([each.store for each in raws])
    loop_ms = statistics.median(each.calibration["loop_ms"] for each in raws)
    further: dict[str, Any] = {}
    is_held = _measure_further(chosen, further)
    run = Run(rows=rows, raw=raw, store=store, loop_ms=loop_ms, row_bytes_max=longest)
    table = make_table(rows, [name for name in NAMES if name in chosen], SYSTEMS, _limits(raws, raw))
    print(f"\n{table}")
    is_held = show_promises(run) and is_held and not failed
    if len(chosen) < len((*NAMES, *FURTHER)):
        return is_held  # a part of the workloads is for looking, not for the record
    _keep(
        {
            "machine": describe_machine(),
            "calibrations": [each.calibration for each in raws],
            "raw": [each.limit for each in raws],
            "raw_store": [each.store for each in raws],
            "rows": rows.all,
            **further,
            "figures": figures.lines(),
        },
        table,
    )
    return is_held


def _run_ours(chosen: list[str]) -> list[tuple[Row, int]]:
    """Run one round of this project's engine; each row with the longest row of its store."""
    found: list[tuple[Row, int]] = []
    shared = [workload for name, workload in http_workloads().items() if name in chosen]
    groups = [shared] if shared else []
    groups += [[map_workload(name)] for name in W6_ITEMS if name in chosen]
    for group in groups:
        rows, counts = run_on_engine(group, "engine")
        found += [(row, counts.row_bytes_max) for row in rows]
    if W3_IN_PROCESS in chosen:
        found.append((run_in_process(), 0))
    return found


def _run_peer(peer: str, failed: set[str]) -> list[Row]:
    """Run one round of a peer; one that fails is told and fails the command, but what else was measured is kept."""
    try:
        return [_told(row) for row in PEERS[peer]()]
    except ProgramFailed as fault:
        _say(f"  {peer} FAILED: {fault}")
        failed.add(peer)
        return []


def _measure_further(chosen: list[str], kept: dict[str, Any]) -> bool:
    is_held = True
    if "syncs" in chosen:
        counted = syncs.measure_syncs()
        kept["syncs"] = counted
        is_held = figures.figure(
            "log_syncs_per_commit",
            counted.log_syncs / counted.commits,
            ">= 1",
            counted.log_syncs >= counted.commits,
            syncs=counted.log_syncs,
            commits=counted.commits,
        )
    if "growth" in chosen:
        kept["growth"] = map_growth.measure_growth()
        is_held = map_growth.show_growth(kept["growth"]) and is_held
    if "W7 waiting" in chosen:
        kept["waiting"] = waiting.measure_waiting()
        is_held = waiting.show_waiting(kept["waiting"]) and is_held
    if "W9 limits" in chosen:
        kept["limits"] = limits.measure_limits()
        is_held = limits.show_limits(kept["limits"]) and is_held
    if "W10 endurance" in chosen:
        kept["endurance"] = endurance.measure_endurance()
        is_held = endurance.show_endurance(kept["endurance"]) and is_held
    return is_held


def _fastest(limits: list[RawLimit]) -> RawLimit:
    """Give the fastest round: neighbours on the machine only take away from what it allows."""
    return max(limits, key=lambda limit: limit.tasks_per_s)


def _measure_raw() -> _Raw:
    """Measure limit and calibration in a process of their own, which holds nothing else."""
    return msgspec.json.decode(call_module("bench.raw"), type=_Raw)


def _limits(raws: list[_Raw], raw: RawLimit) -> dict[str, str]:
    """Say what the machine allows: the bare loop for rates, two synchronisations for the latency of one step."""
    sync_ms = statistics.median(each.calibration["sync_ms"] for each in raws)
    rate = f"raw {raw.tasks_per_s:,.0f} tasks/s"
    return dict.fromkeys(NAMES, rate) | dict.fromkeys((W3, W3_IN_PROCESS), f"2 syncs {2 * sync_ms:.2g} ms")


def _keep(content: dict[str, Any], table: str) -> None:
    """Write the result under the time of its end; the file is meant to be committed."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)  # noqa: TID251 - a record's date
    path = RESULTS / f"{now:%Y-%m-%d-%H%M}.json"
    record = {"date": now.date().isoformat(), **content, "table": table.splitlines()}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    _say(f"kept in {path.relative_to(ROOT)}")


def _told(row: Row) -> Row:
    _say(f"  {row.system}: {row.workload}: {row.tasks_per_s:,.0f} tasks/s, p50 {row.p50_ms:.1f} ms")
    return row


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
