"""`flow why`, and what a waiting command tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclopts import App

from driver_adapters.cli.exits import INTERRUPTED, UNREACHABLE, CommandFailed
from driver_adapters.cli.waiting import told_end, waiting_for
from driver_adapters.cli.why_command import add_why, tell_why

PREDICATE = {
    "name": "retry_due", "value": {"n": 1}, "holder_kind": "time", "holder": None, "next": "the next attempt begins",
    "at": "2026-01-31T08:30:04.002Z",
}  # fmt: skip
TASK = {"path": "fetch", "step": "fetch", "status": "retrying", "predicates": [PREDICATE]}
TOLD = {
    "status": "running", "seq": 2, "predicates": [{**PREDICATE, "name": "timeout_s", "at": None}], "tasks": [TASK],
    "left_out": 3, "next_at": "2026-01-31T08:30:04.002Z",
}  # fmt: skip
NOTHING = {"status": "succeeded", "seq": 2, "predicates": [], "tasks": [], "left_out": 0, "next_at": None}


class Server:
    """A client whose answers are these, by path."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def get(self, path: str, query: Any = None) -> Any:
        del query
        name = path.rpartition("/")[2]
        found = self.answers[name]
        if isinstance(found, list):
            found = found.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found


def run(server: Server, *arguments: str) -> Any:
    app = App(name="flow")
    client: Any = server
    add_why(app, lambda: client)
    return app(["why", *arguments], result_action="return_value")


def test_table_tells_each_predicate_and_the_next_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(Server(why=TOLD), "01")
    told = capsys.readouterr()

    assert ["path", "instance", "fetch"] == [line.split()[0] for line in told.out.splitlines()]
    assert "3 more tasks are open" in told.err
    assert "next expected change: 2026-01-31T08:30:04.002Z" in told.err


def test_one_task_is_told_without_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(Server(why=TASK), "01", "--task", "fetch")
    told = capsys.readouterr()

    assert ("", True) == (told.err, "retry_due" in told.out)


def test_json_holds_what_the_server_said(capsys: pytest.CaptureFixture[str]) -> None:
    run(Server(why=TOLD), "01", "-o", "json")
    assert TOLD == json.loads(capsys.readouterr().out)


def test_ended_instance_is_kept_by_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(Server(why=NOTHING), "01")
    assert "nothing keeps it: it is succeeded" in capsys.readouterr().err


def test_whoever_waits_is_told_after_each_long_poll(capsys: pytest.CaptureFixture[str]) -> None:
    open_, ended = {"ended_at": None}, {"ended_at": "now", "status": "succeeded"}
    client: Any = Server(why=TOLD, **{"01": [open_, open_, ended]})
    assert ended == told_end(client, "01")
    told = capsys.readouterr().err.splitlines()

    assert 2 == len(told)
    assert (
        'waiting: fetch (retrying): retry_due {"n":1}, up to time: the next attempt begins at 2026-01-31T08:30:04.002Z'
        in told
    )


def test_server_that_cannot_say_why_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    client: Any = Server(why=CommandFailed(UNREACHABLE, "away"))
    tell_why(client, "01")
    assert "" == capsys.readouterr().err


def test_whoever_gives_up_waiting_is_told_why_it_is_still_open(capsys: pytest.CaptureFixture[str]) -> None:
    client: Any = Server(why=TOLD, **{"01": KeyboardInterrupt()})
    with pytest.raises(CommandFailed) as caught, waiting_for(client, "01"):
        told_end(client, "01")

    assert (INTERRUPTED, "instance 01 goes on") == (caught.value.status, caught.value.lines[0])
    assert "waiting: fetch (retrying): retry_due" in capsys.readouterr().err
