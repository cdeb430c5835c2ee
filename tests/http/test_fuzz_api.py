"""S-13: schemathesis with all its checks against a real process: both applications, every operation, chains of calls.

The configuration comes from the route table. What is said there is not "this may fail" but where a schema ends: a cursor
is opaque, a DAG is any JSON by its schema and a language behind it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.errors import DagInvalid
from driver_adapters.http.app import openapi_document, private_openapi_document, private_operations, public_operations
from driver_adapters.http.dag_operations import DagServices
from driver_adapters.http.explain_operations import Explained
from driver_adapters.http.operation import Operation
from driver_adapters.http.upload import FORM
from tests import budget
from tests.chaos.load import Api
from tests.e2e.processes import PROJECT, environment, flow
from tests.figures import figure
from tests.http.fuzz_bodies import BODIES, SLOW_BODY
from tests.http.world import PREFIX

# Of one round, for each operation: with 63 operations a round is then some 12 000 calls, and one is enough.
EXAMPLES_COUNT = 75
# Of one round: calls one after another, each with what the one before has answered. Many end at their first call.
CHAINS_COUNT = 300
CHAINED_COUNT_MIN = 100  # calls within chains, over all rounds; fewer mean that ids were not found
ROUNDS_COUNT_MAX = 40  # a round makes 1 000 calls at least; fewer mean that it did not do its work
ROUND_S_MAX = 600
# Every change is judged by the same requests; with TEST_SEED=<n> others are drawn.
GATE_SEED = 7
# Beyond what the tool itself takes for an answer to a right request (2xx, 401, 403, 404, 409, 429).
ACCEPTED = ("2xx", "3xx", "401", "403", "404", "409", "429")
REFUSED = ("400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429")
STREAM_EVENTS_MAX = 5
KEPT_INSTANCES_COUNT = 64  # each act on a task takes one
KEPT_ANSWERS_COUNT = 32
LOOKS_MAX = 1_000  # an instance waits after a few
ASKING = {
    "title": "Kept asking",
    "steps": [
        {"id": "ask", "operator": "@debug/noop", "parameters": {"url": "{{ callbacks.told }}"}},
        {"id": "told", "operator": "@control/wait", "parameters": {"callback": {}}},
        {"id": "go", "operator": "@control/approval", "depends_on": [], "parameters": {"title": "Go?"}},
    ],
}
# One of two fields, not both, or one that needs another: said in words, checked behind the schema.
RULED_ACROSS_FIELDS = frozenset({"batchDags", "batchInstances"})
# Some of their fields take any JSON value, as inputs of a DAG, outputs of its steps and data from outside.
JSON_IN_FIELDS = frozenset({"planDag", "rerunInstance", "skipTask", "completeTask", "callBack", "decideApproval"})


def operations() -> list[Operation]:
    """Give every operation of the public server; declaring one uses no service."""
    nothing: Any = None
    services = DagServices(nothing, nothing, nothing, nothing)
    return public_operations(
        nothing, nothing, nothing, prefix=PREFIX, dag_schema=b"{}", dag_services=services, files=nothing,
        reader=nothing, explained=Explained(nothing, nothing, nothing), answering=nothing, rates=nothing, reruns=nothing,
        batches=nothing, audit=nothing, approving=nothing,
    )  # fmt: skip


def configuration(declared: list[Operation], key_variable: str) -> str:
    """Write the tool's configuration for these operations, as TOML."""
    lines = [
        "continue-on-failure = true",
        f"max-stream-events = {STREAM_EVENTS_MAX}",
        'hooks = "tests.http.fuzz_hooks"',
        f'headers = {{ Authorization = "Bearer ${{{key_variable}}}" }}',
        "[generation]",
        'database = "none"',
        "allow-x00 = false",  # JSON Schema cannot say that no text of ours holds the null character
        f"[phases.stateful.generation]\nmax-examples = {CHAINS_COUNT}",
        "[checks.missing_required_header]",
        f"expected-statuses = {json.dumps([*REFUSED])}",  # 428 among them: If-Match
    ]
    for operation in declared:
        lines += ["[[operations]]", f'include-operation-id = "{operation.id}"']
        accepted = [*ACCEPTED, *_beyond_the_schema(operation)]
        lines.append(f"checks.positive_data_acceptance.expected-statuses = {json.dumps(accepted)}")
        if operation.needs_match:  # a header that is needed has a status of its own
            lines.append(f"checks.missing_required_header.expected-statuses = {json.dumps([*REFUSED])}")
        if lenient := _accepted_all_the_same(operation):
            lines.append(f"checks.negative_data_rejection.expected-statuses = {json.dumps([*lenient, *REFUSED])}")
    return "\n".join(lines) + "\n"


