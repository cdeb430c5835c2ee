"""Each command of `flow` that calls a server, against one served process: what is printed, and the exit status."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from driver_adapters.cli.commands import build_cli
from driver_adapters.http.openapi import API_VERSION
from module.main import run_command, wire_commands
from tests.e2e.processes import DEADLINE_S, PROJECT, environment, flow

GREET = """title: Greet
steps:
  - {id: greet, operator: "@debug/noop", parameters: {text: "Hello {{ inputs.name }}"}}
  - {id: note, operator: "@debug/log", parameters: {message: "greeted"}}
inputs: {type: object, properties: {name: {type: string, default: world}}}
outputs: {text: "{{ steps.greet.output.text }}"}
"""
FAILING = '{"title": "Failing", "steps": [{"id": "a", "operator": "@debug/fail", "parameters": {"message": "no"}}]}'
# Its one step fails and waits for its next attempt: it runs until it is ended.
HANGING = """title: Hanging
steps:
  - {id: call, operator: "@debug/fail", retry: {max_attempts: 9, delay_s: 1000, max_delay_s: 1000, jitter: none}}
"""
MASKS = (
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
)


class Said(NamedTuple):
    """What one command did."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Its output with ids, times and hashes masked, blanks between columns made one."""
        text = self.out
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return [re.sub(r" {2,}", " | ", line) for line in text.splitlines()]


Command = Callable[..., Said]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of a client of one served process."""
    given = environment(tmp_path_factory.mktemp("data"))
    with flow("serve", given=given) as server:
        url = server.wait_for(r"^API +(http://127\.0\.0\.1:\d+)").group(1)
        key = server.wait_for(r"(flow_\w+)").group(1)
        yield {**given, "FLOW_URL": url, "FLOW_API_KEY": key}
        assert 0 == server.end(signal.SIGTERM), server.text


@pytest.fixture
def run(
    client: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """Run one command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in client.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "greet.yaml").write_text(GREET)
    (tmp_path / "failing.json").write_text(FAILING)

    def command(*arguments: str) -> Said:
        capfd.readouterr()
        status = run_command(arguments)
        said = capfd.readouterr()
        return Said(status, said.out, said.err)

    return command


def test_file_is_published_and_run_to_its_outcome(run: Command) -> None:
    said = run("run", "greet.yaml", "--wait", "--input", "name=you")
    assert (0, "") == (said.status, said.err)
    assert [
        "id | <id>", "dag_id | <id>", "version | v1.0.0", "status | succeeded", "trigger | manual",
        'outputs | {"text":"Hello you"}',
        "created_at | <time>", "started_at | <time>", "ended_at | <time>", "updated_at | <time>",
    ] == said.lines  # fmt: skip


def test_stored_dag_is_run_by_title_id_and_version(run: Command) -> None:
    dag = run("dags", "apply", "greet.yaml", "-o", "json").value[0]
    for target in ("Greet", dag["id"]):
        said = run("run", target, "--version", "v1.0.0", "--wait", "-o", "json")
        assert {"text": "Hello world"} == said.value["outputs"]
        assert (dag["id"], "v1.0.0") == (said.value["dag_id"], said.value["version"])


def test_start_without_waiting_tells_the_id(run: Command) -> None:
    said = run("run", "greet.yaml", "-o", "yaml")
    assert (0, ["id: <id>", "status: running"]) == (said.status, said.lines)


def test_same_key_gives_the_same_instance(run: Command) -> None:
    first, again = (run("run", "greet.yaml", "--key", "once", "-o", "json").value["id"] for _ in range(2))
    assert first == again
    assert 2 == run("run", "greet.yaml", "--key", "once", "--input", "name=else").status


