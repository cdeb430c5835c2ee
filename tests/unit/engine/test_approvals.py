"""Approvals: one person decides, once, or nobody in time (semantics.md S28)."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine import effects as x
from core.engine import events as e
from core.engine import stimuli as s
from core.engine.answer_state import ApprovalState
from core.engine.sure import sure_of
from tests.unit.engine.instance_run import InstanceRun
from tests.unit.engine.plans import run_of

ANY = 'operator: "@test/anything"'


def asks(parameters: str = "", extra: str = "") -> str:
    return f"""
        steps:
          - {{id: ok, operator: "@control/approval", parameters: {{title: "Refund {{{{ inputs.n }}}}?"{parameters}}}{extra}}}
        outputs: "{{{{ steps.ok.output }}}}"
        """


def id_of(run: InstanceRun, path: str = "ok") -> str:
    return sure_of(ApprovalState, run.all_tasks()[path].detail).id


def decide(run: InstanceRun, decision: Any = "approved", path: str = "ok", **more: Any) -> str:
    given = {"id": id_of(run, path), "by": "p-1", "comment": None, "data": b"null", **more}
    run.feed(s.Verdict(path=path, decision=decision, **given))
    assert run.answer is not None
    return run.answer.result


def test_s28_step_waits_and_people_are_asked() -> None:
    run = run_of(asks(', approvers: ["{{ inputs.who }}", "role:approver"], timeout_s: 60'), {"n": 7, "who": "p-1"})
    assert ("waiting", {"ok": "waiting"}) == (run.status, run.tasks())
    asked = run.approvals[id_of(run)]
    assert ("ok", "Refund 7?", ("p-1", "role:approver")) == (asked.task_path, asked.title, asked.approvers)
    assert [asked.due_at] == [held.timer.due_at for held in run.timers.values()]
    assert 26 == len(asked.id)


def test_s28_approval_is_the_output_and_nobody_is_asked_any_more() -> None:
    run = run_of(asks(), {"n": 7})
    assert None is run.approvals[id_of(run)].approvers
    data = b'{"amount":12,"text":"longer than its place"}'
    assert "accepted" == decide(run.pass_time(5), comment="as agreed", data=data)
    output = {
        "decision": "approved",
        "by": "p-1",
        "at": "2026-01-01T00:00:05.000Z",
        "data": {"amount": 12, "text": "longer than its place"},
        "comment": "as agreed",
    }
    assert ("succeeded", output, {}) == (run.status, run.outputs, run.approvals)
    assert [("approved", "p-1")] == [
        (one.decision, one.by) for one in run.events if isinstance(one, e.ApprovalAnswered)
    ]


@pytest.mark.parametrize(("comment", "message"), [("too much", "too much"), (None, "rejected by p-1")])
def test_s28_rejection_fails_the_step_with_its_kind(comment: str | None, message: str) -> None:
    run = run_of(asks(), {"n": 7})
    assert "accepted" == decide(run, "rejected", comment=comment)
    assert ("failed", "rejected", message, {}) == (run.status, run.error["kind"], run.error["message"], run.approvals)
    assert {"by": "p-1", "comment": comment} == run.error["data"]


def test_s28_rejection_is_caught_by_on_error() -> None:
    run = run_of(asks(extra=f", on_error: [{{id: h, {ANY}, parameters: {{why: '{{{{ error.kind }}}}'}}}}]"), {"n": 7})
    decide(run, "rejected")
    assert {"why": "rejected"} == run.parameters("h")


def test_s28_first_decision_counts() -> None:
    run = run_of(asks() + f"\n        settings: {{on_finish: [{{id: h, {ANY}}}]}}", {"n": 7})
    first = id_of(run)
    assert ("accepted", "refused") == (decide(run), decide_again(run, first))
    assert "running" == run.status


def decide_again(run: InstanceRun, id_: str) -> str:
    run.feed(s.Verdict(path="ok", id=id_, decision="rejected", by="p-2", comment=None, data=b"null"))
    assert run.answer is not None
    return run.answer.result


def test_s28_decision_of_another_approval_or_step_changes_nothing() -> None:
    run = run_of(asks(), {"n": 7})
    assert ("refused", "refused") == (decide(run, id="0" * 26), decide_again_at(run, "other"))
    assert "waiting" == run.status


def decide_again_at(run: InstanceRun, path: str) -> str:
    run.feed(s.Verdict(path=path, id=id_of(run), decision="approved", by="p", comment=None, data=b"null"))
    assert run.answer is not None
    return run.answer.result


@pytest.mark.parametrize(
    ("on_timeout", "status", "kind"),
    [
        ("", "failed", "timeout"),
        ("fail", "failed", "timeout"),
        ("reject", "failed", "rejected"),
        ("approve", "succeeded", None),
    ],
)
def test_s28_nobody_in_time(on_timeout: str, status: str, kind: str | None) -> None:
    given = f", on_timeout: {on_timeout}" if on_timeout else ""
    run = run_of(asks(f", timeout_s: 60{given}"), {"n": 7}).pass_time(60)
    assert (status, kind, {}) == (run.status, (run.error or {}).get("kind"), run.approvals)
    if status == "succeeded":
        assert ("approved", "", "nobody decided within 60 s") == tuple(
            run.outputs[name] for name in ("decision", "by", "comment")
        )


@pytest.mark.parametrize(
    "parameters",
    [
        'title: "{{ inputs.items }}"',
        'title: "{{ inputs.empty }}"',
        "title: x, approvers: ['{{ inputs.empty }}']",
        "title: x, approvers: ['{{ inputs.n }}']",
        "title: x, approvers: '{{ inputs.empty }}'",
    ],
)
def test_s28_what_is_no_title_or_no_approvers_is_invalid(parameters: str) -> None:
    text = f'steps: [{{id: ok, operator: "@control/approval", parameters: {{{parameters}}}}}]'
    run = run_of(text, {"n": 7, "empty": "", "items": []})
    assert ("failed", "invalid") == (run.status, run.error["kind"])


def test_s28_each_item_of_a_map_is_asked_for_and_may_read_what_lies_far_away() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1, 2]
              steps:
                - {{id: a, {ANY}}}
                - {{id: b, {ANY}}}
                - id: ok
                  operator: "@control/approval"
                  parameters: {{title: "{{{{ steps.a.output.title }}}}", approvers: "{{{{ steps.a.output.who }}}}"}}
              outputs: "{{{{ steps.ok.output.by }}}}"
        outputs: "{{{{ steps.m.output }}}}"
        """
    )
    run.forgets = True
    for n in range(2):
        run.succeed(f"m.{n}.a", {"title": f"item {n}", "who": ["somebody"], "text": "x" * 5_000}).succeed(
            f"m.{n}.b", {}
        )
    assert {"m.0.ok": "item 0", "m.1.ok": "item 1"} == {one.task_path: one.title for one in run.approvals.values()}
    decide(run, path="m.1.ok", by="second")
    decide(run, path="m.0.ok", by="first")
    assert ("succeeded", ["first", "second"]) == (run.status, run.outputs)