def _beyond_the_schema(operation: Operation) -> list[str]:
    """Statuses that a request right by its schema may get all the same."""
    statuses: set[str] = set()
    if operation.takes_event_id or any(parameter.name == "cursor" for parameter in operation.query):
        statuses.add("400")  # opaque: only a page or a stream makes one
    if any(parameter.count_max > 1 for parameter in operation.query):
        statuses.add("400")  # labels: each name once
    if operation.takes_none_match:
        statuses.add("400")  # the tool's coverage phase sends `0`, which the header's pattern does not allow
    if operation.id == "listInstances":
        statuses.add("422")  # a text that stands in the titles of too many DAGs, of which the fuzzer makes hundreds
    if operation.id in RULED_ACROSS_FIELDS:
        statuses.add("422")
    if operation.id in JSON_IN_FIELDS or (operation.body is not None and operation.body.shape is None):
        statuses |= {"400", "422"}  # any JSON value by its schema; the language of DAGs or a DAG's inputs behind it
    if operation.needs_match:
        statuses.add("412")  # only who has read it names its state
    if DagInvalid in operation.problems:
        statuses.add("422")  # a draft or an old version that is published has the language of DAGs before it
    return sorted(statuses)


def _accepted_all_the_same(operation: Operation) -> list[str]:
    """Statuses that a request wrong by its schema may get."""
    if operation.id == "validateDag":
        return ["200"]  # it is there for documents that are wrong
    if operation.takes_event_id and any(answer.media_type == "application/json" for answer in operation.answers):
        return ["200"]  # as a page it reads no header of streams
    if operation.body is not None and FORM in operation.body.media_types:
        return ["201"]  # in a form every value is a text: a number is the text of one
    if operation.takes_range:
        return ["200", "304"]  # a range or a tag that is not understood counts as absent (RFC 9110, 13.1.2 and 14.2)
    return []


class Round:
    """One run of the tool: its calls by status, and what it said."""

    def __init__(self, report: Path, process: subprocess.CompletedProcess[str]) -> None:
        self.text = process.stdout + process.stderr
        self.is_clean = process.returncode == 0
        self.statuses: Counter[int] = Counter()
        self.reached: set[str] = set()
        self.chained_count = 0
        for interaction, label, phase in _interactions(report):
            self.chained_count += phase == "stateful"
            status = interaction["response"]["status_code"]
            self.statuses[status] += 1
            if status < 300:
                self.reached.add(label)

    @property
    def calls_count(self) -> int:
        return self.statuses.total()


def _interactions(report: Path) -> Iterator[tuple[Any, str, str]]:
    with report.open("rb") as lines:
        for line in lines:
            finished = msgspec.json.decode(line).get("ScenarioFinished")
            if finished is None:
                continue
            recorder = finished["recorder"]
            for case_id, interaction in recorder.get("interactions", {}).items():
                if interaction.get("response") is not None:
                    case = recorder["cases"][case_id]["value"]
                    yield interaction, f"{case['method']} {case['path']}", finished["phase"]


def run_round(
    folder: Path, name: str, document: Path, address: str, given: dict[str, str], *, seed: int, examples: int
) -> Round:
    """Run every phase of the tool once: examples, coverage of each schema, fuzzing, chains."""
    report = folder / f"{name}.ndjson"
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml"), "run", str(document),
        "--url", address, "--checks", "all", "--max-examples", str(examples), "--seed", str(seed),
        "--report", "ndjson", "--report-ndjson-path", str(report), "--no-color", "--warnings", "off",
    ]  # fmt: skip
    # From a folder of its own: the tool keeps notes beside where it is started.
    process = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **given, "PYTHONPATH": str(PROJECT), "FUZZ_ROUND": name},
        capture_output=True,
        text=True,
        check=False,
        timeout=ROUND_S_MAX,
    )
    found = Round(report, process)
    report.unlink()  # tens of megabytes; what failed stands in the text
    return found


