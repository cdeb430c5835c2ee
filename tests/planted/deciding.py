"""Bugs that may be planted in what decides: the engine without a node, and how its events are written."""

from __future__ import annotations

from tests.planted.bug import Bug

NODE_TESTS = "tests/unit/engine_node"
MODEL = "tests/model/test_machine.py::test_engine_and_reference_agree[simulated]"
SEEDS_OF_CALLS = "tests/sim/test_seeds.py::test_seeds_break_no_invariant_and_heal[3]"
CALLS = "tests/unit/engine/test_calls.py"

BUGS = (
    Bug(
        1,
        "decide",
        "core/engine/decide.py",
        "    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):\n",
        "    if isinstance(held, Attempt):\n",
        ("tests/unit/engine/test_failure.py::test_late_and_foreign_outcomes_change_nothing",),
    ),
    Bug(
        2,
        "join",
        "core/engine/advance.py",
        '    if not upstream or node.join == "all_done":\n',
        '    if not upstream or node.join in {"all_done", "any_succeeded"}:\n',
        ("tests/unit/engine/test_order.py::test_s6_join_looks_at_how_every_upstream_ended",),
    ),
    Bug(
        3,
        "retry",
        "core/engine/outcome.py",
        "failures >= node.retry.max_attempts:\n",
        "failures > node.retry.max_attempts:\n",
        ("tests/unit/engine/test_failure.py::test_s13_s14_kinds_decide_about_retry",),
    ),
    Bug(
        4,
        "readiness",
        "core/engine/advance.py",
        "        if before is None or not before.has_ended:\n",
        "        if before is None:\n",
        ("tests/unit/engine/test_order.py::test_s6_fan_in_waits_for_every_upstream",),
    ),
    Bug(
        6,
        "codec",
        "core/engine/journal.py",
        "    frame.tasks, frame.ends = row.tasks, row.ends\n",
        "    frame.tasks, frame.ends = row.tasks, [None] * row.cells\n",
        ("tests/unit/engine/test_codec.py::test_frames_read_back_have_the_counts_of_those_written",),
    ),
    Bug(
        13,
        "late-failure",
        "core/engine/decide.py",
        "    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):\n",
        "    is_failed = not isinstance(event.result, s.Finished | s.Stopped)\n"
        "    if isinstance(held, Attempt) and (is_failed or (held.number, held.token) == (event.number, event.token)):\n",
        ("tests/unit/engine/test_failure.py::test_late_and_foreign_outcomes_change_nothing",),
    ),
    Bug(
        15,
        "sweep",
        "core/engine/closing.py",
        "    for frame in ordered[:SWEPT_FRAMES_MAX]:\n",
        "    for frame in ordered[1:SWEPT_FRAMES_MAX]:\n",
        ("tests/unit/engine/test_closing.py::test_s41_terminate_abandons_everything_at_once",),
    ),
    Bug(
        16,
        "lost-counts",
        "core/engine/outcome.py",
        "    failures = held.number - held.lost\n",
        "    failures = held.number\n",
        ("tests/unit/engine/test_failure.py::test_lost_attempt_does_not_count_against_the_tries",),
    ),
    Bug(
        19,
        "hook",
        "core/engine/hooks.py",
        "    if number is None and outcome.status is INSTANCE_FAILED and",
        "    if number is None and outcome.status is INSTANCE_CANCELLED and",
        ("tests/unit/engine/test_hooks.py::test_s39_failure_runs_on_failure_and_then_on_finish",),
    ),
    Bug(
        20,
        "break",
        "core/engine/loops.py",
        "    return bool(is_over)\n",
        "    return is_over is None\n",
        ("tests/unit/engine/test_loops.py::test_s21_break_keeps_the_value_of_its_iteration",),
    ),
    Bug(
        21,
        "waiting",
        "core/engine/waits.py",
        "    is_waiting = not is_busy and draft.header",
        "    is_waiting = draft.header",
        ("tests/unit/engine/test_waits.py::test_instance_is_waiting_only_while_nothing_else_is_under_way",),
    ),
    Bug(
        32,
        "timer-in-pause",
        "core/engine/decide.py",
        "    if draft.is_paused:\n        return  # its row",
        "    if draft.is_paused and event.index < 0:\n        return  # its row",
        (MODEL,),
        is_rare=True,
    ),
    Bug(
        33,
        "requeued-in-pause",
        "core/engine/outcome.py",
        "    if draft.room > draft.attempts_started:\n",
        "    if draft.room >= draft.attempts_started:\n",
        ("tests/unit/engine/test_failure.py::test_retry_that_comes_due_without_a_free_place_waits_for_one",),
        is_rare=True,
    ),
    Bug(
        36,
        "untold-parent",
        "core/engine/telling.py",
        "    if parent is not None and parent.is_awaited and header.status.is_terminal:\n",
        "    if parent is not None and parent.is_awaited and header.outputs is not None:\n",
        (
            f"{CALLS}::test_s29_failed_child_fails_the_step_with_its_error_as_cause",
            f"{NODE_TESTS}/test_calls.py::test_s29_failed_child_fails_its_parent",
            SEEDS_OF_CALLS,
        ),
        is_rare=True,
    ),
    Bug(
        37,
        "untold-child",
        "core/engine/telling.py",
        "        end_child(draft, held, mark.cause)\n    return True\n",
        "    return True\n",
        (
            f"{CALLS}::test_s29_s10_s23_s40_s41_child_is_told_to_end_and_waited_for[cancel-cancelled-cancelled/cancel]",
            f"{NODE_TESTS}/test_calls.py::test_s29_child_whose_start_and_cancel_are_found_together_ends",
            SEEDS_OF_CALLS,
        ),
        is_rare=True,
    ),
    Bug(
        41,
        "permit-leak",
        "core/engine/draft.py",
        "        if self.plan.has_step_limits and before is not after and",
        "        if self.plan.has_step_limits and not self.has_marks and before is not after and",
        ("tests/unit/engine/test_limits.py::test_s10_permit_granted_to_a_closing_holder_is_given_up",),
        is_rare=True,
    ),
)
