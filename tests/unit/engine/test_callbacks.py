"""Callbacks: one call from outside ends a wait, also when it comes early (semantics.md S27)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.engine import events as e
from core.engine import stimuli as s
from core.engine.answer_state import CallbackCall
from core.engine.callback_token import CallbackToken, is_proven, read_token, secret_of, token_of
from core.engine.frame_events import StateInconsistent, apply_frame
from tests.unit.engine.instance_run import NOW, InstanceRun
from tests.unit.engine.plans import run_of

ANY = 'operator: "@test/anything"'
URL = "https://flow.test/callbacks/"
INSTANCE_ID = "01JD3V7A2B3C4D5E6F7G8H9J0K"
ASKS = f"""
    steps:
      - {{id: ask, {ANY}, parameters: {{url: "{{{{ callbacks.w }}}}"}}}}
      - {{id: w, operator: "@control/wait", parameters: {{callback: {{timeout_s: 60}}}}}}
    outputs: "{{{{ steps.w.output }}}}"
    """


def proof_of(run: InstanceRun, path: str) -> bytes:
    """Take the proof out of the token that the instance would give for this path."""
    text = token_of(INSTANCE_ID, run.state.header.callback_secret, path)
    found = read_token(text)
    assert found is not None
    return found.proof


def call(run: InstanceRun, path: str = "w", data: Any = "done", error: Any = None, proof: bytes | None = None) -> str:
    given = proof_of(run, path) if proof is None else proof
    told = None if error is None else msgspec.json.encode(error)
    run.feed(s.Callback(path=path, proof=given, data=msgspec.json.encode(data), error=told))
    assert run.answer is not None
    return run.answer.result


def test_s27_url_is_readable_before_the_wait_and_its_call_ends_it() -> None:
    run = run_of(ASKS)
    url = run.parameters("ask")["url"]
    assert url == URL + token_of("01J", run.state.header.callback_secret, "w")
    run.succeed("ask", {})
    assert ("waiting", ["expiry"]) == (run.status, [held.timer.kind for held in run.timers.values()])
    assert "accepted" == call(run.pass_time(2), data={"parcel": 7})
    ended = {"reason": "callback", "at": "2026-01-01T00:00:02.000Z", "data": {"parcel": 7}}
    assert ("succeeded", ended, b"") == (run.status, run.outputs, run.state.header.callback_secret)


@pytest.mark.parametrize("forgets", [False, True])
def test_s27_early_call_is_kept_until_the_wait_begins(*, forgets: bool) -> None:
    run = run_of(ASKS)
    run.forgets = forgets
    assert "accepted" == call(run, data={"text": "x" * 10_000})
    assert {"ask": "running", "w": "pending"} == run.tasks()
    run.take_over().succeed("ask", {})
    assert ("succeeded", {"text": "x" * 10_000}) == (run.status, run.outputs["data"])


def test_s27_first_call_counts() -> None:
    run = run_of(ASKS)
    assert ("accepted", "refused") == (call(run, data=1), call(run, data=2))
    run.succeed("ask", {})
    assert ("succeeded", 1) == (run.status, run.outputs["data"])


FAILED = {"kind": "conflict", "message": "no such parcel", "data": {"code": 17, "text": "longer than its place"}}


@pytest.mark.parametrize("is_early", [False, True])
def test_s27_call_that_says_failed_fails_the_wait(*, is_early: bool) -> None:
    run = run_of(ASKS)
    run.forgets = True
    if is_early:
        call(run, error=FAILED)
    run.succeed("ask", {})
    if not is_early:
        call(run, error=FAILED)
    assert ("failed", {**FAILED, "step": "w", "attempt": 0}) == (run.status, run.error)


def test_s25_no_call_within_timeout_s_is_a_timeout() -> None:
    run = run_of(ASKS).succeed("ask", {}).pass_time(60)
    assert ("failed", "timeout") == (run.status, run.error["kind"])


def test_s27_call_that_nobody_proves_changes_nothing() -> None:
    run = run_of(ASKS)
    before = run.state.header
    assert {"no_task"} == {
        call(run, proof=b"\0" * 24), call(run, proof=b""), call(run, path="ask", proof=proof_of(run, "w")),
    }  # fmt: skip
    assert before == run.state.header
    plain = run_of('steps: [{id: w, operator: "@control/wait", parameters: {event: {name: paid}}}]')
    assert (b"", "no_task") == (plain.state.header.callback_secret, call(plain, proof=b"x"))


def test_s27_call_of_a_wait_that_is_over_is_refused() -> None:
    run = run_of(ASKS + "\n    settings: {on_finish: [{id: h, " + ANY + "}]}")
    proof = proof_of(run, "w")
    run.succeed("ask", {}).pass_time(60)
    assert ("refused", "failed") == (call(run, proof=proof), run.answer.task_status if run.answer else "")


def test_s27_call_for_an_iteration_that_has_ended_is_refused() -> None:
    run = run_of(
        f"""
        steps:
          - id: l
            operator: "@control/loop"
            parameters:
              mode: count
              limit: 2
              steps:
                - {{id: ask, {ANY}, parameters: {{url: "{{{{ callbacks.w }}}}"}}}}
                - {{id: w, operator: "@control/wait", parameters: {{callback: {{}}}}}}
        """
    )
    first = run.parameters("l.0.ask")["url"]
    run.succeed("l.0.ask", {})
    assert ("accepted", "refused") == (call(run, "l.0.w"), call(run, "l.0.w"))
    assert first != run.parameters("l.1.ask")["url"]
    run.succeed("l.1.ask", {})
    assert ("accepted", "succeeded") == (call(run, "l.1.w"), run.status)


def test_s27_each_item_of_a_map_has_its_own_callback() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1, 2]
              steps:
                - {{id: ask, {ANY}, parameters: {{url: "{{{{ callbacks.w }}}}"}}}}
                - {{id: w, operator: "@control/wait", parameters: {{callback: {{}}}}}}
              outputs: "{{{{ steps.w.output.data }}}}"
        outputs: "{{{{ steps.m.output }}}}"
        """
    )
    for n in range(2):
        assert (
            URL + token_of("01J", run.state.header.callback_secret, f"m.{n}.w") == run.parameters(f"m.{n}.ask")["url"]
        )
    call(run, "m.1.w", data="second")
    run.succeed("m.0.ask", {}).succeed("m.1.ask", {})
    call(run, "m.0.w", data="first")
    assert ("succeeded", ["first", "second"]) == (run.status, run.outputs)


