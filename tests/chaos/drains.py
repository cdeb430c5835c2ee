"""T-12: SIGTERM under load, again and again: `python -m tests.chaos.drains` (F09, R30).

Each engine ends within its grace, with status 0; what it had begun is done by it and not once more by its successor, which
goes on as soon as it is ready. A second signal ends it at once; an operator that hangs holds it until the grace is over.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from mock_server.ledger import read_ledger
from module.process import EXIT_SECOND_SIGNAL
from tests.budget import length
from tests.chaos.evidence import Findings
from tests.chaos.kill_loop import KillLoop
from tests.chaos.load import Api
from tests.chaos.processes import answers, wait_for
from tests.figures import figure

GRACE_S = 10.0  # of drains under load, whose calls take 30 ms
SHORT_GRACE_S = 2.0  # of the drain that a hanging call holds up
HANGING_MS = 60_000
AT_ONCE_S = 2.0  # for what takes milliseconds, on a machine that does other things as well
RESUMED_S_MAX = 1.0  # F09
WAIT_S_MAX = 20.0
CALL_PACE_S = 0.02


class Tally(msgspec.Struct):
    """How the drains went; times in seconds."""

    drains: int = 0
    wrong_statuses: list[int] = []
    slowest_exit_s: float = 0.0
    slowest_resumed_s: float = 0.0
    repeated: int = 0
    second_signal: tuple[int | None, float] = (None, 0.0)
    hanging: tuple[int | None, float] = (None, 0.0)
    hanging_calls: int = 0


def document(target_port: int) -> dict[str, Any]:
    """Give a DAG whose calls all succeed at once: a call that comes twice was repeated by an engine."""
    url = f"http://127.0.0.1:{target_port}/work"

    def call(name: str, ms: int, **more: Any) -> dict[str, Any]:
        return {"id": name, "operator": "@http/request", "parameters": {"method": "POST", "url": f"{url}/{ms}"}, **more}

    return {
        "title": "Drains",
        "inputs": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        "steps": [
            call("first", 30),
            {"id": "pause", "operator": "@control/wait", "depends_on": ["first"], "parameters": {"seconds": 0.2}},
            call("left", 20, depends_on=["pause"]),
            call("right", 15, depends_on=["first"]),
            call("last", 5, depends_on=["left", "right"]),
        ],
    }


def hanging_document(target_port: int) -> dict[str, Any]:
    """Give a DAG whose one call hangs."""
    url = f"http://127.0.0.1:{target_port}/work/{HANGING_MS}"
    step = {"id": "hang", "operator": "@http/request", "parameters": {"method": "POST", "url": url}}
    return {"title": "Hanging", "steps": [step]}


class DrainLoop(KillLoop):
    """A kill loop that asks its engine to stop instead."""

    def __init__(self, folder: Path, *, seed: int, drain_count: int) -> None:
        super().__init__(
            folder,
            seed=seed,
            instance_count=drain_count * 100,
            pace_s=CALL_PACE_S,
            FLOW_SHARD_COUNT="4",
            FLOW_GRACE_S=str(GRACE_S),
        )
        self.drained = Tally()

    def drain_once(self) -> None:
        """Stop the engine under load, start the next one, and see when it makes its first call."""
        engine, tally = self._engine(), self.drained
        self._pause.wait(self.draw_wait_s())
        began_at = time.perf_counter()
        status = engine.stop()
        tally.slowest_exit_s = max(tally.slowest_exit_s, time.perf_counter() - began_at)
        if status:
            tally.wrong_statuses.append(status)
        tally.drains += 1
        engine.launch()
        before = self._ledger_bytes()
        engine.wait_ready()
        resumed_s = wait_for(lambda: self._ledger_bytes() > before, WAIT_S_MAX, "the first call after a drain")
        tally.slowest_resumed_s = max(tally.slowest_resumed_s, resumed_s)

    def _ledger_bytes(self) -> int:
        return self.target.ledger_path.stat().st_size

    def signal_twice(self) -> None:
        """Send a second signal while a drain waits for a hanging call."""
        engine = self._engine()
        self._hang("second")
        engine.send(signal.SIGTERM)
        wait_for(lambda: not answers(*engine.health), WAIT_S_MAX, "not ready any more")
        began_at = time.perf_counter()
        engine.send(signal.SIGTERM)
        self.drained.second_signal = engine.ends_within(WAIT_S_MAX), time.perf_counter() - began_at
        engine.kill()
        engine.launch()
        engine.wait_ready()
        self._see_again("second")

    def drain_hanging(self) -> None:
        """Drain a call that hangs for longer than the grace; its instance's next attempt is the successor's."""
        engine = self._engine()
        engine.stop()
        engine.launch(FLOW_GRACE_S=str(SHORT_GRACE_S))
        engine.wait_ready()
        self._hang("hung")
        began_at = time.perf_counter()
        engine.send(signal.SIGTERM)
        self.drained.hanging = engine.ends_within(WAIT_S_MAX), time.perf_counter() - began_at
        engine.kill()
        engine.launch()
        engine.wait_ready()
        self._see_again("hung")

    def _hang(self, name: str) -> None:
        """Start an instance whose call hangs, and wait until the call is made."""
        engine = self._engine()
        seen = len(self._hanging_calls())
        api = Api(engine.port, engine.api_key)
        try:
            dag_id = api.publish(hanging_document(self.target.port) | {"title": name})
            _, made = api.call(
                "POST", f"/dags/{dag_id}/run", b"{}", Idempotency_Key=name, Content_Type="application/json"
            )
            self._hanging_id = str(made["id"])
            assert self.load is not None
            self.load.acked[name] = self._hanging_id
            wait_for(lambda: len(self._hanging_calls()) > seen, WAIT_S_MAX, "the hanging call")
        finally:
            api.close()

    def _hanging_calls(self) -> list[str | None]:
        path = f"/work/{HANGING_MS}"
        return [call.key for call in read_ledger(self.target.ledger_path) if call.path == path]

    def _see_again(self, name: str) -> None:
        """Wait for the same call, by the next engine under the same key, and end its instance."""
        engine = self._engine()
        keys = self._hanging_calls()
        wait_for(lambda: Counter(self._hanging_calls())[keys[-1]] > 1, WAIT_S_MAX, f"{name}: the call is made again")
        self.drained.hanging_calls += 1
        api = Api(engine.port, engine.api_key)
        try:
            status, told = api.call("POST", f"/instances/{self._hanging_id}/terminate")
        finally:
            api.close()
        if status >= HTTPStatus.BAD_REQUEST:
            raise AssertionError(f"{name}: {status} {told}")

    def count_repeated(self) -> None:
        """Count calls that came more than once, the hanging ones apart."""
        hanging = set(self._hanging_calls())
        keys = Counter(call.key for call in read_ledger(self.target.ledger_path) if call.key not in hanging)
        self.drained.repeated = sum(count - 1 for count in keys.values())


def run_drains(folder: Path, *, seed: int, drain_count: int) -> tuple[Tally, Findings]:
    """Drain `drain_count` times under load, once with a second signal, once with a hanging call; then compare."""
    loop = DrainLoop(folder, seed=seed, drain_count=drain_count)
    try:
        loop.begin(document)
        for _ in range(drain_count):
            loop.drain_once()
        assert loop.load is not None
        loop.load.stop()
        loop.count_repeated()
        loop.signal_twice()
        loop.drain_hanging()
        return loop.drained, loop.finish()
    finally:
        loop.close()


def show(tally: Tally, findings: Findings, *, seed: int) -> bool:
    """Print the figures; say whether all hold."""
    for fault in findings.faults[:10]:
        print(f"  {fault}")
    scale = {"n": findings.instances, "drains": tally.drains, "seed": seed}
    wrong = findings.lost + findings.doubled + len(findings.faults)
    second_status, second_s = tally.second_signal
    hung_status, hung_s = tally.hanging
    is_at_once = second_status == EXIT_SECOND_SIGNAL and second_s < AT_ONCE_S
    is_in_time = hung_status == 0 and SHORT_GRACE_S <= hung_s < SHORT_GRACE_S + AT_ONCE_S
    statuses = len(tally.wrong_statuses)
    held = [
        figure("F09 drain_repeated_attempts_count", tally.repeated, "= 0", tally.repeated == 0, **scale),
        figure("F09 drain_wrong_status_count", statuses, "= 0", statuses == 0, **scale),
        figure(
            "F09 drain_exit_max_s", tally.slowest_exit_s, f"< {GRACE_S:.0f}", tally.slowest_exit_s < GRACE_S, **scale
        ),
        figure(
            "F09 drain_resumed_max_s", tally.slowest_resumed_s, f"< {RESUMED_S_MAX:.0f}",
            tally.slowest_resumed_s < RESUMED_S_MAX, **scale,
        ),
        figure("F09 drain_second_signal_s", second_s, f"< {AT_ONCE_S:.0f}", is_at_once, status=str(second_status)),
        figure(
            "F09 drain_hanging_operator_s", hung_s, f"< {SHORT_GRACE_S + AT_ONCE_S:.0f}", is_in_time,
            grace_s=SHORT_GRACE_S, status=str(hung_status),
        ),
        figure("F09 drain_hanging_call_made_again_count", tally.hanging_calls, "= 2", tally.hanging_calls == 2),
        figure("F09 drain_other_faults_count", wrong, "= 0", wrong == 0, **scale),
    ]  # fmt: skip
    return all(held)


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory(prefix="flow-drain-") as folder:
        tally, findings = run_drains(Path(folder), seed=seed, drain_count=length("drain_count"))
    return 0 if show(tally, findings, seed=seed) else 1


if __name__ == "__main__":
    sys.exit(main())