def test_inputs_come_from_files_and_pairs(run: Command, tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text('{"name": "file"}')
    assert (
        "Hello file" == run("run", "greet.yaml", "--wait", "-i", "@inputs.json", "-o", "json").value["outputs"]["text"]
    )
    both = run("run", "greet.yaml", "--wait", "-i", "@inputs.json", "-i", "name=pair", "-o", "json")
    assert "Hello pair" == both.value["outputs"]["text"]


def test_instance_that_failed_is_status_one(run: Command) -> None:
    said = run("run", "failing.json", "--watch", "-o", "json")
    assert (1, "failed") == (said.status, said.value["status"])
    assert "a failed: failed no" in said.err
    assert 1 == run("instances", "show", said.value["id"], "--wait").status
    assert 1 == run("instances", "show", said.value["id"], "--watch").status
    assert 0 == run("instances", "show", said.value["id"]).status


def test_watching_elsewhere_than_on_a_terminal_says_what_changed(run: Command) -> None:
    said = run("run", "greet.yaml", "--watch")
    assert 0 == said.status
    assert {"greet succeeded", "note succeeded"} < set(said.err.splitlines())
    assert re.search(r"^instance \w+ succeeded$", said.err, re.MULTILINE)
    assert "\x1b" not in said.err


def test_stored_dag_is_planned_with_a_forecast_from_its_instances(run: Command) -> None:
    run("run", "greet.yaml", "--wait")
    planned = run("plan", "Greet", "-i", "name=you", "-o", "json").value
    assert [("greet", "runs"), ("note", "runs")] == [(line["step"], line["status"]) for line in planned["steps"]]
    assert ("succeeded", {"text": "Hello you"}) == (planned["outcome"], planned["outputs"])
    assert planned["forecast"]["instances"]
    assert "v1.0.0" == run("plan", "Greet", "--version", "v1.0.0", "-o", "json").value["version"]
    lines = run("plan", "Greet", "--given-error", "greet=invalid").lines
    assert any(line.startswith("forecast | p50 ") for line in lines)
    assert any(line.startswith("greet | runs, failed | ") for line in lines)


def test_dags_are_listed_and_read(run: Command) -> None:
    run("dags", "apply", "greet.yaml", "failing.json")
    said = run("dags", "list")
    assert "id | title | version | status | tags | updated_at" == said.lines[0]
    assert "<id> | Greet | v1.0.0 | normal | [] | <time>" in said.lines
    assert 1 == len(run("dags", "list", "--limit", "1", "-o", "json").value)
    shown = run("dags", "get", "Greet")
    assert {"title | Greet", "version | v1.0.0", "content_hash | <hash>"} < set(shown.lines)
    assert not any(line.startswith("document") for line in shown.lines)
    assert "Greet" == run("dags", "get", "Greet", "-o", "json").value["document"]["title"]


def test_document_can_be_taken_out_and_put_back(run: Command, tmp_path: Path) -> None:
    before = run("dags", "apply", "greet.yaml", "-o", "json").value[0]
    (tmp_path / "out.yaml").write_text(run("dags", "get", "Greet", "--document").out)
    (tmp_path / "out.json").write_text(run("dags", "get", "Greet", "--document", "-o", "json").out)
    for name in ("out.yaml", "out.json"):
        assert before["content_hash"] == run("dags", "apply", name, "-o", "json").value[0]["content_hash"]
    assert "v1.0.0" == run("dags", "get", "Greet", "-o", "json").value["version"]


def test_instances_are_listed_by_dag_and_status(run: Command) -> None:
    started = run("run", "greet.yaml", "--wait", "-o", "json").value
    rows = run("instances", "list", "--dag", "Greet", "--status", "succeeded", "-o", "json").value
    assert started["id"] == rows[0]["id"]
    assert {(started["dag_id"], "succeeded")} == {(row["dag_id"], row["status"]) for row in rows}
    table = run("instances", "list", "--limit", "1")
    assert "id | status | dag_id | version | created_at | updated_at" == table.lines[0]
    assert "<id> | succeeded | <id> | v1.0.0 | <time> | <time>" == table.lines[1]


def test_instances_are_found_by_the_labels_that_they_were_started_with(run: Command) -> None:
    one, other = (
        run("run", "greet.yaml", "--wait", "--label", f"order={n}", "--label", "shop=a:b c", "-o", "json").value
        for n in (1, 2)
    )
    assert {"order": "1", "shop": "a:b c"} == one["labels"]
    found = run("instances", "list", "--label", "shop=a:b c", "--trigger", "manual", "-o", "json").value
    assert [other["id"], one["id"]] == [row["id"] for row in found]
    both = run("instances", "list", "--label", "shop=a:b c", "--label", "order=1", "-o", "json").value
    assert [one["id"]] == [row["id"] for row in both]
    counted = run("dags", "cancel", "Greet", "--label", "shop=a:b c", "--trigger", "manual", "--dry-run", "-o", "json")
    assert 0 == counted.value["count"]
    assert 2 == run("run", "greet.yaml", "--label", "order").status


def test_priority_of_a_start_is_told_planned_and_taken_over_by_a_rerun(run: Command) -> None:
    own = run("run", "greet.yaml", "--wait", "--priority", "5", "-o", "json").value
    dags = run("run", "greet.yaml", "--wait", "-o", "json").value
    assert (5, None) == (own["priority"], dags["priority"])
    assert "priority | 5" in run("instances", "show", own["id"]).lines
    assert not any(line.startswith("priority") for line in run("instances", "show", dags["id"]).lines)
    again, lower = (
        run("instances", "rerun", own["id"], *more, "--wait", "-o", "json").value["priority"]
        for more in ((), ("--priority", "1"))
    )
    assert (5, 1) == (again, lower)
    for target in ("greet.yaml", "Greet"):
        assert "priority | 4" in run("plan", target, "--priority", "4").lines
        assert "priority | 3" in run("plan", target).lines
    assert 2 == run("run", "greet.yaml", "--priority", "6").status


def test_tasks_and_journal_of_an_instance_are_shown(run: Command) -> None:
    instance_id = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    tasks = run("instances", "tasks", instance_id)
    assert ["step | status | attempts | note", "greet | succeeded | 1", "note | succeeded | 1"] == tasks.lines
    whole = run("instances", "tasks", instance_id, "-o", "json").value
    assert {"text": "Hello world"} == whole[0]["output"]
    journal = run("instances", "journal", instance_id)
    assert "seq | event | said" == journal.lines[0]
    assert any(line.startswith("1 | instance_started | {") for line in journal.lines)
    seqs = [entry["seq"] for entry in run("instances", "journal", instance_id, "-o", "json").value]
    assert sorted(seqs) == seqs
    assert 1 == seqs[0]


def started_hanging(run: Command, folder: Path) -> str:
    """Start what runs until it is ended."""
    (folder / "hanging.yaml").write_text(HANGING)
    instance_id: str = run("run", "hanging.yaml", "-o", "json").value["id"]
    return instance_id


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_running_instance_is_ended_with_a_reason(run: Command, tmp_path: Path, how: str) -> None:
    instance_id = started_hanging(run, tmp_path)
    assert [{"id": instance_id}] == [
        {"id": row["id"]} for row in run("instances", how, instance_id, "--reason", "mistake", "-o", "json").value
    ]
    shown = run("instances", "show", instance_id, "--wait", "-o", "json")
    assert (1, "cancelled") == (shown.status, shown.value["status"])
    assert "mistake" in run("instances", "journal", instance_id, "-o", "json").out
    finished = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    assert 2 == run("instances", how, finished).status


def test_files_go_up_and_come_down_whole(run: Command, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "data.csv").write_bytes(content)
    up = run("files", "upload", "data.csv", "--name", "orders/data.csv", "-o", "json")
    assert 0 == up.status, up.err
    row = up.value[0]
    assert ("orders/data.csv", "text/csv", hashlib.sha256(content).hexdigest()) == (
        row["name"], row["media_type"], row["sha256"],
    )  # fmt: skip
    listed = run("files", "list", "--prefix", "orders/")
    assert [
        "id | name | media_type | bytes | created_at",
        "<id> | orders/data.csv | text/csv | 3000000 | <time>",
    ] == listed.lines
    (tmp_path / "down").mkdir()
    assert 0 == run("files", "download", row["id"], "--to", "down").status
    assert content == (tmp_path / "down" / "data.csv").read_bytes()
    assert 0 == run("files", "download", "orders/data.csv", "--to", "other.csv").status
    assert content == (tmp_path / "other.csv").read_bytes()
    assert 0 == run("files", "delete", "orders/data.csv").status
    assert 2 == run("files", "download", row["id"], "--to", "gone.csv").status
    assert not (tmp_path / "gone.csv").exists()


def test_file_that_exists_is_written_over_only_when_that_is_asked(run: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("new")
    row = run("files", "upload", "mine.txt", "-o", "json").value[0]
    (tmp_path / "mine.txt").write_text("old")
    refused = run("files", "download", row["id"])
    assert (2, "mine.txt exists; --force writes over it\n", "old") == (
        refused.status, refused.err, (tmp_path / "mine.txt").read_text(),
    )  # fmt: skip
    assert 0 == run("files", "download", row["id"], "--force").status
    assert "new" == (tmp_path / "mine.txt").read_text()
    assert Said(0, "new", "") == run("files", "download", row["id"], "--to", "-")


def test_name_that_several_files_have_asks_for_an_id(run: Command, tmp_path: Path) -> None:
    (tmp_path / "twice").write_text("x")
    ids = {run("files", "upload", "twice", "-o", "json").value[0]["id"] for _ in range(2)}
    said = run("files", "download", "twice")
    assert 2 == said.status
    assert ids == set(re.findall(r"[0-9A-Z]{26}", said.err))


def test_versions_are_listed_compared_and_taken_back(run: Command, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(GREET.replace("Greet", "Versioned"))
    (tmp_path / "two.yaml").write_text(GREET.replace("Greet", "Versioned").replace("Hello", "Hi"))
    for name in ("one.yaml", "two.yaml"):
        assert 0 == run("dags", "apply", name).status
    listed = run("dags", "versions", "Versioned")
    assert "version | published_at | published_by | content_hash | change_log" == listed.lines[0]
    assert ["v1.0.1 | <time> | <id> | <hash>", "v1.0.0 | <time> | <id> | <hash>"] == listed.lines[1:]
    compared = run("dags", "diff", "Versioned", "v1.0.0", "v1.0.1")
    assert ["change | step | fields | pointer", "changed | greet | parameters | /steps/0"] == compared.lines
    assert not run("dags", "diff", "Versioned", "v1.0.0", "v1.0.1", "-o", "json").value["is_same_content"]
    back = run("dags", "rollback", "Versioned", "v1.0.0", "-o", "json").value
    old = run("dags", "get", "Versioned", "--version", "v1.0.0", "-o", "json").value
    assert ("v1.0.2", old["content_hash"]) == (back["version"], back["content_hash"])
    assert "Hello" in run("dags", "get", "Versioned", "--version", "v1.0.2", "--document").out


def test_graph_tells_what_each_step_waits_for(run: Command) -> None:
    run("dags", "apply", "greet.yaml")
    assert [
        "id | group | operator | after | when", "greet | steps | @debug/noop", "note | steps | @debug/log | greet",
    ] == run("dags", "graph", "Greet").lines  # fmt: skip
    whole = run("dags", "graph", "Greet", "--version", "v1.0.0", "-o", "json").value
    assert [{"source": "greet", "target": "note"}] == whole["edges"]


def test_stopped_dag_starts_nothing_until_it_is_activated(run: Command, tmp_path: Path) -> None:
    (tmp_path / "stop.yaml").write_text(GREET.replace("Greet", "Stopped"))
    run("dags", "apply", "stop.yaml")
    assert "status | stopped" in run("dags", "deactivate", "Stopped").lines
    assert ["Stopped"] == [row["title"] for row in run("dags", "list", "--status", "stopped", "-o", "json").value]
    refused = run("run", "Stopped")
    assert (2, True) == (refused.status, "is stopped" in refused.err)
    assert "status | normal" in run("dags", "activate", "Stopped").lines
    assert 0 == run("run", "Stopped", "--wait").status


def test_all_instances_of_a_dag_are_cancelled_and_the_dag_is_deleted(run: Command, tmp_path: Path) -> None:
    started_hanging(run, tmp_path)
    counted = run("dags", "cancel", "Hanging", "--dry-run", "--status", "running", "--version", "v1.0.0", "-o", "json")
    assert {"count": 1, "has_more": False} == counted.value
    assert {"count": 1, "has_more": False} == run("dags", "cancel", "Hanging", "-o", "json").value
    assert 0 == run("dags", "delete", "Hanging", "--yes").status
    assert [] == run("dags", "list", "--text", "Hanging", "-o", "json").value
    assert "flow dags list" in run("dags", "get", "Hanging").err


def test_operators_are_listed_and_shown(run: Command) -> None:
    said = run("operators", "list")
    assert "name | kind | attempts | parameters | title" == said.lines[0]
    noop = next(line for line in said.lines if line.startswith("@debug/noop "))
    assert noop.startswith("@debug/noop | attempt | 1 | ")
    available, every = (
        {row["name"] for row in run("operators", "list", *more, "-o", "json").value} for more in ((), ("--every",))
    )
    assert available < every
    assert not any(line.startswith(f"{name} ") for name in every - available for line in said.lines)
    assert "@debug/noop" == run("operators", "show", "@debug/noop", "-o", "json").value["name"]
    assert "name: '@debug/noop'\n" in run("operators", "show", "@debug/noop").out


def test_one_task_and_the_timeline_are_shown(run: Command) -> None:
    instance_id = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    shown = run("instances", "task", instance_id, "greet")
    assert {"path | greet", "status | succeeded", 'inputs | {"text":"Hello world"}'} < set(shown.lines)
    timeline = run("instances", "timeline", instance_id)
    assert "path | status | ready_at | started_at | ended_at | waited_s | attempts" == timeline.lines[0]
    assert "greet | succeeded | <time> | <time> | <time> | 0.0 | 1" == timeline.lines[1]
    assert 1 == run("instances", "timeline", instance_id, "-o", "json").value[0]["attempts"][0]["number"]


def test_state_at_a_row_is_shown(run: Command) -> None:
    instance_id = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    shown = run("instances", "state", instance_id)
    assert "path | status | reason | attempts" == shown.lines[0]
    assert shown.lines[1].startswith("greet | succeeded |")
    first = run("instances", "state", instance_id, "--seq", "1", "-o", "json").value
    assert (1, "running") == (first["seq"], first["status"])
    assert "succeeded" == run("instances", "state", instance_id, "-o", "json").value["status"]


def test_instances_are_listed_by_version_time_and_text(run: Command) -> None:
    instance_id = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    shown = run("instances", "show", instance_id, "-o", "json").value
    at, dag_id, version = shown["created_at"], shown["dag_id"], shown["version"]

    def ids(*options: str) -> list[str]:
        return [row["id"] for row in run("instances", "list", *options, "-o", "json").value]

    assert [instance_id] == ids("--text", instance_id)
    assert [instance_id] == ids("--dag", dag_id, "--version", version, "--since", at, "--limit", "1")
    assert [] == ids("--text", instance_id, "--until", at)
    assert 2 == run("instances", "list", "--since", "soon").status


@pytest.mark.parametrize("follow", [(), ("-f",)], ids=["page", "stream"])
def test_lines_of_attempts_are_shown(run: Command, follow: tuple[str, ...]) -> None:
    instance_id = run("run", "greet.yaml", "--wait", "-o", "json").value["id"]
    assert ["<time> info | note#1 greeted"] == run("instances", "logs", instance_id, "-f").lines
    assert ["<time> info | note#1 greeted"] == run("instances", "logs", instance_id, *follow).lines
    lines = run("instances", "logs", instance_id, *follow, "-o", "json", "--task", "note").out.splitlines()
    assert ["greeted"] == [json.loads(line)["message"] for line in lines]
    assert "---\n" == run("instances", "logs", instance_id, *follow, "-o", "yaml").out[:4]
    assert Said(0, "", "") == run("instances", "logs", instance_id, *follow, "--task", "greet")


def test_transitions_are_followed_to_the_end(run: Command) -> None:
    instance_id = run("run", "greet.yaml", "-o", "json").value["id"]
    lines = run("instances", "events", instance_id).lines
    assert lines[0].startswith("<time> 1 instance_started ")
    assert re.match(r"<time> \d+ instance_ended ", lines[-1])
    whole = [json.loads(line) for line in run("instances", "events", instance_id, "-o", "json").out.splitlines()]
    assert len(lines) == len(whole)
    assert "instance_ended" == whole[-1]["event"]["event"]


NOBODY = "00000000000000000000000000"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "No such DAG"), "flow dags list"),
        (("run", "greet.yaml", "--input", "name=5"), "name"),
        (("run", "greet.yaml", "--version", "v9.9.9"), "v9.9.9"),
        (("run", "missing.yaml"), "cannot be read"),
        (("plan", "No such DAG"), "flow dags list"),
        (("plan", "Greet", "--input", "name=5"), "name"),
        (("plan", "Greet", "--given-error", "greet=odd"), "'odd' is no kind of error"),
        (("dags", "get", NOBODY), NOBODY),
        (("instances", "show", "../dags"), "no route has this path"),
        (("instances", "show", NOBODY, "--wait"), NOBODY),
        (("instances", "list", "--status", "nonsense"), "succeeded"),
        (("instances", "logs", NOBODY, "--follow"), NOBODY),
        (("instances", "logs", NOBODY, "--attempt", "1"), "needs `task`"),
        (("instances", "events", NOBODY), NOBODY),
        (("instances", "task", NOBODY, "a"), NOBODY),
        (("dags", "get", "Greet", "--version", "v9.9.9"), "v9.9.9"),
        (("dags", "rollback", "Greet", "v9.9.9"), "v9.9.9"),
        (("dags", "delete", "Greet"), "--yes"),
        (("files", "download", "no such file"), "flow files list"),
        (("operators", "show", "@no/such"), "flow operators list"),
        (("files", "upload", "missing.csv"), "cannot be read"),
        (("files", "upload", "greet.yaml", "failing.json", "--name", "x"), "--name is for one file"),
    ],
)
def test_what_cannot_be_done_is_status_two_and_told(run: Command, arguments: tuple[str, ...], said: str) -> None:
    run("dags", "apply", "greet.yaml")
    done = run(*arguments)
    assert (2, "") == (done.status, done.out)
    assert said in done.err


