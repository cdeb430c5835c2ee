"""`flow verify`: slice by slice, with a status for scripts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclopts import App

from driver_adapters.cli.exits import DENIED, UNREACHABLE, CommandFailed
from driver_adapters.cli.verify_command import add_verify

BROKEN = {"invariant": "I6", "instance_id": "01", "seq": 3, "sentence": "a has 2 results"}


def run(pages: list[dict[str, Any]], *arguments: str, audit: list[Any] | None = None) -> Any:
    class Server:
        def get(self, path: str, query: dict[str, Any]) -> Any:
            if path == "/audit/verify":
                found = proofs.pop(0)
                if isinstance(found, Exception):
                    raise found
                return found
            assert path == "/verify"
            asked.append(query["cursor"])
            return pages.pop(0)

    proofs = [proof()] if audit is None else audit
    asked: list[Any] = []
    app, client = App(name="flow"), Server()
    given: Any = client
    add_verify(app, lambda: given)
    return app(["verify", *arguments], result_action="return_value"), asked


def page(following: str | None, *items: Any, left_out: int = 0) -> dict[str, Any]:
    return {"items": list(items), "instances": 2, "rows": 5, "left_out": left_out, "next": following}


def proof(following: str | None = None, *items: Any, **more: Any) -> dict[str, Any]:
    told = {"items": list(items), "sealed": 3, "head": None, "unsealed": 0, "oldest_unsealed_s": None}
    return {**told, "next": following, **more}


def test_audit_is_proved_page_by_page(capsys: pytest.CaptureFixture[str]) -> None:
    head = {"position": 6, "n": 9, "hash": "9f"}
    pages = [proof("c"), proof(head=head, unsealed=2, oldest_unsealed_s=0.5)]
    assert 0 == run([page(None)], audit=pages)[0]
    assert "6 sealed acts, 2 not sealed yet (the oldest 0.5 s old); the newest seal is 6:9f" in capsys.readouterr().err


def test_tampering_with_the_audit_is_named_and_is_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    fault = {"kind": "changed", "n": 7, "position": 5, "sentence": "it is not what was sealed"}
    assert 1 == run([page(None)], "-o", "json", audit=[proof(None, fault)])[0]
    said = "changed, position 5: it is not what was sealed"
    assert {"invariant": "R35", "instance_id": "", "seq": 7, "sentence": said} in json.loads(capsys.readouterr().out)[
        "items"
    ]


def test_key_that_may_not_see_the_audit_proves_the_instances(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run([page(None)], audit=[CommandFailed(DENIED, "no")])[0]
    assert "the audit was not proved" in capsys.readouterr().err


def test_audit_that_cannot_be_read_is_a_failure() -> None:
    with pytest.raises(CommandFailed):
        run([page(None)], audit=[CommandFailed(UNREACHABLE, "gone")])


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
