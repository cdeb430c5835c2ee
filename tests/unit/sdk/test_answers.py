"""The test kit's verbs for what comes from outside: signals, callbacks, decisions."""

from __future__ import annotations

import pytest

from core.errors import (
    ApprovalNotFound,
    CallbackNotFound,
    CallbackOver,
    InstanceEnded,
    InstanceNotFound,
    RequestInvalid,
)
from flow_automation.testing import Faults, Simulation

SIGNALLED = """
title: Signalled
steps: [{id: w, operator: "@control/wait", parameters: {event: {name: paid}}}]
outputs: {got: "{{ steps.w.output.data }}"}
"""
CALLED = """
title: Called
steps: [{id: w, operator: "@control/wait", parameters: {callback: {}}}]
outputs: {got: "{{ steps.w.output.data }}"}
"""
ASKED = """
title: Asked
steps:
  - id: ask
    operator: "@control/approval"
    parameters:
      title: Ship?
      approvers: [anna]
      form: {type: object, properties: {n: {type: integer}}, required: [n]}
outputs: {by: "{{ steps.ask.output.by }}", n: "{{ steps.ask.output.data.n }}"}
"""


def test_signal_is_taken_by_a_wait() -> None:
    with Simulation() as simulation:
        instance = simulation.start(SIGNALLED)
        instance.send_signal("paid", {"n": 1})
        simulation.advance(seconds=1)
        assert {"got": {"n": 1}} == instance.assert_succeeded().outputs
        with pytest.raises(InstanceEnded):
            instance.send_signal("paid")


def test_callback_ends_its_wait_once() -> None:
    with Simulation() as simulation:
        instance = simulation.start(CALLED)
        instance.answer_callback("w", [1, 2])
        simulation.advance(seconds=1)
        assert {"got": [1, 2]} == instance.assert_succeeded().outputs
        with pytest.raises(CallbackNotFound):
            instance.answer_callback("w")


def test_callback_fails_its_wait() -> None:
    with Simulation() as simulation:
        instance = simulation.start(CALLED)
        instance.fail_callback("w", "no parcel", kind="conflict")
        simulation.advance(seconds=1)
        assert "no parcel" == instance.assert_failed("conflict", step="w").error["message"]


def test_call_of_a_step_that_is_not_there_is_refused() -> None:
    with Simulation() as simulation:
        instance = simulation.start(CALLED)
        with pytest.raises((CallbackNotFound, CallbackOver)):
            instance.answer_callback("nothing")


def test_decision_is_taken_of_an_approver_and_must_fit_the_form() -> None:
    with Simulation() as simulation:
        instance = simulation.start(ASKED)
        with pytest.raises(ApprovalNotFound):
            instance.approve("ask", {"n": 1}, by="bert")
        with pytest.raises(ApprovalNotFound):
            instance.approve("nothing", {"n": 1}, by="anna")
        with pytest.raises(RequestInvalid):
            instance.approve("ask", {"n": "one"}, by="anna")
        instance.approve("ask", {"n": 1}, by="anna", comment="fine")
        simulation.advance(seconds=1)
        assert {"by": "anna", "n": 1} == instance.assert_succeeded().outputs


def test_rejected_step_has_failed() -> None:
    with Simulation() as simulation:
        instance = simulation.start(ASKED)
        instance.reject("ask", by="anna", comment="not now")
        simulation.advance(seconds=1)
        assert "not now" == instance.assert_failed("rejected", step="ask").error["message"]


def test_answers_of_an_instance_of_another_simulation_are_refused() -> None:
    with Simulation(seed=2) as other, Simulation() as simulation:
        foreign = other.start(CALLED)
        instance = simulation.start(CALLED)
        instance.id = foreign.id
        with pytest.raises(CallbackNotFound):
            instance.answer_callback("w")
        with pytest.raises(InstanceNotFound):
            instance.send_signal("paid")


@pytest.mark.parametrize("point", ["before_commit:2", "after_commit:2"])
def test_signal_that_a_crash_met_is_told_again_and_taken_once(point: str) -> None:
    with Simulation(faults=Faults(crash_at=(point,))) as simulation:
        instance = simulation.start(SIGNALLED)
        instance.send_signal("paid", 7)
        simulation.advance(minutes=1)
        assert 1 == simulation.crash_count
        assert {"got": 7} == instance.assert_succeeded().outputs