def test_s27_wait_in_a_container_reads_the_callback_of_a_list_around_it() -> None:
    run = run_of(
        f"""
        steps:
          - id: p
            operator: "@control/parallel"
            parameters:
              branches: [{{id: b, steps: [{{id: ask, {ANY}, parameters: {{url: "{{{{ callbacks.w }}}}"}}}}]}}]
          - {{id: w, operator: "@control/wait", parameters: {{callback: {{}}}}}}
        """
    )
    assert run.parameters("ask")["url"].startswith(f"{URL}01J~w~")


def test_s41_call_into_a_closing_list_is_refused() -> None:
    run = run_of(ASKS)
    proof = proof_of(run, "w")
    run.feed(s.Cancel("enough"))
    assert ("refused", "cancelled/cancel") == (call(run, proof=proof), run.tasks()["w"])


def test_s41_frame_that_is_not_swept_yet_is_swept_before_a_call() -> None:
    run = run_of(ASKS)
    proof = proof_of(run, "w")
    run.feed(s.Cancel("enough"), settle=False)
    assert "refused" == call(run, proof=proof)


def test_token_is_read_back_and_shows_no_proof() -> None:
    secret = secret_of(b"s" * 16, INSTANCE_ID)
    text = token_of(INSTANCE_ID, secret, "m.3.w")
    token = read_token(text)
    assert isinstance(token, CallbackToken)
    assert (INSTANCE_ID, "m.3.w") == (token.instance_id, token.path)
    assert is_proven(secret, "m.3.w", token.proof)
    assert not is_proven(secret, "m.4.w", token.proof)
    assert not is_proven(b"", "m.3.w", token.proof)
    assert not is_proven(secret_of(b"t" * 16, INSTANCE_ID), "m.3.w", token.proof)
    assert text.rpartition("~")[2] not in repr(token)


@pytest.mark.parametrize("text", ["", "~", "a~b~c", f"{INSTANCE_ID}~w~{'A' * 31}", f"{INSTANCE_ID}~w/x~{'A' * 32}", f"x{INSTANCE_ID}~w~{'A' * 32}"])  # fmt: skip
def test_text_of_another_form_is_no_token(text: str) -> None:
    assert None is read_token(text)


def test_call_that_no_pending_task_keeps_is_a_broken_journal() -> None:
    run = run_of(ASKS)
    event = e.CallbackKept("", 0, CallbackCall(NOW, b"1"))
    with pytest.raises(StateInconsistent):
        apply_frame(run.plan, run.state.frames[""].copy(), event)
