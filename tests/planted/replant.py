"""Write the planted bugs anew from the tables below: `python -m tests.planted.replant`, after the code beside them changed.

Each row replaces one text, which must stand exactly once in its file, by a wrong one (`more`: others of the same file
beside it); the diff becomes the patch.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys

from tests.planted.planting import FAILS_PREFIX, FOLDER, ROOT

NODE_TESTS = "tests/unit/engine_node"
TRACES = "tests/sim/test_traces.py"
NODE_TRACES = "tests/sim/test_node_traces.py"
RETRY_TRACES = "tests/sim/test_retry_traces.py"
MODEL = "tests/model/test_machine.py::test_engine_and_reference_agree[simulated]"
LOAD = "tests/load/test_figures.py::test_figure_of_load_holds"
SEEDS = "tests/sim/test_seeds.py::test_seeds_break_no_invariant_and_heal[0]"


@dataclasses.dataclass(frozen=True)
class Bug:
    """One bug: where, what stands there, what would be wrong there, and the tests that see it beside the seeds."""

    name: str
    path: str
    right: str
    wrong: str
    fails: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()
    is_rare: bool = False


BUGS = (
    Bug(
        "decide",
        "core/engine/decide.py",
        "    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):\n",
        "    if isinstance(held, Attempt):\n",
        ("tests/unit/engine/test_failure.py::test_late_and_foreign_outcomes_change_nothing",),
    ),
    Bug(
        "join",
        "core/engine/advance.py",
        '    if not upstream or node.join == "all_done":\n',
        '    if not upstream or node.join in {"all_done", "any_succeeded"}:\n',
        ("tests/unit/engine/test_order.py::test_s6_join_looks_at_how_every_upstream_ended",),
    ),
    Bug(
        "retry",
        "core/engine/outcome.py",
        "failures >= node.retry.max_attempts:\n",
        "failures > node.retry.max_attempts:\n",
        ("tests/unit/engine/test_failure.py::test_s13_s14_kinds_decide_about_retry",),
    ),
    Bug(
        "readiness",
        "core/engine/advance.py",
        "        if before is None or not before.has_ended:\n",
        "        if before is None:\n",
        ("tests/unit/engine/test_order.py::test_s6_fan_in_waits_for_every_upstream",),
    ),
    Bug(
        "fencing",
        "driven_adapters/memory/shard_store.py",
        "row.epoch == fence.epoch and fence.incarnation",
        "row.epoch >= fence.epoch and fence.incarnation",
        (
            "tests/contract/test_instance_store.py::test_late_batch_of_the_old_epoch_is_refused_after_the_next_owner_committed",
        ),
    ),
    Bug(
        "codec",
        "core/engine/journal.py",
        "    frame.tasks, frame.ends = row.tasks, row.ends\n",
        "    frame.tasks, frame.ends = row.tasks, [None] * row.cells\n",
        ("tests/unit/engine/test_codec.py::test_frames_read_back_have_the_counts_of_those_written",),
    ),
    Bug(
        "early-answer",
        "core/engine/node/committer.py",
        "            try:\n                refusals = await self._store.commit(",
        "            for item in items:\n"
        "                for given, answer in item.inputs:\n"
        "                    if given.answer is not None:\n"
        "                        self._finisher.finish(item.hot, given, answer, item.hot.status)\n"
        "            try:\n                refusals = await self._store.commit(",
        (f"{NODE_TESTS}/test_commit.py::test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed",),
    ),
    Bug(
        "recovery",
        "core/engine/node/loader.py",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in reversed(paths))\n",
        "        hot.waiting.extendleft(Input(hot.id, Continue(path)) for path in paths if path)\n",
        (
            f"{NODE_TESTS}/test_recovery.py::test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key",
            "tests/unit/sdk/test_seeds.py::test_no_seed_breaks_an_invariant_whatever_faults_come_together",
        ),
    ),
    Bug(
        "no-fence",
        "driven_adapters/memory/shard_store.py",
        "    if lost:\n        raise Fenced(lost)\n",
        "    if lost and not fences:\n        raise Fenced(lost)\n",
        ("tests/contract/test_shard_store.py::test_settle_names_every_fence_that_is_over",),
    ),
    Bug(
        "same-epoch",
        "driven_adapters/memory/shard_store.py",
        "StoredShard(row.epoch + 1, node)",
        "StoredShard(row.epoch, node)",
        ("tests/contract/test_shard_store.py::test_shard_of_an_ended_lease_goes_to_the_next_node_with_the_next_epoch",),
        more=(("Fence(shard, row.epoch + 1, ", "Fence(shard, row.epoch, "),),
    ),
    Bug(
        "endless-lease",
        "core/engine/node/ownership.py",
        "before + self._settings.lease_ttl_s - self._settings.lease_margin_s",
        "before + 20 * self._settings.lease_ttl_s",
        (
            f"{NODE_TESTS}/test_recovery.py::test_node_whose_renewals_fail_gives_up_in_time_and_goes_on_under_a_new_lease",
        ),
    ),
    Bug(
        "wall-clock",
        "core/engine/node/ownership.py",
        "        if self._clock.monotonic() < self._deadline:\n",
        "        if self._clock.now().timestamp() < self._deadline:\n",
        (f"{NODE_TRACES}::test_lease_ends_although_the_wall_clock_goes_back",),
        is_rare=True,
        more=(
            (
                "        before = self._clock.monotonic()\n        await self._shards.open_lease",
                "        before = self._clock.now().timestamp()\n        await self._shards.open_lease",
            ),
            (
                "        before = self._clock.monotonic()\n        call = ",
                "        before = self._clock.now().timestamp()\n        call = ",
            ),
        ),
    ),
    Bug(
        "late-failure",
        "core/engine/decide.py",
        "    if isinstance(held, Attempt) and (held.number, held.token) == (event.number, event.token):\n",
        "    is_failed = not isinstance(event.result, s.Finished | s.Stopped)\n"
        "    if isinstance(held, Attempt) and (is_failed or (held.number, held.token) == (event.number, event.token)):\n",
        ("tests/unit/engine/test_failure.py::test_late_and_foreign_outcomes_change_nothing",),
    ),
    Bug(
        "timer-stays",
        "core/engine/node/item.py",
        "            self.timers_removed[given.timer.due_at, given.timer.n] = None\n",
        "            del given.timer\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_timer_that_nobody_knows_is_taken_out_of_the_store",),
    ),
    Bug(
        "sweep",
        "core/engine/closing.py",
        "    for frame in ordered[:SWEPT_FRAMES_MAX]:\n",
        "    for frame in ordered[1:SWEPT_FRAMES_MAX]:\n",
        ("tests/unit/engine/test_closing.py::test_s41_terminate_abandons_everything_at_once",),
    ),
    Bug(
        "lost-counts",
        "core/engine/outcome.py",
        "    failures = held.number - held.lost\n",
        "    failures = held.number\n",
        ("tests/unit/engine/test_failure.py::test_lost_attempt_does_not_count_against_the_tries",),
    ),
    Bug(
        "start-key",
        "driven_adapters/memory/commit.py",
        "        if first is not None:\n",
        "        if first is not None and first.instance_id == change.row.id:\n",
        (f"{NODE_TESTS}/test_commit.py::test_repeat_of_a_landed_key_answers_the_first_instance",),
    ),
    Bug(
        "ingested-key",
        "driven_adapters/memory/ingest.py",
        "        if first is not None:\n",
        "        if first is not None and first.instance_id == row.id:\n",
        (f"{NODE_TRACES}::test_m7_start_at_a_node_without_the_shard_runs_at_its_owner",),
    ),
    Bug(
        "hook",
        "core/engine/hooks.py",
        "    if number is None and outcome.status is INSTANCE_FAILED and",
        "    if number is None and outcome.status is INSTANCE_CANCELLED and",
        ("tests/unit/engine/test_hooks.py::test_s39_failure_runs_on_failure_and_then_on_finish",),
    ),
    Bug(
        "break",
        "core/engine/loops.py",
        "    return bool(is_over)\n",
        "    return is_over is None\n",
        ("tests/unit/engine/test_loops.py::test_s21_break_keeps_the_value_of_its_iteration",),
    ),
    Bug(
        "waiting",
        "core/engine/waits.py",
        "    is_waiting = not is_busy and draft.header",
        "    is_waiting = draft.header",
        ("tests/unit/engine/test_waits.py::test_instance_is_waiting_only_while_nothing_else_is_under_way",),
    ),
    Bug(
        "unsent",
        "core/engine/node/loader.py",
        "        for effect in unsent_attempts(hot.plan, state, self.attempts.sent(hot.id)):\n",
        "        for effect in unsent_attempts(hot.plan, state, self.attempts.sent(hot.id))[:0]:\n",
        (f"{TRACES}::test_m1_lost_answer_of_any_commit_loses_no_call_and_doubles_none",),
    ),
    Bug(
        "taken-out",
        "core/engine/node/committer.py",
        "        self._loader.start(self._fates.reload(hot, kept))\n",
        "        self._loader.start(self._fates.reload(hot, kept[:0]))\n",
        (f"{TRACES}::test_m5_item_that_is_taken_out_is_decided_again",),
    ),
    Bug(
        "early-call",
        "core/engine/node/committer.py",
        "            try:\n                refusals = await self._store.commit(",
        "            for item in items:\n"
        "                for start in item.starts.values():\n"
        "                    self._attempts.send(item.hot, start)\n"
        "            try:\n                refusals = await self._store.commit(",
        (f"{NODE_TESTS}/test_commit.py::test_start_in_flight_is_neither_answered_nor_called_before_its_commit_landed",),
    ),
    Bug(
        "key-of-attempt",
        "core/engine/node/attempts.py",
        "idempotency_key=idempotency_key(hot.id, effect.task_path),",
        'idempotency_key=idempotency_key(hot.id, f"{effect.task_path}#{effect.number}"),',
        (
            f"{NODE_TESTS}/test_recovery.py::test_killed_nodes_attempt_is_lost_and_made_again_with_the_same_key",
            "tests/unit/sdk/test_seeds.py::test_no_seed_breaks_an_invariant_whatever_faults_come_together",
        ),
    ),
    Bug(
        "young-instance",
        "core/engine/node/engine_node.py",
        "                if row.seq and self._table.get(row.id) is None",
        "                if row.seq > 3 and self._table.get(row.id) is None",
        (f"{NODE_TESTS}/test_recovery.py::test_second_node_takes_the_shards_of_a_killed_one_within_its_lease",),
    ),
    Bug(
        "timers-of-others",
        "core/engine/node/engine_node.py",
        "        self._timers.reread()\n        self._inbox.wake()\n",
        "        self._inbox.wake()\n",
        (f"{NODE_TRACES}::test_timer_of_a_killed_node_fires_at_its_successor",),
    ),
    Bug(
        "early-repeat",
        "core/engine/node/marks.py",
        "        first.repeats.append(given)\n",
        "        from core.engine.node.terms import Started\n"
        "        from core.engine.statuses import INSTANCE_QUEUED\n"
        "        given.resolve(Started(first.instance_id, True, INSTANCE_QUEUED))\n",
        (f"{TRACES}::test_m6_repeat_of_a_key_is_not_answered_before_the_start_is_durable",),
    ),
    Bug(
        "cancel-answer",
        "core/engine/node/decider.py",
        "hot.status is INSTANCE_CANCELLED\n",
        "hot.status is not INSTANCE_CANCELLED\n",
        (f"{NODE_TESTS}/test_commit.py::test_command_for_an_ended_foreign_or_missing_instance_says_so",),
        is_rare=True,
    ),
    Bug(
        "place-of-values",
        "core/engine/node/item.py",
        "        return (PayloadRow(self.hot.id, first, 0,",
        "        return (PayloadRow(self.hot.id, first + 1, 0,",
        (f"{NODE_TESTS}/test_parts.py::test_values_of_one_commit_lie_end_to_end_in_a_row",),
    ),
    Bug(
        "inbox-row",
        "core/engine/node/item.py",
        "            self.inbox.append(given.inbox.n)\n",
        "            self.inbox.clear()\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_start_stored_by_another_node_runs_and_its_row_is_gone",),
    ),
    Bug(
        "timer-in-pause",
        "core/engine/decide.py",
        "    if draft.is_paused:\n        return  # its row",
        "    if draft.is_paused and event.index < 0:\n        return  # its row",
        (MODEL,),
        is_rare=True,
    ),
    Bug(
        "requeued-in-pause",
        "core/engine/outcome.py",
        "    if draft.room > draft.attempts_started:\n",
        "    if draft.room >= draft.attempts_started:\n",
        ("tests/unit/engine/test_failure.py::test_retry_that_comes_due_without_a_free_place_waits_for_one",),
        is_rare=True,
    ),
    Bug(
        "forgotten-doubt",
        "core/engine/node/finish.py",
        "        if is_unknown or given.is_unsure:\n",
        "        if is_unknown:\n",
        (f"{NODE_TRACES}::test_start_whose_commit_had_no_answer_is_never_said_to_have_started_nothing",),
        is_rare=True,
    ),
    Bug(
        "uncharged-retries",
        "core/executor/retry_budget.py",
        "        account.tokens -= taken.began\n",
        "        account.tokens -= 0\n",
        (
            f"{RETRY_TRACES}::test_r25_operator_that_fails_every_second_call_gets_a_fifth_more_calls_beside_the_reserve",
            f"{RETRY_TRACES}::test_r25_retries_that_fell_due_while_no_node_ran_do_not_storm",
        ),
        is_rare=True,
    ),
)

# What a load shows: a figure of tests/load that falls short, and what was found by one.
LOAD_BUGS = (
    Bug(
        "kept-in-memory",
        "core/engine/node/hot.py",
        "        while self._idle and len(self._hot) > hot_max:\n",
        "        while self._idle and len(self._hot) > 100 * hot_max:\n",
        (f"{LOAD}[F13]",),
        is_rare=True,
    ),
    Bug(
        "buffer-per-attempt",
        "core/engine/node/attempts.py",
        "        parameters = await self._resolve(hot, effect)\n",
        '        parameters, _buffer = await self._resolve(hot, effect), b"x" * 65_536\n',
        (f"{LOAD}[F14]",),
        is_rare=True,
    ),
    Bug(
        "commit-per-item",
        "core/engine/node/batch.py",
        "            len(self._items) >= bounds.items_max\n",
        "            len(self._items) >= min(1, bounds.items_max)\n",
        (f"{LOAD}[F15]",),
        is_rare=True,
    ),
    Bug(
        "polled-intake",
        "core/engine/node/decider.py",
        "            await self._intake.arrived.wait()\n",
        "            while not self._intake.arrived.is_set():\n                await asyncio.sleep(0.15)\n",
        (f"{LOAD}[F16]",),
        is_rare=True,
    ),
    Bug(
        "one-line-for-all",
        "core/engine/node/places.py",
        "        queue = self._waiting.get(hot.domain_id)\n"
        "        if queue is None:\n"
        "            queue = self._waiting[hot.domain_id] = []\n"
        "            self._turns.append(hot.domain_id)\n",
        '        queue = self._waiting.get("")\n'
        "        if queue is None:\n"
        '            queue = self._waiting[""] = []\n'
        '            self._turns.append("")\n',
        (f"{LOAD}[F19]",),
        is_rare=True,
    ),
    Bug(
        "endless-line",
        "core/engine/node/places.py",
        "        if self.waiting_count < self._waiting_max:\n",
        "        if self.waiting_count < 1_000 * self._waiting_max:\n",
        (f"{LOAD}[F20]",),
        is_rare=True,
    ),
    Bug(
        "place-past-the-line",
        "core/engine/node/decider.py",
        "        room = self._places.room_for(hot, type(given.stimulus) is Dispatch)\n",
        "        room = self._places.room\n",
        (f"{NODE_TESTS}/test_ways_in.py::test_instance_with_many_ready_tasks_takes_no_place_past_another_domain",),
        is_rare=True,
    ),
)
TABLES = ((1, BUGS), (71, LOAD_BUGS))  # the number of the first patch of each


def patch_of(bug: Bug) -> str:
    """Make the text of a patch.

    Raises:
        ValueError: a right text does not stand exactly once in the file.
    """
    text = changed = (ROOT / bug.path).read_text("utf-8")
    for right, wrong in ((bug.right, bug.wrong), *bug.more):
        if text.count(right) != 1:
            raise ValueError(f"{bug.name}: {right!r} stands {text.count(right)} times in {bug.path}")
        changed = changed.replace(right, wrong)
    diff = difflib.unified_diff(
        text.splitlines(keepends=True), changed.splitlines(keepends=True), f"a/{bug.path}", f"b/{bug.path}"
    )
    # What too few seeds meet has a trace of its own, which plays it each time.
    named = "".join(f"{FAILS_PREFIX} {node_id}\n" for node_id in (*bug.fails, *(() if bug.is_rare else (SEEDS,))))
    return f"{named}diff --git a/{bug.path} b/{bug.path}\n{''.join(diff)}"


def main() -> int:
    """Write all patches; those that are no longer in the table stay where they are."""
    numbered = [(number, bug) for first, bugs in TABLES for number, bug in enumerate(bugs, first)]
    for number, bug in numbered:
        (FOLDER / f"{number:02d}-{bug.name}.patch").write_text(patch_of(bug), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
