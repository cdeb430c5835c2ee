"""T-07: the disk under a real engine is full for a while: `python -m tests.chaos.disk_full FOLDER KIND`.

New work is refused with a problem document that says why, reads go on, and when there is space again everything that was
acknowledged ends by itself. It runs as a process of its own, since its small disk is a mount of that process; what it saw is
its last line, as JSON.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path

import msgspec

from mock_server.ledger import read_ledger
from tests.chaos.drains import document
from tests.chaos.evidence import Findings, StoreFile, examine
from tests.chaos.load import Api
from tests.chaos.processes import ROOT, Engine, Target, wait_for
from tests.chaos.small_disk import SmallDisk, StuckDisk, small_disk
from tests.figures import Value, figure

BEFORE_COUNT = 20  # instances that are under way when the disk gets full
TRIES_MAX = 4_000  # starts until one is refused: files that were grown before take some
REFUSED_COUNT = 10
FULL_S = 5.0  # longer than the lease: the node gives its shards up, and its reads go on all the same
RESUMED_S_MAX = 10.0  # the longest pause of the node's back-off, and some
END_S_MAX = 60.0
OBSERVE_S_MAX = 400.0  # of the whole process: some 15 s on a machine that is not busy
REFUSALS = {"store-full": 507, "store-unavailable": 503}  # the words of a full store, and of one that owns no shard yet
READS = ("/instances?limit=5", "/dags", "/instances/{id}", "/instances/{id}/journal", "/instances/{id}/tasks")


class Seen(msgspec.Struct):
    """What was seen while the disk was full, and after it."""

    disk: str = ""
    accepted_while_full: int = 0
    refusals: dict[str, int] = {}
    wrong_answers: list[str] = []
    reads: int = 0
    ended_by_itself: bool = False
    resumed_s: float = 0.0
    findings: Findings = msgspec.field(default_factory=Findings)


class DiskFull:
    """One run."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.seen = Seen()
        disk_folder = folder / "disk"
        disk_folder.mkdir()
        self._disk: SmallDisk = small_disk(disk_folder) if kind == "tmpfs" else StuckDisk(disk_folder)
        self.seen.disk = self._disk.kind
        self._target = Target(folder)
        self._engine = Engine(folder, self._target.port, **self._disk.settings, TMPDIR=str(disk_folder))
        # Its own lines and its temporary files lie on the same disk, as on many a machine.
        self._engine.log_path = disk_folder / "engine.log"
        self._engine.data_dir = disk_folder / "data"
        self._engine.settings["FLOW_DATA_DIR"] = str(self._engine.data_dir)
        self._acked: dict[str, str] = {}
        self._pause = threading.Event()
        self._tries = 0

    def run(self) -> Seen:
        """Fill, observe, free, resume."""
        self._target.run()
        self._engine.launch(program=self._disk.program)
        self._engine.wait_ready()
        api = Api(self._engine.port, self._engine.api_key)
        try:
            self._dag_id = api.publish(document(self._target.port))
            for _ in range(BEFORE_COUNT):
                self._start(api)
            self._disk.fill()
            self._see_full(api)
            self._disk.free()
            self._see_free(api)
        finally:
            api.close()
        status = self._engine.stop()
        with StoreFile(self._engine.store_path) as store:
            broken = [str(row[0]) for row in store.rows("PRAGMA integrity_check") if row[0] != "ok"]
            self.seen.findings = examine(store, read_ledger(self._target.ledger_path), self._acked)
        self.seen.findings.faults += broken + ([f"the clean stop ended with {status}"] if status else [])
        return self.seen

    def _start(self, api: Api) -> bool:
        """Start one instance and keep what was answered; say whether it was accepted."""
        self._tries += 1
        key = f"start-{self._tries:05d}"
        body = msgspec.json.encode({"number": self._tries})
        status, told = api.call(
            "POST", f"/dags/{self._dag_id}/run", body, Idempotency_Key=key, Content_Type="application/json"
        )
        if status == HTTPStatus.ACCEPTED:
            self._acked[key] = told["id"]
            return True
        if REFUSALS.get(told.get("code")) != status or api.content_type != "application/problem+json":
            self.seen.wrong_answers.append(f"{status} {api.content_type} {told}")
        if api.retry_after is None:
            self.seen.wrong_answers.append(f"{status} {told['code']} does not say when to come again")
        refused = Counter(self.seen.refusals)
        refused[f"{status} {told['code']}"] += 1
        self.seen.refusals = dict(refused)
        return False

    def _see_full(self, api: Api) -> None:
        refused = 0
        while refused < REFUSED_COUNT and self._tries < TRIES_MAX:
            is_accepted = self._start(api)
            refused += not is_accepted
            self.seen.accepted_while_full += is_accepted
        self._read(api)
        # Also when the lease could not be renewed for longer than it holds.
        self._pause.wait(FULL_S)
        self._start(api)
        self._read(api)
        self.seen.ended_by_itself = not self._engine.is_running

    def _read(self, api: Api) -> None:
        instance_id = self._acked["start-00001"]
        for path in READS:
            status, told = api.call("GET", path.replace("{id}", instance_id))
            self.seen.reads += 1
            if status != HTTPStatus.OK:
                self.seen.wrong_answers.append(f"GET {path}: {status} {told}")

    def _see_free(self, api: Api) -> None:
        began_at = time.perf_counter()
        wait_for(lambda: self._start(api), END_S_MAX, "a start after the disk was freed")
        self.seen.resumed_s = time.perf_counter() - began_at
        self._wait_ended()

    def _wait_ended(self) -> None:
        def is_ended() -> bool:
            with StoreFile(self._engine.store_path) as store:
                return store.open_count() == 0

        wait_for(is_ended, END_S_MAX, "everything ends")

    def close(self) -> None:
        """End both programs."""
        self._engine.close()
        self._target.close()