CALLS = [
    ("run", "greet.yaml"), ("plan", NOBODY), ("dags", "list"), ("dags", "get", NOBODY), ("dags", "apply", "greet.yaml"), ("instances", "list"),
    ("instances", "show", NOBODY), ("instances", "tasks", NOBODY), ("instances", "journal", NOBODY),
    ("instances", "cancel", NOBODY), ("instances", "terminate", NOBODY), ("instances", "task", NOBODY, "a"),
    ("instances", "pause", NOBODY), ("instances", "resume", NOBODY), ("instances", "skip", NOBODY, "a", "--reason", "x"),
    ("instances", "complete", NOBODY, "a", "--reason", "x", "--value", "1"), ("instances", "fail", NOBODY, "a", "--reason", "x"),
    ("instances", "retry", NOBODY, "a", "--reason", "x"), ("instances", "batch", "pause", NOBODY),
    ("instances", "progress", NOBODY), ("instances", "diff", NOBODY, NOBODY), ("instances", "rerun", NOBODY),
    ("instances", "signal", NOBODY, "paid"), ("approvals", "list"), ("approvals", "approve", NOBODY), ("approvals", "reject", NOBODY),
    ("why", NOBODY), ("export", NOBODY), ("verify",),
    ("instances", "timeline", NOBODY), ("instances", "state", NOBODY), ("instances", "logs", NOBODY), ("dags", "versions", NOBODY),
    ("dags", "diff", NOBODY, "v1.0.0", "v1.0.1"), ("dags", "rollback", NOBODY, "v1.0.0"), ("dags", "graph", NOBODY),
    ("dags", "activate", NOBODY), ("dags", "deactivate", NOBODY), ("dags", "cancel", NOBODY),
    ("dags", "delete", NOBODY, "--yes"), ("operators", "list"), ("operators", "show", "@debug/noop"), ("files", "list"), ("files", "upload", "greet.yaml"),
    ("files", "download", NOBODY), ("files", "delete", NOBODY),
]  # fmt: skip