def asked(api: Api) -> tuple[list[str], list[str]]:
    """Let instances wait for people and for callbacks; gives ids of approvals and tokens, each good for one answer."""
    dag_id = api.publish(ASKING)
    tokens = []
    for _ in range(KEPT_ANSWERS_COUNT):
        instance_id = api.call("POST", f"/dags/{dag_id}/run")[1]["id"]
        for _look in range(LOOKS_MAX):
            tasks = {one["path"]: one for one in api.call("GET", f"/instances/{instance_id}/tasks")[1]["items"]}
            if tasks.get("told", {}).get("status") == "waiting":
                break
        tokens.append(tasks["ask"]["output"]["url"].rpartition("/")[2])
    return [one["id"] for one in api.call("GET", "/approvals?limit=200")[1]["items"]], tokens


def made(api: Api) -> dict[str, list[str]]:
    """Make what stays: DAGs, each with a draft, and instances that run until somebody ends them or their task."""
    dags = []
    for number, body in enumerate([*BODIES, SLOW_BODY]):
        document = {"title": f"Kept {number}", **body}
        dags.append(api.publish(document))
        draft = json.dumps(document).encode()
        status, _ = api.call("PUT", f"/dags/{dags[-1]}/draft", draft, Content_Type="application/json", If_Match="*")
        assert 200 == status
    slow = dags.pop()
    instances = [api.call("POST", f"/dags/{slow}/run")[1]["id"] for _ in range(KEPT_INSTANCES_COUNT)]
    approvals, tokens = asked(api)
    api.close()
    return {
        "approval_id": approvals,
        "token": tokens,
        "dag_id": dags,
        "version": ["v1.0.0"],
        "other_version": ["v1.0.0"],
        "instance_id": instances,
        "other_instance_id": instances,
        "task": ["a"],
    }


def check_round(found: Round) -> None:
    """Expect no finding of the tool and, counted apart from it, no answer of 500 or more."""
    assert {} == {status: count for status, count in found.statuses.items() if status >= 500}, found.text[-20_000:]
    assert found.is_clean, found.text[-20_000:]


@pytest.mark.timeout(1_500)
def test_ten_thousand_calls_that_a_schema_allows_or_forbids_find_no_fault(tmp_path: Path) -> None:
    seed = int(os.environ.get("TEST_SEED", GATE_SEED))
    wanted = budget.length("fuzz_call_count")
    declared = operations()
    given = environment(tmp_path / "data", FLOW_GRACE_S="0")
    (tmp_path / "schemathesis.toml").write_text(configuration(declared, "FUZZ_KEY"), "utf-8")
    public, private = tmp_path / "public.json", tmp_path / "private.json"
    public.write_bytes(openapi_document(PREFIX))
    private.write_bytes(private_openapi_document(PREFIX))
    calls, reached, chained_count = Counter[int](), set[str](), 0
    with flow("serve", given=given) as server:
        key = server.wait_for(r"(flow_\w+)").group(1)
        public_url = server.wait_for(r"^API +(http://127\.0\.0\.1:\d+)").group(1)
        private_url = server.wait_for(r"^private +(http://127\.0\.0\.1:\d+)").group(1)
        kept = made(Api(int(public_url.rpartition(":")[2]), key))
        secret = {"FUZZ_KEY": key, "FUZZ_KEPT": json.dumps(kept)}
        check_round(run_round(tmp_path, "private", private, private_url, secret, seed=seed, examples=EXAMPLES_COUNT))
        for number in range(ROUNDS_COUNT_MAX):
            found = run_round(
                tmp_path, f"{number}", public, public_url, secret, seed=seed + number, examples=EXAMPLES_COUNT
            )
            check_round(found)
            calls += found.statuses
            reached |= found.reached
            chained_count += found.chained_count
            if calls.total() >= wanted:
                break
        assert 0 == server.end(signal.SIGTERM), server.text
    by_status = str(dict(sorted(calls.items())))
    is_enough = calls.total() >= wanted
    figure("fuzz_calls", calls.total(), f">= {wanted}", is_enough, chained=chained_count, by_status=by_status)
    assert is_enough
    assert chained_count >= CHAINED_COUNT_MIN
    assert set() == expected_labels(declared) - reached


def expected_labels(declared: list[Operation]) -> set[str]:
    """Each operation must have answered a success at least once, or its checks looked at refusals alone."""
    return {f"{operation.method} {_described(operation)}" for operation in declared}


def _described(operation: Operation) -> str:
    return operation.path if operation.tag == "Operations" else PREFIX + operation.path


def test_private_operations_are_all_described() -> None:
    nothing: Any = None
    described = json.loads(private_openapi_document(PREFIX))["paths"]
    assert {_described(operation) for operation in private_operations(nothing, nothing)} == set(described)