def observe(folder: Path, kind: str) -> Seen:
    """Run it in a process of its own, on a small disk of a kind, and give what it saw.

    Raises:
        AssertionError: it failed; its words are in the message.
        subprocess.TimeoutExpired: it took longer than OBSERVE_S_MAX.
    """
    command = [sys.executable, "-m", "tests.chaos.disk_full", str(folder), kind]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told, words = child.communicate(timeout=OBSERVE_S_MAX)
    except BaseException:
        child.send_signal(signal.SIGINT)  # it ends the programs that it has started
        child.communicate()
        raise
    if child.returncode:
        raise AssertionError(f"status {child.returncode}: {words[-3000:]}")
    return msgspec.json.decode(told.splitlines()[-1], type=Seen)


def show(seen: Seen) -> bool:
    """Print the figures; say whether all hold."""
    for fault in (*seen.wrong_answers[:10], *seen.findings.faults[:10]):
        print(f"  {fault}")
    print(f"  {seen.disk}: {seen.accepted_while_full} more accepted, then {seen.refusals}")
    scale: dict[str, Value] = {"n": seen.findings.instances, "disk": seen.disk}
    findings = seen.findings
    wrong = findings.lost + findings.doubled + len(findings.faults)
    full = seen.refusals.get("507 store-full", 0)
    answers = len(seen.wrong_answers)
    held = [
        figure("disk_full_lost_count", findings.lost, "= 0", findings.lost == 0, **scale),
        figure("disk_full_other_faults_count", wrong, "= 0", wrong == 0, **scale),
        figure("disk_full_refused_507_count", full, "> 0", full > 0, **scale),
        figure("disk_full_wrong_answers_count", answers, "= 0", answers == 0, reads=seen.reads, **scale),
        figure(
            "disk_full_resumed_s", seen.resumed_s, f"< {RESUMED_S_MAX:.0f}", seen.resumed_s < RESUMED_S_MAX, **scale
        ),
    ]
    return all(held) and not seen.ended_by_itself


def main() -> int:
    """Run it in the folder given and print what was seen."""
    run = DiskFull(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "tmpfs")
    try:
        seen = run.run()
    finally:
        run.close()
    print(msgspec.json.encode(seen).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
