"""T-13: the wall clock of a real engine jumps while timers, retries and waits are open: `python -m tests.chaos.clock_jumps`.

libfaketime shows the engine another wall clock, which a file moves at any moment; its monotonic clock stays true. Nothing
may happen twice, no more calls may come than without a jump, and every timer comes as if nothing had been.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from mock_server.ledger import read_ledger
from tests.chaos.evidence import Findings, StoreFile, examine
from tests.chaos.kill_loop import LOOK_EVERY_S
from tests.chaos.load import Api
from tests.chaos.processes import Engine, Target
from tests.figures import figure

LIBRARY = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")  # as the package puts it
DAY_S = 86_400
# Where the wall clock is put, in seconds beside the true one: each step is a jump from the one before it.
JUMPS_S = (3 * DAY_S, 3 * DAY_S - 3_600, 0, -3_600)
INSTANCES_PER_JUMP = 30
WAIT_S = 1.5  # of the wait and of the retry: each jump comes while they are open
TRIES_MAX = 20  # of a start, on a machine that is slow
CALLS_PER_INSTANCE = 3  # the first is refused once
END_S_MAX = 20.0  # from the jump: what takes some three seconds must not wait for the wall clock to catch up


class Seen(msgspec.Struct):
    """What was seen: seconds from each jump to the end of everything that was open, and what the histories say."""

    ended_after_s: list[float]
    calls: int
    findings: Findings


def document(target_port: int) -> dict[str, Any]:
    """Give a DAG with a retry, a wait and a bound that are open for a while."""
    url = f"http://127.0.0.1:{target_port}"

    def call(name: str, path: str, **more: Any) -> dict[str, Any]:
        parameters = {"method": "POST", "url": url + path, "json": {"number": "{{ inputs.number }}"}}
        return {"id": name, "operator": "@http/request", "parameters": parameters, **more}

    return {
        "title": "Clock jumps",
        "inputs": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        "steps": [
            # `/results` refuses the first call of a key.
            call(
                "again",
                "/results/{{ inputs.number }}",
                retry={"max_attempts": 3, "delay_s": WAIT_S, "backoff": 1, "jitter": "none"},
            ),
            {"id": "pause", "operator": "@control/wait", "parameters": {"seconds": WAIT_S}},
            call("last", "/work/5", depends_on=["again", "pause"]),
        ],
    }


class ClockJumps:
    """One run: a target, an engine under libfaketime, instances at each jump."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "offset"
        self.target = Target(folder)
        self._acked: dict[str, str] = {}
        self.engine: Engine | None = None
        self._folder = folder

    def put(self, offset_s: float) -> None:
        """Move the engine's wall clock, in one step."""
        made = self._offset.with_suffix(".new")
        made.write_text(f"{offset_s:+.0f}\n", "ascii")
        made.replace(self._offset)

    def launch(self) -> Engine:
        """Start the engine under the moved clock."""
        if self.engine is None:
            self.engine = Engine(
                self._folder,
                self.target.port,
                LD_PRELOAD=str(LIBRARY),
                FAKETIME_TIMESTAMP_FILE=str(self._offset),
                FAKETIME_NO_CACHE="1",
                # Its mend for old C libraries turns the interpreter's 5 ms waits for its lock into 100 ms and more.
                FAKETIME_FORCE_MONOTONIC_FIX="0",
                DONT_FAKE_MONOTONIC="1",
            )
        self.engine.launch()
        self.engine.wait_ready()
        return self.engine

    def run(self) -> Seen:
        """Jump, and see how long everything that was open then takes to end; at last with a restart in between."""
        self.put(0)
        self.target.run()
        engine = self.launch()
        api = Api(engine.port, engine.api_key)
        try:
            dag_id = api.publish(document(self.target.port))
            took_s = []
            for offset_s in JUMPS_S:
                self._start_some(api, dag_id)
                self.put(offset_s)
                self._start_some(api, dag_id)
                took_s.append(self._wait_ended(engine))
            # A process that starts behind the wall clock of the one before it: new work knows nothing of that.
            api.close()
            engine.stop()
            self.launch()
            self._start_some(api, dag_id)
            took_s.append(self._wait_ended(engine))
            api.close()
            status = engine.stop()
        finally:
            api.close()
        ledger = read_ledger(self.target.ledger_path)
        with StoreFile(engine.store_path) as store:
            findings = examine(store, ledger, self._acked)
        if status:
            findings.faults.append(f"the clean stop ended with {status}")
        return Seen(took_s, len(ledger), findings)

    def _start_some(self, api: Api, dag_id: str) -> None:
        for _ in range(INSTANCES_PER_JUMP):
            number = len(self._acked)
            body = msgspec.json.encode({"number": number})
            key = f"start-{number:04d}"
            for _ in range(TRIES_MAX):
                status, made = api.call(
                    "POST", f"/dags/{dag_id}/run", body, Idempotency_Key=key, Content_Type="application/json"
                )
                if status != 503:
                    break
            if status != 202:
                raise AssertionError(f"{key}: {status} {made}")
            self._acked[key] = made["id"]

    def _wait_ended(self, engine: Engine) -> float:
        """Give the seconds until nothing is open; END_S_MAX when something still is."""
        began_at = time.perf_counter()
        pause = threading.Event()
        while (passed_s := time.perf_counter() - began_at) < END_S_MAX:
            pause.wait(LOOK_EVERY_S)
            with StoreFile(engine.store_path) as store:
                if store.open_count() == 0:
                    return passed_s
        return END_S_MAX

    def close(self) -> None:
        """End both programs."""
        if self.engine is not None:
            self.engine.close()
        self.target.close()


def run_clock_jumps(folder: Path) -> Seen:
    """Run all jumps once."""
    jumps = ClockJumps(folder)
    try:
        return jumps.run()
    finally:
        jumps.close()


def show(seen: Seen) -> bool:
    """Print the figures; say whether all hold."""
    for fault in seen.findings.faults[:10]:
        print(f"  {fault}")
    findings = seen.findings
    scale = {"n": findings.instances, "jumps": len(JUMPS_S)}
    expected = findings.instances * CALLS_PER_INSTANCE
    slowest_s = max(seen.ended_after_s)
    wrong = findings.doubled + len(findings.faults)
    held = [
        figure("clock_jump_lost_count", findings.lost, "= 0", findings.lost == 0, **scale),
        figure("clock_jump_doubled_count", wrong, "= 0", wrong == 0, **scale),
        figure("clock_jump_call_count", seen.calls, f"= {expected}", seen.calls == expected, **scale),
        figure(
            "clock_jump_ended_after_max_s",
            slowest_s,
            f"< {END_S_MAX:.0f}",
            slowest_s < END_S_MAX,
            wait_s=WAIT_S,
            **scale,
        ),
    ]
    return all(held)


def main() -> int:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="flow-clock-") as folder:
        return 0 if show(run_clock_jumps(Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
