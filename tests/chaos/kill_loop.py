"""T-02: kill -9 of a real engine on SQLite, again and again: `python -m tests.chaos.kill_loop`.

Kills come at random 50 to 400 ms after the engine answers, or by FLOW_CRASH_AT at a named point of a commit. After each
one the store's file is read as it lies there: did the kill hit open work, and a call that the target had received and
whose outcome was not committed?
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mock_server.ledger import LedgerCall, read_ledger
from tests.budget import length
from tests.chaos.evidence import Findings, StoreFile, examine
from tests.chaos.load import Api, Load
from tests.chaos.processes import Engine, Target
from tests.chaos.traces import FOLDER, write_traces
from tests.figures import figure
from tests.sim.chance import Random, derived

KILL_AFTER_S = (0.05, 0.4)  # reliability.md T-02
CRASH_POINTS = ("before_begin", "after_fence", "after_each_statement", "before_commit", "after_commit")
CRASH_SHARE = 0.3  # of the kills are crash points
CRASH_WAIT_S = 3.0  # a point that is not reached by then becomes a kill
CRASH_N_MAX = 40
AIMED_SHARE = 0.7  # of the kills come right after an acknowledgement, the others at any moment
AIM_S_MAX = 0.4
POWER_CUT = 137
SHARE_S_MAX, SHARE_EVERY_S = 60.0, 0.01
LOOK_EVERY_S = 0.3  # each look copies the store's file
STILL_S_MAX = 20.0  # no timer of the DAG is longer than a second: what stands still for so long stands for ever


def document(target_port: int) -> dict[str, Any]:
    """Give the DAG under load: calls that take some time at the target, side by side, retried, mapped."""
    url = f"http://127.0.0.1:{target_port}"

    def call(name: str, path: str, **more: Any) -> dict[str, Any]:
        parameters = {"method": "POST", "url": url + path, "json": {"number": "{{ inputs.number }}"}}
        retry = {"max_attempts": 4, "delay_s": 0.02}
        return {"id": name, "operator": "@http/request", "parameters": parameters, "retry": retry, **more}

    return {
        "title": "Kill loop",
        "inputs": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        "steps": [
            call("first", "/work/30"),
            call("left", "/work/15", depends_on=["first"]),
            call("right", "/results/right", depends_on=["first"]),
            {
                "id": "both",
                "operator": "@control/map",
                "depends_on": ["left", "right"],
                "parameters": {"items": [1, 2], "steps": [call("item", "/work/20")]},
            },
        ],
        "outputs": {"number": "{{ inputs.number }}"},
    }


class Tally(msgspec.Struct):
    """How the kills went."""

    kills: int = 0
    on_open_work: int = 0
    between_call_and_outcome: int = 0
    at_crash_points: int = 0


class KillLoop:
    """One run: a target, an engine that is killed, a load; `run` gives what was found."""

    def __init__(
        self, folder: Path, *, seed: int, instance_count: int, pace_s: float, crash_share: float = 0.0,
        traces_folder: Path = FOLDER, **settings: str,
    ) -> None:  # fmt: skip
        self.target = Target(folder)
        self.tally = Tally()
        self._rng: Random = derived(seed, "kills")
        self._folder = folder
        self._instance_count = instance_count
        self._pace_s = pace_s
        self._crash_share = crash_share
        self._traces_folder = traces_folder
        self._settings = settings
        self._pause = threading.Event()
        self.engine: Engine | None = None
        self.load: Load | None = None

    def begin(self, make_document: Callable[[int], dict[str, Any]] = document) -> None:
        """Start target and engine, publish the DAG (made for the target's port), let the clients begin."""
        self.target.run()
        self.engine = Engine(self._folder, self.target.port, **self._settings)
        self.engine.launch()
        self.engine.wait_ready()
        key = self.engine.api_key
        api = Api(self.engine.port, key)
        try:
            dag_id = api.publish(make_document(self.target.port))
        finally:
            api.close()
        self.load = Load(self.engine.port, key, dag_id, self._instance_count, pace_s=self._pace_s)
        self.load.start()

    def kill_once(self, after_s: float) -> None:
        """Kill the running engine after so long, look at what it left, start the next one."""
        engine = self._engine()
        self._pause.wait(after_s)
        if self.load is not None and self._rng.random() < AIMED_SHARE:
            self.load.wait_acknowledgement(AIM_S_MAX)
        engine.kill()
        self._look()
        self._relaunch()

    def wait_for_share(self, share: float) -> None:
        """Wait until such a share of the instances is acknowledged: kills are spread over all of them."""
        load = self.load
        assert load is not None
        last = time.perf_counter() + SHARE_S_MAX
        while len(load.acked) < share * self._instance_count and not load.is_done and time.perf_counter() < last:
            self._pause.wait(SHARE_EVERY_S)

    def draw_wait_s(self) -> float:
        """Draw how long the engine lives."""
        return self._rng.uniform(*KILL_AFTER_S)

    def _engine(self) -> Engine:
        assert self.engine is not None
        return self.engine

    def _look(self) -> None:
        self.tally.kills += 1
        with StoreFile(self._engine().store_path) as store:
            running = store.running_calls()
            self.tally.on_open_work += bool(running) or store.open_count() > 0
        received = {(call.key, call.attempt) for call in read_ledger(self.target.ledger_path)}
        self.tally.between_call_and_outcome += bool(running & received)

    def _relaunch(self) -> None:
        engine = self._engine()
        while self._rng.random() < self._crash_share:
            engine.launch(f"{self._rng.choice(CRASH_POINTS)}:{self._rng.randint(1, CRASH_N_MAX)}")
            self.tally.at_crash_points += engine.ends_within(CRASH_WAIT_S) == POWER_CUT
            engine.kill()
            self._look()
        engine.launch()
        engine.wait_ready()

    def finish(self) -> Findings:
        """Let everything end that will, stop the engine cleanly, and compare the histories."""
        engine, load = self._engine(), self.load
        assert load is not None
        self._wait_idle(engine, load)
        status = engine.stop()
        ledger: list[LedgerCall] = read_ledger(self.target.ledger_path)
        with StoreFile(engine.store_path) as store:
            findings = examine(store, ledger, load.acked)
        findings.faults += load.faults
        if not load.is_done:
            findings.faults.append("clients still wait for an answer")
        if status:
            findings.faults.append(f"the clean stop ended with {status}")
        if not findings.is_sound:
            findings.traces += write_traces(
                engine.store_path.parent, findings.faults, name="kill-loop", secrets=[engine.api_key],
                folder=self._traces_folder,
            )  # fmt: skip
        return findings

    def _wait_idle(self, engine: Engine, load: Load) -> None:
        """Wait until nothing is open, or nothing has moved for STILL_S_MAX: what is open then is lost."""
        moved_at, rows = time.perf_counter(), -1
        while time.perf_counter() - moved_at < STILL_S_MAX:
            self._pause.wait(LOOK_EVERY_S)
            with StoreFile(engine.store_path, is_live=True) as store:
                if load.is_done and store.open_count() == 0:
                    return
                now = store.journal_count()
            if now > rows:
                moved_at, rows = time.perf_counter(), now

    def close(self) -> None:
        """End both programs and the clients."""
        if self.load is not None:
            self.load.stop()
        if self.engine is not None:
            self.engine.close()
        self.target.close()


def run_kill_loop(folder: Path, *, seed: int, kill_count: int, instance_count: int) -> tuple[Tally, Findings]:
    """Kill `kill_count` times while `instance_count` instances are started and run, then compare."""
    loop = KillLoop(folder, seed=seed, instance_count=instance_count, pace_s=0.02, crash_share=CRASH_SHARE)
    try:
        loop.begin()
        while loop.tally.kills < kill_count:
            loop.wait_for_share(loop.tally.kills / kill_count)
            loop.kill_once(loop.draw_wait_s())
        return loop.tally, loop.finish()
    finally:
        loop.close()


def show(tally: Tally, findings: Findings, *, seed: int) -> bool:
    """Print the figures; say whether all hold."""
    scale = {"n": findings.instances, "kills": tally.kills, "seed": seed}
    for fault in findings.faults[:10]:
        print(f"  {fault}")
    for trace in findings.traces:
        print(f"  flow replay {trace}")
    print(f"  statuses {findings.statuses}, calls {findings.calls}, transitions {findings.transitions}")
    least_open, least_between = length("kill_open_work_count_min"), length("kill_between_count_min")
    held = [
        figure("F01 kill_lost_count", findings.lost, "= 0", findings.lost == 0, **scale),
        figure("F01 kill_doubled_count", findings.doubled, "= 0", findings.doubled == 0, **scale),
        figure(
            "F01 kill_on_open_work_count", tally.on_open_work, f">= {least_open}",
            tally.on_open_work >= least_open, **scale,
        ),
        figure(
            "F01 kill_between_call_and_outcome_count", tally.between_call_and_outcome, f">= {least_between}",
            tally.between_call_and_outcome >= least_between, crash_points=tally.at_crash_points, **scale,
        ),
        figure("F01 kill_other_faults_count", len(findings.faults), "= 0", not findings.faults, **scale),
    ]  # fmt: skip
    return all(held)


def main() -> int:
    """Run it in the length of tests/budget.toml."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory(prefix="flow-kill-") as folder:
        tally, findings = run_kill_loop(
            Path(folder), seed=seed, kill_count=length("kill_count"), instance_count=length("kill_instance_count")
        )
    return 0 if show(tally, findings, seed=seed) else 1


if __name__ == "__main__":
    sys.exit(main())