def test_s28_approvers_that_lie_far_away_are_loaded() -> None:
    run = run_of(
        f"""
        steps:
          - {{id: a, {ANY}}}
          - {{id: b, {ANY}}}
          - {{id: ok, operator: "@control/approval", parameters: {{title: x, approvers: "{{{{ steps.a.output }}}}"}}}}
        """
    )
    run.forgets = True
    run.succeed("a", ["x" * 100] * 60).succeed("b", {})
    assert ("waiting", 60) == (run.status, len(next(iter(run.approvals.values())).approvers or ()))


def test_s28_title_that_lies_far_away_is_loaded() -> None:
    run = run_of(
        f"""
        steps:
          - id: m
            operator: "@control/map"
            parameters:
              items: [1]
              steps:
                - {{id: a, {ANY}}}
                - {{id: b, {ANY}}}
                - {{id: ok, operator: "@control/approval", parameters: {{title: "{{{{ steps.a.output }}}}"}}}}
        """
    )
    run.forgets = True
    run.succeed("m.0.a", "a title of more than sixteen characters").succeed("m.0.b", {})
    assert ["a title of more than sixteen characters"] == [one.title for one in run.approvals.values()]


@pytest.mark.parametrize("stimulus", [s.Cancel("enough"), s.Terminate("enough")])
def test_s41_end_of_the_instance_asks_nobody_any_more(stimulus: s.Command) -> None:
    run = run_of(asks(), {"n": 7})
    id_ = id_of(run)
    run.feed(stimulus)
    assert ("cancelled", {}, "refused") == (run.status, run.approvals, decide_again(run, id_))


def test_s41_frame_that_is_not_swept_yet_is_swept_before_a_decision() -> None:
    run = run_of(asks() + f"\n        settings: {{on_finish: [{{id: h, {ANY}}}]}}", {"n": 7})
    id_ = id_of(run)
    run.feed(s.Cancel("enough"), settle=False)
    assert "refused" == decide_again(run, id_)


def test_s43_approval_completed_by_hand_asks_nobody_any_more() -> None:
    run = run_of(asks(), {"n": 7})
    run.feed(s.Act(act="complete", path="ok", by="p", reason="by phone", output=b"1"))
    assert ("succeeded", {}) == (run.status, run.approvals)


def test_approval_that_is_asked_for_and_ended_in_one_decision_is_never_seen() -> None:
    run = run_of(
        """
        steps:
          - {id: ok, operator: "@control/approval", depends_on: [], parameters: {title: x}}
          - {id: r, operator: "@control/return", depends_on: []}
        """
    )
    assert ("succeeded", {}, False) == (run.status, run.approvals, run.has_asked)


def test_taken_over_approval_is_still_asked_for() -> None:
    run = run_of(asks(), {"n": 7}).take_over()
    assert isinstance(run.approvals[id_of(run)], x.ApprovalSet)
    assert ("accepted", "succeeded") == (decide(run), run.status)
