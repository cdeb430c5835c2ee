"""T-09: services that hang, answer late, flap, or answer twice, under a real engine: `python -m tests.chaos.bad_operators`.

Each attempt that is given up has its next one under the same key; what comes late or twice counts for nothing; what a service
that flaps is asked stays within the tries that the DAG allows; and nobody completes a task that runs or has ended.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from tests.chaos.evidence import StoreFile
from tests.chaos.load import Api
from tests.chaos.processes import Engine, wait_for
from tests.chaos.stub_operator import StubOperator
from tests.figures import figure

INSTANCE_COUNT = 20
ATTEMPT_S = 0.5  # after which a call is given up
LATE_MS = 1_500  # when a late answer comes: its task has succeeded long before
HANG_TRIES = 2
FLAP_TRIES = 6  # a service that refuses every second call; the odds that a task is refused six times are 1 in 64
END_S_MAX = 60.0


def document(target_port: int) -> dict[str, Any]:
    """Give a DAG that calls each of them; its outputs show which answers counted."""
    url = f"http://127.0.0.1:{target_port}"

    def call(name: str, path: str, tries: int, **more: Any) -> dict[str, Any]:
        return {
            "id": name,
            "operator": "@http/request",
            "parameters": {"method": "POST", "url": url + path},
            "timeout": {"attempt_s": ATTEMPT_S},
            "retry": {"max_attempts": tries, "delay_s": 0.02},
            **more,
        }

    return {
        "title": "Bad operators",
        "steps": [
            call("hang", "/hang", HANG_TRIES, on_error="continue"),
            call("late", f"/late/{LATE_MS}", 3, depends_on=[]),
            call("flap", "/flap", FLAP_TRIES, depends_on=[], on_error="continue"),
            call("twice", "/twice", 3, depends_on=[]),
            call("next", "/echo/next", 3, depends_on=["twice"]),
        ],
        "outputs": {
            "hang": "{{ steps.hang.status == 'failed' ? steps.hang.error.kind : steps.hang.status }}",
            "late": "{{ steps.late.output.body.attempt }}",
            "next": "{{ steps.next.output.body }}",
        },
    }


class Seen(msgspec.Struct):
    """What came of it."""

    instances: int = 0
    succeeded: int = 0
    wrong_outputs: list[str] = []
    wrong_keys: int = 0
    flap_calls: int = 0
    refused_acts: list[int] = []
    violations: list[str] = []


class BadOperators:
    """One run: a stub, an engine, some instances."""

    def __init__(self, folder: Path) -> None:
        self._stub = StubOperator()
        self._engine = Engine(folder, self._stub.port)

    def run(self) -> Seen:
        """Run the instances, try to complete a task of one by hand, and read what is stored."""
        self._engine.launch()
        self._engine.wait_ready()
        api = Api(self._engine.port, self._engine.api_key)
        seen = Seen(instances=INSTANCE_COUNT)
        try:
            dag_id = api.publish(document(self._stub.port))
            ids = []
            for _ in range(INSTANCE_COUNT):
                _, made = api.call("POST", f"/dags/{dag_id}/run", b"{}", Content_Type="application/json")
                ids.append(str(made["id"]))
            wait_for(lambda: len(self._stub.calls_of("/hang")) > 0, END_S_MAX, "a hanging call")
            # A completion by somebody who does not hold the attempt: while it runs, ...
            seen.refused_acts.append(self._complete(api, ids[-1]))
            wait_for(lambda: self._open_count() == 0, END_S_MAX, "everything ends")
            # ... and the same one, replayed when all is over.
            seen.refused_acts.append(self._complete(api, ids[-1]))
            for instance_id in ids:
                self._compare(api, instance_id, seen)
        finally:
            api.close()
        if self._engine.stop():
            seen.violations.append(f"the clean stop ended with {self._engine.exit_status}")
        self._count_calls(seen)
        with StoreFile(self._engine.store_path) as store:
            for _, violations, _ in store.instances():
                seen.violations += [violation.sentence for violation in violations]
        return seen

    def _open_count(self) -> int:
        with StoreFile(self._engine.store_path) as store:
            return store.open_count()

    def _complete(self, api: Api, instance_id: str) -> int:
        body = msgspec.json.encode({"reason": "captured", "output": {"forged": True}})
        path = f"/instances/{instance_id}/tasks/{quote('hang', safe='')}/complete"
        return api.call("POST", path, body, Content_Type="application/json")[0]

    def _compare(self, api: Api, instance_id: str, seen: Seen) -> None:
        _, shown = api.call("GET", f"/instances/{instance_id}")
        seen.succeeded += shown["status"] == "succeeded"
        # Who was asked first answers late; on a machine with other work the second may be given up as well.
        expected = [{"hang": "timeout", "late": late, "next": {"path": "/echo/next"}} for late in ("2", "3")]
        if shown["outputs"] not in expected:
            seen.wrong_outputs.append(f"{instance_id}: {shown['outputs']} {shown['error']}")

    def _count_calls(self, seen: Seen) -> None:
        hung = Counter(call.key for call in self._stub.calls_of("/hang"))
        late = Counter(call.key for call in self._stub.calls_of(f"/late/{LATE_MS}"))
        # One key for each task, whatever its attempts; each number once.
        seen.wrong_keys = abs(len(hung) - INSTANCE_COUNT) + abs(len(late) - INSTANCE_COUNT)
        seen.wrong_keys += sum(count != HANG_TRIES for count in hung.values())
        seen.wrong_keys += len(self._stub.calls) - len({(call.key, call.attempt) for call in self._stub.calls})
        seen.flap_calls = len(self._stub.calls_of("/flap"))

    def close(self) -> None:
        """End engine and stub."""
        self._engine.close()
        self._stub.close()


def run_bad_operators(folder: Path) -> Seen:
    """Run it once."""
    run = BadOperators(folder)
    try:
        return run.run()
    finally:
        run.close()


def show(seen: Seen) -> bool:
    """Print the figures; say whether all hold."""
    for fault in (*seen.wrong_outputs[:5], *seen.violations[:5]):
        print(f"  {fault}")
    n = seen.instances
    # Refused every second time, tasks need two calls each on average; there is no budget above that of each task.
    most = FLAP_TRIES * n
    conflicts = seen.refused_acts == [HTTPStatus.CONFLICT] * 2
    held = [
        figure("bad_operator_succeeded_count", seen.succeeded, f"= {n}", seen.succeeded == n, n=n),
        figure("bad_operator_wrong_output_count", len(seen.wrong_outputs), "= 0", not seen.wrong_outputs, n=n),
        figure("bad_operator_wrong_key_count", seen.wrong_keys, "= 0", seen.wrong_keys == 0, n=n),
        figure("bad_operator_flap_calls_count", seen.flap_calls, f"<= {most}", n <= seen.flap_calls <= most, n=n),
        figure("bad_operator_forged_completion_status", str(seen.refused_acts), "[409, 409]", conflicts, n=n),
        figure("bad_operator_violation_count", len(seen.violations), "= 0", not seen.violations, n=n),
    ]
    return all(held)


def main() -> int:
    """Run it."""
    with tempfile.TemporaryDirectory(prefix="flow-operators-") as folder:
        return 0 if show(run_bad_operators(Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
