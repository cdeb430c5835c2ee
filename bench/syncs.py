"""Does every commit reach the disk? A run of its own under strace counts the synchronisations of the store's log."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec

from bench import dags
from bench.engine import Engine, send_load
from bench.program import DATA, ProgramFailed
from bench.workloads import IN_FLIGHT, check_count, count_in_store

INSTANCES = 200  # strace makes every call dear; some hundred commits are enough to compare counts
WRITTEN_S_MAX = 10.0  # until the tracer has written its last line
LOOK_S = 0.05
# A call that another thread's line interrupts is told in two lines; only the first has the name before a bracket.
_SYNC = re.compile(r"\bf(?:data)?sync\(\d+<[^>]*>")
_SYNC_OF_LOG = re.compile(r"\bf(?:data)?sync\(\d+<[^>]*-wal>")
_ENDED = re.compile(r"^\d+ +\+\+\+ exited with \d+ \+\+\+$", re.MULTILINE)


class Syncs(msgspec.Struct, frozen=True, kw_only=True):
    """Commits that the engine counted, and synchronisations asked of the kernel: of the log, and of all files."""

    commits: int
    log_syncs: int
    syncs: int


def measure_syncs() -> Syncs:
    """Run chains under strace and compare.

    Raises:
        ProgramFailed: strace did not say its last word. CountWrong: an instance or a task is missing.
    """
    DATA.mkdir(parents=True, exist_ok=True)
    trace = DATA / "strace.txt"
    trace.unlink(missing_ok=True)
    # -DDD: the tracer stands aside in a session of its own, so that the engine is our child and gets our signal.
    tracer: list[str | Path] = ["strace", "-DDD", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", trace]
    with Engine("engine-traced", before=tracer) as engine:
        dag_id = engine.publish(dags.chain())
        send_load(engine.make_load(dag_id, count=INSTANCES, in_flight=IN_FLIGHT))
        commits = int(engine.read_counters()["store_commits"])
        pid = engine.pid
    check_count(
        "traced run",
        count_in_store(engine.store_path).by_dag.get(dag_id),
        instances=INSTANCES,
        tasks_each=dags.CHAIN_STEPS,
    )
    text = _finished(trace, pid)
    return Syncs(commits=commits, log_syncs=len(_SYNC_OF_LOG.findall(text)), syncs=len(_SYNC.findall(text)))


def _finished(trace: Path, pid: int) -> str:
    last = time.perf_counter() + WRITTEN_S_MAX
    while time.perf_counter() < last:
        text = trace.read_text("utf-8", errors="replace") if trace.exists() else ""
        if any(line.startswith(str(pid)) for line in map(str.strip, _ENDED.findall(text))):
            return text
        time.sleep(LOOK_S)
    raise ProgramFailed(f"strace has not finished {trace.name} after {WRITTEN_S_MAX} s")
