"""`flow verify`: slice by slice, with a status for scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclopts import App

from driver_adapters.cli.verify_command import add_verify

BROKEN = {"invariant": "I6", "instance_id": "01", "seq": 3, "sentence": "a has 2 results"}


def run(pages: list[dict[str, Any]], *arguments: str) -> Any:
    class Server:
        def get(self, path: str, query: dict[str, Any]) -> Any:
            assert path == "/verify"
            asked.append(query["cursor"])
            return pages.pop(0)

    asked: list[Any] = []
    app, client = App(name="flow"), Server()
    given: Any = client
    add_verify(app, lambda: given)
    return app(["verify", *arguments], result_action="return_value"), asked


def page(following: str | None, *items: Any, left_out: int = 0) -> dict[str, Any]:
    return {"items": list(items), "instances": 2, "rows": 5, "left_out": left_out, "next": following}


def test_sound_store_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert (0, [None, "c"]) == run([page("c"), page(None, left_out=1)])
    told = capsys.readouterr()
    assert "4 instances, 10 journal rows, 0 violations; 1 are too long for this command" in told.err


def test_violation_is_named_and_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert (1, ["b"]) == run([page(None, BROKEN)], "--after", "b")
    assert "I6" in capsys.readouterr().out
    assert (1, [None, "c"]) == run([page("c", BROKEN), page(None)], "-o", "json")
    told = json.loads(capsys.readouterr().out)
    assert ([BROKEN], "c") == (told["items"], told["last"])