def test_sim_of_an_example_holds_without_a_server(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_URL", "http://127.0.0.1:1")
    said = run("sim", str(PROJECT / "examples" / "sync.yaml"), "--runs", "3", "-o", "json")
    assert (0, "holds", 3) == (said.status, said.value["verdict"], len(said.value["runs"]))


# They would try again for some time: a stream is taken up where it was cut.
PATIENT = [
    ("instances", "events", NOBODY),
    ("instances", "logs", NOBODY, "-f"),
    ("instances", "show", NOBODY, "--wait"),
]


def test_every_command_that_calls_a_server_is_among_the_calls() -> None:
    app = build_cli(wire_commands(), API_VERSION)
    groups = {name: app[name] for name in ("dags", "instances", "files", "operators", "approvals")}
    named = {(name, one) for name, group in groups.items() for one in group if not one.startswith("-")}
    assert named == {call[:2] for call in [*CALLS, *PATIENT] if call[0] in groups}


@pytest.mark.parametrize("arguments", [*CALLS, *PATIENT], ids=" ".join)
def test_wrong_key_is_status_four(run: Command, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_API_KEY", "flow_wrong")
    said = run(*arguments)
    assert (4, "") == (said.status, said.out)
    assert "set FLOW_API_KEY to a key of this server" in said.err


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_no_server_is_status_three(run: Command, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_URL", "http://127.0.0.1:1")
    said = run(*arguments)
    assert (3, "") == (said.status, said.out)
    assert "start a server with `flow serve`, or set FLOW_URL" in said.err


def test_interrupted_wait_leaves_the_instance_running(run: Command, tmp_path: Path, client: dict[str, str]) -> None:
    instance_id = started_hanging(run, tmp_path)
    command = [sys.executable, "-m", "module.main", "run", str(tmp_path / "hanging.yaml"), "--watch"]
    with subprocess.Popen(command, cwd=PROJECT, env=client, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert "call" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        _, rest = child.communicate(timeout=DEADLINE_S)
        assert 130 == child.returncode, rest
    assert "waiting: call (" in rest  # running, or retrying by now
    assert "goes on" in rest
    assert "Traceback" not in rest
    running = run("instances", "list", "--dag", "Hanging", "--status", "running", "-o", "json").value
    assert 2 == len(running)
    assert 0 == run("instances", "terminate", *(row["id"] for row in running)).status
    assert instance_id in {row["id"] for row in running}
