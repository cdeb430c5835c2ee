"""`flow instances`, acts by hand, against one served process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_cli import Command, client, run, started_hanging

__all__ = ["client", "run"]  # fixtures that are used by name


def test_s42_instance_is_paused_and_resumed(run: Command, tmp_path: Path) -> None:
    instance_id = started_hanging(run, tmp_path)
    for act, status in (("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running")):
        done = run("instances", act, instance_id, "--reason", "look first", "-o", "json")
        assert (0, [{"id": instance_id, "status": status}]) == (done.status, done.value)
    assert "look first" in run("instances", "journal", instance_id, "-o", "json").out
    assert 0 == run("instances", "terminate", instance_id).status
    assert "cancelled" == run("instances", "show", instance_id, "--wait", "-o", "json").value["status"]
    assert 2 == run("instances", "pause", instance_id).status


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("skip", "--value", '{"n": 1}'), "succeeded"),
        (("skip",), "succeeded"),
        (("complete", "--value", "{}"), "succeeded"),
        (("fail", "--kind", "conflict", "--message", "lost"), "failed"),
    ],
)
def test_s43_task_is_settled_by_hand(run: Command, tmp_path: Path, arguments: tuple[str, ...], status: str) -> None:
    instance_id = started_hanging(run, tmp_path)
    act, *more = arguments
    done = run("instances", act, instance_id, "call", "--reason", "as agreed", *more, "-o", "json")
    assert (0, instance_id) == (done.status, done.value["id"]), done.err
    shown = run("instances", "show", instance_id, "--wait", "-o", "json").value
    assert (status, "lost" if "lost" in arguments else None) == (shown["status"], (shown["error"] or {}).get("message"))


def test_s43_task_is_tried_again_by_hand(run: Command, tmp_path: Path) -> None:
    instance_id = started_hanging(run, tmp_path)
    assert 0 == run("instances", "retry", instance_id, "call", "--reason", "up again").status
    assert 0 == run("instances", "terminate", instance_id).status


def test_wrong_value_and_missing_reason_are_status_two(run: Command, tmp_path: Path) -> None:
    instance_id = started_hanging(run, tmp_path)
    wrong = run("instances", "complete", instance_id, "call", "--reason", "x", "--value", "{")
    assert (2, "") == (wrong.status, wrong.out)
    assert "--value:1:2" in wrong.err
    assert 2 == run("instances", "skip", instance_id, "call").status
    assert 0 == run("instances", "terminate", instance_id).status


def test_many_instances_are_paused_and_ended_by_one_command(run: Command, tmp_path: Path) -> None:
    ids = [started_hanging(run, tmp_path) for _ in range(3)]
    assert {"count": 3, "has_more": False} == run(
        "instances", "batch", "pause", "--dag", "Hanging", "--dry-run", "-o", "json"
    ).value
    begun = run("instances", "batch", "pause", *ids, "--reason", "x", "--key", "k-1", "-o", "json").value
    again = run("instances", "batch", "pause", *ids, "--reason", "x", "--key", "k-1", "-o", "json").value
    assert (3, begun) == (begun["total"], again)
    assert 0 == run("instances", "terminate", *ids).status
    for one in ids:
        run("instances", "show", one, "--wait")
    late = run("instances", "batch", "resume", *ids, "-o", "json").value
    shown = run("instances", "progress", late["id"], "-o", "json")
    while shown.value["status"] == "running":
        shown = run("instances", "progress", late["id"], "-o", "json")
    assert (1, 3) == (shown.status, shown.value["refused"])


@pytest.mark.parametrize("arguments", [(), ("01JD3V7A2B3C4D5E6F7G8H9J0K", "--every")])
def test_batch_that_names_no_instances_or_two_ways_is_status_two(run: Command, arguments: tuple[str, ...]) -> None:
    assert 2 == run("instances", "batch", "cancel", *arguments).status
